"""WebSocket handshakes: what the application sees of them, and the ways to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from ..scenario import Scenario
from ..tap import ProbeError

if TYPE_CHECKING:
    from ..tap import Message, Tap
    from ..wires import Wire

PATIENCE = 1.6  # seconds; daphne looks once a second for applications that have ended
ALICE = (b"alice.v1", b"bob", b"carol+json")


class _Handshake(Scenario):
    """A handshake, and the end of the socket after it."""

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            await websocket.ask("/socket", ALICE)
            if await websocket.answer(PATIENCE):
                await websocket.rest_within(PATIENCE)


class WebsocketScope(Scenario):
    """The scope of a WebSocket: target, headers and subprotocols as they came."""

    variants = ("/", "/caf%C3%A9/a%2Fb?a=1&a=%E2%82%AC", "//x/../y?", "/%zz")

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.send({"type": "websocket.close"})

    async def client(self, wire: Wire) -> None:
        headers = [
            (b"origin", b"http://probe.example"),
            (b"cookie", b"a=1"),
            (b"x-repeated", b"one"),
            (b"X-Mixed-Case", b"Keeps Its Case"),
            (b"x-repeated", b"two, three"),
            (b"x-latin", b"caf\xe9"),
            (b"cookie", b"b=2"),
        ]
        async with wire.websocket() as websocket:
            if await websocket.open(wire.variant, ALICE, headers):
                await websocket.rest()


class NoSubprotocols(_Handshake):
    """A client that offers no subprotocol."""

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.send({"type": "websocket.close"})

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.rest()


class Accept(_Handshake):
    """What the application says when it accepts reaches the client."""

    variants = ("bare", "nones", "subprotocol", "headers", "both", "one-shot headers")

    async def app(self, tap: Tap) -> None:
        pairs = [
            (b"set-cookie", b"a=1"),
            (b"X-Mixed-Case", b"Keeps Its Case"),
            (b"set-cookie", b"b=2"),
            (b"x-latin", b"caf\xe9"),
        ]
        more: dict[str, Message] = {
            "bare": {},
            "nones": {"subprotocol": None, "headers": []},
            "subprotocol": {"subprotocol": "bob"},
            "headers": {"headers": pairs},
            "both": {"subprotocol": "alice.v1", "headers": tuple(map(list, pairs))},
            "one-shot headers": {"headers": (iter(pair) for pair in pairs)},
        }
        await tap.accept(**more[tap.variant])
        await tap.send({"type": "websocket.close"})


class SubprotocolNotOffered(_Handshake):
    """A subprotocol that the client did not offer."""

    async def app(self, tap: Tap) -> None:
        await tap.receive()
        await tap.attempt({"type": "websocket.accept", "subprotocol": "mallory"})
        await tap.attempt({"type": "websocket.close"})


class CloseBeforeAccept(_Handshake):
    """Closing a socket that was not accepted refuses it, whatever the code."""

    variants = ("bare", "code", "code and reason")

    async def app(self, tap: Tap) -> None:
        more: dict[str, dict[str, Any]] = {
            "bare": {},
            "code": {"code": 4001},
            "code and reason": {"code": 4001, "reason": "go away"},
        }
        await tap.receive()
        await tap.send({"type": "websocket.close", **more[tap.variant]})
        await tap.try_receive()


class CloseBeforeConnect(_Handshake):
    """Some applications refuse without having received ``websocket.connect``."""

    async def app(self, tap: Tap) -> None:
        await tap.send({"type": "websocket.close"})


class AcceptBeforeConnect(_Handshake):
    """Some applications accept without having received ``websocket.connect``; it comes first nevertheless."""

    async def app(self, tap: Tap) -> None:
        await tap.send({"type": "websocket.accept"})
        await tap.receive()
        await tap.send({"type": "websocket.close"})


class Denial(_Handshake):
    """A response instead of a handshake, where the server has that extension."""

    variants = ("one part", "parts", "no body", "redirect", "repeated header")
    not_on: ClassVar[dict[str, str]] = {"granian/repeated header": "the whole server ends with a panic"}

    async def app(self, tap: Tap) -> None:
        await tap.receive()
        offered = "websocket.http.response" in (tap.scope.get("extensions") or {})
        tap.note("offered", offered)
        if not offered:
            await tap.send({"type": "websocket.close"})
            tap.signal("denied")
            return
        status = 302 if tap.variant == "redirect" else 401
        headers = [(b"www-authenticate", b"Basic"), (b"X-Mixed-Case", b"a")]
        parts = [b"no entry, ", b"sorry"] if tap.variant == "parts" else [b"no entry"]
        body = b"" if tap.variant == "no body" else b"".join(parts)
        headers += [(b"content-length", str(len(body)).encode())]
        if tap.variant == "repeated header":
            headers += [(b"x-twice", b"a"), (b"x-twice", b"b")]
        await tap.send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        if tap.variant == "parts":
            await tap.send({"type": "websocket.http.response.body", "body": parts[0], "more_body": True})
        await tap.send({"type": "websocket.http.response.body", "body": parts[-1] if body else b""})
        tap.signal("denied")
        await tap.try_receive()

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            await websocket.open()
            await wire.wait("denied", timeout=1.0)  # leaving would race with the last of the application's sends
            await anyio.sleep(0.1)


class DenialWithoutLength(_Handshake):
    """A denial that does not say how long it is: framing it is the server's affair."""

    async def app(self, tap: Tap) -> None:
        await tap.receive()
        if "websocket.http.response" not in (tap.scope.get("extensions") or {}):
            await tap.send({"type": "websocket.close"})
            return
        await tap.send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await tap.send({"type": "websocket.http.response.body", "body": b"no", "more_body": False})


