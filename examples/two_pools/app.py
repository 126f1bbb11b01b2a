"""A socket that answers at once, and pictures that burn CPU. Both workers host it; the bridge says who gets what."""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any

from channels_bridge import AsyncConsumer, Router, SyncConsumer

LARGEST = 1200  # pixels: some ten seconds of CPU
ITERATIONS = 200

Message = dict[str, Any]


class QuickConsumer(AsyncConsumer):
    """Says back what it is told, with the id of the process that did it."""

    type = "websocket"

    async def websocket_receive(self, message: Message) -> None:
        await self.send({"type": "websocket.send", "text": f"{os.getpid()} {message.get('text')}"})


class RenderConsumer(SyncConsumer):
    """Draws the Mandelbrot set, so many pixels wide, as slowly as Python can."""

    type = "http"

    def http_request(self, message: Message, **_: int) -> None:
        if message.get("more_body"):
            return
        width = max(1, min(self.url_kwargs["width"], LARGEST))
        answer(self, b"image/png", png(width, [row(width, y) for y in range(width)]))


class PageConsumer(SyncConsumer):
    """A page that shows both at once."""

    type = "http"

    def http_request(self, message: Message) -> None:
        if not message.get("more_body"):
            answer(self, b"text/html; charset=utf-8", PAGE)


def answer(consumer: SyncConsumer, content_type: bytes, body: bytes) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"x-worker", b"%d" % os.getpid()),
    ]
    consumer.send({"type": "http.response.start", "status": 200, "headers": headers})
    consumer.send({"type": "http.response.body", "body": body})


def row(width: int, y: int) -> bytes:
    """Give one line of grey pixels."""
    return bytes(shade(complex(3.0 * x / width - 2.2, 3.0 * y / width - 1.5)) for x in range(width))


def shade(c: complex) -> int:
    z = 0j
    for step in range(ITERATIONS):
        if abs(z) > 2.0:
            return 255 - 255 * step // ITERATIONS
        z = z * z + c
    return 0


def png(width: int, rows: list[bytes]) -> bytes:
    """Write a square grey PNG: a header, and the lines, each with the filter 0 before it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, len(rows), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Two pools</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 42rem; padding: 0 1rem; }</style>
<h1>Two pools</h1>
<p>The slowest of the last 20 answers on the socket took <b id="worst">-</b> ms.</p>
<p><button>Draw a picture</button> <span role="status"></span></p>
<img alt="" width="400" height="400" hidden>
<script>
const socket = new WebSocket(location.href.replace("http", "ws") + "quick/"), took = [];
let sent;
function ask() { sent = performance.now(); socket.send("hello"); }
socket.onopen = ask;
socket.onmessage = () => {
  if (took.push(performance.now() - sent) > 20) took.shift();
  document.querySelector("#worst").textContent = Math.max(...took).toFixed(1);
  setTimeout(ask, 100);
};
document.querySelector("button").onclick = async () => {
  const status = document.querySelector("[role=status]"), image = document.querySelector("img");
  status.textContent = "drawing ...";
  const response = await fetch("/render/400/");
  image.src = URL.createObjectURL(await response.blob());
  image.alt = "The Mandelbrot set"; image.hidden = false;
  status.textContent = "drawn by process " + response.headers.get("x-worker");
};
</script>
"""

application = Router(
    {
        "/": PageConsumer,
        "/quick/": QuickConsumer,
        "/render/<int:width>/": RenderConsumer,
    }
)
