"""One connection at the bridge's edge: what the server is asked and told, in every order that servers have."""

# ruff: noqa: ARG001 - applications and consumers share a signature, whether they need all of it or not

from __future__ import annotations

import contextlib
import random
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, ClassVar

import anyio
import anyio.lowlevel
import pytest

from channels_bridge import AsyncConsumer, Bridge, ChannelLayer, Config, SyncConsumer
from channels_bridge.bridge import client
from channels_bridge.bridge.client import PIECE
from channels_bridge.bridge.core.layer import GAP_GROUP
from channels_bridge.shared.endpoint import now
from channels_bridge.shared.errors import ApplicationError, ConnectionAborted
from channels_bridge.shared.names import owned_channel
from channels_bridge.shared.wire import pack_event
from channels_bridge.testing import bridged
from channels_bridge.worker.node import Node
from halves import bridging, directory, hosting, is_idle
from played_server import Call, Changes, Event, eventually, fetch, http_scope, websocket_scope

pytestmark = pytest.mark.anyio

Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
OK: Event = {"type": "http.response.start", "status": 200, "headers": []}
REQUEST: Event = {"type": "http.request", "body": b"", "more_body": False}
CONNECT: Event = {"type": "websocket.connect"}


class App:
    """An application that a test looks into; at /fence it answers at once."""

    def __init__(self, run: Callable[[Event, Receive, Send], Awaitable[None]]) -> None:
        self._run = run
        self.changes = Changes()
        self.began = 0
        self.ended = 0
        self.seen: list[Any] = []

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        if scope["path"] == "/fence":
            await send(OK)
            await send({"type": "http.response.body", "body": b"fence"})
            return
        self.began += 1
        self.changes.tell()
        try:
            await self._run(scope, receive, send)
        finally:
            self.ended += 1
            self.changes.tell()

    def see(self, what: object) -> None:
        self.seen.append(what)
        self.changes.tell()

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(10.0):
            await self.changes.until(condition)

    async def until_all_ended(self) -> None:
        await self.until(lambda: self.ended == self.began)


async def fence(bridge: Any) -> None:
    """Have other requests go all the way and back: what was under way before has arrived."""
    for _ in range(2):
        assert (await fetch(bridge, "/fence")).body == b"fence"


async def deaf(scope: Event, receive: Receive, send: Send) -> None:
    """Accept a socket, begin an answer; then neither receive nor send."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    await anyio.sleep_forever()


async def until_the_end(scope: Event, receive: Receive, send: Send) -> None:
    """Receive everything, the disconnect last."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass


# -- towards the application: how much is read, and in what pieces ---------------------------------------------


async def test_a_socket_whose_application_does_not_receive_is_read_up_to_the_bound() -> None:
    config = Config(journal_messages=10)
    async with bridged(App(deaf), same_loop=True, config=config) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say(*map(str, range(30)))
        await call.until(lambda: call.taken == 1 + 10)
        await fence(bridge)
        assert (call.taken, call.asked) == (11, 11)


async def test_an_upload_whose_application_does_not_receive_is_read_up_to_the_bound() -> None:
    config = Config(journal_bytes=100_000)
    async with (
        bridged(App(deaf), same_loop=True, config=config) as bridge,
        Call(bridge, http_scope(method="POST")) as call,
    ):
        for _ in range(30):
            call.give({"type": "http.request", "body": bytes(10_000), "more_body": True})
        await call.until(lambda: call.taken == 10)
        await fence(bridge)
        assert (call.taken, call.asked) == (10, 10)


async def test_reading_goes_on_when_the_application_has_received() -> None:
    lengths: list[int] = []

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        more = True
        while more:
            event = await receive()
            lengths.append(len(event["body"]))
            more = event["more_body"]
        await send(OK)
        await send({"type": "http.response.body", "body": b"%d" % sum(lengths)})

    config = Config(journal_bytes=100_000)
    async with (
        bridged(App(run), same_loop=True, config=config) as bridge,
        Call(bridge, http_scope(method="POST")) as call,
    ):
        for number in range(100):
            call.give({"type": "http.request", "body": bytes(10_000), "more_body": number < 99})
        assert await call.end() is None
        assert call.sent[1]["body"] == b"1000000"
        assert is_idle(bridge)


@pytest.mark.parametrize("more", [False, True])
async def test_a_body_that_comes_in_one_piece_is_cut(more: bool) -> None:
    """Granian gives a body of any length as one message."""
    parts: list[Event] = []

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        while True:
            parts.append(await receive())
            if not parts[-1]["more_body"]:
                break
        await send(OK)
        await send({"type": "http.response.body", "body": b""})

    data = bytes(range(256)) * 4001
    async with bridged(App(run), same_loop=True) as bridge, Call(bridge, http_scope(method="POST")) as call:
        call.give({"type": "http.request", "body": data, "more_body": more})
        if more:
            call.give({"type": "http.request", "body": data, "more_body": False})
        assert await call.end() is None
    assert b"".join(part["body"] for part in parts) == data * (1 + more)
    assert max(len(part["body"]) for part in parts) == PIECE
    assert [part["more_body"] for part in parts] == [True] * (len(parts) - 1) + [False]


@pytest.mark.parametrize("first", [True, False])
async def test_a_message_that_is_too_big_closes_its_socket(first: bool) -> None:
    app = App(until_the_end)
    async with (
        bridged(app, same_loop=True, config=Config(max_message_bytes=10_000)) as bridge,
        Call(bridge, websocket_scope()) as call,
    ):
        await call.connect()
        if not first:
            call.say("x" * 10_000)
        call.say("x" * 20_000)
        assert await call.next() == {"type": "websocket.close", "code": 1009, "reason": "too-big"}
        assert await call.end() is None
        await app.until(lambda: app.ended)
        assert is_idle(bridge)


