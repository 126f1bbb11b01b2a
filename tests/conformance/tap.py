"""The application's side of a scenario: what ASGI gives it, with a note taken of all that it sees.

The notes leave by a file, because much of what matters happens after the response or without one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import anyio

from .plain import plain

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[Iterable[bytes]]

FOLDER = "CHANNELS_BRIDGE_CONFORMANCE"  # the environment variable that names the folder of notes and signals
RUN = b"x-run"  # the request header with scenario, number of the variant, of the run and of the request
PATIENCE = 10.0  # seconds until an application gives up waiting; nothing here takes one
POLL = 0.005  # seconds between looks at a signal's file


class ProbeError(Exception):
    """What an application raises when a scenario wants it to fail."""


def leave(file: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    draft = file.with_name(f"{file.name}.draft")
    draft.write_text(text)
    draft.rename(file)


class Tap:
    """One call of the application: its scope, ``receive`` and ``send``, and the notes about them."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.run = next(bytes(value).decode() for name, value in scope["headers"] if name == RUN)
        self.variant = ""
        self.notes: list[tuple[Any, ...]] = []
        self._parts: list[Message] = []  # of a request's body, since the last note
        self._receive = receive
        self._send = send
        self._folder = Path(os.environ[FOLDER])

    # -- notes and signals

    def note(self, *what: object) -> None:
        """Write something down; it is compared, so it must not depend on time or place."""
        self._note_body()
        self.notes.append(tuple(plain(item) for item in what))

    def _note_body(self) -> None:
        if self._parts:
            self.notes.append(_body_note(self._parts))
            self._parts = []

    def report(self, ended: str) -> None:
        """Leave the notes for the test to find."""
        self._note_body()
        scope = {key: plain(value) for key, value in self.scope.items()}
        leave(self._folder / f"{self.run}.report", repr({"scope": scope, "notes": self.notes, "ended": ended}))

    def signal(self, name: str) -> None:
        """Tell the client's side that something has happened."""
        leave(self._folder / f"{self.run}.{name}", "")

    async def wait(self, name: str) -> None:
        """Return when the client's side has signalled ``name``."""
        with anyio.fail_after(PATIENCE):
            while not (self._folder / f"{self.run}.{name}").exists():  # noqa: ASYNC110 - another process
                await anyio.sleep(POLL)

    # -- ASGI

    async def receive(self) -> Message:
        """Receive one event, and note it.

        Parts of a body that follow each other are one note: how TCP cuts a body is chance.
        """
        event = await self._receive()
        if event["type"] == "http.request":
            self._parts.append(event)
        else:
            self.note("received", event)
        return event

    async def receive_unnoted(self) -> Message:
        """Receive one event without a note."""
        return await self._receive()

    async def try_receive(self, timeout: float = 0.3) -> Message | None:
        """Receive one event, or note that none came in ``timeout`` seconds, or that receiving failed."""
        try:
            with anyio.move_on_after(timeout):
                return await self.receive()
        except Exception as error:
            self.note("receive failed", family(error))
            return None
        self.note("received nothing")
        return None

    async def receive_until(self, *types: str) -> Message:
        """Receive events up to the first of one of these types, and return that."""
        while True:
            event = await self.receive()
            if event["type"] in types:
                return event

    async def body(self) -> bytes:
        """Receive the rest of the request's body; stop short where the client is gone."""
        parts: list[bytes] = []
        while True:
            event = await self.receive()
            if event["type"] != "http.request":
                return b"".join(parts)
            parts.append(event.get("body", b""))
            if not event.get("more_body", False):
                return b"".join(parts)

    async def send(self, message: Message) -> None:
        """Send one message."""
        await self._send(message)

    async def attempt(self, message: Message) -> bool:
        """Send one message and note what became of it; return True if the server took it."""
        try:
            await self._send(message)
        except Exception as error:
            self.note("sent", message["type"], family(error))
            return False
        self.note("sent", message["type"], "taken")
        return True

    async def attempt_until_refused(self, message: Message, seconds: float = 0.5) -> None:
        """Send one message over and over until the server refuses it, or seems not to mind."""
        with anyio.move_on_after(seconds):
            while True:
                try:
                    await self._send(message)
                except Exception as error:
                    self.note("sent again and again", message["type"], family(error))
                    return
                await anyio.sleep(0.02)
        self.note("sent again and again", message["type"], "taken")

    async def start(self, status: int = 200, headers: Headers = (), **more: object) -> None:
        """Start an HTTP response."""
        await self.send({"type": "http.response.start", "status": status, "headers": headers, **more})

    async def part(self, body: bytes, more_body: bool = True) -> None:
        """Send a part of a response's body; the last one unless ``more_body``."""
        await self.send({"type": "http.response.body", "body": body, "more_body": more_body})

    async def respond(self, status: int = 200, headers: Headers = (), body: bytes = b"done") -> None:
        """Give a whole response, with its length unless ``headers`` are given."""
        given = [list(pair) for pair in headers]
        length = [[b"content-length", str(len(body)).encode()]]
        await self.start(status, given or length)
        await self.part(body, more_body=False)

    async def accept(self, **more: object) -> None:
        """Take the ``websocket.connect`` and accept the socket."""
        await self.receive()
        await self.send({"type": "websocket.accept", **more})

    async def text(self, text: str) -> None:
        """Send a text message over the WebSocket."""
        await self.send({"type": "websocket.send", "text": text})


def _body_note(parts: list[Message]) -> tuple[Any, ...]:
    """Return the note about parts of a body: all of it, whether that is the end, keys and types of the parts."""
    shapes = {tuple((key, type(value).__name__) for key, value in sorted(part.items())) for part in parts}
    body = b"".join(part.get("body", b"") for part in parts)
    more = parts[-1].get("more_body", False)
    return ("received body", plain(body), "and there is more" if more else "complete", sorted(shapes))


def family(error: BaseException) -> str:
    """Return what frameworks tell apart: "OSError" if the client is gone, "error" if the application is wrong."""
    return "OSError" if isinstance(error, OSError) else "error"


_lifespans = itertools.count()


async def lifespan(receive: Receive, send: Send, state: Message | None) -> None:
    """Play the lifespan and leave a file for each of its events."""
    folder = Path(os.environ[FOLDER])
    number = next(_lifespans)
    while True:
        event = await receive()
        leave(folder / f"{event['type']}.{os.getpid()}.{number}", "")
        if event["type"] == "lifespan.startup" and state is not None:
            state.update({"text": "from the lifespan", "shared": ["one list for all"]})
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
