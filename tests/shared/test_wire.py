"""Frames <-> bytes. docs/protocol.md is the test vector; the rest is what no bytes may do."""

import re
import threading
import typing
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import KIB, MIB, PROTOCOL, Config
from channels_bridge.shared.errors import LocalProtocolError, RemoteProtocolError
from channels_bridge.shared.frames import Frame

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
SECTION = re.compile(r"^#### ([A-Z_]+), kind (\d+)\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([0-9a-f ]+)` \| (.*?) \|(?: `(.*)` \|)?", re.MULTILINE)
KINDS = {name: (int(kind), text) for name, kind, text in SECTION.findall(PAGE)}
MAX_FRAME = 18 * MIB


def in_capitals(cls: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).upper()


def hexes(text: str) -> bytes:
    return b"".join(bytes.fromhex(row[0]) for row in ROW.findall(text))


def vector(name: str) -> bytes:
    """Give the bytes of a table that is marked as a vector."""
    table = re.search(rf"<!-- vector: {name} -->\n((?:\|.*\n)+)", PAGE)
    assert table is not None
    return hexes(table[1])


def documented(name: str) -> tuple[Frame, bytes]:
    """Give a frame as its table shows it, and its bytes."""
    _, text = KINDS[name]
    cls = next(cls for cls in wire._CODES if in_capitals(cls) == name)
    named = [(field, literal) for _, field, literal in ROW.findall(text) if field]
    assert [field for field, _ in named] == list(cls._fields)
    names = {kind.__name__: kind for kind in wire._CODES}
    frame: Frame = cls(*(eval(literal, {"__builtins__": {}}, names) for _, literal in named))
    return frame, hexes(text)


def decode(messages: list[list[bytes]], max_frame: int = MAX_FRAME) -> list[Frame]:
    inbox = wire.Inbox(max_frame)
    return [frame for message in messages for frame in inbox.decode(message)[1]]


def output(event: bytes) -> frames.Output:
    return frames.Output(7, 1, 0, [event], "", "")


def envelope(payload: bytes, version: int = PROTOCOL, link_epoch: int = 0) -> bytes:
    return wire.HEADER.pack(wire.MAGIC, version, link_epoch) + payload


