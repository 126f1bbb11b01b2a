"""What Channels 1 code sends to a client, as ASGI messages: the part of its protocol server that knew the socket.

A WebSocket takes ``accept``, ``text`` or ``bytes``, and ``close``, in one message or several. Before it is open, data
accepts it first, and ``close`` or ``accept: False`` alone refuse it; once it is open, ``accept`` says nothing new.
A request takes ``status`` and ``headers`` once, and ``content`` until there is no ``more_content``; ``abort`` says that
what has begun will not be whole. What does not fit is logged and dropped, as it was: its sender is elsewhere, and may
have ended.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from ..shared.wire import Event, is_one_of

logger = logging.getLogger("channels_bridge.bridge")

NORMAL = 1000
FOR_SOCKETS = frozenset({"type", "accept", "text", "bytes", "close", "subprotocol"})
FOR_REQUESTS = frozenset({"type", "status", "headers", "content", "more_content"})
ABORT = "abort"  # of our own views: Channels 1 had no word for it


class Channels1:
    """The messages of one client. ``kind``: "http" or "websocket"."""

    __slots__ = ("_kind", "_subprotocol")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._subprotocol: str | None = None  # that its worker has chosen, for whatever accepts it

    def events(self, message: Mapping[str, Any], begun: bool) -> list[Event]:
        """Give what the server is sent. ``begun``: the socket was accepted, or the response started."""
        wrong, events = (self._socket if self._kind == "websocket" else _request)(message, begun)
        if wrong:
            logger.error("dropped a message of Channels 1 for a client: %s", wrong)
        return events

    def _socket(self, message: Mapping[str, Any], begun: bool) -> tuple[str, list[Event]]:
        unknown = message.keys() - FOR_SOCKETS
        text, data = message.get("text"), message.get("bytes")
        if unknown:
            return f"a WebSocket takes accept, text, bytes and close, not {', '.join(sorted(unknown))}", []
        if text and data:
            return "both text and bytes", []
        if not _is_frame(text, str) or not _is_frame(data, bytes):
            return "text has to be a str, and bytes to be bytes", []
        close = message.get("close")
        if "subprotocol" in message:
            self._subprotocol = message["subprotocol"]
        return "", self._steps(text or data, message.get("accept"), close, begun)

    def _steps(self, payload: str | bytes | None, accept: object, close: Any, begun: bool) -> list[Event]:
        ends: list[Event] = [{"type": "websocket.close", "code": _code(close)}] if close else []
        if not begun and not payload and not accept:
            return ends or ([] if accept is None else [{"type": "websocket.close", "code": NORMAL}])
        events: list[Event] = []
        if not begun:
            chosen: Event = {} if self._subprotocol is None else {"subprotocol": self._subprotocol}
            events.append({"type": "websocket.accept", **chosen})
        if payload:
            key = "text" if isinstance(payload, str) else "bytes"
            events.append({"type": "websocket.send", key: payload})
        return events + ends


def _is_frame(value: object, kind: type) -> bool:
    return not value or isinstance(value, kind)


def _code(close: object) -> int:
    """Give the code to close with: ``True`` is 1000, and so is what is no code."""
    return close if type(close) is int and NORMAL <= close < 5000 else NORMAL


def _request(message: Mapping[str, Any], begun: bool) -> tuple[str, list[Event]]:
    unknown = message.keys() - FOR_REQUESTS
    if unknown:
        return f"a request takes status, headers, content and more_content, not {', '.join(sorted(unknown))}", []
    status, content = message.get("status"), message.get("content", b"")
    if begun and status is not None:
        return "a second status: the response has begun", []
    if not begun and type(status) is not int:
        return f"a response begins with its status, a number, not {status!r}", []
    headers = _headers(message.get("headers") or [])
    if headers is None:
        return "headers are pairs of bytes", []
    body = content.encode() if isinstance(content, str) else content
    if not isinstance(body, bytes):
        return "content has to be bytes", []
    events: list[Event] = [] if begun else [{"type": "http.response.start", "status": status, "headers": headers}]
    events.append({"type": "http.response.body", "body": body, "more_body": bool(message.get("more_content"))})
    return "", events


def _headers(pairs: Any) -> list[tuple[bytes, bytes]] | None:
    """Give the headers with names in lower case, as ASGI and HTTP/2 want them; None: these are none."""
    headers: list[tuple[bytes, bytes]] = []
    if not is_one_of(pairs, (list, tuple)):
        return None
    for pair in cast("list[Any]", pairs):
        if not is_one_of(pair, (list, tuple)) or len(pair) != 2:
            return None
        name, value = (part.encode("latin-1", "replace") if isinstance(part, str) else part for part in pair)
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            return None
        headers.append((name.lower(), value))
    return headers
