"""What an application may send, and when: ASGI's rules for one connection, as tables.

Checked here, in ``send()``, where the application is told at the line at fault; at the bridge it would be too late.
Source: the ASGI HTTP and WebSocket message formats, 2.3 to 2.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..shared.config import ENVELOPE
from ..shared.errors import LocalProtocolError, RemoteProtocolError
from ..shared.names import CHANNELS1
from ..shared.wire import Event, is_one_of


def check_length(packed: bytes, limit: int, what: str = "a message") -> bytes:
    """Give back what fits into ``limit`` (``max_message_bytes``); raise ``LocalProtocolError`` for what does not."""
    if len(packed) > limit + ENVELOPE:
        raise LocalProtocolError(f"{what} of {len(packed)} bytes is longer than max_message_bytes, {limit}")
    return packed


class State:
    """Where a connection stands, seen from what was sent; and which message leads where."""

    __slots__ = ("allowed", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name  # in the state of a resumable consumer: other releases read it
        self.text = text
        self.allowed: dict[str, State] = {}  # message type -> state that follows


OPENING = State("opening", "nothing was sent")
STARTED = State("started", "the response was started")
TRAILING = State("trailing", "the body is complete, trailers are to come")
HANDSHAKE = State("handshake", "the socket was neither accepted nor refused")
ACCEPTED = State("accepted", "the socket was accepted")
REFUSING = State("refusing", "a denial response was started")
COMPLETE = State("complete", "the response is complete, or the socket closed")

STATES = {
    "http": {state.name: state for state in (OPENING, STARTED, TRAILING, COMPLETE)},
    "websocket": {state.name: state for state in (HANDSHAKE, ACCEPTED, REFUSING, COMPLETE)},
}

OPENING.allowed = {
    "http.response.start": STARTED,
    "http.response.early_hint": OPENING,
    "http.response.push": OPENING,
}
STARTED.allowed = {
    "http.response.body": COMPLETE,  # STARTED with more_body, TRAILING where trailers were announced
    "http.response.pathsend": COMPLETE,
    "http.response.push": STARTED,
}
TRAILING.allowed = {"http.response.trailers": COMPLETE}  # TRAILING with more_trailers
HANDSHAKE.allowed = {
    "websocket.accept": ACCEPTED,
    "websocket.close": COMPLETE,
    "websocket.http.response.start": REFUSING,
}
ACCEPTED.allowed = {"websocket.send": ACCEPTED, "websocket.close": COMPLETE}
REFUSING.allowed = {"websocket.http.response.body": COMPLETE}  # REFUSING with more_body

EXTENSIONS = {  # message type -> extension that the scope has to offer
    "http.response.early_hint": "http.response.early_hint",
    "http.response.push": "http.response.push",
    "http.response.pathsend": "http.response.pathsend",
    "http.response.trailers": "http.response.trailers",
    "websocket.http.response.start": "websocket.http.response",
}


UNSENDABLE = frozenset({1004, 1005, 1006, 1015})  # RFC 6455, 7.4.1: they mean that no code was sent
MAX_REASON = 123  # RFC 6455, 5.5: a control frame has 125 bytes, two of them the code


class Outgoing:
    """Follows one connection's messages to the client; :meth:`check` returns what is to be sent, or raises."""

    __slots__ = ("_extensions", "_kind", "_trailers", "state")

    def __init__(self, scope: dict[str, Any]) -> None:
        self._kind: str = scope["type"]
        self.state = OPENING if self._kind == "http" else HANDSHAKE
        self._extensions: dict[str, Any] = scope.get("extensions") or {}
        self._trailers = False

    @property
    def is_answered(self) -> bool:
        """Say whether the response was started, or the socket accepted or refused."""
        return self.state is not OPENING and self.state is not HANDSHAKE

    def kept(self) -> list[Any]:
        """Give what :meth:`resume` needs in another worker, as values that travel."""
        return [self.state.name, self._trailers]

    def resume(self, kept: Any) -> None:
        """Stand where another one stood. Raises ``RemoteProtocolError`` for what is not of :meth:`kept`."""
        try:
            name, trailers = kept
            self.state = STATES[self._kind][name]
        except (TypeError, ValueError, KeyError):
            raise RemoteProtocolError(f"{kept!r} is not where a connection can stand") from None
        self._trailers = bool(trailers)

    def check(self, event: Event) -> Event:
        """Return the message in the form in which it travels. Raises ``LocalProtocolError`` that says what may come."""
        if not is_one_of(event, (dict,)):
            event = _as_dict(event)
        kind: Any = event.get("type")
        if kind == CHANNELS1:  # when it may come, and what it becomes, is known at the bridge (bridge/channels1.py)
            return event
        following = self.state.allowed.get(kind) if isinstance(kind, str) else None
        if following is None:
            may = " or ".join(map(repr, self.state.allowed)) or "nothing more"
            raise LocalProtocolError(f"{kind!r} cannot be sent now: {self.state.text}; what may come is {may}")
        if kind == "websocket.send":
            _check_payload(event)
        elif kind == "http.response.body":
            _check_body(kind, event)
            if event.get("more_body"):
                return event
            following = TRAILING if self._trailers else COMPLETE
        else:
            event = self._checked(kind, event)
            if event.get("more_body") or event.get("more_trailers"):
                return event
        self.state = following
        return event

    def _checked(self, kind: str, event: Event) -> Event:
        needs = EXTENSIONS.get(kind)
        if needs is not None and needs not in self._extensions:
            raise LocalProtocolError(f"{kind!r} needs the extension {needs!r}, which the scope does not offer")
        if kind.endswith("response.start") and not isinstance(event.get("status"), int):
            raise LocalProtocolError(f"{kind}: 'status' has to be an integer, not {event.get('status')!r}")
        if kind == "http.response.start":
            self._trailers = bool(event.get("trailers"))
        if "headers" in event:
            event = {**event, "headers": _headers(kind, event["headers"])}
        _check_body(kind, event)
        if kind == "websocket.close":
            _check_close(event)
        return event


