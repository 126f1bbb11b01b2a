"""The worker's pump: batches, back-pressure of the socket, sessions that end and begin again, and the lease."""

from __future__ import annotations

from typing import Any

import pytest

from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import Config
from channels_bridge.shared.errors import AddressError
from channels_bridge.shared.frames import Frame
from channels_bridge.shared.wire import pack_scope
from channels_bridge.testing import bridged
from channels_bridge.worker import link as link_module
from channels_bridge.worker.core.mailbox import Mailbox
from channels_bridge.worker.link import FLUSH_AGE, GOODBYE_LINGER, Link
from fake_endpoint import Clock, FakeEndpoint, FakeLoop
from played_server import Call, websocket_scope

HELLO = frames.Hello("worker", 7, "w", ["default"], False, 0, 0)
URL = "ipc:///nowhere/bridge-0.sock"
EPOCH = 5


class Host:
    """What a link starts for a connection: notes what it is told."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.told: list[object] = []

    def wake(self) -> None:
        self.told.append("wake")


class Bench:
    """A link on a socket, a loop and a clock of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.loop = FakeLoop()
        self.endpoints: list[FakeEndpoint] = []
        self.hosts: list[Host] = []
        self.refused = ""
        monkeypatch.setattr(link_module, "now", self.clock)
        monkeypatch.setattr(link_module, "connect", self._connect)
        loop: Any = self.loop
        self.layer: list[object] = []  # what the owner is told of the link and of the channel layer
        self.link = Link(URL, HELLO, Config(), loop, self)

    def _connect(self, url: str) -> Any:
        assert url == URL
        if self.refused:
            raise AddressError(self.refused)
        self.endpoints.append(FakeEndpoint())
        return self.endpoints[-1]

    def host(self, link: Link, mailbox: Mailbox) -> Host:
        self.hosts.append(Host(mailbox))
        return self.hosts[-1]

    def up(self, link: Link, bridge: int) -> None:
        self.layer.append(("up", link, bridge))

    def over(self, link: Link, bridge: int) -> None:
        self.layer.append(("over", link, bridge))

    def hear(self, bridge: int, frame: Frame) -> None:
        self.layer.append((bridge, frame))

    @property
    def endpoint(self) -> FakeEndpoint:
        return self.endpoints[-1]

    def greet(self) -> None:
        """Go as far as WELCOME."""
        self.link.open()
        self.endpoint.writable()
        self.loop.turn()
        assert self.endpoint.taken() == [HELLO]
        self.endpoint.receive(EPOCH, frames.Welcome(EPOCH, 9, 8.0, 1.0, 1024 * 1024, 32 * 1024 * 1024))
        assert self.link.session.ready

    def greet_again(self) -> None:
        """The same on a socket that was opened by itself, under the next link epoch."""
        self.endpoint.writable()
        self.loop.turn()
        assert self.endpoint.taken() == [HELLO]
        self.endpoint.receive(EPOCH + 1, frames.Welcome(EPOCH + 1, 9, 8.0, 1.0, 1024 * 1024, 32 * 1024 * 1024))

    def adopt(self, conn: int = 1, *events: bytes) -> Mailbox:
        scope = pack_scope({"type": "http", "headers": []})
        return self._adopted(frames.Adopt(conn, 1, scope, 1, 65536, 1, b"", list(events)))

    def adopt_state(self, state: bytes) -> Mailbox:
        """As another worker has left it, with no message for it."""
        scope = pack_scope({"type": "http", "headers": []})
        return self._adopted(frames.Adopt(1, 2, scope, 5, 65536, 1, state, []))

    def _adopted(self, frame: frames.Adopt) -> Mailbox:
        self.endpoint.receive(EPOCH, frame)
        return self.hosts[-1].mailbox


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


# -- in --------------------------------------------------------------------------------------------------------


def test_a_connection_is_hosted_and_its_host_told_of_changes(bench: Bench) -> None:
    bench.greet()
    bench.adopt(1)
    assert bench.hosts[0].told == []
    bench.adopt(2, b"first")
    assert bench.hosts[1].told == ["wake"]
    bench.endpoint.receive(EPOCH, frames.Message(1, 1, 1, 1, b"x"), frames.Credit(1, 1, 99999))
    assert bench.hosts[0].told == ["wake", "wake"]
    bench.hosts[0].mailbox.host = None  # its application has ended
    bench.endpoint.receive(EPOCH, frames.Credit(1, 1, 100000))
    assert bench.hosts[0].told == ["wake", "wake"]