def same(one: object, other: object) -> bool:
    """Compare types too: two kinds of frames with equal fields are equal tuples."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        ours, theirs = cast("Sequence[object]", one), cast("Sequence[object]", other)
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return one == other


# -- the page --------------------------------------------------------------------------------------------------


def test_the_page_has_every_kind_and_no_other() -> None:
    assert {name: kind for name, (kind, _) in KINDS.items()} == {
        in_capitals(cls): code for cls, code in wire._CODES.items()
    }


@pytest.mark.parametrize("name", [name for name in KINDS if name != "PART"])
def test_a_frame_is_the_bytes_of_its_table(name: str) -> None:
    frame, packed = documented(name)
    [[message]] = wire.encode(3, [frame])
    assert message == envelope(b"\xdd\x00\x00\x00\x01" + packed, link_epoch=3)
    assert wire.Inbox(MAX_FRAME).decode([message])[0] == 3
    [decoded] = decode([[message]])
    assert same(decoded, frame)


def test_a_piece_of_a_long_frame_is_the_bytes_of_its_table() -> None:
    part, packed = documented("PART")
    assert same(part, frames.Part(False))
    last = wire.encode(3, [output(bytes(300_000))])[-1]
    assert last[0] == envelope(b"\xdd\x00\x00\x00\x01" + packed, link_epoch=3)


def test_the_batch_of_the_page() -> None:
    batch: list[Frame] = [frames.Credit(7, 1, 262144), frames.Drain()]
    assert wire.encode(3, batch) == [[vector("batch")]]
    assert same(decode([[vector("batch")]]), batch)


def test_what_an_engine_carries_on_the_page() -> None:
    listening, packed = documented("LISTENING")
    assert vector("engine") == bytes((PROTOCOL,)) + packed == wire.pack_frame(listening)
    assert same(wire.unpack_frame(vector("engine")), listening)


def test_the_long_frame_of_the_page() -> None:
    messages = wire.encode(3, [output(bytes(300_000))])
    row = re.compile(r"^\| \d \| `([0-9a-f ]+)` \| .*?([\d,]+)(?: of the item)? \|", re.MULTILINE)
    rows: list[tuple[str, str]] = row.findall(PAGE)
    assert [message[0] for message in messages] == [bytes.fromhex(text) for text, _ in rows]
    assert [len(messages[0][1]) - 1, len(messages[1][1])] == [int(number.replace(",", "")) for _, number in rows]


def test_the_event_of_the_page() -> None:
    event = {"type": "websocket.receive", "text": "hi"}
    assert wire.pack_event(event) == vector("event")
    assert wire.unpack_event(vector("event")) == event


def test_the_scope_of_the_page() -> None:
    server = {"type": "websocket", "path": "/", "headers": [(b"host", b"x")], "client": ("::1", 5)}
    assert wire.pack_scope(dict(server)) == vector("scope")
    assert wire.unpack_scope(vector("scope")) == server


@pytest.mark.parametrize(
    ("of", "limit"),
    [
        ("one ZeroMQ frame", f"{wire.MAX_FRAME // MIB} MiB"),
        ("an envelope", f"closed at {wire.BATCH // KIB} KiB, {wire.MAX_ITEMS:,} items"),
        ("a frame in an envelope", f"less than {wire.BODY // KIB} KiB"),
        ("a PART", f"{wire.PIECE // KIB} KiB"),
    ],
)
def test_the_limits_of_the_page(of: str, limit: str) -> None:
    assert f"| {of} | {limit} |" in PAGE


# -- round trips -----------------------------------------------------------------------------------------------

INT = st.integers(-(2**63), 2**64 - 1)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: INT, str: st.text(max_size=20), bytes: st.binary(max_size=40), bool: st.booleans(),
    float: st.floats(allow_nan=False), list[str]: st.lists(st.text(max_size=5), max_size=3),
    list[bytes]: st.lists(st.binary(max_size=20), max_size=3), list[int]: st.lists(INT, max_size=3),
}  # fmt: skip


def of_kind(cls: type[Any]) -> st.SearchStrategy[Any]:
    fields = {**PLAIN, **_HOLDERS.get(cls, {})}
    return st.tuples(*(fields[hint] for hint in typing.get_type_hints(cls).values())).map(cls._make)


_HOLDERS: dict[type[Any], dict[Any, st.SearchStrategy[Any]]] = {}
LAYER = st.one_of(*map(of_kind, typing.get_args(frames.LayerFrame)))
_HOLDERS[frames.Commit] = {list[frames.Effect]: st.lists(st.binary(max_size=20) | LAYER, max_size=4)}
_HOLDERS[frames.Relay] = {list[frames.LayerFrame]: st.lists(LAYER, max_size=4)}
_HOLDERS[frames.FanOut] = {
    list[int]: st.lists(st.tuples(INT, INT, INT), max_size=3).map(lambda threes: [*chain(*threes)])
}
FRAMES = st.one_of(*map(of_kind, typing.get_args(Frame)))


@given(st.lists(FRAMES, min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_what_goes_in_comes_out(queued: list[Frame], link_epoch: int) -> None:
    [message] = wire.encode(link_epoch, queued)
    assert len(message) == 1
    assert wire.Inbox(MAX_FRAME).decode(message)[0] == link_epoch
    assert same(decode([message]), queued)


@pytest.mark.parametrize("size", [wire.BODY - 20, 64 * KIB, 256 * KIB, 256 * KIB + 1, MIB, 16 * MIB])
def test_long_frames_travel_in_pieces(size: int) -> None:
    event = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    before, long, after = frames.Drain(), output(event), frames.Goodbye("")
    messages = wire.encode(9, [before, long, after])
    assert same(decode(messages), [before, long, after])
    in_pieces = [message for message in messages if len(message) == 2]
    item = len(wire._encode(long))
    assert len(in_pieces) == (0 if item < wire.BODY else -(-item // wire.PIECE))
    assert all(len(part) <= wire.MAX_FRAME for message in messages for part in message)
    assert all(len(body) <= wire.PIECE for _, body in in_pieces)


def test_a_commit_may_be_long_too() -> None:
    effects: list[frames.Effect] = [b"x" * MIB, frames.GroupSend("g", b"y" * MIB, ["z"], [], [])]
    commit = frames.Commit(1, 1, 1, True, effects, b"", "")
    assert same(decode(wire.encode(1, [commit])), [commit])


def test_the_longest_state_travels_there_and_back() -> None:
    """It is as long as what an envelope holds: with the fields around it, it goes in a PART."""
    state = bytes(Config().state_bytes)
    kept: list[Frame] = [
        frames.Commit(1, 1, 1, True, [], state, "replay"),
        frames.Adopt(1, 2, b"", 2, 65536, 1, state, []),
    ]
    messages = wire.encode(1, kept)
    assert [len(message) for message in messages] == [2, 2]
    assert same(decode(messages), kept)


@given(FRAMES)
def test_what_an_engine_carries_comes_out(frame: Frame) -> None:
    packed = wire.pack_frame(frame)
    assert packed[0] == PROTOCOL
    assert same(wire.unpack_frame(packed), frame)


def test_what_an_engine_carries_is_not_cut_into_pieces() -> None:
    relay = frames.Relay(176, 1, [], [frames.ChannelSend("c", b"x" * MIB, 0, 0.0, [])])
    assert same(wire.unpack_frame(wire.pack_frame(relay)), relay)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not protocol version 1"),
        (b"\x02\x91\x06", "not protocol version 1"),
        (b"\x91\x06", "not protocol version 1"),
        (b"\x01", "not msgpack"),
        (b"\x01\x91\x06\x00", "not msgpack"),
        (b"\x01\x91\xff", "a list that begins with a known kind"),
        (b"\x01\x92\x40\xc2", "that may stand there"),  # PART
        (b"\x01\x92\x06\x00", "DRAIN: fields"),
    ],
)
def test_what_an_engine_must_not_carry(data: bytes, says: str) -> None:
    with pytest.raises(RemoteProtocolError, match=says):
        wire.unpack_frame(data)


def test_a_batch_is_closed_when_it_has_grown() -> None:
    outputs: list[Frame] = [output(bytes([n]) * 60_000) for n in range(20)]
    messages = wire.encode(1, outputs)
    assert all(len(message) == 1 and wire.BATCH <= len(message[0]) < wire.MAX_FRAME for message in messages[:-1])
    assert len(messages) == 7
    assert same(decode(messages), outputs)


def test_a_batch_has_at_most_so_many_items() -> None:
    many: list[Frame] = [frames.Credit(1, 1, n) for n in range(2 * wire.MAX_ITEMS + 1)]
    messages = wire.encode(1, many)
    assert [len(decode([message])) for message in messages] == [wire.MAX_ITEMS, wire.MAX_ITEMS, 1]
    assert same(decode(messages), many)


def test_an_outbox_empties_and_is_used_again() -> None:
    box = wire.Outbox()
    assert not box
    assert list(box.batches(1)) == []
    for _ in range(2):
        box.add(frames.Drain())
        box.add(output(bytes(wire.BODY)))
        assert box
        assert box.size == len(wire._encode(frames.Drain())) + len(wire._encode(output(bytes(wire.BODY))))
        assert same(decode(list(box.batches(1))), [frames.Drain(), output(bytes(wire.BODY))])
        assert not box
        assert box.size == 0


def test_text_for_people_may_hold_lone_surrogates() -> None:
    """A consumer may raise with the name of a file in its message; its end has to be told all the same."""
    [frame] = decode(wire.encode(1, [frames.Failed(1, 1, 1, "raised", "no such file: \udcff")]))
    assert isinstance(frame, frames.Failed)
    assert frame.text.startswith("no such file: ")


# -- events ----------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | INT | st.floats(allow_nan=False) | st.text(max_size=8) | st.binary(max_size=8)
ANYTHING = st.recursive(
    SCALARS | st.integers() | st.datetimes() | st.just(msgpack.ExtType(5, b"")) | st.just(msgpack.ExtType(5, b"abc")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.text(max_size=4) | st.integers() | st.binary(max_size=2) | st.booleans(), inner, max_size=3
        )
    ),
    max_leaves=8,
)


def as_lists(value: object) -> object:
    if isinstance(value, list | tuple):
        return list(map(as_lists, cast("Sequence[object]", value)))
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in cast("dict[object, object]", value).items()}
    return value


@given(st.dictionaries(st.text(max_size=4), ANYTHING, max_size=3))
def test_whatever_can_be_packed_can_be_unpacked(fields: dict[str, Any]) -> None:
    """Else the receiver, who can do nothing about it, gets the error, and not the sender at its line."""
    event = {**fields, "type": "chat.message"}
    try:
        packed = wire.pack_event(event)
    except LocalProtocolError:
        return
    assert wire.unpack_event(packed) == as_lists(event)


@pytest.mark.parametrize(
    ("event", "at_fault"),
    [
        ({"type": "chat", "fine": 1, "members": list(range(40_000))}, "'members'"),
        ({"type": "chat", "members": dict.fromkeys(map(str, range(5_000)))}, "'members'"),
        ({"type": "chat", "scores": {1: 2}}, "'scores'"),
        ({"type": "chat", "scores": {"a": [{2: 3}]}}, "'scores'"),
        ({"type": "chat", "when": msgpack.Timestamp(1)}, "'when'"),
        ({"type": "chat", "ext": [msgpack.ExtType(1, b"abc")]}, "'ext'"),
        ({"type": "chat", "headers": {1: 2}}, "'headers'"),
        ({"type": "chat", 5: 1}, "5"),
        ({"text": "nothing says what it is"}, "a message has to have a 'type'"),
        ({"type": b"chat"}, "'type' has to be a str"),
        ({"type": None}, "'type' has to be a str"),
    ],
)
def test_what_the_other_side_would_refuse_is_refused_here(event: dict[Any, object], at_fault: str) -> None:
    with pytest.raises(LocalProtocolError, match=at_fault):
        wire.pack_event(event)


def nested(depth: int) -> object:
    value: object = None
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**64, -(2**63) - 1, "\udcff", nested(5000), [lambda: 0], 1j])
def test_an_event_that_cannot_be_sent_names_the_key_at_fault(value: object) -> None:
    with pytest.raises(LocalProtocolError, match=r"the value of 'bad' in a message of type 'chat.message'") as caught:
        wire.pack_event({"type": "chat.message", "good": [1, "x", b"y"], "bad": value})
    assert type(value).__name__ in str(caught.value)
    assert "messages take None, bool, int, float, str, bytes, lists of them, and dicts of them" in str(caught.value)


@pytest.mark.parametrize("event", [{}, {"text": "x"}, {"type": None}, {"type": b"x"}])
def test_what_arrives_without_a_type_is_no_event(event: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError, match="a map with a 'type'"):
        wire.unpack_event(msgpack.packb(event))


def test_headers_that_were_made_lists_of_bytes_are_not_looked_at_again() -> None:
    """What worker/messages.py has checked: the one value that is long in most answers."""
    event = {"type": "http.response.start", "status": 200, "headers": [[b"a", b"b"]] * 100}
    assert wire.unpack_event(wire.pack_event(event)) == event


def test_bytes_like_values_travel_as_bytes() -> None:
    event = {"type": "x", "a": bytearray(b"1"), "b": memoryview(b"2")}
    assert wire.unpack_event(wire.pack_event(event)) == {"type": "x", "a": b"1", "b": b"2"}


def test_threads_may_pack_at_the_same_time() -> None:
    """Sync consumers do. Each thread has a packer of its own; one for all would mix their bytes."""
    wrong: list[int] = []

    def work(number: int) -> None:
        event = {"type": "x", "n": number, "rest": [str(number)] * 50}
        if any(wire.unpack_event(wire.pack_event(event)) != event for _ in range(500)):
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# -- scopes ----------------------------------------------------------------------------------------------------


def scope(header: Callable[[Any], Any] = tuple) -> dict[str, Any]:
    """Make a scope as a server does; packing uses it up."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/ä",
        "raw_path": b"/%C3%A4",
        "query_string": b"",
        "client": ("127.0.0.1", 4711),
        "server": ["127.0.0.1", None],
        "headers": [header(pair) for pair in ((b"x", b"1"), (b"host", b"h"), (b"x", b"2"), (b"x", b"1"))],
        "extensions": {"websocket.http.response": {}},
        "subprotocols": ["a", "b"],
    }


