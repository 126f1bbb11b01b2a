"""What the client sees when the bridge, and not the application, has to answer: one table, one function.

Where the server offers denial responses (``websocket.http.response``), a handshake is refused with the HTTP
status. Where it does not (daphne), a refusal that is worth another try accepts and closes with the code, as a
plain refusal would always be a 403. Never sent: 1005, 1006, 1015. Reasons have at most 123 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..shared.wire import Event


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of the table."""

    status: int  # HTTP, or a handshake that may be refused with a status
    code: int  # WebSocket
    reason: str
    text: str  # the response's body
    retry: bool  # worth another try later: Retry-After


ANSWERS = {
    "no-worker": Answer(503, 1013, "no-worker", "No worker is up. Please try again.\n", True),
    "worker-lost": Answer(502, 1011, "worker-lost", "The worker was lost.\n", False),
    "drain": Answer(503, 1012, "drain", "Restarting. Please try again.\n", True),
    "overload": Answer(503, 1013, "overload", "Too busy. Please try again.\n", True),
    "failed": Answer(500, 1011, "error", "Internal Server Error", False),
    "timeout": Answer(504, 1011, "timeout", "It took too long.\n", False),
    "poison": Answer(500, 1011, "poison", "Internal Server Error", False),
    "slow": Answer(503, 1013, "slow", "The client reads too slowly.\n", True),
    "too-big": Answer(413, 1009, "too-big", "The message is too big.\n", False),
}


def answer(case: str, scope: Event, begun: bool, retry_after: int) -> list[Event] | None:
    """Give the ASGI messages for a case; None: what began cannot be completed and has to be cut.

    ``begun``: the response was started, or the socket accepted.
    """
    row = ANSWERS[case]
    if scope["type"] == "http":
        return None if begun else _response("http.response", row, retry_after)
    if begun:
        return [_close(row)]
    if "websocket.http.response" in (scope.get("extensions") or {}):
        return _response("websocket.http.response", row, retry_after)
    return [{"type": "websocket.accept"}, _close(row)]


def _close(row: Answer) -> Event:
    return {"type": "websocket.close", "code": row.code, "reason": row.reason}


def _response(prefix: str, row: Answer, retry_after: int) -> list[Event]:
    body = row.text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    if row.retry:
        headers.append((b"retry-after", b"%d" % retry_after))
    return [
        {"type": f"{prefix}.start", "status": row.status, "headers": headers},
        {"type": f"{prefix}.body", "body": body},
    ]


def private_code(code: int) -> int:
    """Map a close code to the one for servers that refuse all but 1000 and 3000-4999 (daphne): 1011 -> 4011."""
    return code if code == 1000 or 3000 <= code <= 4999 else 4000 + code % 1000
