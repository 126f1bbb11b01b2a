"""A consumer with a state: it counts its socket's messages and says number and count back."""

from __future__ import annotations

from typing import Any

from benchmarks.rig.ledger import reply

from channels_bridge import AsyncConsumer


class Counter(AsyncConsumer):
    """``count`` is its state: what another worker does not take over shows in the answers."""

    type = "websocket"
    resumable = True
    count = 0

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        self.count += 1
        await self.send({"type": "websocket.send", "text": reply(message["text"], self.count)})
