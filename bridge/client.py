"""One connection at the edge: the server's ``receive`` and ``send``, and what is queued for the client."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio

from ..shared.config import KIB
from ..shared.endpoint import Signal, Task
from ..shared.errors import ApplicationError, ConnectionAborted
from ..shared.wire import Event, pack_event, unpack_event
from .answers import answer, private_code
from .core.connection import Connection

if TYPE_CHECKING:
    from .app import Receive, Running, Send

logger = logging.getLogger("channels_bridge.bridge")

PIECE = 256 * KIB  # of a request's body
OVERHEAD = 1 * KIB  # of an event around its payload


class Client:
    """The ASGI side of a connection. ``over`` once the ASGI call may end: then :meth:`result` ends it."""

    conn: Connection

    def __init__(self, running: Running, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self._running = running
        self._core = running.link.core
        self.scope = scope
        self.receive = receive
        self._send = send
        self._queue: deque[bytes | tuple[str, str]] = deque()  # events, at last (outcome, text)
        self.scheduled = False  # bridge/writer.py
        self.room: Signal = running.loop.signal()
        self._done: Signal = running.loop.signal()
        self.over = False
        self._error: BaseException | None = None
        self._begun = False  # response started, or socket accepted
        self._closed = False  # response complete, socket closed or refused: nothing more may be sent
        self.reading: anyio.CancelScope | None = None  # around the read loop, where there is one
        self.watcher: Task | None = None  # reads for a disconnect once the request was read

    # -- towards the application -------------------------------------------------------------------------------

    async def read(self) -> None:
        """Pass on what the client sends, until its disconnect, the end of its request, or the end of the answer."""
        with anyio.CancelScope() as self.reading:
            while not self.over:
                if not self.take(await self.receive()):
                    return
                while not self._core.room(self.conn) and not self.over:
                    await self.room.wait()

    def take(self, event: Event) -> bool:
        """Pass one message on. False: the client has no more to say, but for a disconnect."""
        kind = event["type"]
        last = kind in ("http.disconnect", "websocket.disconnect")
        if kind == "http.request" and len(event.get("body", b"")) > PIECE:
            self._take_pieces(event, memoryview(event["body"]))
        else:
            packed = pack_event(event)
            if len(packed) > self._running.link.config.max_message_bytes + OVERHEAD:
                self.finish("too-big", "")
                return False
            self._core.event(self.conn, packed, last)
        return not last and (kind != "http.request" or bool(event.get("more_body")))

    def _take_pieces(self, event: Event, body: memoryview) -> None:
        """Pass on a part of a body that some servers make as long as the body."""
        for start in range(0, len(body), PIECE):
            more = start + PIECE < len(body) or bool(event.get("more_body"))
            piece = {**event, "body": bytes(body[start : start + PIECE]), "more_body": more}
            self._core.event(self.conn, pack_event(piece), False)

    async def watch(self) -> None:
        """Wait for the disconnect of a client whose request was read."""
        try:
            while self.take(await self.receive()) and not self.over:
                pass
        except Exception as error:
            self._end(error)

    async def wait(self) -> None:
        """Wait until the ASGI call may end."""
        while not self.over:
            await self._done.wait()

    def result(self) -> None:
        """Return or raise, as the application did."""
        if self._error is not None:
            raise self._error

    # -- towards the client ------------------------------------------------------------------------------------

    def write(self, event: bytes) -> None:
        """Queue a message for the client."""
        self._queue.append(event)
        self._running.writer.schedule(self)

    def finish(self, outcome: str, text: str) -> None:
        """Queue the end, behind all that was queued before."""
        self._queue.append((outcome, text))
        self._running.writer.schedule(self)

    async def drain(self) -> None:
        """Send what is queued. Called by the writer."""
        try:
            while self._queue and not self.over:
                item = self._queue.popleft()
                if isinstance(item, bytes):
                    await self._write(item)
                else:
                    await self._finish(*item)
        except Exception as error:  # the server's own, of send(): it gets it back from our ASGI call
            self._end(error)

    async def _write(self, packed: bytes) -> None:
        event = unpack_event(packed)
        kind = event["type"]
        if kind == "websocket.send" and not self._begun:
            logger.warning("dropped a message for a client whose socket was not accepted yet")
        elif not self._closed:
            if "headers" in event:
                event["headers"] = [tuple(pair) for pair in event["headers"]]
            try:
                await self._send(event)
            except OSError:
                self._closed = True
                self._core.gone(self.conn)
            self._note(kind, event)
        self._core.written(self.conn, len(packed))

    def _note(self, kind: str, event: Event) -> None:
        """Follow the state of the response or the socket."""
        if kind in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            self._begun = True
        elif kind in ("http.response.body", "websocket.http.response.body", "http.response.pathsend"):
            if not event.get("more_body"):
                self._complete(event)
        elif kind == "websocket.close":
            self._complete(event)

    def _complete(self, event: Event) -> None:
        """A consumer has no END: its connection ends when its answer is complete."""
        owner = self.conn.owner
        if owner is None or not owner.has_turns:
            return
        self._closed = True
        if self.scope["type"] == "http":
            self._end(None)
        else:
            code, reason = event.get("code", 1000), event.get("reason") or ""
            self._stop_reading()
            self.take({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def _finish(self, outcome: str, text: str) -> None:
        if outcome in ("returned", "disconnected"):
            self._end(None)
        elif outcome == "raised" and not (self._begun and self.scope["type"] == "websocket" and self._has_turns):
            self._end(ApplicationError(text))
        else:
            await self._answer("failed" if outcome == "raised" else outcome)

    @property
    def _has_turns(self) -> bool:
        return self.conn.owner is not None and self.conn.owner.has_turns

    async def _answer(self, case: str) -> None:
        """Answer in the application's place."""
        if self._closed:
            self._end(None)
            return
        events = answer(case, self.scope, self._begun, self._running.link.config.retry_after)
        if events is None:
            self._end(ConnectionAborted(f"the response cannot be completed: {case}"))
            return
        for event in events:
            await self._send_answer(event)
        self._end(None)

    async def _send_answer(self, event: Event) -> None:
        try:
            await self._send(event)
        except OSError:
            self._closed = True
        except Exception:
            if event["type"] != "websocket.close":
                raise
            await self._send({**event, "code": private_code(event["code"])})  # daphne

    def _end(self, error: BaseException | None) -> None:
        if self.over:
            return
        self.over = True
        self._error = error
        self._stop_reading()
        self.room.set()
        self._done.set()

    def _stop_reading(self) -> None:
        if self.reading is not None:
            self.reading.cancel()

    def close(self) -> None:
        """Let go of everything: the ASGI call is over, whatever ended it."""
        self.over = True
        self._queue.clear()
        if self.watcher is not None:
            self.watcher.cancel()
        self._core.close(self.conn)