@pytest.mark.parametrize("parts", [1, 2])
async def test_a_body_is_not_too_big_because_the_server_reads_it_in_large_parts(parts: int) -> None:
    """max_message_bytes is about messages; how a server cuts a body is nothing that its client can help."""

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        length, more = 0, True
        while more:
            event = await receive()
            length, more = length + len(event["body"]), event["more_body"]
        await send(OK)
        await send({"type": "http.response.body", "body": b"%d" % length})

    config = Config(max_message_bytes=10_000)
    async with (
        bridged(App(run), same_loop=True, config=config) as bridge,
        Call(bridge, http_scope(method="POST")) as call,
    ):
        for number in range(parts):
            call.give({"type": "http.request", "body": bytes(50_000), "more_body": number + 1 < parts})
        assert await call.end() is None
        assert call.sent[0]["status"] == 200
        assert call.sent[1]["body"] == b"%d" % (50_000 * parts)


async def test_a_message_that_is_too_big_before_the_accept_is_refused_with_a_status() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await until_the_end({"type": "http"}, receive, send)

    async with (
        bridged(App(run), same_loop=True, config=Config(max_message_bytes=10_000)) as bridge,
        Call(bridge, websocket_scope(), CONNECT) as call,
    ):
        call.say("x" * 20_000)
        assert await call.end() is None
        assert call.sent[0]["type"] == "websocket.http.response.start"
        assert call.sent[0]["status"] == 413


# -- the client leaves -----------------------------------------------------------------------------------------


async def test_a_client_that_leaves_in_mid_upload() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        app.see((await receive())["type"])
        app.see((await receive())["type"])

    app = App(run)
    part = {"type": "http.request", "body": b"x", "more_body": True}
    async with bridged(app, same_loop=True) as bridge, Call(bridge, http_scope(method="POST"), part) as call:
        call.give({"type": "http.disconnect"})
        assert await call.end() is None
        assert app.seen == ["http.request", "http.disconnect"]
        assert is_idle(bridge)


async def test_a_client_that_leaves_before_its_request_is_read() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        app.see((await receive())["type"])

    app = App(run)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, http_scope(), {"type": "http.disconnect"}) as call:
        assert await call.end() is None
        assert (call.asked, app.seen) == (1, ["http.disconnect"])
        assert is_idle(bridge)


async def test_a_client_that_leaves_while_its_answer_is_made_is_noticed_by_a_task_of_its_own() -> None:
    app = App(until_the_end)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, http_scope(), REQUEST) as call:
        await call.until(lambda: call.asked == 2)  # one to two ticks later
        call.give({"type": "http.disconnect"})
        assert await call.end() is None
        assert app.ended
        assert is_idle(bridge)


async def test_an_application_answers_a_client_that_has_only_closed_its_half() -> None:
    """Servers say that with the same word; an application that does not ask whether anybody is there may answer."""
    gate = anyio.Event()

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await gate.wait()
        await send(OK)
        await send({"type": "http.response.body", "body": b"late"})

    app = App(run)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, http_scope(), REQUEST) as call:
        await call.until(lambda: call.asked == 2)
        call.give({"type": "http.disconnect"})
        await call.until(lambda: call.taken == 2)
        await fence(bridge)
        gate.set()
        await call.end()
        assert call.sent[-1]["body"] == b"late"


async def test_a_quick_answer_costs_no_second_receive() -> None:
    async with bridged(App(deaf), same_loop=True) as bridge, Call(bridge, http_scope("/fence"), REQUEST) as call:
        await call.end()
        assert call.asked == 1


async def test_a_server_that_fails_in_receive_gets_its_error_back() -> None:
    """In the first receive(), in a later one, and in the one that watches for the disconnect."""
    for events in ([], [{"type": "http.request", "body": b"", "more_body": True}], [REQUEST]):
        app = App(until_the_end)
        given = list(events)

        async def receive(given: list[Event] = given) -> Event:
            await anyio.lowlevel.checkpoint()
            if given:
                return given.pop(0)
            raise ValueError("of the server")

        async def send(event: Event) -> None:
            raise AssertionError(event)

        async with bridged(app, same_loop=True) as bridge:
            with pytest.raises(ValueError, match="of the server"):
                await bridge(http_scope(), receive, send)
            await app.until_all_ended()
            assert is_idle(bridge)


