"""What an application may send, and when: ASGI's rules for one connection, as a table.

Checked here, in ``send()``, where the application is told at the line at fault; at the bridge it would be too late.
Source: the ASGI HTTP and WebSocket message formats, 2.3 to 2.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

from ..shared.errors import LocalProtocolError
from ..shared.wire import Event


class State(Enum):
    """Where a connection stands, seen from what was sent."""

    OPENING = "nothing was sent"
    STARTED = "the response was started"
    TRAILING = "the body is complete, trailers are to come"
    ACCEPTED = "the socket was accepted"
    REFUSING = "a denial response was started"
    COMPLETE = "the response is complete, or the socket closed"


# (kind, state) -> message type -> state that follows; a dict and not a function, so that errors can list what may come
RULES: dict[tuple[str, State], dict[str, State]] = {
    ("http", State.OPENING): {
        "http.response.start": State.STARTED,
        "http.response.early_hint": State.OPENING,
        "http.response.push": State.OPENING,
    },
    ("http", State.STARTED): {
        "http.response.body": State.COMPLETE,  # STARTED with more_body, TRAILING where trailers were announced
        "http.response.pathsend": State.COMPLETE,
        "http.response.push": State.STARTED,
    },
    ("http", State.TRAILING): {"http.response.trailers": State.COMPLETE},  # TRAILING with more_trailers
    ("http", State.COMPLETE): {},
    ("websocket", State.OPENING): {
        "websocket.accept": State.ACCEPTED,
        "websocket.close": State.COMPLETE,
        "websocket.http.response.start": State.REFUSING,
    },
    ("websocket", State.ACCEPTED): {"websocket.send": State.ACCEPTED, "websocket.close": State.COMPLETE},
    ("websocket", State.REFUSING): {"websocket.http.response.body": State.COMPLETE},  # REFUSING with more_body
    ("websocket", State.COMPLETE): {},
}

EXTENSIONS = {  # message type -> extension that the scope has to offer
    "http.response.early_hint": "http.response.early_hint",
    "http.response.push": "http.response.push",
    "http.response.pathsend": "http.response.pathsend",
    "http.response.trailers": "http.response.trailers",
    "websocket.http.response.start": "websocket.http.response",
}


class Outgoing:
    """Follows one connection's messages to the client; :meth:`check` returns what is to be sent, or raises."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.kind: str = scope["type"]
        self.state = State.OPENING
        self._extensions: dict[str, Any] = scope.get("extensions") or {}
        self._trailers = False

    def check(self, event: Event) -> Event:
        """Return the message in the form in which it travels. Raises ``LocalProtocolError`` that says what may come."""
        kind: Any = event.get("type") if type(event) is dict else None
        allowed = RULES[self.kind, self.state]
        following = allowed.get(kind)
        if following is None:
            raise LocalProtocolError(self._refusal(kind, allowed))
        needs = EXTENSIONS.get(kind)
        if needs is not None and needs not in self._extensions:
            raise LocalProtocolError(f"{kind!r} needs the extension {needs!r}, which the scope does not offer")
        if kind == "websocket.send":  # the one that has to be quick
            _check_payload(event)
        else:
            event = self._checked(kind, event)
        self.state = self._next(kind, event, following)
        return event

    def _refusal(self, kind: object, allowed: Iterable[str]) -> str:
        may = " or ".join(map(repr, allowed)) or "nothing more"
        return f"{kind!r} cannot be sent now: {self.state.value}; what may come is {may}"

    def _checked(self, kind: str, event: Event) -> Event:
        if kind.endswith("response.start") and not isinstance(event.get("status"), int):
            raise LocalProtocolError(f"{kind}: 'status' has to be an integer, not {event.get('status')!r}")
        if kind == "http.response.start":
            self._trailers = bool(event.get("trailers"))
        if "headers" in event:
            event = {**event, "headers": _headers(kind, event["headers"])}
        if not isinstance(event.get("body", b""), (bytes, bytearray, memoryview)):
            raise LocalProtocolError(f"{kind}: 'body' has to be bytes, not {type(event['body']).__name__}")
        if kind == "websocket.close" and not isinstance(event.get("code", 1000), int):
            raise LocalProtocolError(f"{kind}: 'code' has to be an integer, not {event['code']!r}")
        return event

    def _next(self, kind: str, event: Event, following: State) -> State:
        if event.get("more_body") or event.get("more_trailers"):
            return self.state
        if kind == "http.response.body" and self._trailers:
            return State.TRAILING
        return following


def _check_payload(event: Event) -> None:
    data, text = event.get("bytes"), event.get("text")
    if isinstance(text, str) or (text is None and isinstance(data, (bytes, bytearray, memoryview))):
        return
    raise LocalProtocolError("websocket.send: either 'text', a str, or 'bytes' has to be there")


def _headers(kind: str, headers: Iterable[Iterable[bytes]]) -> list[list[bytes]]:
    """Turn any iterable of pairs, one-shot ones too, into lists; once, here."""
    pairs: list[list[Any]] = [list(pair) for pair in headers]
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], bytes) or not isinstance(pair[1], bytes):
            raise LocalProtocolError(f"{kind}: a header is a pair of bytes, not {pair!r}")
    return pairs
