"""The bridge's pump: batches per worker, peers that end, strangers that leave nothing behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Self

import anyio
import pytest

from channels_bridge.bridge import link as link_module
from channels_bridge.bridge.core import actions
from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.holding import HOLD
from channels_bridge.bridge.link import GOODBYE_LINGER, Link
from channels_bridge.shared import frames, wire
from channels_bridge.shared.addresses import parse
from channels_bridge.shared.config import MIB, PROTOCOL, Config
from channels_bridge.shared.endpoint import Endpoint, connect, running_loop
from channels_bridge.shared.frames import Frame
from fake_endpoint import Clock, FakeEndpoint, FakeLoop
from halves import bridging, directory
from played_server import eventually

A, B = b"\0aaaa", b"\0bbbb"  # routing ids


class FakeListener:
    """A slot on a socket of the test's own."""

    url = "ipc:///nowhere/bridge-0.sock"

    def __init__(self, endpoint: FakeEndpoint) -> None:
        self.endpoint = endpoint

    def close(self, linger: float) -> None:
        self.endpoint.close(linger)


class Edge:
    """The ASGI side of a connection, as the pump sees it."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.changed = self

    def set(self) -> None:
        self.told.append("room")

    def write(self, events: list[bytes]) -> None:
        self.told.append(events)

    def write_broadcast(self, event: bytes) -> None:
        self.told.append([event])

    def drop_oldest(self) -> None:
        self.told.append("drop")

    def finish(self, outcome: str, text: str, events: Any) -> None:
        self.told.append((outcome, text))


class Bench:
    """A bridge's link without a socket, a loop or a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.clock = Clock()
        self.loop = FakeLoop()
        self.endpoint = FakeEndpoint({A, B})
        self.ticks: list[float] = []
        monkeypatch.setattr(link_module, "now", self.clock)
        monkeypatch.setattr(link_module, "listen", self._listen)
        self.link = Link(parse("ipc:///nowhere/"), Config(**settings))
        assert self.link.url == ""
        loop: Any = self.loop
        self.link.start(loop, self.ticks.append)
        assert self.link.url == FakeListener.url

    def _listen(self, address: object, insecure_tcp: bool) -> FakeListener:
        return FakeListener(self.endpoint)

    def hello(self, peer: bytes) -> int:
        """Let a worker in; give its link epoch."""
        hello = frames.Hello("worker", peer[1], peer.decode(), ["default"], False, 0, 0)
        self.endpoint.receive(0, hello, peer=peer)
        self.loop.turn()
        [welcome] = self.endpoint.taken(peer)
        assert isinstance(welcome, frames.Welcome)
        return welcome.link_epoch

    def open(self, kind: str = "websocket") -> tuple[Connection, Edge]:
        edge = Edge()
        conn = self.link.core.connection(kind, "default", b"scope", kind == "http", edge)
        self.link.core.open(conn, b"first", self.clock())
        return conn, edge

    def taken(self, peer: bytes) -> list[Frame]:
        self.loop.turn()
        return self.endpoint.taken(peer)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


# -- in and out ------------------------------------------------------------------------------------------------


def test_what_is_for_one_worker_in_one_turn_is_one_message(bench: Bench) -> None:
    bench.hello(A)
    for _ in range(3):
        bench.open()
    assert bench.endpoint.sent == []
    bench.loop.turn()
    assert len(bench.endpoint.sent) == 1
    assert [type(frame) for frame in bench.endpoint.taken(A)] == [frames.Adopt] * 3


def test_what_the_core_decides_reaches_the_connections(bench: Bench) -> None:
    epoch = bench.hello(A)
    conn, edge = bench.open()
    bench.endpoint.receive(epoch, frames.Output(conn.id, conn.epoch, 1, [b"x", b"y"], "", ""), peer=A)
    bench.endpoint.receive(epoch, frames.Output(conn.id, conn.epoch, 0, [], "raised", "E: x"), peer=A)
    assert edge.told == [[b"x", b"y"], ("raised", "E: x")]