@pytest.mark.parametrize("kind", ["asgi", "consumer"])
async def test_nothing_is_sent_to_a_client_whose_disconnect_was_read(kind: str) -> None:
    """Uvicorn raises RuntimeError for it; the application could not know."""
    gate = anyio.Event()

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await gate.wait()
        await send({"type": "websocket.send", "text": "too late"})
        app.see((await receive())["type"])

    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            await gate.wait()
            await self.send({"type": "websocket.send", "text": "too late"})

        async def websocket_disconnect(self, message: Event) -> None:
            app.see("websocket.disconnect")

    app = App(run)
    target: Any = app if kind == "asgi" else Consumer
    async with bridged(target, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go")
        call.leave()
        await call.until(lambda: call.taken == 3)
        call.send_raises = RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'")
        gate.set()
        assert await call.end() is None
        assert app.seen == ["websocket.disconnect"]
        assert is_idle(bridge)


async def test_a_client_that_leaves_while_it_waits_for_a_worker_is_not_answered() -> None:
    config = Config(http_queue=0.3)
    with directory() as url, bridging(url, config) as bridge:
        async with Call(bridge, websocket_scope(), CONNECT) as call:
            call.leave()
            assert await call.end() is None
            assert call.sent == []
        async with Call(bridge, http_scope(), REQUEST) as call:
            call.give({"type": "http.disconnect"})
            assert await call.end() is None
        assert is_idle(bridge)


# -- the server's errors in send() -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["asgi", "consumer"])
async def test_an_error_of_the_servers_send_is_raised_in_its_call(kind: str) -> None:
    ended: list[str] = []

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", "text": "x"})
        ended.append((await receive())["type"])

    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            await self.send({"type": "websocket.send", "text": "x"})

        async def websocket_disconnect(self, message: Event) -> None:
            ended.append(message["type"])

    target: Any = App(run) if kind == "asgi" else Consumer
    async with bridged(target, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.send_raises = ValueError("of the server")
        call.say("go")
        error = await call.end()
        assert isinstance(error, ValueError)
        assert str(error) == "of the server"
        await eventually(lambda: ended)
        assert ended == ["websocket.disconnect"]
        assert is_idle(bridge)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_send_that_its_server_cancels_ends_its_call_and_no_other() -> None:
    """A future of the server's, cancelled when a transport closes, raises CancelledError in whoever awaits it."""
    app = App(until_the_end)

    class Cancelling(Call):
        async def _send(self, event: Event) -> None:
            if event["type"] == "websocket.accept":
                raise anyio.get_cancelled_exc_class()
            await super()._send(event)

    async with bridged(app, same_loop=True) as bridge, Call(bridge, websocket_scope()) as other:
        await other.connect()
        async with Cancelling(bridge, websocket_scope(), CONNECT) as call:
            assert isinstance(await call.end(), ConnectionAborted)
        await app.until(lambda: app.ended == 1)
        assert not other.ended
        await fence(bridge)


async def test_an_os_error_of_the_servers_send_in_an_answer_of_ours_ends_the_call() -> None:
    with directory() as url, bridging(url, Config(http_queue=0.1)) as bridge:
        async with Call(bridge, http_scope(), REQUEST) as call:
            call.send_raises = ConnectionResetError("gone")
            assert await call.end() is None
        async with Call(bridge, http_scope(), REQUEST) as call:
            call.send_raises = ValueError("of the server")
            assert isinstance(await call.end(), ValueError)
        assert is_idle(bridge)


async def test_a_server_that_refuses_a_handshakes_message_is_left_with_a_closed_one() -> None:
    """Hypercorn falls over a handshake that ends half way."""

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "not offered"})
        app.see((await receive())["type"])

    class Strict(Call):
        async def _send(self, event: Event) -> None:
            if event["type"] == "websocket.accept":
                raise ValueError("refused")
            await super()._send(event)

    app = App(run)
    async with bridged(app, same_loop=True) as bridge:
        async with Strict(bridge, websocket_scope(), CONNECT) as call:
            assert isinstance(await call.end(), ValueError)
            assert [event["type"] for event in call.sent] == ["websocket.close"]
        await app.until(lambda: app.ended)
        assert app.seen == ["websocket.disconnect"]


