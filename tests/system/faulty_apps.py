"""Applications that send what ASGI does not allow.

The lines at fault have a comment, so that a traceback shows whether it was told there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from channels_bridge import AsyncConsumer, SyncConsumer

Event = dict[str, Any]
Send = Callable[[Event], Awaitable[None]]

START: Event = {"type": "http.response.start", "status": 200, "headers": []}
ACCEPT: Event = {"type": "websocket.accept"}

# name -> (what is sent before, the message at fault)
HTTP: dict[str, tuple[list[Event], Any]] = {
    "body-first": ([], {"type": "http.response.body", "body": b""}),
    "status-as-text": ([], {**START, "status": "200"}),
    "no-status": ([], {"type": "http.response.start"}),
    "header-as-text": ([], {**START, "headers": [("content-type", "text/plain")]}),
    "unknown-type": ([], {"type": "http.response.nonsense"}),
    "no-type": ([], {"status": 200}),
    "not-a-dict": ([], "http.response.start"),
    "of-a-websocket": ([], ACCEPT),
}
WEBSOCKET: dict[str, tuple[list[Event], Any]] = {
    "text-and-bytes-missing": ([ACCEPT], {"type": "websocket.send"}),
    "text-as-bytes": ([ACCEPT], {"type": "websocket.send", "text": b"hello"}),
    "unknown-type": ([ACCEPT], {"type": "websocket.nonsense"}),
    "accept-twice": ([ACCEPT], ACCEPT),
    "code-as-text": ([ACCEPT], {"type": "websocket.close", "code": "1000"}),
    "cannot-be-packed": ([ACCEPT], {"type": "websocket.send", "text": "hello", "extra": object()}),
}
EARLY: dict[str, tuple[list[Event], Any]] = {
    "send-first": ([], {"type": "websocket.send", "text": "hello"}),
    "of-http": ([], START),
}
CASES = {"http": HTTP, "websocket": {**WEBSOCKET, **EARLY}}


async def application(scope: dict[str, Any], receive: Any, send: Send) -> None:
    """The path names the case."""
    if scope["type"] not in CASES:
        return
    before, wrong = CASES[scope["type"]][scope["path"].strip("/")]
    await receive()
    for event in before:
        await send(event)
    await send(wrong)  # the line at fault in an application


class Async(AsyncConsumer):
    """The same as a consumer, in its first turn."""

    auto_accept = False

    async def http_request(self, message: Event) -> None:
        await self.fail("http")

    async def websocket_connect(self, message: Event) -> None:
        await self.fail("websocket")

    async def fail(self, kind: str) -> None:
        before, wrong = CASES[kind][self.scope["path"].strip("/")]
        for event in before:
            await self.send(event)
        if before:
            await self.flush()  # or nothing of the turn happens, not even the accept
        await self.send(wrong)  # the line at fault in an async consumer


class Sync(SyncConsumer):
    """The same in a thread."""

    auto_accept = False

    def http_request(self, message: Event) -> None:
        self.fail("http")

    def websocket_connect(self, message: Event) -> None:
        self.fail("websocket")

    def fail(self, kind: str) -> None:
        before, wrong = CASES[kind][self.scope["path"].strip("/")]
        for event in before:
            self.send(event)
        if before:
            self.flush()
        self.send(wrong)  # the line at fault in a sync consumer
