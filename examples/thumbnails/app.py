"""A page that asks for pictures, the socket behind it, and the background consumer that draws them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from channels_bridge import AsyncConsumer, Router, SyncConsumer

CHANNEL = "thumbnails"
LINES, COLUMNS = 60, 80  # of a text that are drawn
PAGE = (Path(__file__).parent / "page.html").read_bytes()

Message = dict[str, Any]


class PageConsumer(SyncConsumer):
    type = "http"

    def http_request(self, message: Message) -> None:
        if not message.get("more_body"):
            headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(PAGE))]
            self.send({"type": "http.response.start", "status": 200, "headers": headers})
            self.send({"type": "http.response.body", "body": PAGE})


class AskConsumer(AsyncConsumer):
    """Passes a client's text on, and goes on at once. The answer comes as a message of its own."""

    type = "websocket"

    async def websocket_receive(self, message: Message) -> None:
        request = {"type": "draw", "text": message.get("text") or "", "reply_channel": self.consumer_channel}
        await self.channel_layer.send(CHANNEL, request)
        await self.send({"type": "websocket.send", "text": "drawing ..."})

    async def thumbnail_drawn(self, message: Message) -> None:
        await self.send({"type": "websocket.send", "text": message["svg"]})


class ThumbnailConsumer(SyncConsumer):
    """Draws in the background. What it sends goes to who asked."""

    type = "channel"

    def draw(self, message: Message) -> None:
        self.send({"type": "thumbnail.drawn", "svg": thumbnail(message["text"]), "worker": os.getpid()})


def thumbnail(text: str) -> str:
    """Draw a page of the text as an SVG, so small that words are strokes."""
    strokes = [
        f"M{start} {2 * row + 1}h{length}"
        for row, line in enumerate(text.expandtabs(4).splitlines()[:LINES])
        for start, length in words(line[:COLUMNS])
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * COLUMNS}" height="{4 * LINES}"'
        f' viewBox="-4 -4 {COLUMNS + 8} {2 * LINES + 8}"><rect x="-4" y="-4" width="100%" height="100%" fill="#fff"/>'
        f'<path stroke="#333" d="{"".join(strokes)}"/></svg>'
    )


def words(line: str) -> list[tuple[int, int]]:
    """Give where each word of a line begins, and how long it is."""
    found: list[tuple[int, int]] = []
    end = 0
    for word in line.split():
        start = line.index(word, end)
        end = start + len(word)
        found.append((start, len(word)))
    return found


application = Router({"/": PageConsumer, "/ask/": AskConsumer, CHANNEL: ThumbnailConsumer})
