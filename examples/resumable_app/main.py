"""A FastAPI application whose sockets outlive their worker: each counts, and goes on counting in another process.

::

    channels-bridge serve examples.resumable_app.main:app --workers 2
    uvicorn examples.resumable_app.main:app               # it works without a bridge, and then ends with the process

Say something on ws://127.0.0.1:8000/count: the answer has a number, what was said, and the process that counted. Kill
that process, and say something more: the number goes on, and the process is another.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, WebSocket

app = FastAPI(title="Counter")


class Resume:
    """What ``bridge.resume`` offers, or the same without a bridge: then nothing is kept."""

    def __init__(self, websocket: WebSocket) -> None:
        offer = (websocket.scope.get("extensions") or {}).get("bridge.resume", {})
        self.state: Any = offer.get("state")  # None: nothing was saved, this is the beginning
        self._save: Callable[[Any], Awaitable[None]] | None = offer.get("save")

    async def save(self, state: Any) -> None:
        """Keep this for the next worker. What was received is handled now, and what was sent leaves."""
        if self._save is not None:
            await self._save(state)


@app.websocket("/count")
async def count(websocket: WebSocket) -> None:
    """Number what is said."""
    resume = Resume(websocket)
    number = resume.state or 0
    await websocket.accept()  # of a socket that is open already the client hears nothing
    await resume.save(number)  # from here on it outlives this process
    async for text in websocket.iter_text():
        number += 1
        await websocket.send_text(f"{number} {text} {os.getpid()}")
        await resume.save(number)  # last: number and answer hold together, or not at all
