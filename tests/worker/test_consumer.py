"""The base classes: handlers by name, the scope, accepting a socket, and sends at the right time."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from channels_bridge import AsyncConsumer, SyncConsumer
from channels_bridge.shared.errors import LocalProtocolError
from channels_bridge.testing import bridged
from channels_bridge.worker.consumer import keeps_variables, resume
from channels_bridge.worker.done import DONE, Done
from played_server import Call, Event, fetch, http_scope, websocket_scope


class ToClient:
    """The ``send`` that a consumer is given."""

    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.flushes = 0
        self.refuses = False

    def __call__(self, message: Event) -> Done:
        if self.refuses:
            raise LocalProtocolError("not now")
        self.sent.append(message)
        return DONE

    def flush(self) -> Done:
        self.flushes += 1
        return DONE


class Handlers:
    """What both flavours below handle; ``seen`` is what the handlers were given."""

    seen: list[Any]

    def note(self, *what: Any) -> None:
        self.seen.append(what)


class Async(AsyncConsumer, Handlers):
    async def websocket_connect(self, message: Event, **arguments: Any) -> None:
        self.note("connect", arguments)

    async def chat_message(self, message: Event) -> None:
        self.note("chat", message["text"])

    async def _secret(self, message: Event) -> None:
        self.note("secret")


class Sync(SyncConsumer, Handlers):
    def websocket_connect(self, message: Event, **arguments: Any) -> None:
        self.note("connect", arguments)

    def chat_message(self, message: Event) -> None:
        self.note("chat", message["text"])

    def _secret(self, message: Event) -> None:
        self.note("secret")


Make = Callable[..., tuple[Any, ToClient]]


@pytest.fixture(params=[Async, Sync])
def make(request: pytest.FixtureRequest) -> Make:
    def make(kind: str = "websocket", **attributes: Any) -> tuple[Any, ToClient]:
        cls = type("Fresh", (request.param,), {"seen": [], **attributes})
        send = ToClient()
        return cls(kind, None, "consumer.0!1", send), send

    return make


def run(result: Awaitable[None] | None) -> None:
    """Finish what the handler of either flavour returned."""

    async def wait() -> None:
        if result is not None:
            await result

    anyio.run(wait)


CONNECT: Event = {**websocket_scope("/path"), "type": "websocket.connect"}


# -- handlers --------------------------------------------------------------------------------------------------


def test_a_handler_is_named_after_the_message(make: Make) -> None:
    consumer, _ = make()
    run(consumer({"type": "chat.message", "text": "hi"}))
    assert consumer.seen == [("chat", "hi")]


@pytest.mark.parametrize("kind", ["websocket.receive", "websocket.disconnect", "http.disconnect", "bridge.resumed"])
def test_a_handler_that_may_be_missing(make: Make, kind: str) -> None:
    consumer, send = make()
    run(consumer({"type": kind}))
    assert send.sent == []


@pytest.mark.parametrize("kind", ["http.request", "chat.left", "nonsense"])
def test_a_handler_that_may_not(make: Make, kind: str) -> None:
    consumer, _ = make()
    name = kind.replace(".", "_")
    with pytest.raises(LocalProtocolError, match=f"^Fresh has no handler '{name}' for the message '{kind}'$"):
        run(consumer({"type": kind}))


@pytest.mark.parametrize("kind", ["_secret", ".secret", "__init__", "._accept", "_handler"])
def test_what_begins_with_an_underscore_is_no_handler(make: Make, kind: str) -> None:
    consumer, _ = make()
    with pytest.raises(LocalProtocolError, match="has no handler"):
        run(consumer({"type": kind}))
    assert consumer.seen == []


OWN = ["send", "flush", "scope", "url.kwargs", "channel.layer", "consumer.channel", "type"]


@pytest.mark.parametrize("kind", [*OWN, "get.state", "set.state", "resumable", "on.loss"])
def test_what_every_consumer_has_is_no_handler(make: Make, kind: str) -> None:
    """A message of a group whose type happens to be "send" must not end up at the client."""
    consumer, send = make()
    with pytest.raises(LocalProtocolError, match="has no handler"):
        run(consumer({"type": kind, "text": "x"}))
    assert (send.sent, send.flushes) == ([], 0)


# -- sync and async --------------------------------------------------------------------------------------------


async def asynchronous(self: Any, message: Event) -> None: ...


def synchronous(self: Any, message: Event) -> None: ...


@functools.wraps(asynchronous)
def wrapped(*args: Any) -> Any:
    return asynchronous(*args)


HANDLED = ["websocket_connect", "websocket_receive", "websocket_disconnect", "http_request", "http_disconnect"]


@pytest.mark.parametrize("name", [*HANDLED, "bridge_resumed", "bridge_gap"])
def test_a_plain_handler_of_an_async_consumer_is_refused_where_its_class_is_made(name: str) -> None:
    with pytest.raises(
        TypeError, match=rf"^Mixed\.{name} is a plain function, and Mixed an AsyncConsumer, which awaits"
    ):
        type("Mixed", (AsyncConsumer,), {name: synchronous})
    type("Right", (AsyncConsumer,), {name: asynchronous})
    type("Right", (AsyncConsumer,), {name: wrapped})
    type("Right", (SyncConsumer,), {name: synchronous})


@pytest.mark.parametrize("name", [*HANDLED, "bridge_resumed", "chat_message", "send"])
def test_an_async_method_of_a_sync_consumer_is_refused_where_its_class_is_made(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^Mixed\.{name} is async, and Mixed a SyncConsumer, which would never await"):
        type("Mixed", (SyncConsumer,), {name: asynchronous})


@pytest.mark.parametrize(("base", "handler"), [(AsyncConsumer, synchronous), (SyncConsumer, asynchronous)])
def test_a_wrong_handler_that_is_inherited_is_refused_too(base: Any, handler: Any) -> None:
    mixin = type("Mixin", (), {"websocket_receive": handler})
    with pytest.raises(TypeError, match=r"^Mixed\.websocket_receive is "):
        type("Mixed", (base, mixin), {})
    right = asynchronous if handler is synchronous else synchronous
    type("Right", (base, mixin), {"websocket_receive": right})


def test_what_is_no_handler_may_be_either() -> None:
    rest = {
        "prop": property(lambda self: None),
        "static": staticmethod(asynchronous),
        "of_class": classmethod(asynchronous),
    }
    type("Sync", (SyncConsumer,), {"_private": asynchronous, **rest})
    type("Async", (AsyncConsumer,), {"helper": synchronous, "http_headers": synchronous, **rest})


# -- the scope -------------------------------------------------------------------------------------------------


def test_the_first_message_carries_the_scope_and_its_handler_gets_the_arguments(make: Make) -> None:
    consumer, _ = make()
    assert consumer.scope == {"type": "websocket"}
    consumer.url_kwargs = {"room": "lobby"}
    run(consumer(CONNECT))
    assert consumer.seen == [("connect", {"room": "lobby"})]
    assert consumer.scope["type"] == "websocket"
    assert consumer.scope["path"] == "/path"
    assert consumer.scope["url_route"] == {"args": (), "kwargs": {"room": "lobby"}}
    run(consumer({"type": "chat.message", "text": "x", "path": "/other"}))
    assert consumer.scope["path"] == "/path"


@pytest.mark.parametrize("base", [AsyncConsumer, SyncConsumer])
def test_later_parts_of_a_request_get_the_arguments_and_not_a_new_scope(base: Any) -> None:
    seen: list[Any] = []

    class Async(AsyncConsumer):
        async def http_request(self, message: Event, **arguments: Any) -> None:
            seen.append((self.scope.get("path"), arguments))

    class Sync(SyncConsumer):
        def http_request(self, message: Event, **arguments: Any) -> None:
            seen.append((self.scope.get("path"), arguments))

    consumer: Any = (Async if base is AsyncConsumer else Sync)("http", None, "c", ToClient())  # type: ignore[arg-type]
    consumer.url_kwargs = {"id": 1}
    run(consumer({**http_scope("/up"), "type": "http.request", "body": b"", "more_body": True}))
    run(consumer({"type": "http.request", "body": b""}))
    assert seen == [("/up", {"id": 1})] * 2


def test_what_a_consumer_is_given_is_kept(make: Make) -> None:
    consumer, _ = make("http")
    assert consumer.consumer_channel == "consumer.0!1"
    assert consumer.channel_layer is None
    assert consumer.scope == {"type": "http"}


# -- accepting -------------------------------------------------------------------------------------------------

ACCEPT = {"type": "websocket.accept"}


def test_a_socket_is_accepted_behind_the_connect_handler(make: Make) -> None:
    consumer, send = make()
    run(consumer(CONNECT))
    assert send.sent == [ACCEPT]
    run(consumer({"type": "websocket.receive", "text": "x"}))
    assert send.sent == [ACCEPT]


def test_or_before_its_first_message(make: Make) -> None:
    consumer, send = make()
    run(consumer.send({"type": "websocket.send", "text": "x"}))
    run(consumer.send({"type": "websocket.send", "text": "y"}))
    assert [event.get("text") for event in send.sent] == [None, "x", "y"]


@pytest.mark.parametrize("answer", ["websocket.accept", "websocket.close", "websocket.http.response.start"])
def test_or_not_if_the_handler_has_answered(make: Make, answer: str) -> None:
    consumer, send = make()
    run(consumer.send({"type": answer}))
    consumer._after(CONNECT)
    assert send.sent == [{"type": answer}]


def test_or_not_if_the_class_does_not_want_it(make: Make) -> None:
    consumer, send = make(auto_accept=False)
    run(consumer(CONNECT))
    run(consumer.send({"type": "websocket.send", "text": "x"}))
    assert [event["type"] for event in send.sent] == ["websocket.send"]


def test_what_was_refused_was_no_answer(make: Make) -> None:
    consumer, send = make()
    send.refuses = True
    with pytest.raises(LocalProtocolError, match="not now"):
        run(consumer.send({"type": "websocket.close", "code": 5}))
    send.refuses = False
    consumer._after(CONNECT)
    assert send.sent == [ACCEPT]


@pytest.mark.parametrize("nonsense", [{}, {"type": 5}, None, "websocket.send"])
def test_what_is_no_message_is_for_send_to_refuse(make: Make, nonsense: Any) -> None:
    consumer, send = make()
    run(consumer.send(nonsense))
    assert send.sent == [nonsense]


def test_flush_is_passed_on(make: Make) -> None:
    consumer, send = make()
    run(consumer.flush())
    assert send.flushes == 1


# -- what is kept ----------------------------------------------------------------------------------------------


def test_its_state_is_what_it_has_set_itself(make: Make) -> None:
    consumer, _ = make()
    consumer.url_kwargs = {"room": "lobby"}
    run(consumer({**CONNECT, "type": "websocket.receive"}))
    assert consumer.get_state() == {}
    consumer.room, consumer.auto_accept = "lobby", False
    assert consumer.get_state() == {"room": "lobby", "auto_accept": False}
    other, _ = make()
    other.set_state(consumer.get_state())
    assert (other.room, other.auto_accept, other.url_kwargs) == ("lobby", False, {})


def test_an_adopted_consumer_has_the_scope_and_does_not_accept_again(make: Make) -> None:
    consumer, send = make()
    consumer.url_kwargs = {"room": "lobby"}
    resume(consumer, {"type": "websocket", "path": "/lobby/"}, answered=True)
    run(consumer.send({"type": "websocket.send", "text": "x"}))
    assert [event["type"] for event in send.sent] == ["websocket.send"]
    assert consumer.scope["path"] == "/lobby/"
    assert consumer.scope["url_route"] == {"args": (), "kwargs": {"room": "lobby"}}


def test_whether_its_variables_are_its_state(make: Make) -> None:
    class Own(AsyncConsumer):
        def get_state(self) -> Any:
            return 1

    consumer, _ = make()
    assert keeps_variables(consumer)
    assert not keeps_variables(Own("websocket", consumer.channel_layer, "c", ToClient()))
    assert not keeps_variables(object())


# -- through a worker ------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("base", [AsyncConsumer, SyncConsumer])
async def test_a_consumer_without_handlers_accepts_and_says_nothing(base: Any) -> None:
    async with bridged(base, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        assert await call.connect() == ACCEPT
        call.say("x")
        call.leave()
        assert await call.end() is None
        assert call.unread() == []


@pytest.mark.anyio
async def test_a_consumer_for_sockets_that_gets_a_request_fails_like_one_that_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        bridged(AsyncConsumer, same_loop=True) as bridge,
        Call(bridge, http_scope(), {"type": "http.request"}) as call,
    ):
        error = await call.end()
        assert "AsyncConsumer has no handler 'http_request'" in str(error)
    assert "AsyncConsumer has no handler 'http_request' for the message 'http.request'" in caplog.text


@pytest.mark.anyio
async def test_an_http_consumer() -> None:
    class Consumer(SyncConsumer):
        def http_request(self, message: Event) -> None:
            self.send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
            self.send({"type": "http.response.body", "body": self.scope["path"].encode()})

    async with bridged(Consumer, same_loop=True) as bridge:
        response = await fetch(bridge, "/é")
        assert (response.headers, response.body) == ({b"x": b"y"}, "/é".encode())


@pytest.mark.anyio
async def test_a_handshake_is_refused_with_a_response() -> None:
    class Consumer(AsyncConsumer):
        async def websocket_connect(self, message: Event) -> None:
            await self.send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await self.send({"type": "websocket.http.response.body", "body": b"who?"})

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        assert (await call.connect())["status"] == 401
        assert (await call.next())["body"] == b"who?"
        assert await call.end() is None
