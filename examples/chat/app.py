"""A chat in rooms: who is in ``/room/<name>/`` sees what is said there, from whatever process it comes.

::

    make demo
    channels-bridge serve examples.chat.app:application --workers 2    # the same, by hand

Open the printed URL in two tabs. ``examples/chat/asgi.py`` says how to run it in a server of your own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from channels_bridge import AsyncConsumer, Router

PAGE = Path(__file__).with_name("page.html").read_bytes()
ROOM = re.compile(r"[A-Za-z0-9_-]{1,50}")  # what a group's name can hold, too

Message = dict[str, Any]


class ChatConsumer(AsyncConsumer):
    """One person's socket in one room."""

    type = "websocket"
    user = ""
    group = ""

    # Room name drawn from URL pattern: /chat/room/foobar/
    async def websocket_connect(self, message: Message, room_name: str) -> None:
        if not ROOM.fullmatch(room_name):
            await self.send({"type": "websocket.close"})
            return
        self.user = user_of(message)
        self.group = f"chat.{room_name}"
        await self.announce(f"{self.user} has joined")  # to those who are there already
        await self.channel_layer.group_add(self.group, self.consumer_channel)
        await self.tell(text=f"Welcome to {room_name}, {self.user}")

    async def websocket_receive(self, message: Message) -> None:
        if text := message.get("text"):
            await self.announce(text, user=self.user)

    # This method is called by the group when it sends messages of type "group.message" to us.
    async def group_message(self, message: Message) -> None:
        await self.tell(text=message["text"], user=message["user"], own=message["by"] == self.consumer_channel)

    async def websocket_disconnect(self, message: Message) -> None:
        if self.group:
            await self.channel_layer.group_discard(self.group, self.consumer_channel)
            await self.announce(f"{self.user} has left")

    async def announce(self, text: str, user: str = "") -> None:
        """Send an event to the room. What its sockets are sent is up to the consumer of each."""
        event = {"type": "group.message", "text": text, "user": user, "by": self.consumer_channel}
        await self.channel_layer.send_group(self.group, event)

    async def tell(self, **fields: Any) -> None:
        """Send to this person. The format of the socket is in this one place."""
        await self.send({"type": "websocket.send", "text": json.dumps(fields, ensure_ascii=False)})


class PageConsumer(AsyncConsumer):
    """The page, which asks for a room or is in one."""

    type = "http"

    async def http_request(self, message: Message, **_: str) -> None:
        if message.get("more_body"):
            return  # the request is answered when all of it is here
        found = ROOM.fullmatch(self.url_kwargs.get("room_name", "lobby"))
        status, body = (200, PAGE) if found else (404, b"A room's name is letters, digits, - and _.\n")
        headers = [
            (b"content-type", b"text/html; charset=utf-8" if found else b"text/plain"),
            (b"content-length", b"%d" % len(body)),
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def user_of(message: Message) -> str:
    """Take the name from ``?name=``: this is a demo, and believes whatever it is told."""
    names = parse_qs(message["query_string"].decode("ascii", "replace")).get("name", [])
    return names[0].strip()[:30] if names and names[0].strip() else "Somebody"


application = Router(
    {
        "/": PageConsumer,
        "/room/<room_name>/": PageConsumer,
        "/chat/room/<room_name>/": ChatConsumer,
    }
)
