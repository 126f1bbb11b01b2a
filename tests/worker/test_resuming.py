"""A resumable consumer's state, and consumers that go on in another worker: killed, drained, cut off, handed back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest

from channels_bridge import AsyncConsumer, Config, Router, SyncConsumer, TimeLimitExceeded
from channels_bridge.shared.errors import LocalProtocolError, RemoteProtocolError
from channels_bridge.shared.wire import pack_event
from channels_bridge.testing import bridged
from channels_bridge.testing.faults import Faults, Site
from channels_bridge.worker import links as links_module
from channels_bridge.worker.messages import Outgoing
from channels_bridge.worker.resuming import Keeper, hears_resumed, on_loss_of
from halves import bridging, directory, hosting, is_idle, kill
from played_server import Call, Event, eventually, http_scope, websocket_scope

ACCEPT = {"type": "websocket.accept"}


def text(message: str) -> Event:
    return {"type": "websocket.send", "text": message}


# -- what is resumable -----------------------------------------------------------------------------------------


class Plain(AsyncConsumer):
    pass


class Resumable(AsyncConsumer):
    resumable = True


class Skipping(SyncConsumer):
    resumable = True
    on_loss = "skip"


class Raw:
    """A callable with the two methods, and no class of ours."""

    def __init__(self) -> None:
        self.state: Any = {"count": 0}

    def __call__(self, message: Event) -> None: ...

    def get_state(self) -> Any:
        return self.state

    def set_state(self, state: Any) -> None:
        self.state = state


class ResumableRaw(Raw):
    resumable = True
    on_loss = "close"


def factory(type: str, channel_layer: Any, consumer_channel: str, send: Any) -> Any: ...


def saying(**attributes: Any) -> Any:
    """Give a factory with attributes."""

    def make(type: str, channel_layer: Any, consumer_channel: str, send: Any) -> Any: ...

    vars(make).update(attributes)
    return make


def built(consumer: Any) -> Any:
    return consumer("websocket", None, "consumer.0!1", None)


@pytest.mark.parametrize(
    ("consumer", "made_by", "on_loss"),
    [
        (built(Plain), Plain, ""),
        (built(Resumable), Resumable, "replay"),
        (built(Skipping), Skipping, "skip"),
        (Raw(), factory, ""),
        (Raw(), saying(resumable=True), "replay"),
        (Raw(), saying(resumable=True, on_loss="skip"), "skip"),
        (ResumableRaw(), factory, "close"),
        (ResumableRaw(), saying(resumable=False, on_loss="skip"), "close"),
    ],
)
def test_what_is_resumable_says_so_or_its_factory_does(consumer: Any, made_by: Any, on_loss: str) -> None:
    assert on_loss_of(consumer, made_by) == on_loss


def test_what_says_so_and_cannot_is_told_what_is_missing() -> None:
    raw: Any = Raw()
    raw.on_loss = "retry"
    with pytest.raises(LocalProtocolError, match="Raw: on_loss is one of replay, skip, close, not 'retry'"):
        on_loss_of(raw, saying(resumable=True))
    with pytest.raises(LocalProtocolError, match=r"factory is resumable, but has no get_state\(\): what is no Async"):
        on_loss_of(factory, saying(resumable=True))
    half: Any = type("Half", (), {"get_state": Raw.get_state})()
    with pytest.raises(LocalProtocolError, match=r"Half is resumable, but has no set_state\(\)"):
        on_loss_of(half, saying(resumable=True))


def test_only_consumers_on_our_classes_hear_that_they_were_resumed() -> None:
    class Hearing(AsyncConsumer):
        async def bridge_resumed(self, message: Event) -> None: ...

    class RawHearing(Raw):
        def bridge_resumed(self, message: Event) -> None: ...

    assert hears_resumed(built(Hearing))
    assert not hears_resumed(built(Plain))
    assert not hears_resumed(RawHearing())


# -- the state of one consumer ---------------------------------------------------------------------------------


def outgoing(*events: Event, kind: str = "websocket") -> Outgoing:
    made = Outgoing({"type": kind})
    for event in events:
        made.check(event)
    return made


def passed_on(consumer: Any, successor: Any, *events: Event) -> Outgoing:
    """Give the state of one to the other; what the other one may send."""
    after = outgoing()
    Keeper(successor, 65536).restore(Keeper(consumer, 65536).pack(outgoing(*events)), {"type": "websocket"}, after)
    return after


@pytest.mark.parametrize("cls", [Resumable, Skipping])
def test_its_variables_are_its_state_but_not_what_it_was_given(cls: Any) -> None:
    one, two = built(cls), built(cls)
    one.group, one.seen, one.auto_accept = "chat.a", [1, datetime(2026, 1, 1, tzinfo=UTC)], False
    one.url_kwargs = {"of": "one"}
    assert one.get_state() == {"group": "chat.a", "seen": one.seen, "auto_accept": False}
    passed_on(one, two)
    assert two.get_state() == one.get_state()
    assert two.url_kwargs == {}


def test_a_class_may_choose_what_is_kept() -> None:
    class Choosing(AsyncConsumer):
        resumable = True

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.lock = threading.Lock()
            self.count = 0

        def get_state(self) -> Any:
            return self.count

        def set_state(self, state: Any) -> None:
            self.count = state

    one, two = built(Choosing), built(Choosing)
    one.count = 7
    passed_on(one, two)
    assert two.count == 7


@pytest.mark.parametrize("state", [None, 5, "x", [1, 2], {}, {"a": [b"x"]}])
def test_the_state_of_a_raw_consumer_is_whatever_it_gives(state: Any) -> None:
    one, two = Raw(), Raw()
    one.state = state
    passed_on(one, two)
    assert two.state == state


def test_a_state_that_is_as_it_was_is_not_sent_again() -> None:
    raw = Raw()
    keeper = Keeper(raw, 65536)
    opening = outgoing()
    assert keeper.pack(opening)
    assert keeper.pack(opening) == b""
    raw.state["count"] = 1
    first = keeper.pack(opening)
    assert first
    assert keeper.pack(opening) == b""
    opening.check(ACCEPT)
    assert keeper.pack(opening)  # that it was accepted is a part of it
    assert keeper.pack(opening) == b""

    successor = Raw()
    resumed = Keeper(successor, 65536)
    resumed.restore(first, {}, outgoing())
    assert resumed.pack(outgoing()) == b""


def test_what_was_sent_so_far_goes_along() -> None:
    waiting, accepted = built(Resumable), built(Resumable)
    assert not passed_on(built(Resumable), waiting).is_answered
    assert passed_on(built(Resumable), accepted, ACCEPT).check(text("x")) == text("x")
    sent: list[Event] = []
    for consumer in (waiting, accepted):
        consumer._send = sent.append
        consumer._after({"type": "websocket.connect"})
        consumer._put(text("x"))
    assert sent == [ACCEPT, text("x"), text("x")]  # the accepted one does not accept again


def test_the_scope_of_a_consumer_is_as_its_connect_has_seen_it() -> None:
    one, two = built(Resumable), built(Resumable)
    two.url_kwargs = {"room": "a"}
    packed = Keeper(one, 65536).pack(outgoing())
    Keeper(two, 65536).restore(packed, {"type": "websocket", "path": "/a/"}, outgoing())
    assert two.scope == {"type": "websocket", "path": "/a/", "url_route": {"args": (), "kwargs": {"room": "a"}}}


def test_an_attribute_that_cannot_be_kept_is_named() -> None:
    consumer = built(Resumable)
    consumer.lock = threading.Lock()
    with pytest.raises(LocalProtocolError) as raised:
        Keeper(consumer, 65536).pack(outgoing())
    words = str(raised.value)
    assert words.startswith(
        "the attribute 'lock' of Resumable cannot be kept: it holds a lock, and what can be kept is"
    )
    assert words.endswith("; leave it out with get_state()")


@pytest.mark.parametrize("value", [2**64, "\udcff", {str(number): 0 for number in range(5000)}])
def test_so_is_one_that_the_wire_refuses(value: Any) -> None:
    consumer = built(Resumable)
    consumer.fine, consumer.wrong = 1, [value]
    with pytest.raises(LocalProtocolError, match="the attribute 'wrong' of Resumable cannot be kept: the value of"):
        Keeper(consumer, 65536).pack(outgoing())


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"ok": 1, "bad": {1}}, r"'bad' in what get_state\(\) of Raw returns cannot be kept: it holds a set"),
        ({1}, r"what get_state\(\) of Raw returns cannot be kept: it holds a set"),
        ({1: "x"}, r"what get_state\(\) of Raw returns cannot be kept: it holds a dict with the key 1"),
        (2**64, r"what get_state\(\) of Raw returns cannot be kept: the value of 'state'"),
    ],
)
def test_in_a_state_of_ones_own_the_place_is_named(state: Any, says: str) -> None:
    raw = Raw()
    raw.state = state
    with pytest.raises(LocalProtocolError, match=says):
        Keeper(raw, 65536).pack(outgoing())


def test_a_state_that_is_too_big_says_what_makes_it_so() -> None:
    consumer = built(Resumable)
    consumer.history, consumer.name, consumer.more, consumer.least = ["x" * 100] * 10, "n" * 50, "m" * 60, 1
    keeper = Keeper(consumer, 1000)
    with pytest.raises(LocalProtocolError) as raised:
        keeper.pack(outgoing())
    words = str(raised.value)
    assert words.startswith("the state of Resumable has 1196 ")
    assert "bytes, more than state_bytes, 1000; most of it: 'history' (1021), 'more' (62), 'name' (52); keep" in words
    raw = Raw()
    raw.state = "x" * 2000
    with pytest.raises(
        LocalProtocolError, match=r"the state of Raw has 20\d\d bytes, more than state_bytes, 1000; keep"
    ):
        Keeper(raw, 1000).pack(outgoing())


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        pack_event({"type": "state"}),
        pack_event({"type": "state", "sent": ["accepted", False], "state": {}, "more": 1}),
        pack_event({"type": "state", "sent": ["started", False], "state": {}}),  # of a request
        pack_event({"type": "state", "sent": 5, "state": {}}),
        pack_event({"type": "state", "sent": ["accepted", False], "state": {b"moment": 1}}),
    ],
)
def test_what_is_no_state_is_refused(packed: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Keeper(built(Resumable), 65536).restore(packed, {"type": "websocket"}, outgoing())


# -- from worker to worker -------------------------------------------------------------------------------------


class Counting(AsyncConsumer):
    """Counts what it is told, tells its number and its room; notes what else happens to it."""

    type = "websocket"
    resumable = True
    notes: ClassVar[list[str]] = []

    async def websocket_connect(self, message: Event, room: str = "-") -> None:
        self.count = 0
        self.began = datetime(2026, 11, 22, tzinfo=UTC)
        await self.channel_layer.group_add("all", self.consumer_channel)

    async def websocket_receive(self, message: Event) -> None:
        self.count += 1
        room = self.scope["url_route"]["kwargs"].get("room", "-")
        await self.send(text(f"{self.count} {message['text']} {room} {self.scope['path']} {self.began.year}"))

    async def said(self, message: Event) -> None:
        await self.send(text(message["text"]))

    async def bridge_resumed(self, message: Event) -> None:
        self.notes.append(f"resumed {self.count}")

    async def websocket_disconnect(self, message: Event) -> None:
        self.notes.append(f"disconnect {message['code']}")


class SyncCounting(SyncConsumer):
    """The same, in threads."""

    type = "websocket"
    resumable = True
    notes: ClassVar[list[str]] = []

    def websocket_connect(self, message: Event, room: str = "-") -> None:
        self.count = 0
        self.began = datetime(2026, 11, 22, tzinfo=UTC)
        self.channel_layer.group_add("all", self.consumer_channel)

    def websocket_receive(self, message: Event) -> None:
        self.count += 1
        room = self.scope["url_route"]["kwargs"].get("room", "-")
        self.send(text(f"{self.count} {message['text']} {room} {self.scope['path']} {self.began.year}"))

    def said(self, message: Event) -> None:
        self.send(text(message["text"]))

    def bridge_resumed(self, message: Event) -> None:
        assert threading.current_thread() is not threading.main_thread()
        self.notes.append(f"resumed {self.count}")

    def websocket_disconnect(self, message: Event) -> None:
        self.notes.append(f"disconnect {message['code']}")


class RawCounting:
    """The same, with nothing of ours, and what it needs of the scope in its state."""

    resumable = True
    notes: ClassVar[list[str]] = []

    def __init__(self, type: str, channel_layer: Any, consumer_channel: str, send: Any) -> None:
        self.layer, self.channel, self.send = channel_layer, consumer_channel, send
        self.kept: list[Any] = []

    async def __call__(self, message: Event) -> None:
        if message["type"] == "websocket.connect":
            self.kept = [0, message["path"]]
            await self.layer.group_add("all", self.channel)
            await self.send(ACCEPT)
        elif message["type"] == "websocket.receive":
            self.kept[0] += 1
            await self.send(text(f"{self.kept[0]} {message['text']} - {self.kept[1]} 2026"))
        elif message["type"] == "said":
            await self.send(text(message["text"]))
        else:
            self.notes.append(f"disconnect {message['code']}")

    def get_state(self) -> Any:
        return self.kept

    def set_state(self, state: Any) -> None:
        self.kept = state
        self.notes.append(f"resumed {state[0]}")


@pytest.fixture(params=[Counting, SyncCounting, RawCounting])
def counting(request: pytest.FixtureRequest) -> Any:
    return type(request.param.__name__, (request.param,), {"notes": []})


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


@pytest.mark.anyio
async def test_a_worker_that_is_killed_between_turns_is_not_missed(counting: Any, url: str) -> None:
    with bridging(url) as bridge:
        async with hosting(counting, url, interface="consumer") as first, Call(bridge, websocket_scope("/a/")) as call:
            assert await call.connect() == ACCEPT
            call.say("x", "y")
            assert [await call.hear(), await call.hear()] == ["1 x - /a/ 2026", "2 y - /a/ 2026"]
            async with hosting(counting, url, interface="consumer"):
                kill(first)
                call.say("z")
                assert await call.hear() == "3 z - /a/ 2026"
                assert counting.notes == ["resumed 2"]
                call.leave(1001)
                assert await call.end() is None
                assert counting.notes == ["resumed 2", "disconnect 1001"]
                assert is_idle(bridge)


@pytest.mark.anyio
async def test_a_worker_that_is_drained_hands_over_and_ends_at_once(counting: Any, url: str) -> None:
    with bridging(url) as bridge:
        async with hosting(counting, url, interface="consumer") as first, Call(bridge, websocket_scope("/a/")) as call:
            await call.connect()
            call.say("x")
            await call.hear()
            async with hosting(counting, url, interface="consumer") as second:
                with anyio.fail_after(5.0):
                    await first.drain(60.0)
                assert (first.connections, second.connections) == (0, 1)
                await first.close("drained")
                await eventually(lambda: counting.notes)
                call.say("y")
                assert await call.hear() == "2 y - /a/ 2026"
                assert counting.notes == ["resumed 1"]
                call.leave()
                await call.end()


@pytest.mark.anyio
async def test_group_messages_find_it_in_its_new_place(counting: Any, faults: Faults) -> None:
    class Speaker(AsyncConsumer):
        type = "http"

        async def http_request(self, message: Event) -> None:
            await self.channel_layer.send_group("all", {"type": "said", "text": "to all"})
            await self.send({"type": "http.response.start", "status": 204})
            await self.send({"type": "http.response.body"})

    app = Router([("/say/", Speaker), ("/<room>/", counting)])
    async with faults.site(app) as site:
        client = await site.websocket("/a/")
        (owner,) = (worker for worker in site.workers if worker.connections)
        owner.kill()
        assert (await site.get("/say/")).status == 204
        assert await client.receive() == "to all"
        await client.quiet()


@pytest.mark.anyio
@pytest.mark.parametrize("base", [Counting, SyncCounting])
async def test_the_arguments_of_its_url_are_there_again(base: Any, faults: Faults) -> None:
    consumer: Any = type("Fresh", (base,), {"notes": []})
    app = Router({"/room/<room>/": consumer})

    async def scenario(site: Site) -> None:
        client = await site.websocket("/room/b/")
        await client.send("x")
        assert await client.receive() == "1 x b /room/b/ 2026"

    assert await faults.every_step(scenario, app) >= 5


class Gated(AsyncConsumer):
    """Stops in its turn until it may go on; the first worker's never may."""

    resumable = True
    began: ClassVar[list[str]]
    gates: ClassVar[list[anyio.Event]]
    ends: ClassVar[list[int]]

    async def websocket_connect(self, message: Event) -> None:
        self.done: list[str] = []

    async def websocket_receive(self, message: Event) -> None:
        self.done.append(message["text"])
        self.began.append(message["text"])
        await self.send(text(" ".join(self.done)))
        await self.gates[len(self.began) - 1].wait()

    async def websocket_disconnect(self, message: Event) -> None:
        self.ends.append(message["code"])