def test_a_host_with_a_state_to_go_on_with_is_told_at_once(bench: Bench) -> None:
    bench.greet()
    bench.adopt_state(b"kept")
    assert bench.hosts[0].told == ["wake"]


def test_the_owner_is_told_of_the_link_and_of_the_channel_layer(bench: Bench) -> None:
    bench.greet()
    answer, relayed = frames.Answer([1], ""), frames.Relayed(9, 1)
    bench.endpoint.receive(EPOCH, answer, relayed)
    bench.endpoint.disconnected()
    assert bench.layer == [("up", bench.link, 9), (9, answer), (9, relayed), ("over", bench.link, 9)]


def test_what_a_turn_did_to_others_may_be_as_long_as_a_turn(bench: Bench) -> None:
    bench.greet()
    relay = frames.Relay(9, 1, [8], [frames.GroupSend("g", bytes(20 * 1024 * 1024), [], [], [])])
    bench.endpoint.receive(EPOCH, relay)
    assert bench.layer[-1] == (9, relay)


def test_in_a_forked_child_the_socket_is_left_alone(bench: Bench) -> None:
    bench.greet()
    bench.link.forget()
    assert bench.endpoint.forgotten
    bench.endpoint.disconnected()
    bench.link.forget()  # it has none now


def test_a_bridge_that_talks_nonsense_is_left_for_a_while(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.greet()
    mailbox = bench.adopt()
    bench.endpoint.receive_raw([b"\xcb\x09\0\0\0\x05nonsense"])
    assert "sent a malformed message (version 9)" in caplog.text
    assert bench.endpoint.closed
    assert mailbox.over == "lost"
    bench.clock.now += 2.9
    bench.link.tick(0.0)
    assert len(bench.endpoints) == 1
    bench.clock.now += 0.2
    bench.link.tick(0.0)
    assert len(bench.endpoints) == 2


def test_a_frame_may_be_as_long_as_the_bridge_says_it_sends_them(bench: Bench) -> None:
    bench.greet()
    bench.adopt()
    bench.endpoint.receive(EPOCH, frames.Message(1, 1, 1, 1, bytes(33 * 1024 * 1024 - 100)))
    assert bench.hosts[0].told == ["wake"]
    bench.endpoint.receive(EPOCH, frames.Message(1, 1, 2, 1, bytes(33 * 1024 * 1024 + 1)))
    assert bench.endpoint.closed


# -- out -------------------------------------------------------------------------------------------------------


def test_what_is_queued_in_one_turn_of_the_loop_is_one_message(bench: Bench) -> None:
    bench.greet()
    for seq in range(10):
        bench.link.send(frames.Failed(1, 1, seq, "raised", ""))
    assert bench.endpoint.sent == []
    bench.loop.turn()
    assert len(bench.endpoint.sent) == 1
    assert len(bench.endpoint.taken()) == 10


def test_what_has_waited_for_a_millisecond_does_not_wait_for_the_end_of_a_long_turn(bench: Bench) -> None:
    bench.greet()
    bench.link.send(frames.Failed(1, 1, 1, "raised", ""))
    bench.clock.now += 2 * FLUSH_AGE
    bench.link.send(frames.Failed(1, 1, 2, "raised", ""))
    assert len(bench.endpoint.taken()) == 2
    bench.link.send(frames.Failed(1, 1, 3, "raised", ""))
    bench.loop.turn()
    assert len(bench.endpoint.taken()) == 1


def test_what_an_application_did_is_one_frame_per_connection_and_turn(bench: Bench) -> None:
    bench.greet()
    one, two = bench.adopt(1), bench.adopt(2)
    for mailbox in (one, two, one):
        mailbox.out.append(b"x")
        mailbox.acked += 1
        bench.link.touch(mailbox)
    bench.loop.turn()
    assert bench.endpoint.taken() == [
        frames.Output(1, 1, 2, [b"x", b"x"], "", ""),
        frames.Output(2, 1, 1, [b"x"], "", ""),
    ]
    assert (one.out, one.acked, one.dirty) == ([], 0, False)
    one.out.append(b"y")
    bench.link.touch(one)
    bench.clock.now += 2 * FLUSH_AGE
    bench.link.touch(one)
    assert bench.endpoint.taken() == [frames.Output(1, 1, 0, [b"y"], "", "")]
    bench.link.touch(one)  # nothing to say after all
    bench.loop.turn()
    assert bench.endpoint.taken() == []


def test_the_end_carries_what_was_not_said_yet(bench: Bench) -> None:
    bench.greet()
    mailbox = bench.adopt()
    mailbox.out.append(b"last words")
    mailbox.acked = 1
    bench.link.touch(mailbox)
    bench.link.end(mailbox, "raised", "ValueError: x")
    bench.loop.turn()
    assert bench.endpoint.taken() == [frames.Output(1, 1, 1, [b"last words"], "raised", "ValueError: x")]
    bench.link.end(mailbox, "returned", "")
    bench.loop.turn()
    assert bench.endpoint.taken() == [frames.Output(1, 1, 0, [], "returned", "")]


def test_a_socket_that_is_full_gets_the_rest_when_it_has_room(bench: Bench) -> None:
    bench.greet()
    bench.endpoint.full = True
    bench.link.send(frames.Failed(1, 1, 1, "raised", ""))
    bench.loop.turn()
    bench.link.send(frames.Failed(1, 1, 2, "raised", ""))
    bench.loop.turn()
    assert bench.endpoint.taken() == []
    bench.endpoint.full = False
    bench.endpoint.writable()
    assert [frame[2] for frame in bench.endpoint.taken()] == [1, 2]  # type: ignore[misc]


# -- sessions --------------------------------------------------------------------------------------------------


def test_a_connection_that_is_cut_begins_a_new_session_on_a_new_socket(bench: Bench) -> None:
    bench.greet()
    mailbox = bench.adopt()
    bench.link.send(frames.Failed(1, 1, 1, "raised", ""))  # for the old one only
    bench.endpoint.disconnected()
    assert mailbox.over == "lost"
    assert bench.endpoint.closed
    bench.loop.turn()
    bench.clock.now += 1.0
    bench.link.tick(0.0)
    assert len(bench.endpoints) == 2
    bench.endpoint.writable()
    bench.loop.turn()
    assert bench.endpoint.taken() == [HELLO]
    bench.endpoint.disconnected()
    bench.link._cut()  # a late hint of a socket that is closed


def test_what_the_bridge_said_last_is_read_before_its_end_is_acted_upon(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bench.greet()
    bench.endpoint.unread = wire.encode(EPOCH, [frames.Goodbye("stopped")])
    bench.endpoint.disconnected()
    assert "lost the bridge (it stops: stopped)" in caplog.text


def test_a_resumable_consumer_hears_nothing_of_a_cut_while_its_bridge_lives(bench: Bench) -> None:
    bench.greet()
    mailbox = bench.adopt_state(b"kept")
    bench.endpoint.disconnected()
    bench.clock.now += 1.0
    bench.link.tick(0.0)
    assert mailbox.over == "moved"
    bench.greet_again()
    bench.clock.now += 100.0
    bench.link.tick(0.0)
    assert mailbox.over == "moved"


def test_and_hears_the_end_when_the_bridge_does_not_come_back(bench: Bench) -> None:
    bench.greet()
    mailbox = bench.adopt_state(b"kept")
    bench.endpoint.disconnected()
    for _ in range(12):
        assert mailbox.over == "moved"
        bench.clock.now += 1.0
        bench.link.tick(0.0)
    bench.clock.now += 1.0
    bench.link.tick(0.0)
    assert mailbox.over == "lost"


def test_a_link_that_drains_says_so_in_its_next_session_too(bench: Bench) -> None:
    bench.greet()
    bench.link.session.drain()
    bench.endpoint.disconnected()
    bench.clock.now += 1.0
    bench.link.tick(0.0)
    bench.greet_again()
    bench.loop.turn()
    assert bench.endpoint.taken() == [frames.Drain()]


def test_an_address_that_is_none_is_tried_again_later(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.refused = "cannot connect to it"
    bench.link.open()
    assert "cannot connect to it" in caplog.text
    bench.link.send(frames.Drain())
    bench.loop.turn()
    bench.refused = ""
    bench.clock.now += 10.0
    bench.link.tick(0.0)
    assert len(bench.endpoints) == 1


def test_closing_says_goodbye_behind_everything_else(bench: Bench) -> None:
    bench.greet()
    mailbox = bench.adopt()
    mailbox.out.append(b"x")
    bench.link.touch(mailbox)
    bench.link.close("drained")
    taken = bench.endpoint.taken()
    assert frames.Output(1, 1, 0, [b"x"], "", "") in taken
    assert taken[-1] == frames.Goodbye("drained")
    assert (bench.endpoint.closed, bench.endpoint.linger) == (True, GOODBYE_LINGER)
    bench.loop.turn()
    bench.clock.now += 100.0
    bench.link.tick(0.0)
    assert len(bench.endpoints) == 1
    bench.link.close("again")


def test_without_its_loop_it_closes_without_a_word(bench: Bench) -> None:
    bench.greet()
    mailbox = bench.adopt()
    bench.link.abandon("its loop has ended")
    assert (bench.endpoint.closed, bench.endpoint.taken(), mailbox.over) == (True, [], "lost")
    assert bench.layer[-1] == ("over", bench.link, 9)
    assert bench.loop._soon == []
    bench.clock.now += 100.0
    bench.link.tick(0.0)
    assert len(bench.endpoints) == 1


def test_a_socket_that_fails_while_it_sends_ends_nothing_by_itself(bench: Bench) -> None:
    bench.greet()
    bench.endpoint.closed = True
    bench.link.send(frames.Drain())
    bench.loop.turn()
    assert bench.link.session.ready


# -- the lease -------------------------------------------------------------------------------------------------


def test_beats_keep_the_lease(bench: Bench) -> None:
    bench.greet()
    for _ in range(20):
        bench.clock.now += 1.0
        bench.link.tick(0.5)
        bench.loop.turn()
        [beat] = bench.endpoint.taken()
        assert beat == frames.Beat(bench.clock.now, 0.0, 0.5)
        bench.endpoint.receive(EPOCH, frames.Beat(1.0, bench.clock.now, 0.0))
        assert bench.link.may_act()


def test_without_a_lease_nothing_leaves(bench: Bench) -> None:
    bench.greet()
    mailbox = bench.adopt()
    bench.clock.now += 8.0
    assert not bench.link.may_act()
    mailbox.out.append(b"x")
    bench.link.touch(mailbox)
    bench.link.send(frames.Failed(1, 1, 1, "raised", ""))
    bench.link.end(mailbox, "returned", "")
    bench.loop.turn()
    assert bench.endpoint.taken() == []
    bench.link.tick(0.0)
    assert mailbox.over == "lost"
    assert bench.endpoint.closed


@pytest.mark.parametrize("how", ["send", "touch", "end", "may_act"])
def test_a_lease_that_was_found_to_have_run_out_is_not_taken_up_again(bench: Bench, how: str) -> None:
    """What was dropped is missing from the stream: an answer to an older beat, which arrives now, cannot heal that."""
    bench.greet()
    mailbox = bench.adopt()
    bench.clock.now += 1.0
    bench.link.tick(0.0)
    bench.loop.turn()
    sent_at = bench.clock.now
    bench.clock.now += 7.5  # a turn that does not let the loop go on
    mailbox.out.append(b"x")
    if how == "send":
        bench.link.send(frames.Commit(1, 1, 1, True, [], b"", ""))
    elif how == "touch":
        bench.link.touch(mailbox)
        bench.loop.turn()
    elif how == "end":
        bench.link.end(mailbox, "returned", "")
    else:
        assert not bench.link.may_act()
    bench.endpoint.receive(EPOCH, frames.Beat(1.0, sent_at, 0.0))
    assert not bench.link.may_act()
    assert mailbox.over == "lost"


# -- on a real socket ------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_frames_of_any_length_cross() -> None:
    """A message of 3 MiB and a short one behind it, there and back, through an application."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (event := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "bytes": event["bytes"]})

    async with bridged(echo, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        long, short = bytes(range(256)) * 12288, b"short"
        call.say(long, short)
        assert [await call.hear(), await call.hear()] == [long, short]