@pytest.mark.parametrize("header", [tuple, list])
def test_a_scope_keeps_its_tuples_its_lists_and_the_order_of_its_headers(header: Callable[[Any], Any]) -> None:
    found = wire.unpack_scope(wire.pack_scope(scope(header)))
    assert list(found) == list(scope())
    assert all(same(found[key], value) for key, value in scope(header).items())


@pytest.mark.parametrize("place", [None, ("/run/socket", None), ["::1", 80]])
def test_client_and_server_stay_what_they_were(place: object) -> None:
    found = wire.unpack_scope(wire.pack_scope({**scope(), "client": place, "server": place}))
    assert same([found["client"], found["server"]], [place, place])


def test_a_scope_without_headers_or_client() -> None:
    bare: dict[str, Any] = {"type": "http", "headers": []}
    assert wire.unpack_scope(wire.pack_scope(dict(bare))) == bare


def test_headers_may_come_from_any_iterable() -> None:
    assert wire.unpack_scope(wire.pack_scope({**scope(), "headers": iter(scope()["headers"])})) == scope()


def test_a_scope_that_cannot_be_sent() -> None:
    with pytest.raises(LocalProtocolError, match=r"the scope cannot be sent: .*object"):
        wire.pack_scope({**scope(), "extra": object()})


