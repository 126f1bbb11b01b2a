"""A bridge with tight limits, and consumers that are busy: for test_overload.py."""

from __future__ import annotations

from typing import Any

import anyio

from channels_bridge import AsyncConsumer, Bridge, Config, Router

application = Bridge(
    config=Config(max_connections=6, max_handshakes=2, http_queue=0.8, park=1.5, queue_delay=0.5, slow_client=1.0,
                  window_bytes=64 * 1024)
)  # fmt: skip


class Busy(AsyncConsumer):
    """Takes as many seconds for a message as its text says."""

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        await anyio.sleep(float(message["query_string"] or 0))
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        await anyio.sleep(float(message["text"]))
        await self.send({"type": "websocket.send", "text": message["text"]})


class Answer(AsyncConsumer):
    """Says hello."""

    async def http_request(self, message: dict[str, Any]) -> None:
        await self.send({"type": "http.response.start", "status": 200, "headers": []})
        await self.send({"type": "http.response.body", "body": b"hello"})


class Flood(AsyncConsumer):
    """Sends more than any client's buffers take."""

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        for _ in range(400):
            await self.send({"type": "websocket.send", "bytes": bytes(64 * 1024)})
            await self.flush()


consumers = Router({"/flood": Flood, "/busy": Busy, "/": Answer})
