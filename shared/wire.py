"""Frames <-> bytes. The only file that knows msgpack. docs/protocol.md has the byte tables.

One ZeroMQ message is a batch::

    envelope:  0xCB | version | link epoch, 4 bytes big-endian | msgpack array of items
    body:      only where the one item is a PART: a piece of a frame of 64 KiB or more

An item is ``[kind, field, field ...]``. Everything that is queued for a peer during one turn of the event loop
goes out as one batch: this, and not the codec, is where speed comes from.

Decoding any bytes returns frames or raises ``RemoteProtocolError``, nothing else.
"""

from __future__ import annotations

import functools
import re
import struct
import threading
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from typing import Any, cast, get_args, get_origin, get_type_hints

import msgpack

from . import frames
from .config import KIB, PROTOCOL
from .errors import LocalProtocolError, RemoteProtocolError
from .frames import Frame, LayerFrame, Part

MAGIC = 0xCB
HEADER = struct.Struct(">BBI")  # magic, version, link epoch
_ARRAY32 = struct.Struct(">BI")  # the msgpack array that follows: 0xdd, number of items

BODY = 64 * KIB  # a frame from here on travels in PARTs, its pieces not copied by libzmq
PIECE = 256 * KIB  # one PART: 64 of them are the most that stands before another connection's message
BATCH = 128 * KIB  # an envelope is closed when it has grown to this
MAX_FRAME = 1024 * KIB  # MAXMSGSIZE of the sockets
MAX_ARRAY = 32768  # headers, members of a list: far more than a server lets through
MAX_MAP = 4096
MAX_ITEMS = 8192  # items in one envelope: a batch of the smallest frames that fits

Event = MutableMapping[str, Any]  # an ASGI message, and a scope

_KINDS: dict[int, type[Any]] = {
    1: frames.Hello, 2: frames.Welcome, 3: frames.Refuse, 4: frames.Reset, 5: frames.Beat, 6: frames.Drain,
    7: frames.Goodbye,
    16: frames.Adopt, 17: frames.Message, 18: frames.Credit, 19: frames.Cancel, 20: frames.FanOut,
    32: frames.Output, 33: frames.Commit, 34: frames.Failed, 35: frames.Unresumable, 36: frames.Save,
    37: frames.Resumed,
    48: frames.GroupAdd, 49: frames.GroupDiscard, 50: frames.GroupSend, 51: frames.ChannelSend, 52: frames.Answer,
    53: frames.Peers, 54: frames.Subscribe, 55: frames.Unsubscribe, 56: frames.Listen, 57: frames.Relay,
    58: frames.Relayed, 59: frames.Listening,
    64: Part,
    80: frames.Query, 81: frames.Report,
}  # fmt: skip
_CODES: dict[type[Any], int] = {cls: code for code, cls in _KINDS.items()}
_new: Any = cast("Any", tuple).__new__  # cls._make() without its second check of the length


def _shape(cls: type[Any]) -> tuple[type[Any], ...]:
    """Give the types that msgpack has to deliver for an item of this class, the kind among them."""
    return (int, *(get_origin(hint) or hint for hint in get_type_hints(cls).values()))


class _Local(threading.local):
    """A packer of its own for each thread: sync consumers pack in theirs."""

    def __init__(self) -> None:
        self.pack = msgpack.Packer(use_bin_type=True, autoreset=True).pack  # what users send
        self.frame = msgpack.Packer(use_bin_type=True, unicode_errors="backslashreplace").pack  # texts for people


_local = _Local()


# -- events and scopes -----------------------------------------------------------------------------------------


def pack_event(event: Event) -> bytes:
    """Pack an ASGI message or a channel layer's message.

    Raises ``LocalProtocolError`` that names the key whose value cannot be sent: what is packed here can be unpacked.
    """
    try:
        for key, value in event.items():
            if (type(value) not in _SCALARS and not _fits(event, key, value)) or type(key) is not str:
                raise TypeError(f"{key!r} holds what the other side would refuse")
        if type(event["type"]) is str:
            return _local.pack(event)
        raise TypeError("'type' has to be a str")
    except KeyError:
        raise LocalProtocolError("a message has to have a 'type'") from None
    except _UNPACKABLE as error:
        raise LocalProtocolError(_blame(event, error)) from error


