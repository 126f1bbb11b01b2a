"""What a broadcast costs without a bridge: the application holds the sockets and sends to one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
SENDS: dict[int, Send] = {}  # of all sockets but those of publishers


async def application(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    """``/publish``: what comes is sent to everybody else."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    publishes = scope["path"] == "/publish"
    if not publishes:
        SENDS[id(send)] = send
    while (event := await receive())["type"] == "websocket.receive":
        if publishes:
            for to in SENDS.values():
                await to({"type": "websocket.send", "text": event["text"]})
    SENDS.pop(id(send), None)