def test_a_connection_that_waits_for_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, journal_messages=2)
    epoch = bench.hello(A)
    conn, edge = bench.open()
    assert bench.link.core.event(conn, b"second") is False
    bench.endpoint.receive(epoch, frames.Output(conn.id, conn.epoch, 1, [], "", ""), peer=A)
    assert edge.told == ["room"]


def test_a_groups_message_reaches_all_its_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, window_bytes=4, slow_member="drop_old")
    epoch = bench.hello(A)
    edges = [edge for _, edge in (bench.open(), bench.open())]
    for conn in bench.link.core.connections.values():
        bench.link.core.layer.groups.add("room", "reply", conn)
    for text in (b"said", b"more"):
        bench.endpoint.receive(epoch, frames.GroupSend("room", text, [], [], []), peer=A)
    assert [edge.told for edge in edges] == [[[b"said"], "drop"]] * 2  # these edges have dropped nothing
    assert bench.link.core.statistics.dropped == 2


class FakeEngine:
    """An engine that notes what it is asked for."""

    url = "fake://nowhere"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def start(self, loop: object, listener: object) -> None:
        self.asked.append("start")

    def subscribe(self, topic: str, done: object) -> None:
        self.asked.append(f"subscribe {topic[:2]}")

    def stop(self) -> None:
        self.asked.append("stop")


def test_an_engine_lives_as_long_as_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = FakeEngine()
    listener = FakeListener(FakeEndpoint(set()))

    def listen(*_: object) -> FakeListener:
        return listener

    monkeypatch.setattr(link_module, "listen", listen)
    link = Link(parse("ipc:///nowhere/"), Config(), engine)
    assert engine.asked == []
    loop: Any = FakeLoop()
    link.start(loop, lambda moment: None)
    assert engine.asked == ["start", "subscribe al", "subscribe b."]
    link.stop("over")
    link.stop("over")
    assert engine.asked[3:] == ["stop"]


def test_without_an_engine_nobody_is_asked(bench: Bench) -> None:
    bench.link._perform(actions.Join("t"))
    assert bench.taken(A) == []


def test_long_frames_of_several_workers_may_come_interleaved(bench: Bench) -> None:
    epochs = {peer: bench.hello(peer) for peer in (A, B)}
    conns = {bench.open()[0] for _ in (A, B)}
    messages: dict[bytes, list[list[bytes]]] = {}
    for conn in conns:
        assert conn.owner is not None
        peer = conn.owner.peer
        output = frames.Output(conn.id, conn.epoch, 0, [bytes(1_000_000)], "", "")
        messages[peer] = wire.encode(epochs[peer], [output])
        assert len(messages[peer]) > 2
    for pair in zip(*messages.values(), strict=True):
        for peer, message in zip(messages, pair, strict=True):
            bench.endpoint.receive_raw([peer, *message])
    for conn in conns:
        edge: Any = conn.edge
        assert [len(part) for part in edge.told[0]] == [1_000_000]


def test_an_older_link_of_a_peer_gets_its_last_words_under_its_own_epoch(bench: Bench) -> None:
    first = bench.hello(A)
    _, edge = bench.open()
    bench.endpoint.receive(0, frames.Hello("worker", 999, "another", ["default"], False, 0, 0), peer=A)
    bench.open()
    bench.loop.turn()
    sent = [wire.Inbox(MIB).decode(message[1:]) for message in bench.endpoint.sent]
    assert [(epoch, [type(frame) for frame in batch]) for epoch, batch in sent] == [
        (first + 1, [frames.Welcome, frames.Adopt])
    ]
    assert edge.told == [("worker-lost", "")]


# -- peers that end --------------------------------------------------------------------------------------------


def test_a_peer_that_is_gone_is_found_by_the_next_send(bench: Bench) -> None:
    bench.hello(A)
    _, edge = bench.open()
    bench.endpoint.peers = {B}
    bench.endpoint.disconnected()
    bench.loop.turn()
    assert edge.told == [("worker-lost", "")]
    assert not bench.link.core.supervisor.links
    assert not bench.link._outboxes
    assert not bench.link._inboxes


