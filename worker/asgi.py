"""Hosts ASGI applications: one task per connection, its messages from the mailbox, its sends to the link.

An ASGI application has no turns: what it sends goes out as it is sent, and a message counts as acknowledged when
``receive()`` has returned it. It stays with this worker.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ..shared import frames
from ..shared.config import KIB
from ..shared.endpoint import Loop, Signal, sleep
from ..shared.errors import ClientDisconnected, LocalProtocolError
from ..shared.wire import Event, pack_event, unpack_event, unpack_scope
from .core.mailbox import Mailbox
from .link import Link
from .messages import Outgoing, State

logger = logging.getLogger("channels_bridge.worker")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

PIECE = 64 * KIB  # a longer part of a body is sent in several: credit then holds for each
DISCONNECTED: dict[str, Event] = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1006, "reason": ""},
}


class AsgiHost:
    """One connection of an ASGI application."""

    def __init__(self, app: ASGIApplication, state: dict[str, Any], loop: Loop, link: Link, mailbox: Mailbox) -> None:
        self._app = app
        self._link = link
        self._mailbox = mailbox
        self._scope = unpack_scope(mailbox.scope)
        self._scope["state"] = dict(state)
        self._kind: str = self._scope["type"]
        self._outgoing = Outgoing(self._scope)
        # ASGI 2.4: send() raises an OSError once the client is gone. Before, HTTP servers kept silent.
        version = str(self._scope.get("asgi", {}).get("spec_version", "2.0"))
        self._tells = self._kind == "websocket" or tuple(map(int, version.split("."))) >= (2, 4)
        self._message: Signal = loop.signal()
        self._credit: Signal = loop.signal()

    def wake(self) -> None:
        """Look at the mailbox: something changed."""
        self._message.set()
        self._credit.set()

    def applied(self, seq: int) -> None:
        """Nothing: only turns are applied."""

    async def run(self) -> None:
        """Call the application and say how it ended. Does not raise, but for cancellation."""
        outcome, text = "returned", ""
        try:
            await self._app(self._scope, self._receive, self._send)
        except ClientDisconnected:
            outcome = "disconnected"
        except Exception as error:
            conn, epoch = self._mailbox.conn, self._mailbox.epoch
            logger.exception("Exception in ASGI application (connection %d, epoch %d)", conn, epoch)
            outcome, text = "raised", f"{type(error).__name__}: {error}"[:500]
        finally:
            self._link.session.forget(self._mailbox)
        if self._mailbox.over in ("", "gone"):
            self._link.send(frames.End(self._mailbox.conn, self._mailbox.epoch, outcome, text))

    async def _receive(self) -> Event:
        mailbox = self._mailbox
        while not mailbox.queue:
            if self._is_over():
                mailbox.disconnected = True
                await sleep(0)  # an application that asks again and again must not stop the loop
                return dict(DISCONNECTED[self._kind])
            await self._message.wait()
        message = mailbox.queue.popleft()
        self._link.acknowledge(mailbox, message.seq)
        event = unpack_event(message.event)
        if event["type"] in ("http.disconnect", "websocket.disconnect"):
            mailbox.disconnected = True
        return event

    def _is_over(self) -> bool:
        """Say whether a disconnect is due that the client did not send: once for a socket, always for a request."""
        if self._kind == "http":
            return self._mailbox.disconnected or bool(self._mailbox.over) or self._outgoing.state is State.COMPLETE
        return self._mailbox.over not in ("", "gone") and not self._mailbox.disconnected

    async def _send(self, event: Event) -> None:
        mailbox = self._mailbox
        if mailbox.over or (mailbox.disconnected and self._kind == "websocket"):
            if self._tells:
                raise ClientDisconnected("the client is gone")
            return
        event = self._outgoing.check(event)
        body = event.get("body")
        if body is not None and len(body) > PIECE:
            await self._send_pieces(event, memoryview(body))
        else:
            await self._put(event)
        if self._outgoing.state is State.COMPLETE:
            self._message.set()  # receive() answers http.disconnect from now on

    async def _send_pieces(self, event: Event, body: memoryview) -> None:
        for start in range(0, len(body), PIECE):
            piece = {**event, "body": bytes(body[start : start + PIECE])}
            if start + PIECE < len(body):
                piece["more_body"] = True
            await self._put(piece)

    async def _put(self, event: Event) -> None:
        mailbox = self._mailbox
        packed = pack_event(event)
        if len(packed) > self._link.session.max_message_bytes:
            raise LocalProtocolError(
                f"a message of {len(packed)} bytes is longer than max_message_bytes,"
                f" {self._link.session.max_message_bytes}: send it in parts, or raise the bridge's limit"
            )
        while not mailbox.may_send and not mailbox.over:
            await self._credit.wait()
        mailbox.sent += len(packed)
        self._link.send(frames.Output(mailbox.conn, mailbox.epoch, packed))


def asgi2(app: Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]) -> ASGIApplication:
    """Make an ASGI 2 double callable an ASGI 3 application."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope)(receive, send)

    return application
