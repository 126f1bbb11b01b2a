"""What a response looks like to the client, and bodies in both directions."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from ..plain import digest
from ..scenario import Scenario

if TYPE_CHECKING:
    from ..tap import Tap
    from ..wires import Wire

MIB = 1 << 20
LARGE = b"".join(b"%015d\n" % number for number in range(5 * MIB // 16))  # 5 MiB, no part like another
NOT_ON_DAPHNE = {"daphne": "reads the whole request before it calls the application"}


async def stopped_in_send(tap: Tap, send_part: Callable[[int], Awaitable[None]], parts: int) -> None:
    """Send all parts to a client that does not read, and note whether that came to a stop."""
    sent = 0

    async def send_all() -> None:
        nonlocal sent
        while sent < parts:
            await send_part(sent)
            sent += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send_all)
        before = -1
        while before < sent < parts:
            before = sent
            await anyio.sleep(0.5)
        tap.note("stopped in send", sent < parts)
        tap.signal("stopped")  # the client leaves: on trio, hypercorn's send cannot be cancelled before that
        tasks.cancel_scope.cancel()


class _Asked(Scenario):
    """A GET, and the response to it."""

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/")
            await http.response()


class ResponseHeaders(_Asked):
    """Headers keep their order, their repetitions, their case and their bytes, as far as the server does."""

    async def app(self, tap: Tap) -> None:
        headers = [
            (b"Content-Length", b"4"),
            (b"set-cookie", b"a=1; Path=/"),
            (b"x-between", b"between"),
            (b"set-cookie", b"b=2; HttpOnly"),
            (b"X-Mixed-Case", b"Keeps Its Case"),
            (b"x-empty", b""),
            (b"x-latin", b"caf\xe9"),
            (b"set-cookie", b"a=1; Path=/"),
            (b"x-long", b"long " * 1000),
        ]
        await tap.respond(200, headers)


class HeaderShapes(_Asked):
    """Headers may be lists, tuples, or absent."""

    variants = ("lists", "tuples", "absent")

    async def app(self, tap: Tap) -> None:
        if tap.variant == "absent":
            await tap.send({"type": "http.response.start", "status": 200})
        elif tap.variant == "lists":
            await tap.start(200, [[b"x-a", b"1"], [b"x-b", b"2"]])
        else:
            await tap.start(200, ((b"x-a", b"1"), (b"x-b", b"2")))
        await tap.part(b"done", more_body=False)


class OneShotHeaders(_Asked):
    """Headers may be any iterable, also one that can be walked only once, of pairs like that."""

    async def app(self, tap: Tap) -> None:
        pairs = [(b"content-length", b"4"), (b"x-a", b"1"), (b"x-b", b"2")]
        await tap.start(200, (iter(pair) for pair in pairs))
        await tap.part(b"done", more_body=False)


class Status(Scenario):
    """Every status goes through; those that have no body get none."""

    variants = ("200", "201", "204", "205", "299", "302", "304", "404", "418", "451", "500", "503", "599")

    async def app(self, tap: Tap) -> None:
        status = int(tap.variant)
        bodiless = status in (204, 205, 304)
        await tap.start(status, [] if bodiless else [(b"content-length", b"4")])
        await tap.part(b"" if bodiless else b"done", more_body=False)

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            for _ in range(2):  # on one connection: the second shows that the first was framed right
                await http.request("GET", "/status")
                await http.response()


class Head(Scenario):
    """HEAD gets the headers of GET and no body, whether the application sends one or not."""

    variants = ("with body", "without body", "streamed")

    async def app(self, tap: Tap) -> None:
        if tap.variant == "streamed":
            await tap.start(200, [(b"content-type", b"text/plain")])
            await tap.part(b"first")
            await tap.part(b"second", more_body=False)
        else:
            await tap.start(200, [(b"content-length", b"4")])
            await tap.part(b"done" if tap.variant == "with body" else b"", more_body=False)

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            for _ in range(2):
                await http.request("HEAD", "/head")
                await http.response()


class Bodiless(_Asked):
    """A response with no body at all: empty, absent or in empty parts."""

    variants = ("empty", "absent", "empty parts")

    async def app(self, tap: Tap) -> None:
        await tap.start(200, [(b"content-type", b"text/plain")])
        if tap.variant == "absent":
            await tap.send({"type": "http.response.body"})
            return
        if tap.variant == "empty parts":
            await tap.part(b"")
            await tap.part(b"")
        await tap.part(b"", more_body=False)


class Upload(Scenario):
    """A body arrives whole, whatever its size and however it is framed."""

    variants = ("none", "empty", "small", "large", "chunked", "large chunked", "one byte at a time")

    async def app(self, tap: Tap) -> None:
        body = await tap.body()
        tap.note("body's hash", digest(body))
        await tap.respond(body=str(len(body)).encode())

    async def client(self, wire: Wire) -> None:
        kind = wire.variant
        async with wire.http() as http:
            if kind == "none":
                await http.request("POST", "/upload")
            elif kind in ("empty", "small", "large"):
                body = {"empty": b"", "small": b"small", "large": LARGE}[kind]
                await http.head("POST", "/upload", [(b"content-length", str(len(body)).encode())])
                await http.write(body)
            else:
                await http.head("POST", "/upload", [(b"transfer-encoding", b"chunked")])
                body, size = (LARGE, 50_000) if kind == "large chunked" else (b"a few bytes", 4)
                for start in range(0, len(body), 1 if kind == "one byte at a time" else size):
                    await http.chunk(body[start : start + (1 if kind == "one byte at a time" else size)])
                await http.chunk(b"")
            await http.response()


class Download(_Asked):
    """A response arrives whole, whatever its size and however it is framed."""

    variants = ("in one part", "with length", "chunked", "tiny parts")

    async def app(self, tap: Tap) -> None:
        if tap.variant == "in one part":
            await tap.respond(body=LARGE)
            return
        size = 7 if tap.variant == "tiny parts" else 60_000
        body = LARGE[:5000] if tap.variant == "tiny parts" else LARGE
        length = str(len(body)).encode()
        await tap.start(200, [(b"content-length", length)] if tap.variant == "with length" else [])
        for start in range(0, len(body), size):
            await tap.part(body[start : start + size], more_body=start + size < len(body))


class EchoWhileUploading(Scenario):
    """Both directions stream at once: each chunk is answered before the next one is sent."""

    not_on = NOT_ON_DAPHNE

    async def app(self, tap: Tap) -> None:
        await tap.start(200, [(b"content-type", b"application/octet-stream")])
        while True:
            event = await tap.receive()
            if event.get("body"):
                await tap.part(event["body"])
            if not event.get("more_body", False):
                break
        await tap.part(b"", more_body=False)

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.head("POST", "/echo", [(b"transfer-encoding", b"chunked")])
            await http.chunk(b"chunk 0")
            await http.response_head()
            wire.note("echo", await http.data(7))
            for number in range(1, 5):
                await http.chunk(b"chunk %d" % number)
                wire.note("echo", await http.data(7))
            await http.chunk(b"")
            await http.body()


class LargeEcho(Scenario):
    """5 MiB up and 5 MiB down on one connection at the same time."""

    not_on = NOT_ON_DAPHNE

    async def app(self, tap: Tap) -> None:
        await tap.start(200, [(b"content-length", str(len(LARGE)).encode())])
        more = True
        while more:
            event = await tap.receive()
            more = event.get("more_body", False)
            await tap.part(event["body"], more_body=more)

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.head("POST", "/echo", [(b"content-length", str(len(LARGE)).encode())])
            sending = asyncio.create_task(http.write(LARGE))
            await http.response()
            await sending


class ServerSentEvents(Scenario):
    """Each event reaches the client when it is sent, not when there is more; then the client leaves."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.start(200, [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")])
        for number in range(3):
            await tap.part(b"data: %d\n\n" % number)
            await tap.wait(f"seen-{number}")
        await tap.receive_until("http.disconnect")

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/events", [(b"accept", b"text/event-stream")])
            await http.response_head()
            for number in range(3):
                wire.note("event", await http.data(9))
                wire.signal(f"seen-{number}")


