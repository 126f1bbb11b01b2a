"""A protocol server that a test plays: one ASGI call, what its client sends, what the application sends.

::

    async with Call(bridge, http_scope("/path")) as call:
        call.give({"type": "http.request"})
        assert (await call.next())["status"] == 200

A message goes in when the test gives it, and the application's ``send()`` waits while the test says so. Nothing
sleeps: each wait is for a condition, and fails after ``PATIENCE`` seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc

Event = MutableMapping[str, Any]  # a message, or a scope
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

PATIENCE = 10.0  # seconds until a test that hangs is called failed; none waits for as long


class Changes:
    """Wakes whoever waits for a condition on something that tells of its changes."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def tell(self) -> None:
        """Have all conditions looked at again."""
        event, self._event = self._event, anyio.Event()
        event.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Return once the condition holds; at once if it does."""
        while not condition():
            await self._event.wait()


async def eventually(condition: Callable[[], object]) -> None:
    """Return once a condition holds that nobody tells of."""
    with anyio.move_on_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - threads and processes tell nobody
            await anyio.sleep(0.002)
        return
    raise AssertionError("it never came to pass")


def http_scope(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    """Make a scope as uvicorn makes it."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
    }
    return scope | more


def websocket_scope(path: str = "/", **more: Any) -> dict[str, Any]:
    """Make a scope as uvicorn makes it."""
    scope = http_scope(path, type="websocket", scheme="ws", subprotocols=[])
    del scope["method"]
    return {**scope, "extensions": {"websocket.http.response": {}}, **more}


class Call:
    """One ASGI call. Enter it to begin; leaving cancels what goes on, and raises an error that nobody looked at."""

    def __init__(self, app: ASGIApp, scope: Event, *events: Event) -> None:
        self.changes = Changes()
        self.sent: list[Event] = []  # what the server has taken
        self.sending: list[Event] = []  # what send() waits with
        self.asked = 0  # calls of receive()
        self.taken = 0  # of these, the ones that got an event
        self.send_waits = False  # until go_on()
        self._permits = 0  # sends that may pass all the same
        self.send_raises: Exception | None = None
        self.error: BaseException | None = None
        self.ended = False
        self._app, self._scope = app, scope
        self._events = deque(events)
        self._read = 0  # of sent, by next()
        self._group: anyio.abc.TaskGroup | None = None
        self._cancel_scope = anyio.CancelScope()

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._group is not None
        self._cancel_scope.cancel()
        self.go_on()
        try:
            await self._group.__aexit__(kind, error, traceback)
        except BaseExceptionGroup:
            if error is None:
                raise
            # else the group holds the body's own error, which goes on by itself
        if error is None and self.error is not None:
            raise self.error

    async def _run(self) -> None:
        try:
            with self._cancel_scope:
                await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            self.error = error
        finally:
            self.ended = True
            self.changes.tell()

    # -- what the application calls ----------------------------------------------------------------------------

    async def _receive(self) -> Event:
        self.asked += 1
        self.changes.tell()
        await self.changes.until(lambda: self._events)
        self.taken += 1
        self.changes.tell()
        return self._events.popleft()

    async def _send(self, event: Event) -> None:
        self.sending.append(event)
        self.changes.tell()
        try:
            await self.changes.until(lambda: self._permits or not self.send_waits)
            self._permits -= 1 if self.send_waits else 0
            if self.send_raises is not None:
                raise self.send_raises
        finally:
            self.sending.remove(event)
            self.changes.tell()
        self.sent.append(event)
        self.changes.tell()

    # -- what the test calls -----------------------------------------------------------------------------------

    def give(self, *events: Event) -> None:
        """Let the client send something."""
        self._events.extend(events)
        self.changes.tell()

    def go_on(self) -> None:
        """Let send() through again."""
        self.send_waits = False
        self.changes.tell()

    async def let_through(self, count: int) -> None:
        """Let so many sends through, and those behind them wait."""
        self._permits = count
        self.changes.tell()
        await self.until(lambda: not self._permits)

    def cancel(self) -> None:
        """Cancel the call, as servers do whose client has gone, or which stop."""
        self._cancel_scope.cancel()

    async def until(self, condition: Callable[[], object]) -> None:
        """Return once a condition on this call holds."""
        with anyio.move_on_after(PATIENCE):
            await self.changes.until(condition)
            return
        raise AssertionError(f"it never came to pass; sent: {self.sent}, ended: {self.ended}, error: {self.error!r}")

    async def next(self) -> Event:
        """Give the next message that the application has sent."""
        await self.until(lambda: len(self.sent) > self._read or self.ended)
        assert len(self.sent) > self._read, f"the call ended with {self.error!r}; sent: {self.sent}"
        self._read += 1
        return self.sent[self._read - 1]

    def unread(self) -> list[Event]:
        """Give what has been sent and was not asked for by :meth:`next`."""
        events, self._read = self.sent[self._read :], len(self.sent)
        return events

    async def end(self) -> BaseException | None:
        """Wait for the end of the call; give what it raised."""
        await self.until(lambda: self.ended)
        error, self.error = self.error, None
        return error

    # -- WebSockets --------------------------------------------------------------------------------------------

    async def connect(self) -> Event:
        """Open the socket; give the accept, or whatever comes instead."""
        self.give({"type": "websocket.connect"})
        return await self.next()

    def say(self, *messages: str | bytes) -> None:
        """Let the client send messages."""
        for message in messages:
            text, data = (message, None) if isinstance(message, str) else (None, message)
            self.give({"type": "websocket.receive", "text": text, "bytes": data})

    async def hear(self) -> str | bytes:
        """Give the next message for the client."""
        event = await self.next()
        assert event["type"] == "websocket.send", event
        heard: str | bytes = event["bytes"] if event.get("text") is None else event["text"]
        return heard

    def leave(self, code: int = 1000, reason: str = "") -> None:
        """Let the client close the socket."""
        self.give({"type": "websocket.disconnect", "code": code, "reason": reason})


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as a whole."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def fetch(app: ASGIApp, path: str = "/", method: str = "GET", body: bytes = b"", **scope: Any) -> Response:
    """Make one request; give its answer. Raises what the call raises."""
    async with Call(app, http_scope(path, method, **scope), {"type": "http.request", "body": body}) as call:
        error = await call.end()
        if error is not None:
            raise error
        start, *bodies = call.sent
        whole = b"".join(event.get("body", b"") for event in bodies)
        return Response(start["status"], dict(start.get("headers", ())), whole)
