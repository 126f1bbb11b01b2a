"""An async consumer in a group, and a sync one."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer


class RoomConsumer(AsyncJsonWebsocketConsumer):
    """Everybody in a room gets what is said there."""

    async def connect(self) -> None:
        route: Any = self.scope.get("url_route")
        self.room = f"room.{route['kwargs']['room']}"
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept(subprotocol="json" if "json" in self.scope["subprotocols"] else None)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        await self.channel_layer.group_send(self.room, {"type": "room.said", "content": content})

    async def room_said(self, event: dict[str, Any]) -> None:
        await self.send_json(event["content"])

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)
        await self.channel_layer.group_send(self.room, {"type": "room.said", "content": {"left": code}})


class ReverseConsumer(WebsocketConsumer):
    """Says everything backwards, in a thread."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data == "refuse":
            self.close(4321, "as you like")
        elif text_data is not None:
            self.send(text_data[::-1])
        elif bytes_data is not None:
            self.send(bytes_data=bytes_data[::-1])
