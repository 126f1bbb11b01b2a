"""What "Towards Channels 2.0" (https://www.aeracode.org/2017/7/11/towards-channels-20/) proposes, in its own words.

First its example, with a consumer superclass; then the interface below that: a callable that returns a callable.
"""
# ruff: noqa: ARG001 - consumers share a signature, whether they need all of it or not

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import httpx
import pytest

from channels_bridge import ChannelLayer, Router, SyncChannelLayer, SyncConsumer
from channels_bridge.testing import bridged

Message = dict[str, Any]
Talk = Callable[..., Any]  # of conftest.py

# -- the example -----------------------------------------------------------------------------------------------


class Room:
    """What the article's Django model would be: it knows how to reach everybody in it."""

    def __init__(self, slug: str, channel_layer: SyncChannelLayer) -> None:
        self.group = f"room.{slug}"
        self._channel_layer = channel_layer

    def announce(self, text: str) -> None:
        self._channel_layer.send_group(self.group, {"type": "group.message", "text": text})

    message = announce


class ChatConsumer(SyncConsumer):
    type = "websocket"
    user = "andrew"

    # Room name drawn from URL pattern: /chat/room/foobar/
    def websocket_connect(self, message: Message, room_name: str) -> None:
        self.room = Room(room_name, self.channel_layer)
        self.room.announce("User %s has joined" % self.user)  # noqa: UP031 - the article's words
        self.channel_layer.group_add(self.room.group, self.consumer_channel)
        self.send({"type": "websocket.send", "text": "OK"})

    def websocket_receive(self, message: Message) -> None:
        self.room.message(message["text"])

    # This method is called by the group when it sends messages of type
    # "group.message" to us.
    def group_message(self, message: Message) -> None:
        self.send({"type": "websocket.send", "text": message["text"]})

    def websocket_disconnect(self, message: Message) -> None:
        self.channel_layer.group_discard(self.room.group, self.consumer_channel)
        self.room.announce("User %s has left" % self.user)  # noqa: UP031


@pytest.mark.parametrize("same_loop", [False, True])
def test_the_example(talk: Talk, same_loop: bool) -> None:
    async def main() -> None:
        app = Router({"/chat/room/<room_name>/": ChatConsumer})
        async with (
            bridged(app, same_loop=same_loop) as application,
            talk(application, "websocket", "/chat/room/foobar/") as first,
            talk(application, "websocket", "/chat/room/foobar/") as second,
            talk(application, "websocket", "/chat/room/other/") as other,
        ):
            for socket in (first, second, other):
                await socket.connect()  # accepted without a word of it in the consumer
                assert await socket.hear() == "OK"
            assert await first.hear() == "User andrew has joined"  # the second, and not oneself, nor the other room
            await first.say("Hi all!")
            assert [await first.hear(), await second.hear()] == ["Hi all!", "Hi all!"]
            await second.end()
            assert await first.hear() == "User andrew has left"
            await other.say("alone")
            assert await other.hear() == "alone"

    asyncio.run(main())


# -- the consumer interface ------------------------------------------------------------------------------------


class Consumer:
    """Tells the client what it was made with and what it is called with."""

    def __init__(self, type: str, channel_layer: SyncChannelLayer, consumer_channel: str, send: Any) -> None:
        self.channel_layer, self.consumer_channel, self.send = channel_layer, consumer_channel, send
        self.made_with: list[object] = [type, channel_layer.is_async, consumer_channel]
        self.calls: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.calls.append(message)
        if message["type"] == "websocket.connect":
            self.send({"type": "websocket.accept"})
        elif message["type"] == "websocket.receive":
            self.channel_layer.send(self.consumer_channel, {"type": "any.kind", "text": message["text"]})
        elif message["type"] == "any.kind":
            made_with = " ".join(map(str, self.made_with))
            self.send({"type": "websocket.send", "text": f"{made_with} {message['text']}"})