@pytest.mark.parametrize(
    "packed",
    [
        {}, [], None, 7, "abc", b"abc",
        [{}, [], True],
        [{"headers": []}, []],
        [{"headers": []}, [], True, True],
        [7, [], True],
        [[], [], True],
        [{"headers": [b"odd"]}, [], True],
        [{"headers": [b"odd"]}, [], False],
        [{"headers": 7}, [], True],
        [{"headers": {"a": "b"}}, [], True],
        [{"headers": [], "client": 7}, ["client"], True],
        [{"headers": []}, ["client"], True],
        [{"headers": []}, [["client"]], True],
        [{"headers": []}, 7, True],
    ],
)  # fmt: skip
def test_what_is_no_scope(packed: object) -> None:
    with pytest.raises(RemoteProtocolError, match="not a scope"):
        wire.unpack_scope(msgpack.packb(packed))


# -- bad bytes -------------------------------------------------------------------------------------------------


def decode_or_refuse(message: list[bytes]) -> None:
    """Decode, on a box that is empty and on one that waits for the rest of a long frame. One error is allowed."""
    half = wire.encode(1, [output(bytes(wire.PIECE))])
    for before in ([], half[:1]):
        inbox = wire.Inbox(MAX_FRAME)
        for good in before:
            inbox.decode(good)
        try:
            link_epoch, found = inbox.decode(message)
        except RemoteProtocolError:
            continue
        assert isinstance(link_epoch, int)
        assert {type(frame) for frame in found} <= set(wire._CODES)
    assert wire.peek_version(message) is None or message[0][0] == wire.MAGIC


