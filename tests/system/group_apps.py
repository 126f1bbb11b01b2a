"""Members of groups, and who sends to them: hosted by the workers of test_group_moves.py."""

from __future__ import annotations

import os
from typing import Any

from channels_bridge import AsyncConsumer, Router

Event = dict[str, Any]
GROUPS = {"consumers": "heard", "replies": "websocket.send"}  # group -> type of its messages


def numbered(group: str, by: str, number: int) -> Event:
    return {"type": GROUPS[group], "text": f"{by} {number}"}


class Member(AsyncConsumer):
    """Is in a group, by its consumer or by its client; tells that it is, and all that it hears."""

    async def websocket_connect(self, message: Event, group: str) -> None:
        channel = self.consumer_channel
        if group == "replies":
            channel = channel.replace("consumer.", "reply.")
        await self.channel_layer.group_add(group, channel)
        await self.send({"type": "websocket.send", "text": f"pid {os.getpid()}"})

    async def heard(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "text": message["text"]})


class Publisher(AsyncConsumer):
    """Sends a number to both groups in one turn, and tells that it did."""

    async def websocket_connect(self, message: Event, name: str) -> None:
        self.name = name
        await self.send({"type": "websocket.send", "text": f"pid {os.getpid()}"})

    async def websocket_receive(self, message: Event) -> None:
        number = int(message["text"])
        for group in GROUPS:
            await self.channel_layer.group_send(group, numbered(group, self.name, number))
        await self.send({"type": "websocket.send", "text": f"{self.name} {number}"})


application = Router({"/member/<group>/": Member, "/publish/<name>/": Publisher})
