"""ASGI applications that save: they commit as consumers do, and go on in another worker as if nothing had been."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from channels_bridge import AsyncConsumer, Config
from channels_bridge.shared import frames
from channels_bridge.shared.errors import ApplicationError, ClientDisconnected, LocalProtocolError, RemoteProtocolError
from channels_bridge.shared.wire import MAX_ARRAY, pack_event
from channels_bridge.testing import bridged
from channels_bridge.worker import link as link_module
from channels_bridge.worker.messages import Outgoing
from channels_bridge.worker.saving import Again, Saving
from halves import bridging, directory, hosting, is_idle, kill
from played_server import Call, Event, eventually, fetch, http_scope, websocket_scope

pytestmark = pytest.mark.anyio

Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

ACCEPT: Event = {"type": "websocket.accept"}
BEGUN: Event = {"type": "websocket.http.response.start", "status": 403, "headers": []}


def text(message: str) -> Event:
    return {"type": "websocket.send", "text": message}


def body(data: bytes, more: bool = False) -> Event:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


async def save(send: Send, state: object) -> None:
    await send({"type": "bridge.resume.save", "state": state})


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


class App:
    """An application: ``run`` is given what the extension says, too. Notes what happens to it."""

    def __init__(self, run: Callable[[Any, Receive, Send], Awaitable[None]]) -> None:
        self._run = run
        self.offers: list[Any] = []
        self.notes: list[Any] = []

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("there is none")
        if scope["type"] == "http":
            await receive()
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x"})
            return
        offer = scope["extensions"]["bridge.resume"]
        self.offers.append(dict(offer))
        try:
            await self._run(offer, receive, send)
        finally:
            self.notes.append("finally")

    async def fence(self, bridge: Any) -> None:
        """Have a request go all the way and back: what was under way before has arrived."""
        await fetch(bridge, "/fence")


class Counter(App):
    """Counts what it is told, and says number and message; one that begins with "stop" never gets past that."""

    def __init__(self) -> None:
        super().__init__(self.count)
        self.saves = True

    async def count(self, offer: Any, receive: Receive, send: Send) -> None:
        count = offer["state"]["count"] if offer["state"] else 0
        assert await receive() == {"type": "websocket.connect"}
        await send(ACCEPT)
        if self.saves:
            await offer["save"]({"count": count})
        while (event := await receive())["type"] == "websocket.receive":
            count += 1
            await send(text(f"{count} {event['text']}"))
            self.notes.append(event["text"])
            if event["text"].startswith("stop") and offer["attempt"] == 1:
                await anyio.sleep_forever()
            await save(send, {"count": count})
        self.notes.append(event["code"])


# -- from worker to worker -------------------------------------------------------------------------------------


async def test_a_worker_that_is_killed_between_messages_is_not_missed(url: str) -> None:
    app = Counter()
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            assert await call.connect() == ACCEPT
            call.say("a", "b")
            assert [await call.hear(), await call.hear()] == ["1 a", "2 b"]
            async with hosting(app, url):
                kill(first)
                await eventually(lambda: len(app.offers) == 2)
                call.say("c")
                assert await call.hear() == "3 c"
                old, new = app.offers
                assert (old["state"], old["epoch"], old["attempt"], old["reason"]) == (None, 1, 1, "new")
                assert (new["state"], new["epoch"], new["attempt"], new["reason"]) == ({"count": 2}, 2, 1, "moved")
                call.leave(1001)
                assert await call.end() is None
                assert call.unread() == []
                await eventually(lambda: app.notes == ["a", "b", "finally", "c", 1001, "finally"])
                assert is_idle(bridge)


async def test_a_message_whose_worker_is_killed_is_given_again_and_its_effect_seen_once(url: str) -> None:
    app = Counter()
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("a", "stop", "b")
            await eventually(lambda: app.notes == ["a", "stop"])
            async with hosting(app, url):
                kill(first)
                assert [await call.hear() for _ in range(3)] == ["1 a", "2 stop", "3 b"]
                assert (app.offers[1]["attempt"], app.offers[1]["reason"]) == (2, "lost")
                call.leave()
                await call.end()
                assert call.unread() == []


async def test_a_worker_that_is_drained_hands_over_and_ends_at_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Counter()
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("a")
            await call.hear()
            async with hosting(app, url) as second:
                with anyio.fail_after(5.0):
                    await first.drain(60.0)
                assert (first.connections, second.connections) == (0, 1)
                call.say("b")
                assert await call.hear() == "2 b"
                assert app.notes == ["a", "finally", "b"]
                assert app.offers[1]["reason"] == "moved"
                call.leave()
                await call.end()
    assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_a_lone_worker_that_is_drained_leaves_it_to_the_next(url: str) -> None:
    app = Counter()
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await app.fence(bridge)
            with anyio.fail_after(5.0):
                await first.drain(60.0)
            await first.close("drained")
            call.say("a")
            async with hosting(app, url):
                assert await call.hear() == "1 a"
                call.leave()
                await call.end()


async def test_one_that_always_has_messages_finishes_the_one_that_it_holds_and_leaves(url: str) -> None:
    app = Steps()
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            await app.open(call)
            call.say("a", "b")
            await app.do(lambda _, receive, __: receive())
            with anyio.fail_after(10.0):
                async with anyio.create_task_group() as group:
                    group.start_soon(first.drain, 60.0)
                    await eventually(lambda: first.handed_over)
                    await app.do(lambda offer, _, __: offer["save"]({"count": 1}))
                    app.begin(lambda _, receive, __: receive())
            await first.close("drained")
            async with hosting(Counter(), url):
                assert await call.hear() == "2 b"
                call.leave()
                await call.end()


async def test_one_that_does_not_save_is_drained_and_lost_as_ever(url: str) -> None:
    app = Counter()
    app.saves = False
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await app.fence(bridge)
            assert first.staying == 1
            async with hosting(app, url):
                kill(first)
                assert (await call.next())["code"] == 1011
                assert await call.end() is None
    assert len(app.offers) == 1


async def test_a_link_that_is_cut_cancels_it_and_tells_it_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Counter()
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("a", "stop")
            await eventually(lambda: app.notes == ["a", "stop"])
            [link] = first.links.values()
            async with hosting(app, url) as second:
                link.session.lost("cut by the test")
                assert [await call.hear(), await call.hear()] == ["1 a", "2 stop"]
                assert app.notes == ["a", "stop", "finally", "stop"]
                await eventually(lambda: link.session.ready)
                assert (first.connections, second.connections, len(link.session.orphans)) == (0, 1, 0)
                call.leave()
                await call.end()
    assert "Exception" not in caplog.text


async def test_what_has_come_for_one_whose_lease_has_run_out_is_not_given_to_it(url: str) -> None:
    """As a process finds it that was frozen: messages in its socket, and no word yet that its time is over."""
    app = Counter()
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await app.fence(bridge)
            [link] = first.links.values()
            link.session._acknowledged -= 3600.0
            async with hosting(app, url) as second:
                call.say("a")
                assert await call.hear() == "1 a"
                assert (app.notes, second.connections) == (["finally", "a"], 1)
                call.leave()
                await call.end()


async def test_a_bridge_that_says_goodbye_takes_its_connections_along(url: str) -> None:
    app = Counter()
    with bridging(url) as bridge:
        async with hosting(app, url) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await app.fence(bridge)
            [link] = node.links.values()
            link.session.receive(link.session.link_epoch, [frames.Goodbye("stopped")])
            await eventually(lambda: app.notes == [1006, "finally"])
            call.leave()
            await call.end()


async def test_its_last_words_go_nowhere_and_are_no_error(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run(offer: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await offer["save"](None)
        try:
            await receive()
        finally:
            await send(text("last words"))
            await offer["save"]("other")
            app.notes.append("said")
            raise ValueError("in finally")

    app = App(run)
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            async with hosting(Counter(), url):
                await app.fence(bridge)
                await first.drain(60.0)
                await eventually(lambda: app.notes == ["said", "finally"])
                await app.fence(bridge)
                assert call.unread() == []
    assert "Exception" not in caplog.text


async def test_a_task_of_its_own_that_receives_in_the_old_place_waits(url: str) -> None:
    """What is not cancelled with the application must be told neither a message nor a disconnect."""

    async def run(offer: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await offer["save"](None)
        with anyio.CancelScope(shield=True), anyio.move_on_after(0.1):
            app.notes.append(await receive())

    app = App(run)
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            [mailbox] = [mailbox for link in first.links.values() for mailbox in link.session.mailboxes.values()]
            mailbox.over = "moved"
            call.say("a")
            await eventually(lambda: app.notes == ["finally"])


# -- the commit rule -------------------------------------------------------------------------------------------


class Steps(App):
    """Does what the test says, one step after the other."""

    def __init__(self) -> None:
        super().__init__(self.walk)
        self._to_do, self._steps = anyio.create_memory_object_stream[Any](100)

    async def walk(self, offer: Any, receive: Receive, send: Send) -> None:
        with self._to_do, self._steps:
            async for step in self._steps:
                self.notes.append(await step(offer, receive, send))

    async def do(self, step: Callable[[Any, Receive, Send], Awaitable[Any]]) -> None:
        """Have it done; returns when it is."""
        count = len(self.notes)
        self._to_do.send_nowait(step)
        await eventually(lambda: len(self.notes) > count)

    def begin(self, step: Callable[[Any, Receive, Send], Awaitable[Any]]) -> None:
        """Have it begun."""
        self._to_do.send_nowait(step)

    async def open(self, call: Call) -> None:
        """Accept, and save."""
        await self.do(lambda _, receive, __: receive())
        await self.do(lambda _, __, send: send(ACCEPT))
        await self.do(lambda offer, _, __: offer["save"]({}))
        assert await call.next() == ACCEPT

    def end(self) -> None:
        self._to_do.close()


async def test_what_is_sent_in_a_message_leaves_with_it(url: str) -> None:
    app = Steps()
    with bridging(url) as bridge:
        async with hosting(app, url), Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            await app.open(call)
            await app.do(lambda _, __, send: send(text("while idle")))
            assert await call.hear() == "while idle"
            call.say("a", "b")
            await app.do(lambda _, receive, __: receive())
            await app.do(lambda _, __, send: send(text("in a")))
            await app.fence(bridge)
            assert call.unread() == []
            [conn] = bridge.start().link.core.connections.values()
            assert (conn.acked, conn.on_loss) == (1, "replay")
            await app.do(lambda _, receive, __: receive())
            assert await call.hear() == "in a"
            assert conn.acked == 2
            await app.do(lambda _, __, send: send(text("in b")))
            await app.do(lambda offer, _, __: offer["save"]("b is done"))
            assert await call.hear() == "in b"
            assert conn.acked == 3
            await app.do(lambda _, __, send: send(text("after b")))
            assert await call.hear() == "after b"
            app.end()
            assert await call.end() is None


async def test_what_was_sent_before_a_save_leaves_once_in_a_long_turn_of_the_loop(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the link does not wait for the end of the turn with what was sent."""

    async def run(offer: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await offer["save"](1)
        await send(text("a"))
        await offer["save"](2)

    monkeypatch.setattr(link_module, "FLUSH_AGE", -1.0)
    with bridging(url) as bridge:
        async with hosting(App(run), url), Call(bridge, websocket_scope()) as call:
            assert await call.connect() == ACCEPT
            assert await call.end() is None
            assert [event["type"] for event in call.unread()] == ["websocket.send"]


async def test_what_it_holds_as_it_returns_leaves_with_its_end(url: str) -> None:
    app = Steps()
    with bridging(url) as bridge:
        async with hosting(app, url), Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            await app.open(call)
            call.say("a")
            await app.do(lambda _, receive, __: receive())
            await app.do(lambda _, __, send: send(text("bye")))
            await app.do(lambda _, __, send: send({"type": "websocket.close", "code": 4000}))
            app.end()
            assert await call.hear() == "bye"
            assert (await call.next())["code"] == 4000
            assert await call.end() is None
            assert is_idle(bridge)


async def test_more_than_the_window_in_one_message_waits_for_nobody(url: str) -> None:
    app = Steps()
    with bridging(url, Config(window_bytes=4096)) as bridge:
        async with hosting(app, url), Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            await app.open(call)
            call.say("a")
            await app.do(lambda _, receive, __: receive())
            call.send_waits = True
            await app.do(send_much)
            app.begin(lambda _, receive, __: receive())
            call.say("b")
            await app.fence(bridge)
            assert app.notes[-1] is None
            call.go_on()
            assert [str(await call.hear()).split()[0] for _ in range(20)] == [str(number) for number in range(20)]
            await eventually(lambda: app.notes[-1])
            assert "'b'" in str(app.notes[-1])
            app.end()
            await call.end()


async def send_much(_: Any, __: Receive, send: Send) -> None:
    for number in range(20):
        await send(text(f"{number} " + 16384 * "x"))


async def test_too_much_in_one_message_fails_and_says_what_to_do(url: str) -> None:
    app = Steps()
    with bridging(url, Config(turn_bytes=1000)) as bridge:
        async with hosting(app, url), Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            await app.open(call)
            call.say("a")
            await app.do(lambda _, receive, __: receive())
            await app.do(lambda _, __, send: send(text(800 * "x")))
            app.begin(lambda _, __, send: send(text(800 * "y")))
            error = await call.end()
            assert isinstance(error, ApplicationError)
            assert "sent more than turn_bytes, 1000, since it received a message: save" in str(error)


async def test_too_many_in_one_message_fail_too(url: str) -> None:
    async def flood(_: Any, __: Receive, send: Send) -> None:
        for _number in range(MAX_ARRAY + 1):
            await send(text(""))

    app = Steps()
    with bridging(url) as bridge:
        async with hosting(app, url), Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            await app.open(call)
            call.say("a")
            await app.do(lambda _, receive, __: receive())
            app.begin(flood)
            assert f"has sent {MAX_ARRAY} messages since it received one" in str(await call.end())


async def test_one_that_saves_before_its_connect_is_handled_accepts_once(url: str) -> None:
    """The handshake waits for the first commit; until then another worker does it all again, for the client once."""

    async def run(offer: Any, receive: Receive, send: Send) -> None:
        await offer["save"]("early")
        assert (await receive())["type"] == "websocket.connect"
        await send(ACCEPT)
        app.notes.append("accepted")
        if offer["epoch"] == 1:
            await anyio.sleep_forever()
        await receive()

    app = App(run)
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            await eventually(lambda: app.notes == ["accepted"])
            async with hosting(app, url):
                await app.fence(bridge)
                assert call.unread() == []
                kill(first)
                assert await call.next() == ACCEPT
                assert [offer["state"] for offer in app.offers] == [None, "early"]
                call.leave()
                await call.end()
                assert call.unread() == []


async def test_the_client_is_gone_and_nothing_more_is_kept(url: str) -> None:
    app = Steps()
    with bridging(url) as bridge:
        async with hosting(app, url), Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            await app.open(call)
            call.leave()
            await app.do(lambda _, receive, __: receive())
            await app.do(lambda offer, _, __: offer["save"]({"too": "late"}))
            await app.do(lambda _, __, send: refused(send(text("too late"))))
            assert app.notes[-1] == "refused"
            app.end()
            await call.end()


async def refused(sending: Awaitable[None]) -> str:
    with pytest.raises(ClientDisconnected):
        await sending
    return "refused"


# -- what is called anew ---------------------------------------------------------------------------------------


async def again(url: str, act: Callable[[Send], Awaitable[None]]) -> list[Event]:
    """Give what a client is sent by an application that does this in place of its second handshake."""

    async def run(offer: Any, receive: Receive, send: Send) -> None:
        await receive()
        if offer["reason"] != "new":
            await act(send)
            return
        await send(ACCEPT)
        await offer["save"]([])
        await receive()

    app = App(run)
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            async with hosting(app, url):
                await app.fence(bridge)
                kill(first)
                await call.end()
                return list(call.unread())


async def test_it_closes_in_place_of_accepting(url: str) -> None:
    [close] = await again(url, lambda send: send({"type": "websocket.close", "code": 4001}))
    assert (close["type"], close["code"]) == ("websocket.close", 4001)


async def test_it_denies_in_place_of_accepting(url: str) -> None:
    async def deny(send: Send) -> None:
        await send(BEGUN)
        await send(body(b"no", more=True))
        await send(body(b"!"))

    [close] = await again(url, deny)
    assert (close["type"], close["code"]) == ("websocket.close", 1008)


def test_the_second_handshake_is_checked_as_the_first_was() -> None:
    second = Again({"type": "websocket"}, closed=False)
    with pytest.raises(LocalProtocolError, match="neither accepted nor refused"):
        second.check(text("x"))
    assert second.check(dict(ACCEPT)) is None
    assert second.is_over


def test_one_that_was_closed_is_accepted_and_then_gone() -> None:
    second = Again({"type": "websocket"}, closed=True)
    assert second.check(dict(ACCEPT)) is None
    assert not second.is_over
    with pytest.raises(ClientDisconnected):
        second.check(text("x"))
    assert Again({"type": "websocket"}, closed=True).check({"type": "websocket.close"}) is None


async def test_a_denial_leaves_whole(url: str) -> None:
    app = Steps()
    with bridging(url) as bridge:
        async with hosting(app, url), Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            await app.do(lambda _, receive, __: receive())
            await app.do(lambda offer, _, __: offer["save"]({}))
            await app.do(lambda _, __, send: send(BEGUN))
            await app.do(lambda offer, _, __: offer["save"]({"in": "between"}))
            await app.fence(bridge)
            assert call.unread() == []
            await app.do(lambda _, __, send: send(body(b"no")))
            assert [(await call.next())["type"] for _ in range(2)] == [BEGUN["type"], "websocket.http.response.body"]
            app.end()
            await call.end()


# -- states ----------------------------------------------------------------------------------------------------


async def test_dates_come_back_as_dates(url: str) -> None:
    moment = datetime(2026, 11, 22, tzinfo=UTC)

    async def run(offer: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await offer["save"]({"since": moment, "parts": (1, b"x")})
        await receive()

    app = App(run)
    with bridging(url) as bridge:
        async with hosting(app, url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            async with hosting(app, url):
                await app.fence(bridge)
                kill(first)
                await eventually(lambda: len(app.offers) == 2)
                assert app.offers[1]["state"] == {"since": moment, "parts": [1, b"x"]}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"a": {1}}, "cannot be kept: it holds a set"),
        (70_000 * "x", r"cannot be kept: it has 70\d\d\d bytes, more than state_bytes, 65536; keep a key"),
        (2**64, "cannot be kept: the value of 'state'"),
    ],
)
async def test_what_cannot_be_kept_is_an_error_where_it_is_saved(state: Any, says: str) -> None:
    async def run(offer: Any, receive: Receive, send: Send) -> None:
        await receive()
        for attempt in (offer["save"](state), save(send, state)):
            with pytest.raises(LocalProtocolError, match=says):
                await attempt
        with pytest.raises(LocalProtocolError, match="'state' has to be there"):
            await send({"type": "bridge.resume.save"})
        await send({"type": "websocket.close"})

    async with bridged(App(run), same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        assert (await call.connect())["type"] == "websocket.close"
        assert await call.end() is None


def saving(kind: str = "websocket") -> Saving:
    mailbox: Any = None
    return Saving(mailbox, mailbox, Outgoing({"type": kind}), 65536)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        pack_event({"type": "app"}),
        pack_event({"type": "state", "sent": ["accepted", False], "state": {}}),
        pack_event({"type": "app", "sent": ["accepted", False], "state": {}, "more": 1}),
        pack_event({"type": "app", "sent": ["nowhere", False], "state": {}}),
        pack_event({"type": "app", "sent": ["accepted", False], "state": {b"moment": 1}}),
    ],
)
def test_what_no_application_has_saved_is_refused(packed: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        saving().restore(packed, {"type": "websocket"}, 2, 1)


class Resumable(AsyncConsumer):
    resumable = True

    async def http_request(self, message: Event) -> None:
        await self.send({"type": "http.response.start", "status": 200})
        await self.send({"type": "http.response.body", "body": b"x"})


@pytest.mark.parametrize("order", ["consumer first", "application first"])
async def test_consumers_and_applications_do_not_read_each_others_states(
    order: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    apps: list[Any] = [Resumable, Counter()]
    if order == "application first":
        apps.reverse()
    with bridging(url) as bridge:
        async with hosting(apps[0], url) as first, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await fetch(bridge, "/fence")
            async with hosting(apps[1], url):
                kill(first)
                assert (await call.next())["code"] == 1012
                assert await call.end() is None
    assert "cannot resume connection" in caplog.text


async def test_a_request_has_no_such_extension() -> None:
    scopes: list[Event] = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await receive()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x"})

    async with bridged(app, same_loop=True, lifespan="off") as bridge, Call(bridge, http_scope()) as call:
        call.give({"type": "http.request", "body": b""})
        await call.end()
    assert "bridge.resume" not in (scopes[0].get("extensions") or {})