VALID = [
    *(wire.encode(5, [documented(name)[0]])[0] for name in KINDS if name != "PART"),
    wire.encode(5, [documented(name)[0] for name in KINDS if name != "PART"])[0],
    *wire.encode(5, [output(bytes(wire.BODY))]),
]


@st.composite
def mutated(draw: st.DrawFn) -> list[bytes]:
    """Take a valid message and change, cut out or put in some bytes."""
    message = [bytearray(frame) for frame in draw(st.sampled_from(VALID))]
    for _ in range(draw(st.integers(1, 6))):
        frame = draw(st.sampled_from(message))
        at = draw(st.integers(0, min(len(frame), 2000)))
        cut = draw(st.integers(0, 3))
        frame[at : at + cut] = draw(st.binary(max_size=3))
    return [bytes(frame) for frame in message]


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_no_bytes_at_all_raise_anything_else(message: list[bytes]) -> None:
    decode_or_refuse(message)


@given(st.binary(max_size=100))
def test_no_bytes_behind_a_valid_header_raise_anything_else(payload: bytes) -> None:
    decode_or_refuse([envelope(payload)])
    decode_or_refuse([envelope(b"\x91" + payload)])


@given(mutated())
@settings(max_examples=300)
def test_no_mutated_message_raises_anything_else(message: list[bytes]) -> None:
    decode_or_refuse(message)


