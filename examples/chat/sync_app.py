"""The chat of ``examples/chat/app.py`` with a sync consumer, as the article wrote it: handlers run in threads.

::

    channels-bridge serve examples.chat.sync_app:application --workers 2 --threads 8

Its sockets and those of ``app`` can be in one room: a worker of each may serve the same bridge.
"""

from __future__ import annotations

import json
from typing import Any

from channels_bridge import Router, SyncConsumer

from .app import ROOM, Message, PageConsumer, user_of


class ChatConsumer(SyncConsumer):
    """One person's socket in one room."""

    type = "websocket"
    user = ""
    group = ""

    def websocket_connect(self, message: Message, room_name: str) -> None:
        if not ROOM.fullmatch(room_name):
            self.send({"type": "websocket.close"})
            return
        self.user = user_of(message)
        self.group = f"chat.{room_name}"
        self.announce(f"{self.user} has joined")
        self.channel_layer.group_add(self.group, self.consumer_channel)
        self.tell(text=f"Welcome to {room_name}, {self.user}")

    def websocket_receive(self, message: Message) -> None:
        if text := message.get("text"):
            self.announce(text, user=self.user)

    def group_message(self, message: Message) -> None:
        self.tell(text=message["text"], user=message["user"], own=message["by"] == self.consumer_channel)

    def websocket_disconnect(self, message: Message) -> None:
        if self.group:
            self.channel_layer.group_discard(self.group, self.consumer_channel)
            self.announce(f"{self.user} has left")

    def announce(self, text: str, user: str = "") -> None:
        event = {"type": "group.message", "text": text, "user": user, "by": self.consumer_channel}
        self.channel_layer.send_group(self.group, event)

    def tell(self, **fields: Any) -> None:
        self.send({"type": "websocket.send", "text": json.dumps(fields, ensure_ascii=False)})


application = Router(
    {
        "/": PageConsumer,
        "/room/<room_name>/": PageConsumer,
        "/chat/room/<room_name>/": ChatConsumer,
    }
)
