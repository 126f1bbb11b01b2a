"""What a resumable consumer keeps from turn to turn, so that another worker can go on where this one ended.

A state is an envelope around what ``get_state()`` returns: with it goes what the host knows of the connection, so that
an adopted consumer neither accepts twice nor is refused to send. To the bridge it is bytes.
"""

from __future__ import annotations

from typing import Any, cast

from ..shared import frames
from ..shared.errors import LocalProtocolError, RemoteProtocolError
from ..shared.wire import Event, is_one_of, pack_event, unpack_event
from .consumer import AsyncConsumer, SyncConsumer, keeps_variables, resume
from .messages import Outgoing
from .naming import name_of
from .states import from_plain, to_plain

RESUMED: Event = {"type": "bridge.resumed"}
LARGEST = 3  # attributes that an error names


def on_loss_of(consumer: Any, factory: Any) -> str:
    """Say what becomes of messages in flight when the worker is lost; "": the consumer is not resumable.

    Raises ``LocalProtocolError`` for one that says it is and cannot be.
    """
    if not (getattr(consumer, "resumable", False) or getattr(factory, "resumable", False)):
        return ""
    on_loss: Any = getattr(consumer, "on_loss", None) or getattr(factory, "on_loss", "replay")
    if on_loss not in frames.ON_LOSS:
        raise LocalProtocolError(f"{name_of(consumer)}: on_loss is one of {', '.join(frames.ON_LOSS)}, not {on_loss!r}")
    for method in ("get_state", "set_state"):
        if not callable(getattr(consumer, method, None)):
            raise LocalProtocolError(
                f"{name_of(consumer)} is resumable, but has no {method}(): what is no AsyncConsumer or SyncConsumer"
                " has to have get_state() and set_state(state)"
            )
    return cast("str", on_loss)


def hears_resumed(consumer: object) -> bool:
    """Say whether it has a handler for ``bridge.resumed``."""
    return isinstance(consumer, AsyncConsumer | SyncConsumer) and hasattr(consumer, "bridge_resumed")


class Keeper:
    """The state of one consumer: packed after each turn, set in an adopted one. ``limit``: its bytes at most."""

    __slots__ = ("_consumer", "_limit", "_packed")

    def __init__(self, consumer: Any, limit: int) -> None:
        self._consumer = consumer
        self._limit = limit
        self._packed = b""  # as the bridge has it, once what was sent has arrived

    def pack(self, outgoing: Outgoing) -> bytes:
        """Give the state for a COMMIT; empty where it is as it was. Where the consumer runs: in its thread.

        Raises ``LocalProtocolError`` that names the attributes that cannot be kept, or are too big.
        """
        state: Any = self._consumer.get_state()
        plain = self._plain(state)
        try:
            packed = pack_event({"type": "state", "sent": outgoing.kept(), "state": plain})
        except LocalProtocolError as error:
            raise self._blame(plain, error) from error
        if packed == self._packed:
            return b""
        if len(packed) > self._limit:
            raise LocalProtocolError(self._too_big(plain, len(packed)))
        self._packed = packed
        return packed

    def _plain(self, state: Any) -> Any:
        """Make it values that can be packed, one by one where they have names."""
        if not _has_names(state):
            try:
                return to_plain(state)
            except LocalProtocolError as error:
                raise self._unkept(None, error) from error
        plain: dict[str, Any] = {}
        for name, value in state.items():
            try:
                plain[name] = to_plain(value)
            except LocalProtocolError as error:
                raise self._unkept(name, error) from error
        return plain

    def _unkept(self, name: str | None, error: Exception) -> LocalProtocolError:
        consumer = name_of(self._consumer)
        if name is None:
            return LocalProtocolError(f"what get_state() of {consumer} returns cannot be kept: {error}")
        if keeps_variables(self._consumer):
            return LocalProtocolError(
                f"the attribute {name!r} of {consumer} cannot be kept: {error}; leave it out with get_state()"
            )
        return LocalProtocolError(f"{name!r} in what get_state() of {consumer} returns cannot be kept: {error}")

    def _blame(self, plain: Any, error: LocalProtocolError) -> LocalProtocolError:
        """Find whose value the wire has refused: a number of more than 64 bits, a lone surrogate, a map too big."""
        if _has_names(plain):
            for name, value in plain.items():
                try:
                    pack_event({"type": "state", "state": {name: value}})
                except LocalProtocolError as cause:
                    return self._unkept(name, cause)
        return self._unkept(None, error)

    def _too_big(self, plain: Any, size: int) -> str:
        text = f"the state of {name_of(self._consumer)} has {size} bytes, more than state_bytes, {self._limit}"
        if _has_names(plain):
            sizes = {name: _size(value) for name, value in plain.items()}
            largest = sorted(sizes, key=lambda name: -sizes[name])[:LARGEST]
            text += "; most of it: " + ", ".join(f"{name!r} ({sizes[name]})" for name in largest)
        return text + "; keep a key to what is elsewhere, or leave it out with get_state()"

    def restore(self, packed: bytes, scope: dict[str, Any], outgoing: Outgoing) -> None:
        """Make the consumer what it was. Raises whatever ``set_state`` raises, and ``RemoteProtocolError``."""
        envelope = unpack_event(packed)
        if envelope["type"] != "state" or sorted(envelope) != ["sent", "state", "type"]:
            raise RemoteProtocolError("not the state of a consumer")
        outgoing.resume(envelope["sent"])
        if isinstance(self._consumer, AsyncConsumer | SyncConsumer):
            resume(self._consumer, scope, answered=outgoing.is_answered)
        self._consumer.set_state(from_plain(envelope["state"]))
        self._packed = packed


def _has_names(state: Any) -> bool:
    return is_one_of(state, (dict,)) and all(type(name) is str for name in state)


def _size(value: Any) -> int:
    return len(pack_event({"type": "", "": value})) - len(pack_event({"type": "", "": None})) + 1
