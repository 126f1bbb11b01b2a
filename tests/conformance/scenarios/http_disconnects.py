"""Clients that leave, and what the application is told about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from ..scenario import Scenario
from .http_responses import NOT_ON_DAPHNE

if TYPE_CHECKING:
    from ..tap import Tap
    from ..wires import Wire

SETTLED = 0.2  # seconds in which a closed connection is noticed by everyone


class LeavesInUpload(Scenario):
    """A client that leaves in the middle of its upload: ``http.disconnect`` comes after what came before it."""

    variants = ("close", "reset", "chunked")
    not_on = NOT_ON_DAPHNE

    async def app(self, tap: Tap) -> None:
        received = b""
        while len(received) < 4:
            event = await tap.receive()
            received += event["body"]
        tap.signal("reading")
        await tap.receive_until("http.disconnect")

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            if wire.variant == "chunked":
                await http.head("POST", "/upload", [(b"transfer-encoding", b"chunked")])
                await http.chunk(b"four")
            else:
                await http.head("POST", "/upload", [(b"content-length", b"1000")])
                await http.write(b"four")
            await wire.wait("reading")
            if wire.variant == "reset":
                await http.vanish()


class LeavesWhileAwaited(Scenario):
    """A client that leaves in the middle of a response to an application that waits for just that."""

    variants = ("close", "reset")

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.start(200, [(b"content-type", b"text/plain")])
        await tap.part(b"first")
        await tap.receive_until("http.disconnect")

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/stream")
            await http.response_head()
            wire.note("data", await http.data(5))
            if wire.variant == "reset":
                await http.vanish()


class LeavesUnnoticed(Scenario):
    """The disconnect is there for an application that did not ask for it when it happened."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.start(200, [(b"content-type", b"text/plain")])
        await tap.part(b"first")
        await tap.wait("gone")
        await anyio.sleep(SETTLED)
        await tap.receive()

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/stream")
            await http.response_head()
            wire.note("data", await http.data(5))
        wire.signal("gone")


class LeavesBeforeResponse(Scenario):
    """A client that does not wait for the response at all."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        tap.signal("asked")
        await tap.receive_until("http.disconnect")
        await tap.attempt({"type": "http.response.start", "status": 200, "headers": []})
        await tap.attempt({"type": "http.response.body", "body": b"to nobody"})

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("POST", "/slow", body=b"a body")
            await wire.wait("asked")


class LeavesBodyUnread(Scenario):
    """A client that leaves before the application has read a body that had arrived."""

    async def app(self, tap: Tap) -> None:
        await tap.wait("gone")
        await anyio.sleep(SETTLED)
        await tap.receive_until("http.disconnect")

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("POST", "/slow", body=b"a body")
            await wire.wait("started")
            await anyio.sleep(0.05)
        wire.signal("gone")


class SendAfterLeaving(Scenario):
    """What is sent to a client that is gone is refused or swallowed, but does not hang or kill."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.start(200, [(b"content-type", b"text/plain")])
        await tap.part(b"first")
        await tap.wait("gone")
        await anyio.sleep(SETTLED)
        await tap.attempt_until_refused({"type": "http.response.body", "body": b"more", "more_body": True})
        await tap.attempt({"type": "http.response.body", "body": b"", "more_body": False})

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/stream")
            await http.response_head()
            wire.note("data", await http.data(5))
            await http.vanish()
        wire.signal("gone")


class ReceiveAfterDisconnect(Scenario):
    """What an application gets that keeps receiving after ``http.disconnect``."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.start(200, [(b"content-type", b"text/plain")])
        await tap.part(b"first")
        await tap.receive_until("http.disconnect")
        for _ in range(3):
            await tap.try_receive()

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/stream")
            await http.response_head()
            wire.note("data", await http.data(5))


class HalfClose(Scenario):
    """A client that sends the end of its stream with its request still wants the response, or it does not."""

    async def app(self, tap: Tap) -> None:
        await tap.body()
        await tap.wait("half")
        await anyio.sleep(SETTLED)
        await tap.attempt({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await tap.attempt({"type": "http.response.body", "body": b"done"})

    async def client(self, wire: Wire) -> None:
        async with wire.http() as http:
            await http.request("GET", "/half")
            await wire.wait("started")
            http.writer.write_eof()
            wire.signal("half")
            if await http.head_within(2.0) == "response":
                await http.body()