async def test_a_server_that_takes_only_private_codes_is_given_those() -> None:
    """Daphne refuses any code but 1000 and 3000 to 4999."""
    app = App(until_the_end)

    class Daphne(Call):
        async def _send(self, event: Event) -> None:
            if event["type"] == "websocket.close" and not 3000 <= event["code"] <= 4999:
                raise ValueError(f"invalid close code {event['code']}")
            await super()._send(event)

    config = Config(max_message_bytes=10_000)
    async with bridged(app, same_loop=True, config=config) as bridge, Daphne(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("x" * 20_000)
        assert await call.next() == {"type": "websocket.close", "code": 4009, "reason": "too-big"}
        assert await call.end() is None


# -- the worker goes -------------------------------------------------------------------------------------------


def crash(node: Node) -> None:
    """Cut the worker's connections as the end of its process does: without a word."""
    for link in node.links.values():
        if link._endpoint is not None:
            link._endpoint.close()


async def started(scope: Event, receive: Receive, send: Send) -> None:
    await send(OK)
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    await anyio.sleep_forever()


@contextlib.asynccontextmanager
async def with_worker(target: object, **settings: float) -> AsyncGenerator[tuple[Bridge, Node], None]:
    config = Config(http_queue=0.3, **settings)  # type: ignore[arg-type]
    with directory() as url, bridging(url, config) as bridge:
        async with hosting(target, url, config=config) as node:
            yield bridge, node


@pytest.mark.parametrize("kind", ["asgi", "consumer"])
async def test_an_open_socket_whose_worker_is_lost_gets_1011(kind: str) -> None:
    target = App(until_the_end) if kind == "asgi" else AsyncConsumer
    async with with_worker(target) as (bridge, node), Call(bridge, websocket_scope()) as call:
        await call.connect()
        crash(node)
        assert await call.next() == {"type": "websocket.close", "code": 1011, "reason": "worker-lost"}
        assert await call.end() is None
        assert is_idle(bridge)


@pytest.mark.parametrize("kind", ["asgi", "consumer"])
async def test_an_open_socket_whose_worker_is_drained_gets_1012(kind: str) -> None:
    target = App(until_the_end) if kind == "asgi" else AsyncConsumer
    async with with_worker(target) as (bridge, node), Call(bridge, websocket_scope()) as call:
        await call.connect()
        await node.drain(0.0)
        await node.close("drained")
        assert await call.next() == {"type": "websocket.close", "code": 1012, "reason": "drain"}
        assert await call.end() is None
        assert is_idle(bridge)


def is_acknowledged(bridge: Bridge) -> bool:
    """Say whether the bridge knows that the first message of a connection was read."""
    return any(conn.acked == 1 for conn in bridge.start().link.core.connections.values())


async def test_a_handshake_that_nobody_read_moves_to_another_worker() -> None:
    async def deaf_once(scope: Event, receive: Receive, send: Send) -> None:
        if app.began == 1:
            await anyio.sleep_forever()
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept", "subprotocol": "second"})
        await anyio.sleep_forever()

    app = App(deaf_once)
    with directory() as url, bridging(url) as bridge:
        async with hosting(app, url) as node, Call(bridge, websocket_scope(), CONNECT) as call:
            await app.until(lambda: app.began)
            async with hosting(app, url):
                crash(node)
                assert (await call.next())["subprotocol"] == "second"


async def deaf_afterwards(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    await anyio.sleep_forever()


async def test_a_handshake_that_was_read_and_whose_worker_is_lost_is_refused() -> None:
    app = App(deaf_afterwards)
    async with with_worker(app) as (bridge, node):
        async with Call(bridge, websocket_scope(), CONNECT) as call:
            await eventually(lambda: is_acknowledged(bridge))
            crash(node)
            await call.end()
            start, end = call.sent
            assert (start["type"], start["status"]) == ("websocket.http.response.start", 502)
            assert end["body"] == b"The worker was lost.\n"
        assert is_idle(bridge)


async def test_a_handshake_whose_worker_is_lost_is_closed_where_the_server_has_no_denial_response() -> None:
    app = App(deaf_afterwards)
    async with with_worker(app) as (bridge, node), Call(bridge, websocket_scope(extensions=None), CONNECT) as call:
        await eventually(lambda: is_acknowledged(bridge))
        crash(node)
        await call.end()
        assert call.sent == [
            {"type": "websocket.accept"},
            {"type": "websocket.close", "code": 1011, "reason": "worker-lost"},
        ]


async def test_a_response_that_began_is_cut_and_not_ended() -> None:
    app = App(started)
    async with with_worker(app) as (bridge, node), Call(bridge, http_scope(), REQUEST) as call:
        await call.until(lambda: len(call.sent) == 2)
        crash(node)
        error = await call.end()
        assert isinstance(error, ConnectionAborted)
        assert str(error) == "the response cannot be completed: worker-lost"
        assert call.sent[-1]["more_body"] is True
        assert is_idle(bridge)


async def test_a_request_that_nobody_read_moves_to_another_worker() -> None:
    async def deaf_once(scope: Event, receive: Receive, send: Send) -> None:
        if app.began == 1:
            await anyio.sleep_forever()
        await receive()
        await send(OK)
        await send({"type": "http.response.body", "body": b"from the second"})

    app = App(deaf_once)
    config = Config()
    with directory() as url, bridging(url, config) as bridge:
        async with hosting(app, url) as node, Call(bridge, http_scope(), REQUEST) as call:
            await app.until(lambda: app.began)
            async with hosting(app, url):
                crash(node)
                await call.end()
                assert call.sent[1]["body"] == b"from the second"
            assert is_idle(bridge)


async def test_a_request_that_two_workers_were_lost_with_is_not_given_to_a_third() -> None:
    app = App(lambda scope, receive, send: anyio.sleep_forever())
    with directory() as url, bridging(url) as bridge:
        async with (
            hosting(app, url) as one,
            hosting(app, url) as two,
            hosting(app, url),
            Call(bridge, http_scope(), REQUEST) as call,
        ):
            await app.until(lambda: app.began == 1)
            first, second = (one, two) if one.links[next(iter(one.links))].session.mailboxes else (two, one)
            crash(first)
            await app.until(lambda: app.began == 2)
            if second.links[next(iter(second.links))].session.mailboxes:
                crash(second)
                await call.end()
                assert call.sent[0]["status"] == 500


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_request_that_may_not_be_run_again_is_answered_502(method: str) -> None:
    app = App(lambda scope, receive, send: anyio.sleep_forever())
    async with with_worker(app) as (bridge, node), Call(bridge, http_scope(method=method), REQUEST) as call:
        await app.until(lambda: app.began)
        crash(node)
        await call.end()
        assert call.sent[0]["status"] == 502
        assert is_idle(bridge)


async def test_a_request_that_was_read_is_answered_502() -> None:
    app = App(until_the_end)
    async with with_worker(app) as (bridge, node), Call(bridge, http_scope(), REQUEST) as call:
        await app.until(lambda: app.began)
        await fence(bridge)
        crash(node)
        await call.end()
        assert call.sent[0]["status"] == 502


@pytest.mark.parametrize("extensions", [{"websocket.http.response": {}}, {}])
async def test_without_a_worker_the_answer_is_503_or_1013(extensions: Event) -> None:
    with directory() as url, bridging(url, Config(http_queue=0.1, retry_after=7)) as bridge:
        async with Call(bridge, http_scope(), REQUEST) as call:
            await call.end()
            assert call.sent[0]["status"] == 503
            assert (b"retry-after", b"7") in call.sent[0]["headers"]
        async with Call(bridge, websocket_scope(extensions=extensions), CONNECT) as call:
            await call.end()
            if extensions:
                assert call.sent[0]["status"] == 503
                assert (b"retry-after", b"7") in call.sent[0]["headers"]
            else:
                assert call.sent[1] == {"type": "websocket.close", "code": 1013, "reason": "no-worker"}
        assert is_idle(bridge)


async def test_connections_wait_for_a_worker() -> None:
    app = App(until_the_end)
    with directory() as url, bridging(url) as bridge:
        async with Call(bridge, websocket_scope(), CONNECT) as call, Call(bridge, http_scope("/fence"), REQUEST) as get:
            await call.until(lambda: call.asked == 2)
            async with hosting(app, url):
                assert (await call.next())["type"] == "websocket.accept"
                await get.end()
                assert get.sent[1]["body"] == b"fence"


async def test_a_bridge_that_stops_ends_its_calls() -> None:
    app = App(until_the_end)
    async with (
        with_worker(app) as (bridge, _),
        Call(bridge, websocket_scope()) as socket,
        Call(bridge, http_scope(), REQUEST) as request,
    ):
        await socket.connect()
        await app.until(lambda: app.began == 2)
        bridge.stop()
        await socket.end()
        await request.end()
        assert socket.sent[-1] == {"type": "websocket.close", "code": 1012, "reason": "drain"}
        assert request.sent[0]["status"] == 503


# -- consumers -------------------------------------------------------------------------------------------------


async def test_a_consumers_answer_ends_the_call_though_the_request_was_not_read() -> None:
    class Consumer(AsyncConsumer):
        async def http_request(self, message: Event) -> None:
            if not self.scope.get("answered"):
                self.scope["answered"] = True
                await self.send({"type": "http.response.start", "status": 403})
                await self.send({"type": "http.response.body", "body": b"no"})

    part = {"type": "http.request", "body": b"x", "more_body": True}
    async with bridged(Consumer, same_loop=True) as bridge:
        async with Call(bridge, http_scope(method="POST"), part) as call:
            assert await call.end() is None
            assert [event.get("status") for event in call.sent] == [403, None]
        await eventually(lambda: is_idle(bridge))


@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_turn_does_once_its_answer_is_flushed_happens(fails: bool) -> None:
    """The call lasts until then; if the turn fails, its client has its answer all the same."""
    gate = anyio.Event()

    class Consumer(AsyncConsumer):
        async def http_request(self, message: Event) -> None:
            await self.send({"type": "http.response.start", "status": 200})
            await self.send({"type": "http.response.body", "body": b"yes"})
            await self.flush()
            await gate.wait()
            await self.channel_layer.send("afterwards", {"type": "done"})
            if fails:
                raise ValueError("too late to matter")

    async with bridged(Consumer, same_loop=True) as bridge:
        layer = ChannelLayer(bridge.url)
        async with Call(bridge, http_scope(), REQUEST) as call:
            await call.until(lambda: len(call.sent) == 2)
            gate.set()
            assert await call.end() is None
        if not fails:
            assert await layer.receive("afterwards") == {"type": "done"}
        await eventually(lambda: is_idle(bridge))


async def test_a_message_past_the_consumer_to_a_client_that_is_not_accepted_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = anyio.Event()

    class Consumer(AsyncConsumer):
        async def websocket_connect(self, message: Event) -> None:
            if self.scope["path"] == "/slow":
                await gate.wait()
            else:
                core = bridge.start().link.core
                client = owned_channel("reply", core.boot, 1)
                await self.channel_layer.send(client, {"type": "websocket.send", "text": "early"})

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope("/slow"), CONNECT) as slow:
        await slow.until(lambda: slow.asked == 2)
        async with Call(bridge, websocket_scope("/other")) as other:
            await other.connect()
        await eventually(lambda: "dropped a message for a client" in caplog.text)
        gate.set()
        assert (await slow.next())["type"] == "websocket.accept"
        assert slow.unread() == []


async def test_a_consumer_that_closes_is_not_read_any_more() -> None:
    class Consumer(SyncConsumer):
        def websocket_receive(self, message: Event) -> None:
            self.send({"type": "websocket.close", "code": 4001})

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("1", "2", "3")
        assert (await call.next())["code"] == 4001
        assert await call.end() is None
        assert call.unread() == []
        assert is_idle(bridge)


# -- the server cancels, wherever the call may be --------------------------------------------------------------


class _CancelAt:
    """Counts the suspensions of a call, and cancels it at one of them."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.count = 0
        self.call: Call | None = None

    def wrap(self, application: Any) -> Any:
        async def counted(scope: Event, receive: Any, send: Any) -> None:
            await self._step(application(scope, receive, send))

        return counted

    @types.coroutine
    def _step(self, work: Awaitable[None]) -> Generator[Any, Any, None]:
        steps: Any = work.__await__()
        answer: Any = None
        error: BaseException | None = None
        while True:
            try:
                waits_for = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration:
                return
            error = None
            self.count += 1
            if self.count == self._number:
                assert self.call is not None
                self.call.cancel()
            try:
                answer = yield waits_for
            except BaseException as raised:
                error = raised


async def talk(scope: Event, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        more = True
        while more:
            more = (await receive())["more_body"]
        await send(OK)
        for _ in range(3):
            await send({"type": "http.response.body", "body": bytes(50_000), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})


class Talk(AsyncConsumer):
    async def http_request(self, message: Event) -> None:
        if not message["more_body"]:
            await self.send(OK)
            for _ in range(3):
                await self.send({"type": "http.response.body", "body": bytes(50_000), "more_body": True})
            await self.send({"type": "http.response.body", "body": b""})

    async def websocket_receive(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "text": message["text"]})


@pytest.mark.parametrize("target", [App(talk), Talk], ids=["asgi", "consumer"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_call_may_be_cancelled_at_every_await(target: Any, kind: str) -> None:
    scope = http_scope(method="POST") if kind == "http" else websocket_scope()
    async with bridged(target, same_loop=True) as bridge:
        for number in range(1, 100):
            cancel = _CancelAt(number)
            async with Call(cancel.wrap(bridge), scope) as call:
                cancel.call = call
                await converse(call, kind)
                assert await call.end() is None
            await eventually(lambda: is_idle(bridge))
            await eventually(lambda: not bridge.start().writer._tasks)
            if cancel.count < number:
                break
        else:
            raise AssertionError("it has no end")
        assert number > 5
        if isinstance(target, App):
            await target.until_all_ended()


async def until_asked(call: Call, number: int) -> None:
    await call.until(lambda: call.asked == number or call.ended)


async def converse(call: Call, kind: str) -> None:
    """Say what the client has to say, a word whenever the call asks for one, until it is over."""
    words = [
        {"type": "http.request", "body": bytes(300_000), "more_body": True},
        {"type": "http.request", "body": b"x", "more_body": True},
        REQUEST,
    ]
    if kind == "websocket":
        words = [CONNECT, *({"type": "websocket.receive", "text": str(number)} for number in range(3))]
    for number, word in enumerate(words, 1):
        await until_asked(call, number)
        call.give(word)
    if kind == "websocket":
        await call.until(lambda: len(call.sent) == 4 or call.ended)
        call.leave()


async def test_an_application_error_is_the_servers_to_answer() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        raise ValueError("of its own")

    async with bridged(App(run), same_loop=True) as bridge, Call(bridge, websocket_scope(), CONNECT) as call:
        error = await call.end()
        assert isinstance(error, ApplicationError)
        assert call.sent == []


# -- servers with ways of their own ----------------------------------------------------------------------------


def expecting(**more: Any) -> dict[str, Any]:
    return http_scope(method="POST", headers=[(b"host", b"x"), (b"expect", b"100-continue")], **more)


async def test_a_client_that_waits_for_100_continue_is_asked_when_the_application_asks() -> None:
    """Servers send 100 Continue when receive() is called; an application that refuses the upload does not call it."""

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        length = 0
        if scope["path"] == "/read":
            more = True
            while more:
                event = await receive()
                length, more = length + len(event["body"]), event["more_body"]
        await send({**OK, "status": 413 if scope["path"] == "/refuse" else 200})
        await send({"type": "http.response.body", "body": b"%d" % length})

    async with bridged(App(run), same_loop=True) as bridge:
        async with Call(bridge, expecting(path="/refuse")) as call:
            assert await call.end() is None
            assert (call.asked, call.sent[0]["status"]) == (0, 413)
        async with Call(bridge, expecting(path="/read")) as call:
            await call.until(lambda: call.asked)
            call.give({"type": "http.request", "body": b"12", "more_body": True})
            call.give({"type": "http.request", "body": b"345", "more_body": False})
            assert await call.end() is None
            assert call.sent[1]["body"] == b"5"
        assert is_idle(bridge)


async def test_a_client_that_waits_for_100_continue_and_leaves() -> None:
    app = App(until_the_end)
    async with bridged(app, same_loop=True) as bridge, Call(bridge, expecting()) as call:
        await call.until(lambda: call.asked)
        call.give({"type": "http.disconnect"})
        assert await call.end() is None
        assert app.ended
        assert is_idle(bridge)


async def test_a_consumer_is_given_the_request_of_a_client_that_waits_for_100_continue() -> None:
    """A consumer is only called with a message: it cannot ask for the first one."""
    async with bridged(Talk, same_loop=True) as bridge, Call(bridge, expecting()) as call:
        await call.until(lambda: call.asked)
        call.give(REQUEST)
        assert await call.end() is None
        assert call.sent[0]["status"] == 200
        assert is_idle(bridge)


async def test_a_client_that_waits_for_100_continue_waits_for_a_worker_too() -> None:
    with directory() as url, bridging(url, Config(http_queue=0.1)) as bridge:
        async with Call(bridge, expecting()) as call:
            await call.end()
            assert (call.asked, call.sent[0]["status"]) == (0, 503)
        assert is_idle(bridge)


async def test_nobody_reads_while_a_close_is_sent() -> None:
    """In granian close waits until no receive() is under way."""

    class Granian(Call):
        reading = 0

        async def _receive(self) -> Event:
            self.reading += 1
            try:
                return await super()._receive()
            finally:
                self.reading -= 1

        async def _send(self, event: Event) -> None:
            if event["type"] == "websocket.close":
                assert not self.reading
            await super()._send(event)

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})
        app.see((await receive())["code"])

    app = App(run)
    async with bridged(app, same_loop=True) as bridge, Granian(bridge, websocket_scope()) as call:
        await call.connect()
        assert (await call.next())["code"] == 4000
        await call.until(lambda: call.reading)
        call.leave(4000)
        assert await call.end() is None
        assert app.seen == [4000]


@pytest.mark.parametrize("kind", ["asgi", "consumer"])
async def test_a_close_that_the_server_answers_with_an_os_error_is_followed_by_the_disconnect(kind: str) -> None:
    ends: list[int] = []

    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.close", "code": 4000})
        ends.append((await receive())["code"])

    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            await self.send({"type": "websocket.close", "code": 4000})

        async def websocket_disconnect(self, message: Event) -> None:
            ends.append(message["code"])

    target: Any = App(run) if kind == "asgi" else Consumer
    async with bridged(target, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.send_raises = BrokenPipeError("gone")
        call.say("go")
        await call.until(lambda: call.taken == 2)
        call.leave(1006)
        assert await call.end() is None
        assert ends == [1006]
        assert is_idle(bridge)


async def test_a_server_that_takes_no_close_at_all_is_left_with_the_end_of_the_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stubborn(Call):
        async def _send(self, event: Event) -> None:
            if event["type"] == "websocket.close":
                raise ValueError("never")
            await super()._send(event)

    app = App(until_the_end)
    config = Config(max_message_bytes=10_000)
    async with bridged(app, same_loop=True, config=config) as bridge, Stubborn(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("x" * 20_000)
        await call.end()
        await app.until(lambda: app.ended)
        assert "the server refuses to close with 1009: never" in caplog.text
        assert is_idle(bridge)


# -- groups ----------------------------------------------------------------------------------------------------


def listening(bridge: Bridge) -> Callable[[str], None]:
    """Make the only client a member of a group; give what sends a message to that."""
    core = bridge.start().link.core
    [conn] = core.connections.values()
    core.layer.groups.add(GAP_GROUP, "reply", conn)
    return lambda text: core.layer.gap(pack_event({"type": "websocket.send", "text": text}), now())


async def test_a_slow_client_loses_the_oldest_message_of_its_group_and_nothing_of_its_application() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", "text": "own " + "x" * 40})
        await receive()

    config = Config(window_bytes=200, slow_member="drop_old")
    async with bridged(App(run), same_loop=True, config=config) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        core = bridge.start().link.core
        group = listening(bridge)
        call.send_waits = True
        group("with the server")
        await call.until(lambda: call.sending)
        call.say("go")
        [conn] = core.connections.values()
        await eventually(lambda: conn.buffered > 100)
        for number in range(10):
            group(f"group {number}")
        assert conn.buffered <= config.window_bytes + 50
        dropped = core.statistics.dropped
        assert 0 < dropped < 10
        call.go_on()
        got = [(await call.next())["text"] for _ in range(12 - dropped)]
        assert got == ["with the server", "own " + "x" * 40, *(f"group {number}" for number in range(dropped, 10))]
        await eventually(lambda: conn.buffered == 0)
        call.leave(1000)
        await call.end()
        assert is_idle(bridge)


async def test_a_client_that_has_nothing_of_a_group_loses_nothing_of_its_own() -> None:
    async def run(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for number in range(3):
            await receive()
            await send({"type": "websocket.send", "text": f"own {number}"})
        await receive()

    config = Config(window_bytes=1, slow_member="drop_old")
    async with bridged(App(run), same_loop=True, config=config) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        core, group = bridge.start().link.core, listening(bridge)
        call.send_waits = True
        call.say("1", "2", "3")
        [conn] = core.connections.values()
        await eventually(lambda: conn.acked == 4 and conn.buffered > 60)
        group("one too many")
        assert core.statistics.dropped == 1
        call.go_on()
        assert [(await call.next())["text"] for _ in range(3)] == ["own 0", "own 1", "own 2"]
        call.leave(1000)
        await call.end()


async def test_a_client_that_is_too_slow_for_its_group_is_cut_off_if_the_policy_says_so() -> None:
    config = Config(window_bytes=1, slow_member="close")
    async with bridged(App(until_the_end), same_loop=True, config=config) as bridge:
        async with Call(bridge, websocket_scope()) as call:
            await call.connect()
            group = listening(bridge)
            call.send_waits = True
            group("one")
            await eventually(lambda: call.sending)
            group("too many")
            error = await call.end()
            assert isinstance(error, ConnectionAborted)
            assert str(error) == "the client reads too slowly"
        assert is_idle(bridge)


async def test_a_client_that_has_just_caught_up_is_closed_with_1013_if_the_policy_says_so() -> None:
    config = Config(window_bytes=1, slow_member="close")
    app = App(until_the_end)
    async with bridged(app, same_loop=True, config=config) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        (conn,) = bridge.start().link.core.connections.values()
        bridge.start().link.core.refuse(conn, "slow")
        assert await call.next() == {"type": "websocket.close", "code": 1013, "reason": "slow"}
        assert await call.end() is None


NO_MESSAGES: list[Event] = [
    {"type": "lobby.said", "text": "hi"},
    {"type": "websocket.accept"},
    {"type": "websocket.disconnect"},
    {"type": "http.response.start", "status": 200},
    {"type": "websocket.send"},
    {"type": "websocket.send", "text": 5},
    {"type": "websocket.close", "code": "x"},
]


@pytest.mark.parametrize("text", ["x", 5, None])
@pytest.mark.parametrize("begun", [True, False])
def test_a_request_takes_no_frames(begun: bool, text: object) -> None:
    assert not client._fits({"type": "websocket.send", "text": text}, "http", begun)


@pytest.mark.parametrize("message", NO_MESSAGES)
async def test_what_is_no_message_for_a_client_does_not_end_the_members_of_a_group(
    message: Event, caplog: pytest.LogCaptureFixture
) -> None:
    async with bridged(App(until_the_end), same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        send = listening(bridge)
        bridge.start().link.core.layer.gap(pack_event(message), now())
        send("behind")
        assert await call.next() == {"type": "websocket.send", "text": "behind"}
        assert "dropped a message for a client" in caplog.text
        call.leave(1000)
        await call.end()


async def test_each_client_of_a_group_has_a_message_of_its_own() -> None:
    """Some servers change what they are given; the bytes were unpacked once for all."""

    class Changing(Call):
        async def _send(self, event: Event) -> None:
            await super()._send(dict(event))
            event.clear()

    async with (
        bridged(App(until_the_end), same_loop=True) as bridge,
        Changing(bridge, websocket_scope()) as one,
        Changing(bridge, websocket_scope()) as two,
    ):
        core = bridge.start().link.core
        for call in (one, two):
            await call.connect()
        for conn in core.connections.values():
            core.layer.groups.add(GAP_GROUP, "reply", conn)
        core.layer.gap(pack_event({"type": "websocket.send", "text": "said"}), now())
        for call in (one, two):
            assert await call.next() == {"type": "websocket.send", "text": "said"}
            call.leave(1000)
            await call.end()


# -- everything at once ----------------------------------------------------------------------------------------


class Weather(App):
    """An application that does what the path says, which is drawn by lot."""

    def __init__(self) -> None:
        super().__init__(self._any)

    async def _any(self, scope: Event, receive: Receive, send: Send) -> None:
        await WEATHERS[scope["path"]](scope, receive, send)


async def brief(scope: Event, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send(OK)
        await send({"type": "http.response.body", "body": bytes(100_000)})
    else:
        await receive()
        await send({"type": "websocket.close"})


async def broken(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    raise ValueError("of the weather")


async def flood(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    event: Event = {"type": "websocket.send", "bytes": bytes(30_000)}
    if scope["type"] == "http":
        await send(OK)
        event = {"type": "http.response.body", "body": bytes(30_000), "more_body": True}
    else:
        await send({"type": "websocket.accept"})
    for _ in range(30):
        await send(event)


WEATHERS = {"/talk": talk, "/brief": brief, "/broken": broken, "/flood": flood, "/end": until_the_end}


class WeatherConsumer(AsyncConsumer):
    """The same as a consumer."""

    open: ClassVar[set[str]] = set()

    async def http_request(self, message: Event) -> None:
        if self.scope["path"] == "/broken":
            raise ValueError("of the weather")
        if not message.get("more_body"):
            await self.send(OK)
            await self.send({"type": "http.response.body", "body": bytes(100_000)})

    async def websocket_connect(self, message: Event) -> None:
        self.open.add(self.consumer_channel)
        await self.channel_layer.group_add("all", self.consumer_channel)
        if self.scope["path"] == "/brief":
            await self.send({"type": "websocket.close"})

    async def websocket_receive(self, message: Event) -> None:
        if self.scope["path"] == "/broken":
            self.open.discard(self.consumer_channel)
            raise ValueError("of the weather")
        for _ in range(10 if self.scope["path"] == "/flood" else 1):
            await self.send({"type": "websocket.send", "bytes": bytes(30_000)})
            await self.flush()
        await self.channel_layer.send_group("all", {"type": "said"})

    async def said(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "text": "said"})

    async def websocket_disconnect(self, message: Event) -> None:
        self.open.discard(self.consumer_channel)


async def one_client(bridge: Bridge, lot: random.Random) -> None:
    """Be a client that behaves somehow, behind a server that behaves somehow."""
    path = lot.choice(list(WEATHERS))
    kind = lot.choice(["http", "websocket"])
    scope = http_scope(path, lot.choice(["GET", "POST"])) if kind == "http" else websocket_scope(path)
    async with Call(bridge, scope) as call:
        if lot.random() < 0.2:
            call.send_raises = lot.choice([OSError("gone"), ValueError("of the server")])
        call.send_waits = lot.random() < 0.3
        if kind == "http":
            parts = [bytes(lot.randrange(300_000)) for _ in range(lot.randrange(4))]
            for part in parts:
                call.give({"type": "http.request", "body": part, "more_body": True})
            if lot.random() < 0.8:
                call.give(REQUEST)
        else:
            call.give(CONNECT)
            call.say(*["x" * lot.randrange(50_000) for _ in range(lot.randrange(6))])
        for _ in range(lot.randrange(30)):
            await anyio.lowlevel.checkpoint()
        await anyio.sleep(lot.choice([0.0, 0.0, 0.01, 0.07]))
        how = lot.randrange(4)
        if how == 0:
            call.cancel()
        elif how == 1:
            call.leave(1001) if kind == "websocket" else call.give({"type": "http.disconnect"})
        elif how == 2:
            call.go_on()
            await anyio.sleep(0.01)
        if how != 1 or call.send_waits:
            call.cancel()
        await call.end()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("target", [Weather, WeatherConsumer])
async def test_whatever_clients_and_servers_do_nothing_is_left(target: Any, seed: int) -> None:
    lot = random.Random(seed)
    app: Any = Weather() if target is Weather else type("Fresh", (WeatherConsumer,), {"open": set()})
    config = Config(journal_messages=4, journal_bytes=100_000, window_bytes=100_000)
    async with bridged(app, same_loop=True, config=config, max_inflight=8) as bridge:
        for _ in range(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(one_client, bridge, random.Random(lot.random()))
            await eventually(lambda: is_idle(bridge))
            await eventually(lambda: not bridge.start().writer._tasks)
        if isinstance(app, Weather):
            await app.until_all_ended()
        else:
            await eventually(lambda: not app.open)


def cut_off(node: Node) -> None:
    """Cut the worker's connections as a network does: the worker notices, too, and starts over."""
    for link in node.links.values():
        crash(node)
        link._cut()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("target", [Weather, WeatherConsumer])
async def test_whatever_happens_to_workers_nothing_is_left(target: Any, seed: int) -> None:
    lot = random.Random(seed)
    app: Any = Weather() if target is Weather else type("Fresh", (WeatherConsumer,), {"open": set()})
    config = Config(journal_messages=4, journal_bytes=100_000, window_bytes=100_000, http_queue=0.5)
    with directory() as url, bridging(url, config) as bridge:
        async with hosting(app, url, config=config, max_inflight=8) as one, hosting(app, url, config=config) as two:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    for _ in range(10):
                        tasks.start_soon(one_client, bridge, random.Random(lot.random()))
                    await anyio.sleep(lot.choice([0.0, 0.01, 0.05]))
                    cut_off(lot.choice([one, two]))
            await eventually(lambda: is_idle(bridge))
            await eventually(lambda: not bridge.start().writer._tasks)
            if isinstance(app, Weather):
                await app.until_all_ended()
            else:
                await eventually(lambda: not app.open)
            await eventually(lambda: len(bridge.start().link.core.supervisor.links) == 2)
            assert (await fetch(bridge, "/brief")).status == 200