def _fits(event: Event, key: str, value: Any) -> bool:
    """Say whether a value that is no scalar can be sent. Headers were made lists of bytes by worker/messages.py."""
    return (key == "headers" and event.get("type") in _HEADED) or _plain(value)


_HEADED = frozenset({
    "http.response.start", "http.response.trailers", "http.response.early_hint", "http.response.push",
    "websocket.accept", "websocket.http.response.start",
})  # fmt: skip
_SCALARS = frozenset({str, bytes, int, bool, type(None), float})
_UNPACKABLE = (TypeError, ValueError, OverflowError, RecursionError)  # UnicodeEncodeError is a ValueError


def _plain(value: Any) -> bool:
    """Say whether the strict reading side takes a value: string keys, bounded sizes, no extension types."""
    if is_one_of(value, (dict,)):
        return len(value) <= MAX_MAP and all(is_one_of(k, (str, bytes)) and _plain(v) for k, v in value.items())
    if is_one_of(value, (list, tuple)) and not is_one_of(value, (msgpack.ExtType,)):
        return len(value) <= MAX_ARRAY and all(map(_plain, value))
    return is_one_of(value, (str, bytes, int, float, bytearray, memoryview, type(None)))


def is_one_of(value: object, kinds: tuple[type[Any], ...]) -> bool:
    """Test a type without the type checkers' narrowing to containers of unknowns."""
    return isinstance(value, kinds)


def _blame(event: Event, error: Exception) -> str:
    for key, value in event.items():
        try:
            if type(key) is not str or not _fits(event, key, value):
                raise TypeError("not a plain value under a str")
            _local.pack({key: value})
        except _UNPACKABLE as cause:
            kind = type(value).__name__
            return (
                f"the value of {key!r} in a message of type {event.get('type')!r} cannot be sent ({kind}: {cause});"
                " messages take None, bool, int, float, str, bytes, lists of them, and dicts of them with string keys"
            )
    return f"the message cannot be sent: {error}"


def unpack_event(data: bytes) -> Event:
    """Unpack what :func:`pack_event` made. Raises ``RemoteProtocolError`` for anything else."""
    event: Event = _unpack(data)
    try:
        if type(event["type"]) is str:  # only a map can be asked for that
            return event
    except (TypeError, KeyError):
        pass
    raise RemoteProtocolError("an event is a map with a 'type'")


def pack_scope(scope: dict[str, Any]) -> bytes:
    """Pack an ASGI scope so that the application finds tuples where servers put them: client, server, headers.

    The dict is used up. Headers travel flat (name, value, name, value ...): half the objects.
    Raises ``LocalProtocolError``.
    """
    flat: list[bytes] = []
    pairs = False  # the servers' usual choice of a tuple per header
    for pair in scope["headers"]:
        pairs = type(pair) is tuple
        flat.extend(pair)
    scope["headers"] = flat
    tuples = [key for key in ("client", "server") if type(scope.get(key)) is tuple]
    try:
        return _local.pack((scope, tuples, pairs))
    except _UNPACKABLE as error:
        raise LocalProtocolError(f"the scope cannot be sent: {error}") from error


def unpack_scope(data: bytes) -> dict[str, Any]:
    """Unpack what :func:`pack_scope` made. Raises ``RemoteProtocolError``."""
    packed = _unpack(data)
    try:
        scope, tuples, pairs = packed
        flat = scope["headers"]
        both = zip(flat[::2], flat[1::2], strict=True)
        scope["headers"] = list(both) if pairs else list(map(list, both))
        for key in tuples:
            scope[key] = tuple(scope[key])
    except (KeyError, TypeError, ValueError) as error:
        raise RemoteProtocolError("not a scope") from error
    return cast("dict[str, Any]", scope)


# -- batches ---------------------------------------------------------------------------------------------------