class HeadBeforeBody(Scenario):
    """When the head of a response is seen, and what is seen of it before its body, is the server's affair."""

    async def app(self, tap: Tap) -> None:
        await tap.start(200, [(b"content-length", b"4")])
        await tap.wait("looked")
        await tap.part(b"done", more_body=False)

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/")
            await wire.wait("started")
            kind = await http.head_within(0.3)
            wire.signal("looked")
            if kind == "silence":
                await http.response_head()
            await http.body()


class SlowReader(Scenario):
    """A client that does not read stops the application in ``send``, where the server does so."""

    async def app(self, tap: Tap) -> None:
        part, parts = b"x" * 65536, 1024  # 64 MiB: more than sockets and queues on the way hold
        await tap.start(200, [(b"content-length", str(len(part) * parts).encode())])

        async def send_part(number: int) -> None:
            await tap.part(part, more_body=number + 1 < parts)

        await stopped_in_send(tap, send_part, parts)

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/slow")
            await wire.wait("stopped")


class PathSend(Scenario):
    """Where the server can send a file by its path, it still can: bridge and worker share the files."""

    async def app(self, tap: Tap) -> None:
        offered = "http.response.pathsend" in (tap.scope.get("extensions") or {})
        tap.note("offered", offered)
        if not offered:
            await tap.respond()
            return
        descriptor, path = tempfile.mkstemp()
        os.write(descriptor, b"from a file")
        os.close(descriptor)
        await tap.start(200, [(b"content-length", b"11")])
        await tap.send({"type": "http.response.pathsend", "path": path})
        await tap.wait("answered")
        os.unlink(path)

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/")
            await http.response()
            wire.signal("answered")


class Background(Scenario):
    """After its response an application may go on, and is told that the request is over."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.respond()
        await tap.wait("answered")
        event = await tap.try_receive(2.0)
        tap.note("over", event is not None and event["type"] == "http.disconnect")

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/background")
            await http.response()
            wire.signal("answered")
            await http.request("GET", "/next")
            await http.response()
            wire.signal("answered", request=2)


class DisconnectWatch(Scenario):
    """A task that waits for ``http.disconnect`` while another one responds, as frameworks do it, hears of the end."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tap.receive)
            await tap.start(200, [(b"content-length", b"6")])
            await tap.part(b"one")
            await anyio.sleep(0.05)
            await tap.part(b"two", more_body=False)

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/watch")
            await http.response()