class AsyncConsumer:
    """The same for an async layer: only ``__call__`` is async, as a constructor cannot be."""

    made: ClassVar[list[AsyncConsumer]] = []

    def __init__(self, type: str, channel_layer: ChannelLayer, consumer_channel: str, send: Any) -> None:
        self.channel_layer, self.consumer_channel, self.send = channel_layer, consumer_channel, send
        self.made_with: list[object] = [type, channel_layer.is_async, consumer_channel]
        self.calls: list[Message] = []
        self.made.append(self)

    async def __call__(self, message: Message) -> None:
        self.calls.append(message)
        if message["type"] == "websocket.connect":
            await self.send({"type": "websocket.accept"})
        elif message["type"] == "websocket.receive":
            await self.channel_layer.send(self.consumer_channel, {"type": "any.kind", "text": message["text"]})
        elif message["type"] == "any.kind":
            made_with = " ".join(map(str, self.made_with))
            await self.send({"type": "websocket.send", "text": f"{made_with} {message['text']}"})


def factory(type: str, channel_layer: SyncChannelLayer, consumer_channel: str, send: Any) -> Consumer:
    """Something which dispatches to one of several classes."""
    return {"websocket": Consumer}[type](type, channel_layer, consumer_channel, send)


def async_factory(type: str, channel_layer: ChannelLayer, consumer_channel: str, send: Any) -> Callable[..., Any]:
    return AsyncConsumer(type, channel_layer, consumer_channel, send)


# What a function makes is only known once it was called, unless it says so.
vars(factory)["is_async"] = False
FACTORY = pytest.param(factory, False)


@pytest.mark.parametrize(
    ("consumer", "is_async"),
    [(Consumer, False), FACTORY, (AsyncConsumer, True), (async_factory, True)],
)
def test_a_callable_that_returns_a_callable(talk: Talk, consumer: Callable[..., Any], is_async: bool) -> None:
    """Made once, then called with each message: the protocol's, and what is sent to its channel."""

    async def main() -> None:
        async with bridged(consumer) as application:
            for _ in range(2):
                async with talk(application, "websocket", "/") as socket:
                    await socket.connect()
                    await socket.say("one")
                    await socket.say("two")
                    kind, flavour, channel, text = (await socket.hear()).split()
                    assert (kind, flavour, text) == ("websocket", str(is_async), "one")
                    assert (await socket.hear()).split() == [kind, flavour, channel, "two"]
                    await socket.end()

    asyncio.run(main())


def test_the_scope_comes_with_the_first_message_only(talk: Talk) -> None:
    calls: list[Message] = []

    def consumer(type: str, channel_layer: ChannelLayer, consumer_channel: str, send: Any) -> Callable[..., Any]:
        async def call(message: Message) -> None:
            calls.append(message)
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept", "subprotocol": message["subprotocols"][0]})
            else:
                await send({"type": "websocket.send", "text": "heard"})

        return call

    async def main() -> None:
        scope = {
            "headers": [(b"host", b"example"), (b"x", b"1"), (b"x", b"2")],
            "query_string": b"a=b",
            "client": ("127.0.0.1", 1234),
            "subprotocols": ["chat"],
        }
        async with bridged(consumer) as application, talk(application, "websocket", "/p/", **scope) as socket:
            await socket.put("websocket.connect")
            assert (await socket.get("websocket.accept"))["subprotocol"] == "chat"
            await socket.say("hello")
            assert await socket.hear() == "heard"

    asyncio.run(main())
    first, second = calls[:2]
    assert (first["type"], first["path"], first["query_string"]) == ("websocket.connect", "/p/", b"a=b")
    assert [tuple(pair) for pair in first["headers"]] == [(b"host", b"example"), (b"x", b"1"), (b"x", b"2")]
    assert (tuple(first["client"]), first["subprotocols"]) == (("127.0.0.1", 1234), ["chat"])
    assert second == {"type": "websocket.receive", "text": "hello"}


def test_a_consumer_of_requests() -> None:
    def consumer(
        type: str, channel_layer: SyncChannelLayer, consumer_channel: str, send: Callable[[Message], Awaitable[None]]
    ) -> Callable[[Message], None]:
        method, body = "", b""

        def call(message: Message) -> None:
            nonlocal method, body
            method, body = message.get("method", method), body + message["body"]
            if not message["more_body"]:
                start = {"type": "http.response.start", "status": 200, "headers": [(b"x-type", type.encode())]}
                _ = send(start)
                _ = send({"type": "http.response.body", "body": f"{method} {len(body)}".encode()})

        return call

    async def main() -> httpx.Response:
        async with bridged(consumer) as application:
            app: Any = application
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.put("/", content=b"x" * 1_000_000)

    response = asyncio.run(main())
    assert response.headers["x-type"] == "http"
    assert response.text == "PUT 1000000"