def test_a_probe_leaves_those_alone_that_are_there(bench: Bench) -> None:
    bench.hello(A)
    bench.hello(B)
    bench.endpoint.peers = {B}
    bench.endpoint.disconnected()
    bench.loop.turn()
    assert list(bench.link.core.supervisor.links) == [B]
    assert [type(frame) for frame in bench.endpoint.taken(B)] == [frames.Beat]


def test_what_a_worker_said_before_its_end_counts(bench: Bench) -> None:
    epoch = bench.hello(A)
    conn, edge = bench.open()
    last = wire.encode(epoch, [frames.Output(conn.id, conn.epoch, 0, [b"last"], "returned", "")])
    bench.endpoint.unread = [[A, *message] for message in last]
    bench.endpoint.peers = {B}
    bench.endpoint.disconnected()
    bench.loop.turn()
    assert edge.told == [("returned", "")]
    assert bench.link.core.statistics.lost_workers == 1


def test_what_is_readable_counts_though_a_send_finds_the_end_first(bench: Bench) -> None:
    epoch = bench.hello(A)
    conn, edge = bench.open()
    last = wire.encode(epoch, [frames.Output(conn.id, conn.epoch, 0, [b"last"], "returned", "")])
    bench.endpoint.unread = [[A, *message] for message in last]
    bench.endpoint.peers = {B}
    bench.loop.turn()  # the ADOPT is on its way
    assert edge.told == [("returned", "")]


def test_a_request_that_nobody_read_moves_a_moment_later(bench: Bench) -> None:
    bench.hello(A)
    conn, edge = bench.open("http")
    bench.loop.turn()
    bench.hello(B)
    bench.endpoint.peers = {B}
    bench.endpoint.disconnected()
    bench.loop.turn()
    bench.link.core.tick(bench.clock() + HOLD)
    bench.loop.turn()
    assert frames.Adopt in [type(frame) for frame in bench.taken(B)]
    assert (conn.epoch, edge.told) == (2, [])


def test_a_worker_that_has_stopped_reading_is_given_up(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.hello(A)
    bench.endpoint.full = True
    _, edge = bench.open()
    bench.loop.turn()
    assert edge.told == [("worker-lost", "")]
    assert "a worker has stopped reading" in caplog.text


# -- strangers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        [b""],
        [b"GET / HTTP/1.1\r\n\r\n"],
        [b"\xcb\x01\0\0\0\0\xc1"],
        [b"\xcb\x01\0\0\0\0\xdd\0\0\0\1\x90"],
        [b"\xcb\x01\0\0\0\0", b"a", b"b"],
        [],
    ],
)
def test_garbage_is_counted_and_leaves_nothing_behind(bench: Bench, message: list[bytes]) -> None:
    for number in range(10):
        bench.endpoint.receive_raw([b"peer%d" % number, *message])
    bench.loop.turn()
    assert bench.link.core.statistics.malformed == 10
    assert not bench.link._inboxes
    assert not bench.link._outboxes


def test_a_worker_that_sends_garbage_is_given_up(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.hello(A)
    _, edge = bench.open()
    bench.endpoint.receive_raw([A, b"\xcb\x01\0\0\0\0\xc1"])
    assert edge.told == [("worker-lost", "")]
    assert "a malformed message was dropped" in caplog.text
    assert not bench.link._inboxes


def test_a_peer_of_another_protocol_version_is_told_so(bench: Bench) -> None:
    bench.endpoint.receive_raw([A, b"\xcb\x63\0\0\0\0\x90"])
    [refusal] = bench.taken(A)
    assert refusal == frames.Refuse(
        "version", f"this bridge speaks protocol version {PROTOCOL}, not 99: install the same release on both"
    )


def test_pieces_of_a_stranger_are_not_kept(bench: Bench) -> None:
    output = frames.Output(1, 1, 0, [bytes(500_000)], "", "")
    for number in range(10):
        bench.endpoint.receive_raw([b"peer%d" % number, *wire.encode(1, [output])[0]])
    assert not bench.link._inboxes


def test_a_frame_that_is_longer_than_any_of_ours_ends_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, max_message_bytes=1000, turn_bytes=1000)
    epoch = bench.hello(A)
    conn, edge = bench.open()
    bench.endpoint.receive(epoch, frames.Output(conn.id, 1, 0, [bytes(2 * MIB)], "", ""), peer=A)
    assert edge.told == [("worker-lost", "")]


