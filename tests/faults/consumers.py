"""What workers host while they are killed, frozen and cut off."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from channels_bridge import AsyncConsumer, ChannelLayer, SyncConsumer
from channels_bridge.shared.wire import Event
from channels_bridge.worker.asgi import Receive, Scope, Send


class Chat(AsyncConsumer):
    """Says to all in the room what each says, numbered by who says it; "two" commits in the middle of a turn."""

    resumable = True
    channel_layer: ChannelLayer

    async def websocket_connect(self, message: Event) -> None:
        """Enter the room."""
        self.said = 0
        self.name = message["path"].strip("/")
        await self.channel_layer.group_add("room", self.consumer_channel)
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, message: Event) -> None:
        """Say it."""
        await self._say(message["text"])
        if message["text"] == "two":
            await self.flush()
            await self._say("again")

    async def _say(self, text: str) -> None:
        self.said += 1
        line = f"{self.name} {self.said} {text}"
        await self.channel_layer.send_group("room", {"type": "room.line", "line": line})

    async def room_line(self, message: Event) -> None:
        """Hear it."""
        await self.send({"type": "websocket.send", "text": message["line"]})


class SyncSum(SyncConsumer):
    """Adds up what it is sent, in a thread."""

    resumable = True

    def websocket_connect(self, message: Event) -> None:
        """Begin with nothing."""
        self.total = 0
        self.send({"type": "websocket.accept"})

    def websocket_receive(self, message: Event) -> None:
        """Add."""
        self.total += int(message["text"])
        self.send({"type": "websocket.send", "text": str(self.total)})


class Sum(AsyncConsumer):
    """Adds up what it is sent; it is not resumable."""

    async def websocket_connect(self, message: Event) -> None:
        """Begin with nothing."""
        self.total = 0
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, message: Event) -> None:
        """Add."""
        self.total += int(message["text"])
        await self.send({"type": "websocket.send", "text": str(self.total)})


class Answer(AsyncConsumer):
    """Answers requests."""

    async def http_request(self, message: Event) -> None:
        """Say what was asked."""
        await self.send({"type": "http.response.start", "status": 200, "headers": []})
        await self.send({"type": "http.response.body", "body": message["path"].encode()})


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Add up on a socket; for a request answer in two parts what was asked."""
    if scope["type"] == "http":
        await receive()
        await anyio.lowlevel.checkpoint()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"!"})
    elif scope["type"] == "websocket":
        total = 0
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            total += int(event["text"])
            await send({"type": "websocket.send", "text": str(total)})


async def saving(scope: Scope, receive: Receive, send: Send) -> None:
    """Add up on a socket, and save the sum."""
    if scope["type"] != "websocket":
        return
    total = scope["extensions"]["bridge.resume"]["state"] or 0
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "bridge.resume.save", "state": total})
    while (event := await receive())["type"] == "websocket.receive":
        total += int(event["text"])
        await send({"type": "websocket.send", "text": str(total)})
        await send({"type": "bridge.resume.save", "state": total})
