"""A consumer whose socket rests: it counts what its group is told, and says the count to its client."""

from __future__ import annotations

from typing import Any

from benchmarks.rig.channel_layers import GROUP

from channels_bridge import AsyncConsumer


class Resting(AsyncConsumer):
    """``count`` is its state: a tick that was handled twice, or by somebody who knew nothing, shows in the answer."""

    type = "websocket"
    resumable = True
    count = 0

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        await self.send({"type": "websocket.accept"})
        await self.channel_layer.group_add(GROUP, self.consumer_channel)

    async def tick(self, message: dict[str, Any]) -> None:
        self.count += 1
        await self.send({"type": "websocket.send", "text": said(self.count)})


def said(count: int) -> str:
    """Give the answer to tick number ``count``; all have the same length."""
    return f"{count:06d}"
