"""Messages over a WebSocket, in both directions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import anyio
import anyio.lowlevel

from ..scenario import Scenario
from .http_responses import stopped_in_send

if TYPE_CHECKING:
    from ..tap import Tap
    from ..wires import Wire

MIB = 1 << 20
TEXTS = {
    "empty": "",
    "short": "hello",
    "beyond ascii": "café, €, 𝄞, \N{COMBINING ACUTE ACCENT}",
    "controls": "line\r\nnext\0null\x7f",
    "64 KiB": "0123456789abcdef" * 4096,
    "1 MiB": "0123456789abcdef" * 65536,
}


async def _echo(tap: Tap) -> None:
    """Send back every message in the form in which it came, until the client has gone."""
    await tap.accept()
    while (event := await tap.receive())["type"] == "websocket.receive":
        if event.get("bytes") is not None:
            await tap.send({"type": "websocket.send", "bytes": event["bytes"]})
        else:
            await tap.send({"type": "websocket.send", "text": event["text"]})


class _Echo(Scenario):
    """The application sends back what it gets."""

    async def app(self, tap: Tap) -> None:
        await _echo(tap)


class EchoText(_Echo):
    """Text arrives as text, whatever is in it."""

    variants = tuple(TEXTS)

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.text(TEXTS[wire.variant])
                if TEXTS[wire.variant] or wire.server != "daphne":  # daphne sends no empty messages
                    await websocket.next()
                await websocket.close_with(1000)


class EchoBytes(_Echo):
    """Bytes arrive as bytes, whatever is in them."""

    variants = tuple(TEXTS)

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                data = TEXTS[wire.variant].encode()
                await websocket.binary(bytes(range(256)) if wire.variant == "controls" else data)
                if data or wire.server != "daphne":  # daphne sends no empty messages
                    await websocket.next()
                await websocket.close_with(1000)


class OverTheLimit(_Echo):
    """A message beyond the server's limit is the server's to refuse; the application hears of the end."""

    async def client(self, wire: Wire) -> None:
        size = MIB + 1 if wire.server == "daphne" else 17 * MIB
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.binary(b"x" * size)
                await websocket.rest()


class NearTheLimit(_Echo):
    """15 MiB, which all but daphne take (its limit is 1 MiB)."""

    not_on: ClassVar[dict[str, str]] = {"daphne": "takes no message beyond 1 MiB"}

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.binary(b"0123456789abcdef" * (15 * MIB // 16))
                await websocket.next()
                await websocket.close_with(1000)


class Order(_Echo):
    """Many messages in both directions at once keep their order."""

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                for number in range(300):
                    if number % 3:
                        await websocket.text(f"text {number}")
                    else:
                        await websocket.binary(b"bytes %d" % number)
                for _ in range(300):
                    await websocket.next()
                await websocket.close_with(1000)


class SlowConsumer(Scenario):
    """An application that takes its time gets everything that was sent meanwhile, in order."""

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.wait("sent")
        await anyio.sleep(0.2)
        await tap.receive_until("websocket.disconnect")

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                for number in range(100):
                    await websocket.text(f"message {number}")
                wire.signal("sent")
                await websocket.close_with(1000, "all sent")


class Forms(Scenario):
    """The forms in which an application may write a message."""

    variants = ("other key none", "bytearray", "both keys", "no key", "both none")

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        match tap.variant:
            case "other key none":
                await tap.attempt({"type": "websocket.send", "text": "text", "bytes": None})
                await tap.attempt({"type": "websocket.send", "bytes": b"bytes", "text": None})
            case "bytearray":
                await tap.attempt({"type": "websocket.send", "bytes": bytearray(b"bytearray")})
            case "both keys":
                await tap.attempt({"type": "websocket.send", "bytes": b"bytes", "text": "text"})
            case "no key":
                await tap.attempt({"type": "websocket.send"})
            case _:
                await tap.attempt({"type": "websocket.send", "bytes": None, "text": None})
        await tap.send({"type": "websocket.close"})

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.rest()


class Fragments(_Echo):
    """A message in several frames is one message, also with a ping in between."""

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.fragment("one ")
                await websocket.fragment("two ")
                await websocket.ping(b"between")
                await websocket.fragment("three", last=True)
                await websocket.next()
                await websocket.next()
                await websocket.close_with(1000)


class BadUtf8(_Echo):
    """Text that is none is the server's to refuse."""

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.write(b"\x81\x82\x00\x00\x00\x00\xff\xfe")  # a text frame, masked with zeros
                await websocket.rest()


class Ping(_Echo):
    """Pings are answered by the server, and are no messages."""

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await websocket.ping(b"payload")
                await websocket.next()
                await websocket.text("still here")
                await websocket.next()
                await websocket.close_with(1000)


class Compressed(_Echo):
    """Compression is between client and server."""

    async def client(self, wire: Wire) -> None:
        offer = (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits")
        async with wire.websocket() as websocket:
            if await websocket.open(headers=[offer]):
                await websocket.text("compressed " * 100)
                await websocket.next()
                await websocket.close_with(1000)


class BothWaysAtOnce(Scenario):
    """One task receives while another one sends, as frameworks do it."""

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tap.receive_until, "websocket.disconnect")
            for number in range(50):
                await tap.text(f"number {number}")
                await anyio.lowlevel.checkpoint()

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                for number in range(50):
                    await websocket.text(f"client's {number}")
                for _ in range(50):
                    await websocket.next()
                await websocket.close_with(1000)


class SlowSocketReader(Scenario):
    """A client that does not read stops the application in ``send``, where the server does so."""

    async def app(self, tap: Tap) -> None:
        await tap.accept()

        async def send_part(_: int) -> None:
            await tap.text("x" * 65536)

        await stopped_in_send(tap, send_part, 1024)

    async def client(self, wire: Wire) -> None:
        async with wire.websocket() as websocket:
            if await websocket.open():
                await wire.wait("stopped")


class BlocksTheLoop(Scenario):
    """An application that computes: direct it stops its whole server, so this is not for comparing."""

    variants = ()

    async def app(self, tap: Tap) -> None:
        await tap.accept()
        await tap.receive()
        tap.signal("busy")
        time.sleep(1.0)  # noqa: ASYNC251 - blocking is the point
        await tap.text("done")
        await tap.receive()