@given(st.lists(st.tuples(st.sampled_from(sorted(wire._KINDS)) | st.integers(0, 70), st.lists(ANYTHING, max_size=7))))
def test_no_item_of_any_shape_raises_anything_else(items: list[tuple[int, list[Any]]]) -> None:
    packed = msgpack.packb([[kind, *fields] for kind, fields in items], default=str, unicode_errors="replace")
    decode_or_refuse([envelope(packed)])


@given(st.binary(max_size=60) | mutated().map(lambda message: message[0]))
def test_no_bytes_as_event_or_scope_raise_anything_else(data: bytes) -> None:
    for unpack in (wire.unpack_event, wire.unpack_scope, wire.unpack_frame):
        try:
            unpack(data)
        except RemoteProtocolError:
            continue


@given(mutated().map(lambda message: message[0][wire.HEADER.size + 5 :]))
def test_no_bytes_of_an_engine_raise_anything_else(item: bytes) -> None:
    """Behind header and array of an envelope stands what an engine carries behind its version."""
    try:
        frame = wire.unpack_frame(bytes((PROTOCOL,)) + item)
    except RemoteProtocolError:
        return
    assert type(frame) in set(wire._CODES) - {frames.Part}


def lies() -> Iterator[tuple[str, bytes]]:
    """Give payloads that announce what they do not have, or that are deeper than anybody needs."""
    for name, head in {
        "array": b"\xdd\xff\xff\xff\xff", "map": b"\xdf\xff\xff\xff\xff", "bin": b"\xc6\xff\xff\xff\xff",
        "str": b"\xdb\xff\xff\xff\xff", "ext": b"\xc9\xff\xff\xff\xff\x05", "array of 32768": b"\xdd\x00\x00\x80\x00",
        "map of 4096": b"\xdf\x00\x00\x10\x00", "16 bit array": b"\xdc\xff\xff",
    }.items():  # fmt: skip
        yield f"{name}, announced", head
        yield f"{name}, announced inside an item", b"\x91\x92\x07" + head
        yield f"{name}, announced 200 times", head * 200
    for depth in (100, 1000, 1023, 1024, 1025, 100_000):
        yield f"{depth} arrays deep", b"\x91" * depth + b"\xc0"
        yield f"{depth} maps deep", b"\x81\xa1x" * depth + b"\xc0"
    yield "a timestamp", b"\x91\x92\x07\xd6\xff\x00\x00\x00\x00"
    yield "a map with an array as a key", b"\x91\x81\x90\xc0"
    yield "text that is not UTF-8", b"\x91\x92\x07\xa1\xff"
    yield "something behind the end", b"\x91\x91\x06\x00"


@pytest.mark.parametrize("payload", [pytest.param(payload, id=name) for name, payload in lies()])
def test_lies_and_depths_are_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        wire.Inbox(MAX_FRAME).decode([envelope(payload)])
    with pytest.raises(RemoteProtocolError):
        wire.unpack_event(payload)
    with pytest.raises(RemoteProtocolError):
        wire.unpack_scope(payload)


