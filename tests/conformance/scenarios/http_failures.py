"""Applications that fail, and messages that make no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..scenario import Scenario
from ..tap import ProbeError

if TYPE_CHECKING:
    from ..tap import Message, Tap
    from ..wires import Wire

PATIENCE = 1.6  # seconds; daphne looks once a second for applications that have ended

# Its checker calls the protocol's handle_exception, which raises if the response has started already, and the
# checker never runs again: no application on that server is reaped, nor answered 500, from then on.
STOPS_DAPHNE = "an exception after the start of a response stops daphne's application checker"


class _AskedWithPatience(Scenario):
    """A GET whose answer may never come or be cut."""

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            http.patience = PATIENCE
            await http.request("GET", "/fails")
            if await http.head_within(PATIENCE) == "response":
                await http.body()
                await http.closed(0.2)


class ExceptionBeforeResponse(_AskedWithPatience):
    """The server's own answer to an exception is given, whatever that is."""

    variants = ("unread", "read")

    async def app(self, tap: Tap) -> None:
        if tap.variant == "read":
            await tap.body()
        raise ProbeError("before the response")


class ExceptionAfterStart(_AskedWithPatience):
    """What has begun is cut, never ended as if it were whole."""

    variants = ("nothing sent", "chunked", "with length")
    not_on: ClassVar[dict[str, str]] = {"daphne": STOPS_DAPHNE}

    async def app(self, tap: Tap) -> None:
        await tap.start(200, [(b"content-length", b"100")] if tap.variant == "with length" else [])
        if tap.variant != "nothing sent":
            await tap.part(b"partial")
        raise ProbeError("after the start")


class ReturnsBeforeResponse(_AskedWithPatience):
    """An application that returns without an answer."""

    async def app(self, tap: Tap) -> None:
        await tap.body()


class ReturnsBeforeEnd(_AskedWithPatience):
    """An application that returns before its response is complete."""

    variants = ("nothing sent", "chunked", "with length")

    async def app(self, tap: Tap) -> None:
        await tap.start(200, [(b"content-length", b"100")] if tap.variant == "with length" else [])
        if tap.variant != "nothing sent":
            await tap.part(b"partial")


class ReturnsSomething(_AskedWithPatience):
    """An application that returns a value instead of None."""

    async def app(self, tap: Tap) -> None:
        await tap.respond()
        return "something"  # type: ignore[return-value]


class SendAfterEnd(_AskedWithPatience):
    """Sending after the end of a response is the application's error, and it is told so where the server does."""

    variants = ("body", "start")

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.respond()
        if tap.variant == "body":
            await tap.attempt({"type": "http.response.body", "body": b"more", "more_body": False})
        else:
            await tap.attempt({"type": "http.response.start", "status": 200, "headers": []})


class Malformed(_AskedWithPatience):
    """Messages out of order, of no known type, or with parts missing."""

    variants = (
        "body before start",
        "start twice",
        "unknown type",
        "websocket message",
        "no type",
        "no status",
        "text as body",
        "text as header",
        "status as text",
        "newline in header",
    )
    not_on: ClassVar[dict[str, str]] = {
        "daphne/start twice": STOPS_DAPHNE,
        "daphne/no status": STOPS_DAPHNE,
        "daphne/text as body": STOPS_DAPHNE,
    }
    messages: ClassVar[dict[str, list[Message]]] = {
        "body before start": [{"type": "http.response.body", "body": b"early"}],
        "start twice": [
            {"type": "http.response.start", "status": 200, "headers": []},
            {"type": "http.response.start", "status": 200, "headers": []},
        ],
        "unknown type": [{"type": "http.response.unheard-of"}],
        "websocket message": [{"type": "websocket.accept"}],
        "no type": [{"status": 200}],
        "no status": [{"type": "http.response.start", "headers": []}],
        "text as body": [
            {"type": "http.response.start", "status": 200, "headers": []},
            {"type": "http.response.body", "body": "text"},
        ],
        "text as header": [{"type": "http.response.start", "status": 200, "headers": [("x-text", "text")]}],
        "status as text": [{"type": "http.response.start", "status": "200", "headers": []}],
        "newline in header": [
            {"type": "http.response.start", "status": 200, "headers": [(b"x-split", b"a\r\nx-b: c")]}
        ],
    }

    async def app(self, tap: Tap) -> None:
        await tap.body()
        for message in self.messages[tap.variant]:
            try:
                await tap.send(dict(message))
            except Exception:
                tap.note("refused", message.get("type", "no type"))
                raise


class WrongLength(_AskedWithPatience):
    """A body that is longer or shorter than its ``content-length``: the client must not take it for whole."""

    variants = ("longer", "shorter")

    async def app(self, tap: Tap) -> None:
        await tap.body()
        length = b"5" if tap.variant == "longer" else b"50"
        await tap.start(200, [(b"content-length", length)])
        await tap.part(b"ten bytes.", more_body=False)


class BodyWhereNoneBelongs(_AskedWithPatience):
    """A body with a status that has none."""

    variants = ("204", "304")

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.start(int(tap.variant), [])
        await tap.part(b"should not be here", more_body=False)