class ExceptionInHandshake(_Handshake):
    """An exception before the socket was accepted."""

    variants = ("before connect", "after connect")

    async def app(self, tap: Tap) -> None:
        if tap.variant == "after connect":
            await tap.receive()
        raise ProbeError("in the handshake")


class ReturnsInHandshake(_Handshake):
    """An application that returns with neither yes nor no."""

    async def app(self, tap: Tap) -> None:
        await tap.receive()

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            await websocket.ask()
            await websocket.answer(9.0)  # daphne refuses after 5 s, which it looks at every 2 s


class MalformedHandshake(_Handshake):
    """Messages that have no place in a handshake."""

    variants = ("send", "unknown type", "no type", "http message", "text as header")
    not_on: ClassVar[dict[str, str]] = {"hypercorn-trio/text as header": "the whole server ends with an exception"}
    messages: ClassVar[dict[str, Message]] = {
        "send": {"type": "websocket.send", "text": "early"},
        "unknown type": {"type": "websocket.unheard-of"},
        "no type": {"text": "what"},
        "http message": {"type": "http.response.start", "status": 200, "headers": []},
        "text as header": {"type": "websocket.accept", "headers": [("x-text", "text")]},
    }

    async def app(self, tap: Tap) -> None:
        await tap.receive()
        message: dict[str, Any] = dict(self.messages[tap.variant])
        try:
            await tap.send(message)
        except Exception:
            tap.note("refused", message.get("type", "no type"))
            raise
        await tap.try_receive()


class GoneInHandshake(Scenario):
    """A client that is gone before the answer: the application is told, also when it does not ask at that time."""

    variants = ("awaited", "unnoticed", "accepted unnoticed")

    async def app(self, tap: Tap) -> None:
        await tap.receive()
        tap.signal("connecting")
        if tap.variant != "awaited":
            await tap.wait("gone")
            await anyio.sleep(0.3)
        if tap.variant == "accepted unnoticed":
            await tap.attempt({"type": "websocket.accept"})
            await tap.attempt({"type": "websocket.send", "text": "to nobody"})
        await tap.try_receive()

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            await websocket.ask()
            await wire.wait("connecting")
            await websocket.vanish()
        wire.signal("gone")


class BadHandshake(Scenario):
    """Handshakes that the server refuses by itself."""

    variants = ("no key", "no version", "old version", "post")

    async def app(self, tap: Tap) -> None:
        if tap.scope["type"] == "websocket":
            await tap.accept()
            await tap.send({"type": "websocket.close"})
        else:
            await tap.body()
            await tap.respond()

    async def client(self, wire: Wire) -> None:
        headers = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
        if wire.variant != "no key":
            headers.append((b"sec-websocket-key", b"c2l4dGVlbiBsZXR0ZXJzIQ=="))
        if wire.variant != "no version":
            headers.append((b"sec-websocket-version", b"8" if wire.variant == "old version" else b"13"))
        async with wire.http() as http:
            await http.head("POST" if wire.variant == "post" else "GET", "/socket", headers)
            if await http.head_within(PATIENCE) == "response":
                await http.body()