GOOD = wire.encode(1, [frames.Drain()])[0][0]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ([], "an envelope and at most one body"),
        ([b""], "an envelope"),
        ([b"\xcb\x01\x00"], "an envelope"),
        ([GOOD, b"", b""], "at most one body"),
        ([b"\xcc" + GOOD[1:]], "not protocol version 1"),
        ([b"\xcb\x00" + GOOD[2:]], "not protocol version 1"),
        ([b"\xcb\x02" + GOOD[2:]], "not protocol version 1"),
        ([envelope(b"\x90")], "1 to 8192 items"),
        ([envelope(b"\xc0")], "1 to 8192 items"),
        ([envelope(b"\x80")], "1 to 8192 items"),
        ([envelope(b"\xdc\x20\x01" + b"\x91\x06" * 8193)], "1 to 8192 items"),
        ([envelope(b"\x91\xc0")], "a list that begins with a known kind"),
        ([envelope(b"\x91\x90")], "a list that begins with a known kind"),
        ([envelope(b"\x91\x91\x00")], "a known kind"),
        ([envelope(b"\x91\x91\xa3abc")], "a known kind"),
        ([envelope(b"\x91\x91\x90")], "a known kind"),
        ([envelope(b"\x91\x92\x06\x00")], "DRAIN: fields"),  # DRAIN has no field
        ([envelope(b"\x91\x91\x07")], "GOODBYE: fields"),  # GOODBYE has one
        ([envelope(b"\x91\x92\x07\xc4\x00")], "GOODBYE: fields"),  # of text, not bytes
        ([envelope(b"\x91\x94\x12\x01\x01\xc3")], "CREDIT: fields"),  # true is no number
        ([envelope(b"\x91\x91\xc3")], "HELLO: fields"),  # nor a kind
        ([envelope(b"\x91\x92\x40\xc2")], "a known kind that may stand there"),
        ([GOOD, b"body"], "a known kind that may stand there"),
        ([envelope(b"\x92\x92\x40\xc2\x91\x06"), b"x"], "a PART has one item"),
        ([envelope(b"\x91\x92\x40\xc2"), b"\x91\x06\x00"], "not msgpack"),
        ([envelope(b"\x91\x92\x40\xc2"), b""], "not msgpack"),
        ([envelope(b"\x91\x92\x40\xc2"), b"\x92\x40\xc2"], "that may stand there"),  # a PART of a PART
        ([envelope(b"\x91\x92\x40\x00"), b"x"], "PART: fields"),
        ([envelope(b"\x91\xc4\x01\x06")], "DRAIN: fields"),  # bytes that look like a frame
        ([envelope(b"\x91\x96\x32\xa0\xc4\x00\x90\x90\xc0")], "GROUP_SEND: fields"),
        ([envelope(b"\x91\x93\x14\xc4\x00\x92\x07\x01")], "FAN_OUT: targets are three numbers"),
    ],
)
def test_what_is_wrong_is_said(message: list[bytes], says: str) -> None:
    with pytest.raises(RemoteProtocolError, match=re.escape(says)):
        wire.Inbox(MAX_FRAME).decode(message)


WRONG: list[Any] = [None, True, 1, 1.0, "x", b"x", [], {}, [6], [64, False], [33, 1, 1, 1, True, [], b"", ""]]


def spoilt() -> Iterator[Any]:
    """Give every list field of every kind one element that it may not hold, before and behind those of its table."""
    for name, (kind, _) in KINDS.items():
        cls = wire._KINDS[kind]
        for place, (field, hint) in enumerate(typing.get_type_hints(cls).items(), 1):
            for holds in typing.get_args(hint):
                for wrong in WRONG:
                    if type(wrong) is not holds and type(wrong) not in typing.get_args(holds):
                        yield pytest.param(name, place, wrong, id=f"{name}.{field} {wrong!r}")


