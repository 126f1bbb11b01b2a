"""The smallest of each kind, an ASGI application and a consumer. Both say back what they are told.

::

    channels-bridge serve examples.echo:application
    channels-bridge serve examples.echo:EchoConsumer

then ``python -m websockets ws://127.0.0.1:8000/`` and type.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from channels_bridge import AsyncConsumer

Event = dict[str, Any]


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Event]],
    send: Callable[[Event], Awaitable[None]],
) -> None:
    """Say back what a WebSocket is told, as an ASGI application that knows nothing of bridges."""
    if scope["type"] != "websocket":
        raise NotImplementedError(f"this speaks WebSocket only, not {scope['type']}")
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event.get("bytes"), "text": event.get("text")})


class EchoConsumer(AsyncConsumer):
    """The same as a consumer: no loop, one handler per kind of message."""

    type = "websocket"

    async def websocket_receive(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "bytes": message.get("bytes"), "text": message.get("text")})
