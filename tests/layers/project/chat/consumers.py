"""Consumers as Channels 4 has them: they know nothing of bridges."""

from __future__ import annotations

import json
import os
from typing import Any

from asgiref.sync import async_to_sync
from channels.consumer import SyncConsumer
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

Event = dict[str, Any]


class Chat(AsyncWebsocketConsumer):
    """What one says in a room all hear; "thumbnail X" is work for the background."""

    async def connect(self) -> None:
        route: Any = self.scope.get("url_route")
        self.room = f"room.{route['kwargs']['room']}"
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()
        await self.send(json.dumps({"pid": os.getpid()}))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        word, _, rest = (text_data or "").partition(" ")
        if word == "thumbnail":
            job = {"type": "thumbnail.make", "picture": rest, "reply": self.channel_name}
            await self.channel_layer.send("thumbnails", job)
        else:
            await self.channel_layer.group_send(self.room, {"type": "chat.message", "text": text_data})

    async def chat_message(self, event: Event) -> None:
        await self.send(json.dumps({"text": event["text"]}))

    async def thumbnail_ready(self, event: Event) -> None:
        await self.send(json.dumps({"thumbnail": event["thumbnail"]}))

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)
        await self.channel_layer.group_send(self.room, {"type": "chat.message", "text": f"left {code}"})


class SyncChat(WebsocketConsumer):
    """The same in threads."""

    def connect(self) -> None:
        route: Any = self.scope.get("url_route")
        self.room = f"room.{route['kwargs']['room']}"
        async_to_sync(self.channel_layer.group_add)(self.room, self.channel_name)
        self.accept()
        self.send(json.dumps({"pid": os.getpid()}))

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        async_to_sync(self.channel_layer.group_send)(self.room, {"type": "chat.message", "text": text_data})

    def chat_message(self, event: Event) -> None:
        self.send(json.dumps({"text": event["text"]}))

    def disconnect(self, code: int) -> None:
        async_to_sync(self.channel_layer.group_discard)(self.room, self.channel_name)


class Thumbnails(SyncConsumer):
    """Works in the background, for whoever sends to the channel "thumbnails"."""

    def thumbnail_make(self, message: Event) -> None:
        ready = {"type": "thumbnail.ready", "thumbnail": f"small {message['picture']}", "pid": os.getpid()}
        async_to_sync(self.channel_layer.send)(message["reply"], ready)
