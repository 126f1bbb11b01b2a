"""ASGI applications in a worker: their receive() and send() do what a server's do, and no application hurts another."""

# ruff: noqa: ARG001 - applications and consumers share a signature, whether they need all of it or not

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from channels_bridge import Config
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.shared.errors import ApplicationError, LocalProtocolError
from channels_bridge.testing import bridged
from channels_bridge.worker.asgi import PIECE, asgi2
from halves import bridging, directory, hosting, is_idle
from played_server import Call, Changes, Event, eventually, fetch, http_scope, websocket_scope

pytestmark = pytest.mark.anyio

Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

OK: Event = {"type": "http.response.start", "status": 200, "headers": []}


def body(data: bytes, more: bool = False) -> Event:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def hello(scope: Event, receive: Receive, send: Send) -> None:
    """Answer anything, and any socket with itself."""
    if scope["type"] == "http":
        await send(OK)
        await send(body(b"hello"))
    else:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"], "bytes": event["bytes"]})


class App:
    """An application whose body a test writes; everything else is answered by ``hello``."""

    def __init__(self, run: Callable[[Event, Receive, Send], Awaitable[None]], path: str = "/") -> None:
        self._run = run
        self._path = path
        self.changes = Changes()
        self.ended = False
        self.seen: list[Any] = []

    def see(self, what: object) -> None:
        self.seen.append(what)
        self.changes.tell()

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] != self._path:
            await hello(scope, receive, send)
            return
        try:
            await self._run(scope, receive, send)
        finally:
            self.ended = True
            self.changes.tell()

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(10.0):
            await self.changes.until(condition)


async def fence(bridge: Any) -> None:
    """Have other requests go all the way and back: what was under way before has arrived."""
    for _ in range(2):
        assert (await fetch(bridge, "/fence")).body == b"hello"


# -- requests --------------------------------------------------------------------------------------------------


async def test_a_request_and_its_answer() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        event = await receive()
        await send({"type": "http.response.start", "status": 201, "headers": iter([(b"a", b"1"), [b"a", b"2"]])})
        await send({"type": "http.response.body", "body": event["body"] + scope["path"].encode()})

    async with bridged(App(run), same_loop=True) as bridge:
        async with Call(bridge, http_scope(method="POST"), {"type": "http.request", "body": b"in "}) as call:
            assert await call.end() is None
            start, end = call.sent
            assert start == {"type": "http.response.start", "status": 201, "headers": [(b"a", b"1"), (b"a", b"2")]}
            assert end["body"] == b"in /"
        assert is_idle(bridge)


async def test_the_scope_arrives_with_its_tuples_and_lists() -> None:
    scopes: list[Event] = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await hello(scope, receive, send)

    async with bridged(app, same_loop=True, lifespan="off") as bridge:
        await fetch(bridge, "/é", headers=[(b"x", b"1")], client=("1.2.3.4", 5), state={"of": "the server"})
        await fetch(bridge, headers=iter([[b"x", b"1"]]), client=["1.2.3.4", 5], server=None)
    first, second = scopes
    assert (first["path"], first["headers"], first["client"]) == ("/é", [(b"x", b"1")], ("1.2.3.4", 5))
    assert (second["headers"], second["client"], second["server"]) == ([[b"x", b"1"]], ["1.2.3.4", 5], None)
    assert first["state"] == {}


async def test_the_state_of_the_workers_lifespan_is_copied_into_each_scope() -> None:
    states: list[Event] = []
    shared: list[str] = []

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["shared"] = shared
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            states.append(scope["state"])
            scope["state"]["own"] = len(states)
            await hello(scope, receive, send)

    async with bridged(app, same_loop=True) as bridge:
        await fetch(bridge)
        await fetch(bridge)
    assert states == [{"shared": shared, "own": 1}, {"shared": shared, "own": 2}]
    assert states[0]["shared"] is states[1]["shared"] is shared


