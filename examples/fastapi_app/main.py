"""A FastAPI application that knows nothing of bridges: routes, lifespan, WebSocket, background task, SSE, upload.

::

    channels-bridge serve examples.fastapi_app.main:app
    uvicorn examples.fastapi_app.main:app                 # it works the same without a bridge

then http://127.0.0.1:8000/docs. Its notes are in the memory of the process, so one worker has to do here.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypedDict, cast

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

logger = logging.getLogger("uvicorn.error")


class NewNote(BaseModel):
    """What a client sends to make a note."""

    text: str


@dataclass
class Note:
    """One note; ``words`` is counted after the response was sent."""

    text: str
    words: int | None = None


@dataclass
class Board:
    """All notes, and when this process began."""

    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    notes: list[Note] = field(default_factory=list[Note])


class State(TypedDict):
    """What the lifespan gives to each request."""

    board: Board


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
    """Begin and end with the process, be it a server or a worker."""
    logger.info("%s begins", app.title)
    yield {"board": Board()}
    logger.info("%s ends", app.title)


app = FastAPI(title="Notes", lifespan=lifespan)


def board_of(connection: Request | WebSocket) -> Board:
    return cast("Board", connection.state.board)


@app.get("/")
async def index(request: Request) -> dict[str, str]:
    return {"since": board_of(request).since.isoformat(), "notes": str(request.url_for("make_note"))}


@app.post("/notes", status_code=201)
async def make_note(note: NewNote, request: Request, tasks: BackgroundTasks) -> dict[str, int]:
    notes = board_of(request).notes
    notes.append(Note(note.text))
    tasks.add_task(count_words, notes[-1])
    return {"id": len(notes) - 1}


def count_words(note: Note) -> None:
    note.words = len(note.text.split())


@app.get("/notes/{number}")
async def read_note(number: int, request: Request) -> dict[str, str | int | None]:
    notes = board_of(request).notes
    if not 0 <= number < len(notes):
        raise HTTPException(404, f"there is no note {number}")
    return asdict(notes[number])


@app.post("/digest")
async def digest(request: Request) -> dict[str, str | int]:
    """Read a body of any length, piece by piece."""
    hashed, length = sha256(), 0
    async for piece in request.stream():
        hashed.update(piece)
        length += len(piece)
    return {"sha256": hashed.hexdigest(), "length": length}


@app.get("/ticks")
async def ticks(count: int = 5, seconds: float = 1.0) -> StreamingResponse:
    """Send ``count`` server-sent events, one every ``seconds``."""

    async def events() -> AsyncGenerator[str]:
        for number in range(count):
            if number:
                await asyncio.sleep(seconds)
            yield f"id: {number}\ndata: {json.dumps({'tick': number})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})


@app.websocket("/shout")
async def shout(websocket: WebSocket) -> None:
    """Say back louder what was said. ``bye`` ends it."""
    await websocket.accept()
    async for text in websocket.iter_text():
        if text == "bye":
            await websocket.close(4000, "bye")
            return
        await websocket.send_text(text.upper())