def _as_dict(event: Any) -> dict[str, Any]:
    if not is_one_of(event, (Mapping,)):
        raise LocalProtocolError(f"a message is a dict with a 'type', not {event!r}")
    return dict(event)


def _check_body(kind: str, event: Event) -> None:
    body = event.get("body", b"")
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise LocalProtocolError(f"{kind}: 'body' has to be bytes, not {type(body).__name__}")


def _check_close(event: Event) -> None:
    code, reason = event.get("code"), event.get("reason")
    if code is not None and (not isinstance(code, int) or code in UNSENDABLE or not 1000 <= code <= 4999):
        raise LocalProtocolError(
            f"websocket.close: {code!r} is not a code that can be sent: 1000 to 4999, less 1004 to 1006"
        )
    if reason and len(reason.encode()) > MAX_REASON:
        raise LocalProtocolError(f"websocket.close: 'reason' has at most {MAX_REASON} bytes of UTF-8")


def _check_payload(event: Event) -> None:
    data, text = event.get("bytes"), event.get("text")
    if isinstance(text, str) or (text is None and isinstance(data, (bytes, bytearray, memoryview))):
        return
    raise LocalProtocolError("websocket.send: either 'text', a str, or 'bytes' has to be there")


def _headers(kind: str, headers: Iterable[Iterable[Any]]) -> list[list[bytes]]:
    """Turn any iterable of pairs, one-shot ones too, into lists; once, here."""
    pairs: list[list[bytes]] = []
    for pair in headers:
        name, value = pair  # a ValueError here names the line at fault, too
        if type(name) is not bytes or type(value) is not bytes:
            raise LocalProtocolError(f"{kind}: a header is a pair of bytes, not {(name, value)!r}")
        pairs.append([name, value])
    return pairs
