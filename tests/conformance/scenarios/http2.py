"""HTTP/2, with what only it has: trailers, early hints, pushes, streams that are reset, WebSockets over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import anyio
import h2.events

from ..scenario import Scenario
from ..tap import ProbeError
from .http_responses import LARGE

if TYPE_CHECKING:
    from ..tap import Tap
    from ..wires import Wire

NO_HTTP2 = {"uvicorn": "speaks no HTTP/2", "daphne": "speaks HTTP/2 over TLS only"}


class _Http2(Scenario):
    """A GET over HTTP/2."""

    not_on = NO_HTTP2

    async def client(self, wire: Wire) -> None:
        async with wire.http2() as http2:
            http2.patience = 1.0  # some servers leave a stream open whose application has failed
            await http2.head("GET", "/caf%C3%A9?a=1", [(b"te", b"trailers"), (b"cookie", b"a=1"), (b"cookie", b"b=2")])
            await http2.until()


class Http2Get(_Http2):
    """A request with its scope and a response."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.respond(200, [(b"set-cookie", b"a=1"), (b"x-between", b""), (b"set-cookie", b"b=2")])


class Http2Upload(_Http2):
    """A body up, and its size down."""

    async def app(self, tap: Tap) -> None:
        await tap.respond(body=await tap.body())

    async def client(self, wire: Wire) -> None:
        async with wire.http2() as http2:
            await http2.head("POST", "/upload", end=False)
            await http2.data(LARGE[:50_000], end=True)
            await http2.until()


class Http2Download(_Http2):
    """5 MiB down."""

    async def app(self, tap: Tap) -> None:
        await tap.start(200, [(b"content-length", str(len(LARGE)).encode())])
        for start in range(0, len(LARGE), 60_000):
            await tap.part(LARGE[start : start + 60_000], more_body=start + 60_000 < len(LARGE))


class Trailers(_Http2):
    """Trailers, where the server has them."""

    async def app(self, tap: Tap) -> None:
        offered = "http.response.trailers" in (tap.scope.get("extensions") or {})
        tap.note("offered", offered)
        await tap.start(200, [(b"trailer", b"x-checksum")], **({"trailers": True} if offered else {}))
        await tap.part(b"first ")
        await tap.part(b"second", more_body=False)
        if offered:
            headers = [(b"x-checksum", b"abc"), (b"x-second", b"caf\xe9")]
            await tap.send({"type": "http.response.trailers", "headers": headers, "more_trailers": False})


class EarlyHints(_Http2):
    """Early hints, where the server has them."""

    async def app(self, tap: Tap) -> None:
        offered = "http.response.early_hint" in (tap.scope.get("extensions") or {})
        tap.note("offered", offered)
        if offered:
            links = [b"</style.css>; rel=preload; as=style", b"</script.js>; rel=preload"]
            await tap.send({"type": "http.response.early_hint", "links": links})
        await tap.respond()


class Push(_Http2):
    """A push, where the server has it: the promise, and the request that it makes."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        if tap.scope["path"] == "/pushed.css":
            await tap.respond(body=b"pushed")
            return
        offered = "http.response.push" in (tap.scope.get("extensions") or {})
        tap.note("offered", offered)
        if offered:
            headers = [(b"x-pushed", b"yes"), (b"x-run", f"{tap.run}-pushed".encode())]
            await tap.send({"type": "http.response.push", "path": "/pushed.css", "headers": headers})
        await tap.respond()


class Http2Exceptions(_Http2):
    """Exceptions before and in a response."""

    variants = ("before", "in")

    async def app(self, tap: Tap) -> None:
        if tap.variant == "in":
            await tap.start(200, [])
            await tap.part(b"partial")
            await anyio.sleep(0.05)
        raise ProbeError(tap.variant)


class Http2Reset(_Http2):
    """A stream that is given up while its connection stays: ``http.disconnect``."""

    variants = ("in upload", "in stream")

    async def app(self, tap: Tap) -> None:
        if tap.variant == "in stream":
            await tap.body()
            await tap.start(200, [])
            await tap.part(b"first")
        else:
            await tap.receive()
        tap.signal("busy")
        await tap.receive_until("http.disconnect")

    async def client(self, wire: Wire) -> None:
        async with wire.http2() as http2:
            await http2.head("POST", "/", end=wire.variant == "in stream")
            if wire.variant == "in upload":
                await http2.data(b"four")
            else:
                await http2.until(h2.events.ResponseReceived)
            await wire.wait("busy")
            await http2.reset()
            await anyio.sleep(0.1)


class WebsocketOverHttp2(Scenario):
    """A WebSocket in a stream of HTTP/2 (RFC 8441)."""

    not_on: ClassVar[dict[str, str]] = {**NO_HTTP2, "granian": "takes WebSockets over HTTP/1.1 only"}

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        event = await tap.receive()
        await tap.text(event["text"])
        await tap.receive()

    async def client(self, wire: Wire) -> None:
        async with wire.http2() as http2:
            await http2.until(h2.events.RemoteSettingsChanged)
            await http2.head(
                "CONNECT", "/socket", [(b"sec-websocket-version", b"13")], end=False, protocol=b"websocket"
            )
            await http2.until(h2.events.ResponseReceived)
            await http2.data(b"\x81\x85\x00\x00\x00\x00hello")  # a text frame, masked with zeros
            await http2.until(h2.events.DataReceived)
            await http2.data(b"\x88\x82\x00\x00\x00\x00\x0f\xa1")  # a close frame, 4001
            await http2.until(h2.events.DataReceived)
            http2.note_body()
