"""Applications that the system tests serve: imported by workers, not by the tests."""

from __future__ import annotations

import time
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from channels_bridge import AsyncConsumer, Router

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

BLOCK = bytes(range(256)) * 4096  # 1 MiB; long bodies are repetitions of it
BLOCKS = 1024
LONG = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % (len(BLOCK) * BLOCKS))]
SLOW_PHASE = 6.0  # seconds for which an upload is read slowly
SLOW_READ = 0.02  # seconds between two reads of a part then
SLOW_TURN = 0.5  # seconds for one message of a flood


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Say back each message of a WebSocket."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


class Echo(AsyncConsumer):
    """The same as a consumer: one turn for each message."""

    async def websocket_receive(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


async def slow_reader(_: dict[str, Any], receive: Receive, send: Send) -> None:
    """Take messages of a WebSocket, each after a nap."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":  # noqa: ASYNC110 - it is no polling
        await anyio.sleep(SLOW_TURN)


class SlowReader(AsyncConsumer):
    """The same as a consumer."""

    async def websocket_receive(self, message: Event) -> None:
        await anyio.sleep(SLOW_TURN)


async def answer(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def upload(_: dict[str, Any], receive: Receive, send: Send) -> None:
    """Read a body, slowly at first; answer with its length and CRC-32."""
    fast = time.monotonic() + SLOW_PHASE
    length = crc = 0
    more = True
    while more:
        event = await receive()
        crc = zlib.crc32(event["body"], crc)
        length += len(event["body"])
        more = event.get("more_body", False)
        if time.monotonic() < fast:
            await anyio.sleep(SLOW_READ)
    await answer(send, b"%d %d" % (length, crc))


async def download(_: dict[str, Any], __: Receive, send: Send) -> None:
    """Send a long body as fast as it is taken."""
    await send({"type": "http.response.start", "status": 200, "headers": LONG})
    for number in range(BLOCKS):
        await send({"type": "http.response.body", "body": BLOCK, "more_body": number < BLOCKS - 1})


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """All of them, by path."""
    if scope["type"] in ("http", "websocket"):
        await APPLICATIONS[scope["path"]](scope, receive, send)


class Upload(AsyncConsumer):
    """Reads a body as ``upload`` does, a turn for each part."""

    length = crc = 0
    fast = 0.0

    async def http_request(self, message: Event) -> None:
        self.fast = self.fast or time.monotonic() + SLOW_PHASE
        self.crc = zlib.crc32(message["body"], self.crc)
        self.length += len(message["body"])
        if time.monotonic() < self.fast:
            await anyio.sleep(SLOW_READ)
        if not message.get("more_body"):
            await answer(self.send, b"%d %d" % (self.length, self.crc))


class Download(AsyncConsumer):
    """Sends a body as ``download`` does, in a single turn that commits each part early."""

    async def http_request(self, message: Event) -> None:
        await self.send({"type": "http.response.start", "status": 200, "headers": LONG})
        for number in range(BLOCKS):
            await self.send({"type": "http.response.body", "body": BLOCK, "more_body": number < BLOCKS - 1})
            await self.flush()


APPLICATIONS = {"/echo/": echo, "/slow/": slow_reader, "/upload/": upload, "/download/": download}
consumers = Router({"/echo/": Echo, "/slow/": SlowReader, "/upload/": Upload, "/download/": Download})
