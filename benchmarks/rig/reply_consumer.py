"""Clients that are members of a group by their reply channels: what is sent to it passes no consumer."""

from __future__ import annotations

from typing import Any

from benchmarks.rig.channel_layers import GROUP

from channels_bridge import AsyncConsumer


class Listener(AsyncConsumer):
    """``/publish``: what comes is sent to everybody else."""

    type = "websocket"

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        if message["path"] != "/publish":
            await self.channel_layer.group_add(GROUP, self.consumer_channel.replace("consumer.", "reply.", 1))

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        await self.channel_layer.group_send(GROUP, {"type": "websocket.send", "text": message["text"]})