async def test_an_asgi_2_double_callable() -> None:
    def app(scope: Event) -> Callable[[Receive, Send], Awaitable[None]]:
        async def instance(receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await send(OK)
                await send(body(b"double"))

        return instance

    async with bridged(app, same_loop=True) as bridge:
        assert (await fetch(bridge)).body == b"double"
    sent: list[Event] = []

    async def send(event: Event) -> None:
        sent.append(event)

    async def receive() -> Event:
        raise AssertionError

    await asgi2(app)({"type": "http"}, receive, send)
    assert sent[1]["body"] == b"double"


async def test_an_exception_before_the_answer_is_raised_in_the_server_and_logged_here(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        raise ValueError("of its own")

    async with bridged(App(run), same_loop=True) as bridge:
        with pytest.raises(ApplicationError, match="ValueError: of its own"):
            await fetch(bridge)
        assert is_idle(bridge)
    assert caplog.text.count("Exception in ASGI application (connection 1, epoch 1)") == 1
    assert caplog.text.count("ValueError: of its own") == 1


async def test_the_end_of_a_generator_that_an_application_lets_through_is_its_failure() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        raise GeneratorExit

    async with bridged(App(run), same_loop=True) as bridge:
        with pytest.raises(ApplicationError, match="GeneratorExit"):
            await fetch(bridge)
        assert is_idle(bridge)


async def test_an_exception_after_the_beginning_cuts_the_response() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await send(OK)
        await send(body(b"part", more=True))
        raise ValueError

    async with (
        bridged(App(run), same_loop=True) as bridge,
        Call(bridge, http_scope(), {"type": "http.request"}) as call,
    ):
        assert isinstance(await call.end(), ApplicationError)
        assert [event.get("body") for event in call.sent] == [None, b"part"]


async def test_an_application_that_returns_without_an_answer_gives_the_server_none() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        pass

    async with bridged(App(run), same_loop=True) as bridge:
        for scope in (http_scope(), websocket_scope()):
            first = {"type": "http.request"} if scope["type"] == "http" else {"type": "websocket.connect"}
            async with Call(bridge, scope, first) as call:
                assert await call.end() is None
                assert call.sent == []
        assert is_idle(bridge)


async def test_an_application_that_awaits_something_cancelled_fails_like_any_other() -> None:
    """Asyncio tells of a cancelled task by CancelledError, which is no Exception; nobody cancelled the application."""

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        raise anyio.get_cancelled_exc_class()

    if type(running_loop()).__name__ == "_TrioLoop":
        pytest.skip("trio's Cancelled cannot be made")
    async with bridged(App(run), same_loop=True) as bridge:
        with pytest.raises(ApplicationError):
            await fetch(bridge)
        assert is_idle(bridge)
        await fence(bridge)


async def test_an_application_that_exits_fails_like_any_other() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        raise SystemExit(1)

    async with bridged(App(run), same_loop=True) as bridge:
        with pytest.raises(ApplicationError):
            await fetch(bridge)
        await fence(bridge)


# -- receive() -------------------------------------------------------------------------------------------------


async def test_messages_come_in_order_and_a_queued_one_without_a_turn_of_the_loop() -> None:
    gate = anyio.Event()
    turns = 0

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await gate.wait()
        for _ in range(3):
            before = turns
            app.see(((await receive())["text"], turns - before))

    app = App(run)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("1", "2", "3")
        await call.until(lambda: call.taken == 4)
        await fence(bridge)

        async def count() -> None:
            nonlocal turns
            while not app.ended:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            gate.set()
        assert app.seen == [("1", 0), ("2", 0), ("3", 0)]


async def test_a_disconnect_waits_for_an_application_that_does_not_receive_yet() -> None:
    """It is pushed to the worker: nobody has asked the server for it."""
    gate = anyio.Event()

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send(OK)
        await gate.wait()
        for _ in range(2):
            app.see((await receive())["type"])

    app = App(run)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, http_scope(), {"type": "http.request"}) as call:
        await call.next()
        call.give({"type": "http.disconnect"})
        await call.until(lambda: call.taken == 2)
        await fence(bridge)
        gate.set()
        assert await call.end() is None
        assert app.seen == ["http.disconnect", "http.disconnect"]
        assert is_idle(bridge)


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_call_that_the_server_cancels_is_a_disconnect(kind: str) -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        app.see(await receive())
        app.see(await receive())
        try:
            await send(OK if kind == "http" else {"type": "websocket.send", "text": "x"})
        except OSError as error:
            app.see(error)

    app = App(run)
    scope = http_scope(method="POST") if kind == "http" else websocket_scope()
    first = {"type": "http.request", "more_body": True} if kind == "http" else {"type": "websocket.connect"}
    async with bridged(app, same_loop=True) as bridge, Call(bridge, scope, first) as call:
        await app.until(lambda: app.seen)
        call.cancel()
        await app.until(lambda: app.ended)
        assert is_idle(bridge)
    if kind == "http":  # spec_version 2.3: no error
        assert app.seen[1:] == [{"type": "http.disconnect"}]
    else:
        assert app.seen[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        assert isinstance(app.seen[2], OSError)


async def test_a_bridge_that_is_gone_is_a_disconnect() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        app.see(await receive())
        app.see(await receive())

    app = App(run)
    with directory() as url:
        async with hosting(app, url, bridges=0):
            with bridging(url) as bridge:
                async with Call(bridge, websocket_scope(), {"type": "websocket.connect"}):
                    await app.until(lambda: app.seen)
                    bridge.stop()
                    await app.until(lambda: app.ended)
    assert app.seen[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


async def test_receive_after_the_answer_gives_http_disconnect() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        app.see((await receive())["type"])
        await send(OK)
        await send(body(b""))
        for _ in range(3):
            app.see((await receive())["type"])

    app = App(run)
    async with bridged(app, same_loop=True) as bridge:
        await fetch(bridge)
    assert app.seen == ["http.request", *["http.disconnect"] * 3]


async def test_a_receive_that_waits_is_told_when_the_answer_is_complete() -> None:
    """Starlette listens for the disconnect in a task beside the one that streams."""

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()

        async def listen() -> None:
            app.see((await receive())["type"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.lowlevel.checkpoint()
            await send(OK)
            await send(body(b""))

    app = App(run)
    async with bridged(app, same_loop=True) as bridge:
        await fetch(bridge)
        await app.until(lambda: app.seen)
    assert app.seen == ["http.disconnect"]


async def test_receive_after_a_sockets_disconnect_waits_and_does_not_spin() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            app.see((await receive())["type"])

    app = App(run)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.leave()
        await app.until(lambda: app.seen)
        await fence(bridge)
        assert app.seen == ["websocket.disconnect"]
        assert not app.ended


async def test_an_application_that_waits_after_the_disconnect_does_not_keep_the_servers_call_for_ever() -> None:
    """It is cancelled with its worker, at the latest."""

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await anyio.sleep_forever()

    app = App(run)
    async with bridged(app, same_loop=True) as bridge:
        async with Call(bridge, http_scope(), {"type": "http.request"}) as call:
            await call.until(lambda: call.taken)
            call.cancel()
        assert is_idle(bridge)


# -- send() ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_send_after_a_requests_disconnect(version: str) -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        app.see((await receive())["type"])
        try:
            await send(OK)
            await send(body(b"x"))
        except OSError as error:
            app.see(str(error))

    app = App(run)
    scope = http_scope(asgi={"version": "3.0", "spec_version": version})
    async with bridged(app, same_loop=True) as bridge, Call(bridge, scope, {"type": "http.request"}) as call:
        call.give({"type": "http.disconnect"})
        assert await call.end() is None
        assert call.sent == []
    assert app.seen == ["http.disconnect", *(["the client is gone"] if version == "2.4" else [])]


async def test_an_application_that_lets_the_error_through_has_ended_without_a_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await receive()
        await send({"type": "websocket.send", "text": "x"})

    async with (
        bridged(App(run), same_loop=True) as bridge,
        Call(bridge, websocket_scope(), {"type": "websocket.connect"}) as call,
    ):
        call.leave(1001)
        assert await call.end() is None
        assert call.sent == []
    assert "Exception" not in caplog.text


async def test_send_of_what_asgi_does_not_allow_is_an_error_at_that_line() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        for event in (body(b""), {**OK, "status": "200"}, OK, OK, body(b""), body(b"")):
            try:
                await send(event)
            except LocalProtocolError as error:
                app.see(str(error))

    app = App(run)
    async with bridged(app, same_loop=True) as bridge:
        assert (await fetch(bridge)).status == 200
    assert [error.partition(":")[0] for error in app.seen] == [
        "'http.response.body' cannot be sent now",
        "http.response.start",
        "'http.response.start' cannot be sent now",
        "'http.response.body' cannot be sent now",
    ]


async def test_a_message_that_is_too_long_is_refused() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for length in (100_000, 200_000):
            try:
                await send({"type": "websocket.send", "bytes": bytes(length)})
            except LocalProtocolError as error:
                app.see(str(error))
        await send({"type": "websocket.close"})

    app = App(run)
    config = Config(max_message_bytes=100_000)
    async with bridged(app, same_loop=True, config=config) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        assert len(await call.hear()) == 100_000
        assert (await call.next())["type"] == "websocket.close"
    assert app.seen[0].startswith("a message of 2000")
    assert "is longer than max_message_bytes, 100000: send it in parts, or raise the bridge's limit" in app.seen[0]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_a_long_body_arrives_whole_in_parts(kind: Callable[[bytes], Any]) -> None:
    data = bytes(range(256)) * 4000

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await send(OK)
        await send({"type": "http.response.body", "body": kind(data)})

    async with (
        bridged(App(run), same_loop=True) as bridge,
        Call(bridge, http_scope(), {"type": "http.request"}) as call,
    ):
        assert await call.end() is None
        parts = call.sent[1:]
        assert b"".join(part["body"] for part in parts) == data
        assert {len(part["body"]) for part in parts[:-1]} == {PIECE}
        assert [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False]


async def test_send_waits_for_a_client_that_reads_slowly() -> None:
    """Credit: a window and what the bridge has in hand, not more, whatever the application has to say."""
    config = Config(window_bytes=256 * 1024)
    sent = 0

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(OK)
        for _ in range(400):
            await send(body(bytes(10_000), more=True))
            sent += 10_000
        await send(body(b""))

    async with bridged(App(run), same_loop=True, config=config) as bridge:
        async with Call(bridge, http_scope(), {"type": "http.request"}) as call:
            call.send_waits = True
            await call.until(lambda: call.sending)
            await fence(bridge)
            await fence(bridge)
            assert 50_000 <= sent <= 64 * 1024 + 10_000
            await call.let_through(40)
            await fence(bridge)
            await fence(bridge)
            taken = sum(len(event.get("body", b"")) for event in call.sent)
            assert taken + 100_000 <= sent <= taken + config.window_bytes + 64 * 1024
            call.go_on()
            assert await call.end() is None
            assert sum(len(event.get("body", b"")) for event in call.sent) == sent == 4_000_000
        assert is_idle(bridge)


async def test_a_send_that_waits_goes_on_when_the_client_is_gone() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "bytes": bytes(10_000)})
        except OSError:
            app.see("told")

    app = App(run)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.send_waits = True
        await call.until(lambda: call.sending)
        await fence(bridge)
        call.cancel()
        await app.until(lambda: app.ended)
        assert app.seen == ["told"]
        await call.end()
        await eventually(lambda: is_idle(bridge))


async def test_one_slow_client_does_not_hold_up_another() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await send(OK)
        await send(body(bytes(1_000_000)))

    async with (
        bridged(App(run), same_loop=True) as bridge,
        Call(bridge, http_scope(), {"type": "http.request"}) as slow,
    ):
        slow.send_waits = True
        await slow.until(lambda: slow.sending)
        for _ in range(3):
            assert len((await fetch(bridge)).body) == 1_000_000
        assert slow.sent == []


# -- the server's own errors -----------------------------------------------------------------------------------


async def test_an_os_error_of_the_servers_send_is_told_to_the_application() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "text": "x"})
                await anyio.lowlevel.checkpoint()
        except OSError:
            app.see("told")

    app = App(run)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.send_raises = ConnectionResetError("reset by peer")
        await app.until(lambda: app.ended)
        assert app.seen == ["told"]
        assert await call.end() is None
        await eventually(lambda: is_idle(bridge))


async def test_an_application_that_gets_no_message_after_the_servers_os_error_still_hears_the_disconnect() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "x"})
        app.see(await receive())

    app = App(run)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        call.send_raises = ConnectionResetError("reset by peer")
        call.give({"type": "websocket.connect"})
        await call.until(lambda: call.asked == 2)
        call.leave(1006)
        await call.end()
        await app.until(lambda: app.ended)
        assert app.seen == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
