"""The counter of counting_consumer.py as a plain ASGI application: the state lives in the process with the socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.rig.ledger import reply


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "websocket":
        return
    count = 0
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        count += 1
        await send({"type": "websocket.send", "text": reply(event["text"], count)})
