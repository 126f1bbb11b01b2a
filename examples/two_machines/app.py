"""The wall: what is said on any machine appears on all. No line of it knows that there are several machines.

``python -m examples.two_machines`` runs all of it on one computer; README.md says what to run where.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from channels_bridge import AsyncConsumer, Router

from .here import HERE

PAGE = Path(__file__).with_name("page.html").read_bytes()
WALL = "wall"
GAP = "bridge.gap"  # its members are told when messages of other machines may have been lost
SUMMARY = "/summary"  # what the page's button sends
LONGEST = 500  # characters of one message
KEPT = 100  # messages that a summary is made of

Message = dict[str, Any]


class WallConsumer(AsyncConsumer):
    """One person's socket."""

    type = "websocket"
    heard: list[str]

    async def websocket_connect(self, message: Message) -> None:
        self.heard = []
        for group in (WALL, GAP):
            await self.channel_layer.group_add(group, self.consumer_channel)
        await self.show("hello", "You are on the wall")

    async def websocket_receive(self, message: Message) -> None:
        text = (message.get("text") or "").strip()[:LONGEST]
        if text == SUMMARY:
            await self.ask_for_summary()
        elif text:
            await self.channel_layer.send_group(WALL, {"type": "wall.said", "text": text, "handled_by": HERE})

    async def wall_said(self, message: Message) -> None:
        """Show what somebody has said, here or on another machine."""
        self.heard = [*self.heard, message["text"]][-KEPT:]
        await self.show("said", message["text"], message["handled_by"])

    async def ask_for_summary(self) -> None:
        """Send work to whoever listens, on whatever machine. The answer is a turn of its own: nothing waits here."""
        wanted = {"type": "summary.wanted", "lines": self.heard, "reply_channel": self.consumer_channel}
        await self.channel_layer.send("summaries", wanted)

    async def summary_made(self, message: Message) -> None:
        """Show the answer."""
        await self.show("summary", message["text"], message["handled_by"])

    async def bridge_gap(self, message: Message) -> None:
        """Show that the machines were apart. An application with a database would look there for what it missed."""
        await self.show("gap", "The machines were apart. What others said meanwhile is missing here.")

    async def show(self, kind: str, text: str, handled_by: str = HERE) -> None:
        """Send to this person: what, who has handled it where it was said, and who shows it here."""
        fields = {"kind": kind, "text": text, "handled_by": handled_by, "shown_by": HERE}
        await self.send({"type": "websocket.send", "text": json.dumps(fields, ensure_ascii=False)})


class PageConsumer(AsyncConsumer):
    """The page."""

    type = "http"

    async def http_request(self, message: Message) -> None:
        if message.get("more_body"):
            return
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(PAGE))]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        await self.send({"type": "http.response.body", "body": PAGE})


application = Router({"/": PageConsumer, "/wall/": WallConsumer})
