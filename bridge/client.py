"""One connection at the edge: the server's ``receive`` and ``send``, and what is queued for the client."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio

from ..shared.config import ENVELOPE, KIB
from ..shared.endpoint import now
from ..shared.errors import ApplicationError, ConnectionAborted
from ..shared.loop import Task
from ..shared.names import CHANNELS1
from ..shared.wire import Event, is_one_of, pack_event, unpack_event
from . import servers
from .answers import answer, private_code
from .channels1 import ABORT, Channels1
from .core.connection import Broadcast

if TYPE_CHECKING:
    from .app import Receive, Running, Send

logger = logging.getLogger("channels_bridge.bridge")

PIECE = 256 * KIB  # of a request's body
TELL = 32 * KIB  # bytes that the server took before the core, and so the worker's credit, hears of it
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2
DISCONNECTS = ("http.disconnect", "websocket.disconnect")
BEGINNINGS = ("http.response.start", "websocket.accept", "websocket.http.response.start")
FIELDS = {  # field of what others send a client -> what its server takes
    "code": int, "reason": str, "subprotocol": str, "headers": list, "status": int, "body": bytes,
}  # fmt: skip
BODIES = ("http.response.body", "websocket.http.response.body", "http.response.pathsend")


class Client:
    """The ASGI side of a connection. ``over`` once the ASGI call may end: then :meth:`result` ends it."""

    __slots__ = (
        "__weakref__", "_begun", "_channels1", "_closed", "_core", "_error", "_kind", "_limit", "_paused", "_queue",
        "_reading", "_receive", "_running", "_scope", "_send", "_waiting", "_watcher", "changed", "conn", "over",
        "scheduled",
    )  # fmt: skip

    def __init__(self, running: Running, scope: Event, receive: Receive, send: Send, pool: str, packed: bytes) -> None:
        self._running = running
        self._core = core = running.link.core
        self._limit = running.link.config.max_message_bytes + ENVELOPE
        self._kind: str = scope["type"]
        self._scope = scope
        self._receive = receive
        self._send = send
        self._queue: deque[bytes | tuple[str, str]] = deque()  # events, at last (outcome, text)
        self.scheduled = False  # the writer has it (bridge/writer.py)
        self._waiting = False  # our own task has nothing to read and writes by itself
        self.changed = running.loop.signal()  # something is queued, there is room, or it is over
        self.over = False
        self._error: BaseException | None = None
        self._begun = False  # response started, or socket accepted
        self._closed = False  # response complete, socket closed or refused: nothing more may be sent
        self._reading: anyio.CancelScope | None = None  # around the read loop, while it runs
        self._paused = False  # it is not to be run
        self._channels1: Channels1 | None = None  # from its first message on
        self._watcher: Task | None = None  # reads for a disconnect once the request was read
        self.conn = core.connection(self._kind, pool, packed, self._is_idempotent(), self)

    def _is_idempotent(self) -> bool:
        """Say whether another worker may begin anew what none has read: a handshake is a GET (RFC 6455, 4.1)."""
        return self._kind == "websocket" or self._scope["method"] in IDEMPOTENT

    # -- towards the application -------------------------------------------------------------------------------

    async def open(self) -> bool:
        """Begin with the client's first message. False: the client has no more to say."""
        if self._waits_to_be_asked():
            self._core.open(self.conn, None, now())
            return True
        event = await self._receive()
        first, *others = _split(event)
        self._core.open(self.conn, pack_event(first), now(), last=event["type"] in DISCONNECTS)
        for other in others:
            await self._room(self._core.event(self.conn, pack_event(other)))
        return _more(event)

    def _waits_to_be_asked(self) -> bool:
        """Say whether our receive() would make the server send 100 Continue, which is the application's to decide."""
        return self._kind == "http" and any(name == b"expect" for name, _ in self._scope["headers"])

    async def read(self) -> None:
        """Pass on what the client sends, until its disconnect, the end of its request, or the end of the answer."""
        while not self.over:
            with anyio.CancelScope() as scope:
                self._reading = scope
                try:
                    await self._read_all()
                    return
                finally:
                    self._reading = None
                    self.changed.set()
            while self._paused and not self.over:
                await self.changed.wait()

    async def _read_all(self) -> None:
        await self._room(not self.conn.parked)
        while not self.over:
            event = await self._receive()
            room = self._take(event)
            if not _more(event):
                return
            if not room:
                await self._room(room)

    def _take(self, event: Event) -> bool:
        """Pass one message on. False: the next one has to wait."""
        if event["type"] == "websocket.disconnect":
            self._closed = True  # what comes for the client from now on comes too late
        room = True
        for part in _split(event):
            packed = pack_event(part)
            if len(packed) > self._limit and event["type"] == "websocket.receive":  # how bodies are cut is the server's
                self._core.refuse(self.conn, "too-big")
                return True
            room = self._core.event(self.conn, packed, last=event["type"] in DISCONNECTS)
        if event["type"] == "http.disconnect" and self.conn.turns and self.conn.turns_held:
            self._core.gone(self.conn)  # for the turn that runs: its answer may have no end, and no slot be free
        return room

    async def _room(self, room: bool) -> None:
        """Wait until the core takes more."""
        while not room and self.conn.parked and not self.over:
            await self.changed.wait()

    @property
    def watchable(self) -> bool:
        """Say whether a disconnect may still come that nobody waits for."""
        return self._kind == "http" and not self.conn.closing

    def watch(self) -> None:
        """Wait for the disconnect of a client whose request was read, in a task of its own."""
        self._watcher = self._running.loop.spawn(self._watch())

    async def _watch(self) -> None:
        try:
            while not self.over:
                event = await self._receive()
                self._take(event)
                if not _more(event):
                    return
        except Exception as error:
            self._end(error)

    async def wait(self) -> None:
        """Write what comes for the client, until the ASGI call may end."""
        self._waiting = True
        while not self.over:
            if self._queue and not self.scheduled:
                await self.drain()
            else:
                await self.changed.wait()

    def result(self) -> None:
        """Return or raise, as the application did."""
        if self._error is not None and not (self._kind == "http" and self._begun and servers.cut(self._send)):
            raise self._error

    # -- towards the client ------------------------------------------------------------------------------------

    def write(self, events: list[bytes]) -> None:
        """Queue messages for the client."""
        self._queue.extend(events)
        self._wake()

    def write_broadcast(self, event: Broadcast) -> None:
        """Queue a message of a group. The same as :meth:`write`, for ten thousand clients one after the other."""
        self._queue.append(event)
        if not self.scheduled:
            self._wake()

    def drop_oldest(self) -> None:
        """Take the oldest message of a group out of the queue, if there is one."""
        for index, item in enumerate(self._queue):
            if type(item) is Broadcast:
                del self._queue[index]
                self._core.written(self.conn, len(item))
                return

    def finish(self, outcome: str, text: str, events: Sequence[bytes]) -> None:
        """Queue these messages and then the end, behind all that was queued before."""
        if outcome == "slow":
            self._queue.clear()  # it would come too late
            if self.scheduled:  # and a close frame could not be sent either
                self._end(ConnectionAborted("the client reads too slowly"))
                return
        self._queue.extend(events)
        self._queue.append((outcome, text))
        self._wake()

    def _wake(self) -> None:
        if self._waiting:
            self.changed.set()
        elif not self.scheduled:
            self._running.writer.schedule(self)

    async def drain(self) -> None:
        """Send what is queued."""
        queue, untold = self._queue, 0
        try:
            while queue and not self.over:
                item = queue.popleft()
                if not isinstance(item, bytes):
                    await self._finish(*item)
                    continue
                event = _unpack_broadcast(item) if isinstance(item, Broadcast) else unpack_event(item)
                for one in (event,) if event["type"] != CHANNELS1 else self._of_channels1(event):
                    if self._takes(one, item):
                        await self._send_event(one)
                untold += len(item)
                if untold >= TELL:
                    self._core.written(self.conn, untold)
                    untold = 0
        except Exception as error:  # the server's own, of send(): it gets it back from our ASGI call
            await self._leave_tidy()
            self._end(error)
        if untold and not self.over:
            self._core.written(self.conn, untold)
        if self._waiting:
            self.changed.set()

    def _of_channels1(self, event: Event) -> Sequence[Event]:
        """Give what a message of Channels 1 code comes to, as the client stands now."""
        if self._closed:
            return ()
        if event.get(ABORT) and self._kind == "http":
            self._end(ConnectionAborted("a view has raised while it made its response"))
            return ()
        if self._channels1 is None:
            self._channels1 = Channels1(self._kind)
        return self._channels1.events(event, self._begun)

    async def _leave_tidy(self) -> None:
        """Close a socket whose server has refused a message: hypercorn falls over a handshake that ends half way."""
        if self._kind == "websocket" and not self._begun:
            await self._send_close({"type": "websocket.close", "code": 1011, "reason": ""})

    def _takes(self, event: Event, item: bytes) -> bool:
        """Say whether the server can still be given this, which came in ``item``."""
        if event["type"] == "websocket.send" and not self._begun:
            logger.warning("dropped a message for a client whose socket was not accepted yet")
            return False
        if isinstance(item, Broadcast) and not self._closed and not _fits(event, self._kind, self._begun):
            logger.error("dropped a message for a client that is none for it as it stands: %r", event["type"])
            return False
        return not self._closed

    async def _send_event(self, event: Event) -> None:
        if "headers" in event:
            event["headers"] = [(name, value) for name, value in event["headers"]]
        kind = event["type"]
        if not self.conn.reached:
            self._core.reached(self.conn)
        try:
            if kind == "websocket.close":
                await self._send_close(event)
            else:
                await self._send(event)
        except OSError:
            self._closed = True
            self._core.gone(self.conn)
        if kind != "websocket.send":
            self._note(kind, event)

    async def _send_close(self, event: Event) -> None:
        """Close with a code that the server takes. Nobody reads meanwhile: granian's close waits for receive()."""
        self._paused = True
        while self._reading is not None:
            self._reading.cancel()
            await self.changed.wait()
        try:
            await self._send(event)
        except OSError:
            raise
        except Exception as error:
            logger.warning("the server refuses to close with %s: %s", event.get("code"), error)
            with contextlib.suppress(Exception):
                await self._send({**event, "code": private_code(event.get("code") or 1000)})  # daphne
        if not self.conn.turns:  # a consumer is given a disconnect of our own
            self._paused = False
            self.changed.set()

    def _note(self, kind: str, event: Event) -> None:
        """Follow the state of the response or the socket."""
        if kind in BEGINNINGS:
            self._begun = True
        elif kind == "websocket.close" or (kind in BODIES and not event.get("more_body")):
            self._complete(event)

    def _complete(self, event: Event) -> None:
        """End what has no other end: a consumer's connection is over when its answer is complete."""
        if not self.conn.turns:
            return
        self._closed = True
        if self._kind == "http":
            if self._core.answered(self.conn):
                self._end(None)
        else:
            code, reason = event.get("code", 1000), event.get("reason") or ""
            self._take({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def _finish(self, outcome: str, text: str) -> None:
        if outcome in ("returned", "disconnected") or self.conn.answered:
            self._end(None)
        elif outcome != "raised":
            await self._answer(outcome)
        elif self.conn.turns and self._begun and self._kind == "websocket":
            await self._answer("failed")
        else:
            self._end(ApplicationError(text))

    async def _answer(self, case: str) -> None:
        """Answer in the application's place."""
        events = None if self._closed else answer(case, self._scope, self._begun, self._running.link.config.retry_after)
        for event in events or ():
            await self._send_event(event)
        aborted = events is None and not self._closed
        self._end(ConnectionAborted(f"the response cannot be completed: {case}") if aborted else None)

    def fail(self, error: BaseException) -> None:
        """End the call: the server's send() was cancelled, by itself."""
        self._end(ConnectionAborted(f"the server's send() ended with {error!r}"))

    def _end(self, error: BaseException | None) -> None:
        if not self.over:
            self.over = True
            self._error = error
            if self._reading is not None:
                self._reading.cancel()
            self.changed.set()

    def close(self) -> None:
        """Let go of everything: the ASGI call is over, whatever ended it."""
        self.over = True
        self._queue.clear()
        if self._watcher is not None:
            self._watcher.cancel()
        self._running.writer.forget(self)
        self._core.close(self.conn)
        self.conn.edge = None  # no cycle is left for the garbage collector


def _unpack_broadcast(item: Broadcast) -> Event:
    """Unpack a group's message once for all clients; each gets a dict of its own, as a server may change it."""
    if item.unpacked is None:
        item.unpacked = dict(unpack_event(item))
    return item.unpacked.copy()


def _fits(event: Event, kind: str, begun: bool) -> bool:
    """Say whether a client can be given what others sent it: a server's exception would not reach them, but end it."""
    what = event["type"]
    if what == "websocket.send":
        text = event.get("text")
        is_frame = isinstance(event.get("bytes") if text is None else text, bytes if text is None else str)
        return begun and is_frame and kind == "websocket"
    if kind == "http":
        expected = what.startswith("http.response.") and begun == (what != "http.response.start")
    elif begun:
        expected = what == "websocket.close"
    else:
        expected = what in ("websocket.accept", "websocket.close") or what.startswith("websocket.http.response.")
    if not expected or any(not isinstance(event[key], FIELDS[key]) for key in FIELDS if event.get(key) is not None):
        return False
    return all(is_one_of(pair, (list, tuple)) and len(pair) == 2 for pair in event.get("headers") or ())


def _split(event: Event) -> Sequence[Event]:
    """Cut a part of a request's body that some servers make as long as the body."""
    if event["type"] != "http.request" or len(event.get("body", b"")) <= PIECE:
        return (event,)
    body = memoryview(event["body"])
    pieces = [{**event, "body": bytes(body[start : start + PIECE])} for start in range(0, len(body), PIECE)]
    for piece in pieces[:-1]:
        piece["more_body"] = True
    return pieces


def _more(event: Event) -> bool:
    """Say whether the client has more to say after this message."""
    kind = event["type"]
    return bool(event.get("more_body")) if kind == "http.request" else kind not in DISCONNECTS