class Outbox:
    """Frames that wait for the end of this turn of the event loop; then :meth:`batches` takes them all.

    ``size`` is in bytes; the owner bounds it (credit windows of the connections), not this class.
    """

    __slots__ = ("_batches", "_items", "_length", "size")

    def __init__(self) -> None:
        self._batches: list[list[bytes]] = []  # closed; each is the item list of one envelope, or [] + pieces
        self._items: list[bytes] = []
        self._length = 0
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._items or self._batches)

    def add(self, frame: Frame) -> None:
        """Queue a frame behind those that are queued."""
        item = _encode(frame)
        length = len(item)
        self.size += length
        if length >= BODY:
            self._close()
            self._batches.append([b"", item])
            return
        self._items.append(item)
        self._length += length
        if self._length >= BATCH or len(self._items) >= MAX_ITEMS:
            self._close()

    def _close(self) -> None:
        if self._items:
            self._batches.append(self._items)
            self._items = []
            self._length = 0

    def batches(self, link_epoch: int) -> Iterator[list[bytes]]:
        """Empty the box: yield ZeroMQ messages (lists of one or two frames) in order."""
        self._close()
        taken, self._batches = self._batches, []
        self.size = 0
        for items in taken:
            if items[0]:
                yield [_envelope(link_epoch, items)]
            else:
                yield from _parts(link_epoch, items[1])


def _encode(frame: Frame | Part) -> bytes:
    kind = type(frame)
    if kind is frames.Commit or kind is frames.Relay:
        holder: Any = frame
        frame = holder._replace(effects=[e if type(e) is bytes else (_CODES[type(e)], *e) for e in holder.effects])
    return _local.frame((_CODES[kind], *frame))


def pack_frame(frame: Frame) -> bytes:
    """Pack a frame by itself, for an engine between bridges."""
    return bytes((PROTOCOL,)) + _encode(frame)


def unpack_frame(data: bytes) -> Frame:
    """Unpack what :func:`pack_frame` made. Raises ``RemoteProtocolError``."""
    if data[:1] != bytes((PROTOCOL,)):
        raise RemoteProtocolError(f"not protocol version {PROTOCOL}")
    frame: Frame = _frame(_unpack(memoryview(data)[1:]), _SHAPES)
    return frame


def _envelope(link_epoch: int, items: Sequence[bytes]) -> bytes:
    return b"".join((HEADER.pack(MAGIC, PROTOCOL, link_epoch), _ARRAY32.pack(0xDD, len(items)), *items))


def _parts(link_epoch: int, item: bytes) -> Iterator[list[bytes]]:
    for start in range(0, len(item), PIECE):
        more = start + PIECE < len(item)
        yield [_envelope(link_epoch, [_encode(Part(more))]), item[start : start + PIECE]]


def encode(link_epoch: int, queued: Iterable[Frame]) -> list[list[bytes]]:
    """Encode frames at once: the ZeroMQ messages that an :class:`Outbox` would send."""
    box = Outbox()
    for frame in queued:
        box.add(frame)
    return list(box.batches(link_epoch))


class Inbox:
    """ZeroMQ messages of one peer -> frames. Holds at most one unfinished frame, of ``max_frame`` bytes.

    After ``RemoteProtocolError`` the box is empty and goes on with the next message.
    """

    __slots__ = ("_pieces", "_size", "max_frame")

    def __init__(self, max_frame: int) -> None:
        self.max_frame = max_frame
        self._pieces: list[bytes] = []
        self._size = 0

    def decode(self, message: Sequence[bytes]) -> tuple[int, list[Frame]]:
        """Return the link epoch and the frames that this message completes. Raises ``RemoteProtocolError``."""
        try:
            link_epoch, items = _open(message)
            if len(message) == 1 and not self._pieces:
                return link_epoch, [_frame(item, _SHAPES) for item in items]
            return link_epoch, self._part(message, items)
        except RemoteProtocolError:
            self._pieces, self._size = [], 0
            raise

    def _part(self, message: Sequence[bytes], items: list[Any]) -> list[Frame]:
        if len(items) != 1 or len(message) != 2:
            raise RemoteProtocolError("a PART has one item and one body, and nothing comes between two of them")
        part: Part = _frame(items[0], _PARTS)
        self._pieces.append(message[1])
        self._size += len(message[1])
        if self._size > self.max_frame:
            raise RemoteProtocolError(f"a frame of more than {self.max_frame} bytes")
        if part.more:
            return []
        whole = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return [_frame(_unpack(whole), _SHAPES)]