@pytest.fixture
def gated() -> Any:
    return type("Gated", (Gated,), {"began": [], "gates": [], "ends": []})


def gates(consumer: Any, *opened: bool) -> None:
    """Set the gates of the turns that begin, one after the other."""
    for is_open in opened:
        gate = anyio.Event()
        if is_open:
            gate.set()
        consumer.gates.append(gate)


@pytest.mark.anyio
async def test_a_turn_whose_worker_is_killed_is_run_again_and_seen_once(gated: Any, url: str) -> None:
    gates(gated, True, False, True)
    with bridging(url) as bridge:
        async with hosting(gated, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("a", "b")
            assert await call.hear() == "a"
            await eventually(lambda: gated.began == ["a", "b"])
            async with hosting(gated, url):
                kill(first)
                assert await call.hear() == "a b"
                assert gated.began == ["a", "b", "b"]
                gated.gates[1].set()
                call.leave()
                await call.end()
                assert (call.unread(), gated.ends) == ([], [1000])


@pytest.mark.anyio
async def test_a_turn_that_runs_while_its_connection_moves_has_no_effect_and_nobody_is_told(
    gated: Any, url: str
) -> None:
    """The link is cut while the turn runs: the bridge gives the connection to the other worker, this one lives on."""
    gates(gated, False, True)
    with bridging(url) as bridge:
        async with hosting(gated, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("a")
            await eventually(lambda: gated.began)
            [link] = first.links.values()
            async with hosting(gated, url) as second:
                link.session.lost("cut by the test")
                assert await call.hear() == "a"
                assert (second.connections, len(link.session.orphans)) == (1, 1)
                await eventually(lambda: link.session.ready)
                assert len(link.session.orphans) == 0
                gated.gates[0].set()
                await eventually(lambda: not first.turns)
                call.leave()
                await call.end()
                assert (call.unread(), gated.ends, bridge.start().link.core.statistics.fenced) == ([], [1000], 0)


@pytest.mark.anyio
async def test_a_bridge_that_is_gone_is_told_when_another_has_taken_its_place(gated: Any, url: str) -> None:
    with bridging(url) as bridge:
        async with hosting(gated, url) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await eventually(lambda: node.connections == 1)
            [link] = node.links.values()
            link.session.lost("cut by the test")
            link.session.orphans.met(link.session.boot + 1)
            await eventually(lambda: gated.ends == [1006])


@pytest.mark.anyio
async def test_a_bridge_that_says_goodbye_takes_its_connections_along(gated: Any, url: str) -> None:
    async with hosting(gated, url, bridges=0):
        with bridging(url) as bridge:
            async with Call(bridge, websocket_scope()) as call:
                await call.connect()
                bridge.stop()
                await eventually(lambda: gated.ends == [1006])


@pytest.mark.anyio
async def test_a_bridge_whose_address_is_gone_is_gone(gated: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "SCAN", 0.02)
    with bridging(url) as bridge:
        async with hosting(gated, url) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            [link] = node.links.values()
            link.session.lost("cut by the test", 60.0)
            assert len(link.session.orphans) == 1
            for socket in Path(url.removeprefix("ipc://")).glob("*.sock"):
                socket.unlink()
            await eventually(lambda: gated.ends == [1006])
            assert not node.links


# -- what cannot be resumed ------------------------------------------------------------------------------------


class Picky(AsyncConsumer):
    """Of the release that it is told to be."""

    resumable = True
    accepts: ClassVar[bool]

    async def websocket_receive(self, message: Event) -> None:
        await self.send(text(message["text"]))

    def set_state(self, state: Any) -> None:
        if not self.accepts:
            raise ValueError("of another release")


class OfOldRelease(Picky):
    accepts = True


class OfNewRelease(Picky):
    accepts = False


class NotAnyMore(Picky):
    resumable = False


class FailsAsItResumes(Picky):
    accepts = True

    async def bridge_resumed(self, message: Event) -> None:
        raise ValueError("of another release")


@pytest.mark.anyio
@pytest.mark.parametrize("other", [OfNewRelease, NotAnyMore, FailsAsItResumes])
async def test_who_cannot_take_a_state_gives_it_back_and_the_next_worker_gets_it(
    other: Any, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with bridging(url) as bridge:
        async with hosting(OfOldRelease, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            async with (
                hosting(other, url) as second,
                hosting(OfOldRelease, url) as third,
                Call(bridge, websocket_scope()) as one,
                Call(bridge, websocket_scope()) as another,
            ):
                await one.connect()
                leaving = one if second.connections else another  # of these two, each worker has one
                await another.connect()
                leaving.leave()
                await eventually(lambda: (second.connections, third.connections) == (0, 1))
                kill(first)
                call.say("x")
                assert await call.hear() == "x"
                assert (second.connections, third.connections) == (0, 2)
    assert "Exception in resuming a consumer (connection 1, epoch 2)" in caplog.text
    assert {OfNewRelease: "of another", NotAnyMore: "NotAnyMore is not resumable"}.get(other, "another") in caplog.text


@pytest.mark.anyio
async def test_where_nobody_can_take_it_the_client_is_asked_to_come_again(url: str) -> None:
    with bridging(url) as bridge:
        async with hosting(OfOldRelease, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            async with hosting(OfNewRelease, url) as second:
                kill(first)
                assert (await call.next())["code"] == 1012
                await call.end()
                await eventually(lambda: not second.connections)
                assert is_idle(bridge)


@pytest.mark.anyio
@pytest.mark.parametrize("flush", [True, False])
@pytest.mark.parametrize("base", [AsyncConsumer, SyncConsumer])
async def test_what_cannot_be_kept_fails_its_turn(base: Any, flush: bool, caplog: pytest.LogCaptureFixture) -> None:
    class Careless(AsyncConsumer):
        resumable = True

        async def websocket_receive(self, message: Event) -> None:
            self.lock = threading.Lock()
            await self.send(text("never"))
            if flush:
                await self.flush()

    class SyncCareless(SyncConsumer):
        resumable = True

        def websocket_receive(self, message: Event) -> None:
            self.lock = threading.Lock()
            self.send(text("never"))
            if flush:
                self.flush()

    consumer = Careless if base is AsyncConsumer else SyncCareless
    async with bridged(consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("x")
        assert (await call.next())["code"] == 1011
        await call.end()
    assert "Careless cannot be kept: it holds a lock" in caplog.text


@pytest.mark.anyio
async def test_a_state_beyond_its_bytes_fails_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    class Growing(AsyncConsumer):
        resumable = True
        history = ""

        async def websocket_receive(self, message: Event) -> None:
            self.history += message["text"]
            await self.send(text("kept"))

    config = Config(state_bytes=2000)
    async with bridged(Growing, same_loop=True, config=config) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("x" * 1500, "x" * 1000)
        assert await call.hear() == "kept"
        assert (await call.next())["code"] == 1011
        await call.end()
    assert "more than state_bytes, 2000; most of it: 'history' (250" in caplog.text


@pytest.mark.anyio
async def test_what_the_disconnect_handler_leaves_behind_is_nobodys_business() -> None:
    """There is no turn after it, so its state is not looked at."""
    notes: list[str] = []

    class Leaving(AsyncConsumer):
        resumable = True

        async def websocket_disconnect(self, message: Event) -> None:
            self.lock = threading.Lock()
            await self.flush()
            notes.append("left")

    async with bridged(Leaving, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.leave()
        assert await call.end() is None
        assert notes == ["left"]
        await eventually(lambda: is_idle(bridge))


# -- requests, early commits, what is sent outside of turns ----------------------------------------------------


@pytest.mark.anyio
async def test_a_request_goes_on_where_it_was(url: str) -> None:
    class Body(AsyncConsumer):
        resumable = True
        parts = b""

        async def http_request(self, message: Event) -> None:
            self.parts += message["body"]
            if self.parts == b"1":
                await self.send({"type": "http.response.start", "status": 200})
                await self.send({"type": "http.response.body", "body": b"begun ", "more_body": True})
            if not message.get("more_body"):
                await self.send({"type": "http.response.body", "body": self.parts + self.scope["method"].encode()})

    with bridging(url) as bridge:
        async with hosting(Body, url) as first, Call(bridge, http_scope("/up", "POST")) as call:
            call.give({"type": "http.request", "body": b"1", "more_body": True})
            assert [(await call.next())["type"], (await call.next())["body"]] == ["http.response.start", b"begun "]
            async with hosting(Body, url):
                kill(first)
                call.give({"type": "http.request", "body": b"2", "more_body": False})
                assert (await call.next())["body"] == b"12POST"
                assert await call.end() is None


@pytest.mark.anyio
async def test_an_early_commit_takes_the_state_along_that_it_had_by_then(url: str) -> None:
    stuck = anyio.Event()

    class Early(AsyncConsumer):
        resumable = True
        at = "nowhere"

        async def websocket_receive(self, message: Event) -> None:
            if message["text"] == "where":
                await self.send(text(self.at))
                return
            self.at = "before"
            await self.flush()
            self.at = "behind"
            stuck.set()
            await anyio.sleep_forever()

    with bridging(url) as bridge:
        async with hosting(Early, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("go")
            await stuck.wait()
            async with hosting(Early, url):
                kill(first)
                call.say("where")
                assert await call.hear() == "before"


@pytest.mark.anyio
async def test_what_it_sends_as_it_is_resumed_goes_out_at_once(faults: Faults) -> None:
    class Greeting(AsyncConsumer):
        resumable = True
        greeted = 0

        async def bridge_resumed(self, message: Event) -> None:
            assert message == {"type": "bridge.resumed"}
            self.greeted += 1
            await self.send(text("back again"))

        async def websocket_receive(self, message: Event) -> None:
            await self.send(text(f"greeted {self.greeted}"))

    async with faults.site(Greeting) as site:
        client = await site.websocket()
        site.workers[0].kill()
        assert await client.receive() == "back again"
        await client.send("x")
        assert await client.receive() == "greeted 1"


@pytest.mark.anyio
@pytest.mark.parametrize("deaf", [False, True])
async def test_who_takes_too_long_to_resume_gives_the_connection_back(url: str, deaf: bool) -> None:
    """Its handler counts as a turn: beats tell its age, and it has the limits of one."""
    gate, resumed = anyio.Event(), list[str]()

    class Late(AsyncConsumer):
        resumable = True
        time_limit = 0.02

        async def bridge_resumed(self, message: Event) -> None:
            resumed.append("resumed")
            if len(resumed) == 1:
                with anyio.CancelScope(shield=deaf):
                    await gate.wait()

        async def websocket_receive(self, message: Event) -> None:
            await self.send(text("here"))

    with bridging(url) as bridge:
        async with hosting(Late, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await eventually(lambda: first.connections == 1)
            async with hosting(Late, url) as second:
                kill(first)
                await eventually(lambda: len(second.turns) == 1)
                async with hosting(Late, url):
                    call.say("where")
                    assert await call.hear() == "here"
                    assert len(resumed) == 2
                    assert len(second.overseer.given_up) == deaf
                    gate.set()
                    await eventually(lambda: not second.turns and not second._tasks)


@pytest.mark.anyio
@pytest.mark.parametrize("base", [AsyncConsumer, SyncConsumer])
async def test_setting_its_state_has_the_limits_of_a_handler(base: Any, url: str) -> None:
    """One that burns CPU in the loop cannot be cancelled; that its run is known is what lets the watchdog act."""
    seen: list[str] = []

    def set_state(*_: Any) -> None:
        seen.extend(run.what for run in second.overseer.runs)

    known: Any = type("Known", (base,), {"resumable": True, "time_limit": 60.0, "set_state": set_state})
    with bridging(url) as bridge:
        async with hosting(known, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            async with hosting(known, url) as second:
                kill(first)
                await eventually(lambda: seen)
                await eventually(lambda: not second.overseer.runs and not second.turns)
    assert seen == ["set_state of Known (connection 1)"]


@pytest.mark.anyio
async def test_who_takes_too_long_to_set_its_state_gives_the_connection_back(url: str) -> None:
    """As it waits in C for a database that hangs, say: its thread is lent to the others until it comes back."""
    gate, starts = threading.Event(), list[str]()

    class Slow(SyncConsumer):
        resumable = True
        time_limit = 0.02

        def set_state(self, state: Any) -> None:
            starts.append("set_state")
            for _ in range(2000 if len(starts) == 1 else 0):
                with contextlib.suppress(TimeLimitExceeded):
                    if gate.wait(0.005):
                        break

        def bridge_resumed(self, message: Event) -> None:
            starts.append("resumed")

        def websocket_receive(self, message: Event) -> None:
            self.send(text("here"))

    with bridging(url) as bridge:
        async with hosting(Slow, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await eventually(lambda: first.connections == 1)
            async with hosting(Slow, url) as second, hosting(Slow, url) as third:
                kill(first)
                call.say("where")
                assert await call.hear() == "here"
                slow, quick = (second, third) if second.overseer.given_up else (third, second)
                assert (len(slow.overseer.given_up), len(quick.overseer.given_up)) == (1, 0)
                gate.set()
                await eventually(lambda: not slow.turns and not slow._tasks)
                assert starts == ["set_state", "set_state", "resumed"]
                assert (slow.recycling.turns, quick.recycling.turns) == (0, 1)  # what is adopted takes no share


@pytest.mark.anyio
async def test_no_drain_waits_for_who_is_still_resumed_as_its_connection_moves_away(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    starts: list[str] = []

    class Hanging(AsyncConsumer):
        resumable = True

        async def bridge_resumed(self, message: Event) -> None:
            starts.append("resumed")
            if len(starts) == 1:
                await anyio.sleep_forever()

        async def websocket_receive(self, message: Event) -> None:
            await self.send(text("here"))

    with bridging(url) as bridge:
        async with hosting(Hanging, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await eventually(lambda: first.connections == 1)
            async with hosting(Hanging, url) as second:
                kill(first)
                await eventually(lambda: len(starts) == 1)
                async with hosting(Hanging, url):
                    with anyio.fail_after(5.0):
                        await second.drain(60.0)
                    assert not second.turns
                    call.say("where")
                    assert await call.hear() == "here"
    assert len(starts) == 2
    assert "Exception in resuming" not in caplog.text
