"""Clients of a site: a WebSocket, a request. Each is one ASGI call of the bridge, as a protocol server makes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from channels_bridge.bridge.app import Bridge
from channels_bridge.shared.wire import Event

Headers = Sequence[tuple[bytes, bytes]]
PATIENCE = 120.0  # seconds of the site's time; longer than all that the bridge waits for by default


class Closed(Exception):
    """The socket was closed, or refused, by the other side. ``code`` is 403 or the like where it was refused."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason!r}")
        self.code = code
        self.reason = reason


class Aborted(Exception):
    """The response was cut off, or there was none."""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Passing(Protocol):
    """Waits for a condition while the time passes; ``TimeoutError`` after so many seconds of it."""

    async def __call__(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """As :meth:`.Site.until`."""
        ...


class Call:
    """One ASGI call. :meth:`run` it as a task."""

    def __init__(self, bridge: Bridge, scope: dict[str, Any]) -> None:
        self.sent: list[Event] = []  # by the application
        self.over = False
        self.error: BaseException | None = None
        self._bridge, self._scope = bridge, scope
        self._events: deque[Event] = deque()
        self._came = anyio.Event()

    def give(self, event: Event) -> None:
        """Let the client say something."""
        self._events.append(event)
        self._came.set()

    async def run(self) -> None:
        """Make the call."""
        try:
            await self._bridge(self._scope, self._receive, self._send)
        except Exception as error:
            self.error = error
        finally:
            self.over = True

    async def _receive(self) -> Event:
        while not self._events:
            self._came = anyio.Event()
            await self._came.wait()
        return self._events.popleft()

    async def _send(self, event: Event) -> None:
        self.sent.append(event)


def scope_of(kind: str, path: str, headers: Headers, **more: Any) -> dict[str, Any]:
    """Make a scope, as uvicorn does."""
    path, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"testserver"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
    }
    return scope | more


class WebSocket:
    """A client with a socket."""

    def __init__(self, call: Call, passing: Passing) -> None:
        self.received: list[str | bytes] = []  # all that :meth:`receive` has given
        self.subprotocol: str | None = None
        self._call = call
        self._passing = passing
        self._read = 0  # of what was sent to it
        self._left = False

    async def connect(self) -> None:
        """Wait for the handshake. Raises :class:`Closed` if it is refused."""
        self._call.give({"type": "websocket.connect"})
        event = await self._next(PATIENCE, "an answer to the handshake")
        if event["type"] == "websocket.http.response.start":
            raise Closed(event["status"], "")
        self._check(event)
        self.subprotocol = event.get("subprotocol")

    async def send(self, data: str | bytes) -> None:
        """Send a message."""
        kind = "text" if isinstance(data, str) else "bytes"
        self._call.give({"type": "websocket.receive", kind: data})

    async def receive(self, seconds: float = PATIENCE) -> str | bytes:
        """Give the next message. Raises :class:`Closed`, or ``TimeoutError`` after so long of the site's time."""
        event = await self._next(seconds, "a message")
        self._check(event)
        if event["type"] != "websocket.send":
            raise AssertionError(f"on an open socket no server would take {event}")
        text = event.get("text")
        data: str | bytes = event["bytes"] if text is None else text
        self.received.append(data)
        return data

    async def quiet(self, seconds: float = 1.0) -> None:
        """Let that time pass, and raise ``AssertionError`` if a message comes."""
        try:
            await self._passing(lambda: self._unread, seconds, "")
        except TimeoutError:
            return
        raise AssertionError(f"nothing should have come, but {self._call.sent[self._read]}")

    @property
    def unread(self) -> int:
        """Messages that have come and were not received."""
        return len(self._call.sent) - self._read

    @property
    def _unread(self) -> bool:
        return self.unread > 0 or self._call.over

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket."""
        self.leave(code, reason)
        await self._passing(lambda: self._call.over, PATIENCE, "the end of a connection that its client has closed")

    def leave(self, code: int = 1006, reason: str = "") -> None:
        """Be gone, by default without a word."""
        if not self._left:
            self._left = True
            self._call.give({"type": "websocket.disconnect", "code": code, "reason": reason})

    @property
    def over(self) -> bool:
        """Say whether the ASGI call has ended."""
        return self._call.over

    async def _next(self, seconds: float, what: str) -> Event:
        await self._passing(lambda: self._unread, seconds, what)
        if not self.unread:
            raise Closed(1006, f"{self._call.error!r}")
        event = self._call.sent[self._read]
        self._read += 1
        return event

    def _check(self, event: Event) -> None:
        if event["type"] == "websocket.close":
            self.leave(event.get("code", 1000), event.get("reason") or "")  # the client's answer to the close frame
            raise Closed(event.get("code", 1000), event.get("reason") or "")


async def response_to(call: Call, body: bytes, passing: Passing) -> Response:
    """Make a request and wait for the whole answer. Raises :class:`Aborted`."""
    call.give({"type": "http.request", "body": body, "more_body": False})
    await passing(lambda: call.over, PATIENCE, "the answer to a request")
    call.give({"type": "http.disconnect"})
    starts = [event for event in call.sent if event["type"] == "http.response.start"]
    bodies = [event for event in call.sent if event["type"] == "http.response.body"]
    if call.error is not None or not starts or not bodies or bodies[-1].get("more_body"):
        raise Aborted(f"the response is not whole: {call.error!r}")
    (start,) = starts
    return Response(start["status"], list(start.get("headers", ())), b"".join(each.get("body", b"") for each in bodies))