def test_who_speaks_without_a_link_is_told_to_start_over(bench: Bench) -> None:
    bench.endpoint.receive(77, frames.Beat(0.0, 0.0, 0.0), peer=A)
    assert bench.taken(A) == [frames.Reset("no link of this bridge")]
    assert not bench.link._outboxes


# -- the end ---------------------------------------------------------------------------------------------------


def test_stopping_says_goodbye_and_closes(bench: Bench) -> None:
    bench.hello(A)
    bench.hello(B)
    _, edge = bench.open()
    bench.link.stop("stopped")
    assert frames.Goodbye("stopped") in bench.endpoint.taken(A)
    assert frames.Goodbye("stopped") in bench.endpoint.taken(B)
    assert (bench.endpoint.closed, bench.endpoint.linger) == (True, GOODBYE_LINGER)
    assert bench.loop.tasks[0].cancelled
    assert edge.told == [("drain", "")]
    bench.link.stop("again")
    bench.endpoint.disconnected()  # a late hint
    bench.loop.turn()
    assert bench.endpoint.sent == []


# -- on a real socket ------------------------------------------------------------------------------------------


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


class Stranger:
    """A peer that says what a test wants."""

    def __init__(self, url: str) -> None:
        self.got: list[Frame] = []
        self.endpoint: Endpoint = connect(url)
        self._inbox = wire.Inbox(MIB)
        self.endpoint.start(running_loop(), self._take)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.endpoint.close()

    def _take(self, message: list[bytes]) -> None:
        self.got += self._inbox.decode(message)[1]

    async def answered(self) -> None:
        await eventually(lambda: self.got)

    async def say(self, *message: bytes) -> None:
        said = anyio.Event()
        self.endpoint.when_writable(said.set)
        await said.wait()
        assert self.endpoint.send(message)


@pytest.mark.anyio
async def test_strangers_on_a_real_socket(url: str) -> None:
    with bridging(url) as bridge, contextlib.ExitStack() as stack:
        link = bridge.start().link
        strangers = [stack.enter_context(Stranger(link.url)) for _ in range(5)]
        for stranger in strangers:
            await stranger.say(b"nonsense")
            await stranger.say(b"\xcb\x63\0\0\0\0\x90")
        await eventually(lambda: all(stranger.got for stranger in strangers))
        assert link.core.statistics.malformed == 10
        assert not link._inboxes
        for stranger in strangers:
            assert isinstance(stranger.got[0], frames.Refuse)


@pytest.mark.anyio
async def test_a_worker_on_a_real_socket_that_ends_without_a_word_is_noticed_at_once(url: str) -> None:
    with bridging(url) as bridge:
        link = bridge.start().link
        for number in range(20):  # what ZeroMQ tells first, the event or the end of the peer's pipe, is a race
            with Stranger(link.url) as worker:
                hello = frames.Hello("worker", number, "w", ["default"], False, 0, 0)
                await worker.say(*wire.encode(0, [hello])[0])
                await worker.answered()
                assert len(link.core.supervisor.links) == 1
            with anyio.fail_after(0.5):
                await eventually(lambda: not link.core.supervisor.links)


def test_an_unknown_level_is_information(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    link_module._log(actions.Log("info", "said"))
    link_module._log(actions.Log("warning", "warned"))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "said"),
        ("WARNING", "warned"),
    ]