@pytest.mark.parametrize(("name", "place", "wrong"), list(spoilt()))
def test_lists_hold_what_their_frame_says_and_nothing_else(name: str, place: int, wrong: object) -> None:
    """The receiver counts on it: it adds, looks up and passes on what it finds there."""
    fine: list[Any] = msgpack.unpackb(documented(name)[1])
    assert same(list(decode([[envelope(msgpack.packb([fine]))]])[0]), list(documented(name)[0]))
    for elements in ([wrong, *fine[place]], [*fine[place], wrong]):
        item = [*fine[:place], elements, *fine[place + 1 :]]
        with pytest.raises(RemoteProtocolError):
            decode([[envelope(msgpack.packb([item]))]])


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ([1, "worker", 1, "", [1], False, 0, 0, []], "HELLO: pools holds what it should not"),
        ([16, 1, 1, b"", 1, 1, 1, b"", ["x"]], "ADOPT: events holds"),
        ([20, b"", [7, 1, True]], "FAN_OUT: targets holds"),
        ([32, 1, 1, 0, ["x"], "", ""], "OUTPUT: events holds"),
        ([50, "", b"", [b"x"], [], []], "GROUP_SEND: exclude holds"),
        ([50, "", b"", [], ["x"], []], "GROUP_SEND: told holds"),
        ([51, "", b"", 0, 0.0, [None]], "CHANNEL_SEND: route holds"),
        ([57, 1, 1, [True], []], "RELAY: to holds"),
        ([57, 1, 1, [], [b"x"]], "a known kind that may stand there"),
        ([33, 1, 1, 1, True, ["x"], b"", ""], "a known kind that may stand there"),
        ([33, 1, 1, 1, True, [[6]], b"", ""], "a known kind that may stand there"),
        ([33, 1, 1, 1, True, [[48, "", "", ["x"]]], b"", ""], "GROUP_ADD: route holds"),
    ],
)
def test_a_list_that_is_wrong_is_named(item: list[Any], says: str) -> None:
    with pytest.raises(RemoteProtocolError, match=says):
        decode([[envelope(msgpack.packb([item]))]])


AROUND: list[tuple[list[Any], list[Any]]] = [([33, 1, 1, 1, True], [b"", ""]), ([57, 1, 1, []], [])]


@pytest.mark.parametrize(("head", "tail"), AROUND, ids=["COMMIT", "RELAY"])
@pytest.mark.parametrize("depth", [2, 100, 500])
def test_frames_in_frames_do_not_exhaust_the_stack(head: list[Any], tail: list[Any], depth: int) -> None:
    """500 levels are within the limits of msgpack, and their decoding frame by frame would be a RecursionError."""
    effects: list[Any] = []
    for _ in range(depth):
        effects = [[*head, effects, *tail]]
    with pytest.raises(RemoteProtocolError, match="that may stand there"):
        decode([[envelope(msgpack.packb(effects))]])
    with pytest.raises(RemoteProtocolError, match="that may stand there"):
        wire.unpack_frame(bytes((PROTOCOL,)) + msgpack.packb(effects[0]))


def test_the_version_of_a_message_can_be_seen_whatever_the_version() -> None:
    assert wire.peek_version([envelope(b"", version=77)]) == 77
    assert wire.peek_version([GOOD, b"body"]) == PROTOCOL
    assert wire.peek_version([b"GET / HTTP/1.1"]) is None
    assert wire.peek_version([b"\xcb"]) is None
    assert wire.peek_version([]) is None


# -- pieces ----------------------------------------------------------------------------------------------------

LONG = wire.encode(1, [output(bytes(3 * wire.PIECE))])


@pytest.mark.parametrize("between", [[GOOD], [b"garbage"], [envelope(b"\xc1")], [GOOD, b"body"], [b"", b""]])
def test_an_error_between_parts_empties_the_box(between: list[bytes]) -> None:
    """What had arrived of the long frame is dropped, what remains of it is no frame, and then all is well again."""
    inbox = wire.Inbox(MAX_FRAME)
    inbox.decode(LONG[0])
    with pytest.raises(RemoteProtocolError):
        inbox.decode(between)
    assert inbox.decode([GOOD])[1] == [frames.Drain()]


def test_a_frame_that_grows_beyond_the_limit_is_given_up_while_it_grows() -> None:
    inbox = wire.Inbox(wire.PIECE + 1)
    assert inbox.decode(LONG[0])[1] == []
    with pytest.raises(RemoteProtocolError, match=f"a frame of more than {wire.PIECE + 1} bytes"):
        inbox.decode(LONG[1])
    assert inbox.decode([GOOD])[1] == [frames.Drain()]


def test_pieces_of_two_peers_do_not_mix() -> None:
    one, other = wire.Inbox(MAX_FRAME), wire.Inbox(MAX_FRAME)
    found = [(one.decode(message)[1], other.decode(message)[1]) for message in LONG]
    assert same(found[-1][0], [output(bytes(3 * wire.PIECE))])
    assert same(found[-1][1], [output(bytes(3 * wire.PIECE))])