def peek_version(message: Sequence[bytes]) -> int | None:
    """Give the protocol version of a message that may be of another version; None if it is none of ours."""
    if message and len(message[0]) >= HEADER.size and message[0][0] == MAGIC:
        return message[0][1]
    return None


def _open(message: Sequence[bytes]) -> tuple[int, list[Any]]:
    if not 1 <= len(message) <= 2 or len(message[0]) < HEADER.size:
        raise RemoteProtocolError("a message is an envelope and at most one body")
    magic, version, link_epoch = HEADER.unpack_from(message[0])
    if magic != MAGIC or version != PROTOCOL:
        raise RemoteProtocolError(f"not protocol version {PROTOCOL}")
    items: Any = _unpack(memoryview(message[0])[HEADER.size :])
    if not is_one_of(items, (list,)) or not 1 <= len(items) <= MAX_ITEMS:
        raise RemoteProtocolError(f"an envelope holds 1 to {MAX_ITEMS} items")
    return link_epoch, items


# per message and never a reused Unpacker: its state after an error is not to be trusted
_unpackb = functools.partial(
    msgpack.unpackb, raw=False, strict_map_key=True, max_array_len=MAX_ARRAY, max_map_len=MAX_MAP, max_ext_len=0
)


def _unpack(data: bytes | memoryview) -> Any:
    try:
        return _unpackb(data)
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise RemoteProtocolError(f"not msgpack within our limits: {error}") from error


def _frame(item: Any, shapes: dict[Any, Any]) -> Any:
    """Make an item a frame of one of these shapes, its length and the types of its fields checked."""
    try:
        cls, shape, check = shapes[item[0]]
    except (TypeError, KeyError, IndexError):
        raise RemoteProtocolError("an item is a list that begins with a known kind that may stand there") from None
    if tuple(map(type, item)) != shape or not is_one_of(item, (list,)):
        raise _wrong(cls, "fields are missing or of the wrong types")
    frame: Any = _new(cls, item[1:])
    return frame if check is None else check(frame)


def _wrong(cls: type[Any], what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"{re.sub('(?<=[a-z])(?=[A-Z])', '_', cls.__name__).upper()}: {what}")


def _check(cls: type[Any]) -> Any:
    """Make the check that the lists of such a frame hold what its annotations say; None where it has none."""
    hints = [get_args(hint) for hint in get_type_hints(cls).values()]
    lists = [(field, args[0]) for field, args in enumerate(hints) if args and isinstance(args[0], type)]
    deeper = _DEEPER.get(cls)

    def check(frame: Any) -> Any:
        for field, kind in lists:
            for value in frame[field]:
                if type(value) is not kind:
                    raise _wrong(cls, f"{cls._fields[field]} holds what it should not")
        return frame if deeper is None else deeper(frame)

    return check if lists else deeper


def _fan_out(frame: frames.FanOut) -> frames.FanOut:
    if len(frame.targets) % 3:
        raise _wrong(frames.FanOut, "targets are three numbers for each connection")
    return frame


def _commit(frame: frames.Commit) -> frames.Commit:
    return frame._replace(effects=[e if type(e) is bytes else _frame(e, _EFFECTS) for e in frame.effects])


def _relay(frame: frames.Relay) -> frames.Relay:
    return frame._replace(effects=[_frame(effect, _EFFECTS) for effect in frame.effects])


_DEEPER: dict[type[Any], Any] = {frames.FanOut: _fan_out, frames.Commit: _commit, frames.Relay: _relay}

# kind -> (class, types of the item, deeper check); one comparison checks an item's length and all its types
_SHAPES: dict[Any, tuple[type[Any], tuple[type[Any], ...], Any]] = {
    code: (cls, _shape(cls), _check(cls)) for code, cls in _KINDS.items()
}
_PARTS = {_CODES[Part]: _SHAPES.pop(_CODES[Part])}
# what may stand in a frame; looked up before it is decoded, so that no frame in a frame in a frame exhausts the stack
_EFFECTS = {_CODES[cls]: _SHAPES[_CODES[cls]] for cls in get_args(LayerFrame)}
