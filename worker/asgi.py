"""Hosts ASGI applications: one task per connection, its messages from the mailbox, its sends to the link.

An ASGI application has no turns: what it sends goes out as it is sent, and a message counts as acknowledged when
``receive()`` has returned it. It stays with this worker.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from ..shared.config import ENVELOPE, KIB
from ..shared.endpoint import sleep
from ..shared.errors import ClientDisconnected, LocalProtocolError
from ..shared.wire import Event, pack_event, unpack_event, unpack_scope
from .core.mailbox import Mailbox
from .link import Link
from .messages import COMPLETE, Outgoing

if TYPE_CHECKING:
    from .node import Node

logger = logging.getLogger("channels_bridge.worker")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

PIECE = 64 * KIB  # a longer part of a body is sent in several: credit then holds for each
DISCONNECTED: dict[str, dict[str, Any]] = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1006, "reason": ""},
}
OVER = ("closed", "lost", "moved")  # the connection, and not only the client, is gone, or it is another worker's


class AsgiHost:
    """One connection of an ASGI application."""

    def __init__(self, app: ASGIApplication, node: Node, link: Link, mailbox: Mailbox) -> None:
        self._app = app
        self._node = node
        self._link = link
        self._mailbox = mailbox
        self._scope = scope = unpack_scope(mailbox.scope)
        scope["state"] = node.lifespan.state.copy()
        self._kind: str = scope["type"]
        self._outgoing = Outgoing(scope)
        self._changed = node.loop.signal()

    def wake(self) -> None:
        """Look at the mailbox: something changed."""
        self._changed.set()

    def applied(self, seq: int) -> None:
        """Nothing: only turns are applied."""

    async def run(self) -> None:
        """Call the application and say how it ended. Does not raise, but for cancellation."""
        outcome, text, mailbox = "returned", "", self._mailbox
        try:
            await self._app(self._scope, self._receive, self._send)
        except ClientDisconnected:
            outcome = "disconnected"
        except BaseException as error:
            if self._node.ends(error):
                raise
            logger.exception("Exception in ASGI application (connection %d, epoch %d)", mailbox.conn, mailbox.epoch)
            outcome, text = "raised", f"{type(error).__name__}: {error}"[:500]
        finally:
            self._link.session.forget(mailbox)
            self._node.ended(self)
            mailbox.host = None  # no cycle is left for the garbage collector
        if mailbox.over not in OVER:
            self._link.end(mailbox, outcome, text)

    async def _receive(self) -> Event:
        mailbox = self._mailbox
        while not mailbox.queue:
            if self._is_over():
                mailbox.disconnected = True
                await sleep(0)  # an application that asks again and again must not stop the loop
                return DISCONNECTED[self._kind].copy()
            if mailbox.next_seq == 1:
                self._link.ask(mailbox)
            await self._changed.wait()
        message = mailbox.queue.popleft()
        mailbox.acked = message.seq
        self._link.touch(mailbox)
        event = unpack_event(message.event)
        if event["type"] in ("http.disconnect", "websocket.disconnect"):
            mailbox.disconnected = True
        return event

    def _is_over(self) -> bool:
        """Say whether a disconnect is due that the client did not send: once for a socket, always for a request."""
        mailbox = self._mailbox
        if self._kind == "http":
            return mailbox.disconnected or bool(mailbox.over) or self._outgoing.state is COMPLETE
        return mailbox.over in OVER and not mailbox.disconnected

    async def _send(self, event: Event) -> None:
        mailbox = self._mailbox
        if mailbox.over or mailbox.disconnected:
            self._refuse()
            return
        event = self._outgoing.check(event)
        body = event.get("body")
        if body is not None and len(body) > PIECE:
            await self._send_pieces(event, memoryview(body))
        else:
            packed = pack_event(event)
            if mailbox.sent >= mailbox.allowed:
                await self._credit()
            self._put(packed)
        if self._outgoing.state is COMPLETE:
            self._changed.set()  # receive() answers http.disconnect from now on

    def _refuse(self) -> None:
        """Do as servers do with what is sent to a client that has gone.

        ASGI 2.4 asks for an OSError; those that speak an older version keep silent about requests.
        """
        version: str = self._scope.get("asgi", {}).get("spec_version", "2.0")
        if self._kind == "websocket" or version >= "2.4":
            raise ClientDisconnected("the client is gone")

    async def _send_pieces(self, event: Event, body: memoryview) -> None:
        for start in range(0, len(body), PIECE):
            piece = {**event, "body": bytes(body[start : start + PIECE])}
            if start + PIECE < len(body):
                piece["more_body"] = True
            packed = pack_event(piece)
            await self._credit()
            self._put(packed)

    async def _credit(self) -> None:
        """Wait until the client has taken enough of what was sent. One message may overrun the credit."""
        while not self._mailbox.may_send and not self._mailbox.over:
            await self._changed.wait()

    def _put(self, packed: bytes) -> None:
        mailbox = self._mailbox
        if len(packed) > PIECE and len(packed) > self._link.session.max_message_bytes + ENVELOPE:
            raise LocalProtocolError(
                f"a message of {len(packed)} bytes is longer than max_message_bytes,"
                f" {self._link.session.max_message_bytes}: send it in parts, or raise the bridge's limit"
            )
        mailbox.sent += len(packed)
        mailbox.out.append(packed)
        self._link.touch(mailbox)


def asgi2(app: Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]) -> ASGIApplication:
    """Make an ASGI 2 double callable an ASGI 3 application."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope)(receive, send)

    return application
