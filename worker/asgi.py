"""Hosts ASGI applications: one task per connection, its messages from the mailbox, its sends to the link.

An ASGI application has no turns: what it sends goes out as it is sent, and a message counts as acknowledged when
``receive()`` has returned it. It stays with this worker, unless it saves what another would need: saving.py.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from ..shared import frames
from ..shared.config import ENVELOPE, KIB
from ..shared.endpoint import sleep
from ..shared.errors import ClientDisconnected, LocalProtocolError, RemoteProtocolError
from ..shared.wire import Event, pack_event, unpack_event, unpack_scope
from .core.mailbox import OVER, Mailbox
from .link import Link
from .messages import COMPLETE, Outgoing
from .saving import EXTENSION, SAVE, Saving

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
GONE = ("closed", "lost")  # the connection, and not only the client, is gone


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
        self._begun = False
        self._adopted = False  # it goes on with a state, and has not asked for its first message yet
        self._moved = False  # it goes on in another worker, and is cancelled here
        self._saving: Saving | None = None  # of a WebSocket
        if self._kind == "websocket":
            self._saving = saving = Saving(mailbox, link, self._outgoing, node.config.state_bytes)
            scope["extensions"] = {**(scope.get("extensions") or {}), EXTENSION: saving.offer()}

    @property
    def is_movable(self) -> bool:
        """Say whether another worker can take it over without running anything again."""
        return self._saving is not None and self._saving.active and not self._saving.holds

    def wake(self) -> None:
        """Look at the mailbox: something changed."""
        self._changed.set()
        if self._mailbox.over == "moved" and not self._moved:
            self._moved = True
            if self._begun:  # a task that is cancelled before it has begun runs not even its finally
                self._node.cancel(self)

    async def run(self) -> None:
        """Call the application and say how it ended. Does not raise, but for cancellation."""
        self._begun = True
        mailbox, ended = self._mailbox, None
        try:
            if self._resume():
                ended = await self._call()
        finally:
            self._link.session.forget(mailbox)
            self._node.ended(self)
            mailbox.host = None  # no cycle is left for the garbage collector
        if ended is not None and mailbox.over not in OVER:
            if self._saving is not None:
                self._saving.end()
            self._link.end(mailbox, *ended)

    async def _call(self) -> tuple[str, str]:
        """Call the application. Returns outcome and text."""
        try:
            await self._app(self._scope, self._receive, self._send)
        except ClientDisconnected:
            return "disconnected", ""
        except BaseException as error:
            if self._node.ends(error):
                raise
            where = (self._mailbox.conn, self._mailbox.epoch)
            if self._moved:  # it was cancelled; what else it says of that is of interest to its author at most
                logger.debug("an application was moved (connection %d, epoch %d)", *where, exc_info=error)
            else:
                logger.exception("Exception in ASGI application (connection %d, epoch %d)", *where)
            return "raised", f"{type(error).__name__}: {error}"[:500]
        return "returned", ""

    def _resume(self) -> bool:
        """Put what was saved into the scope, if anything was. False: the application is not to be called here."""
        mailbox = self._mailbox
        packed, mailbox.state = mailbox.state, b""
        if not packed or self._moved:
            return not self._moved
        where = (mailbox.conn, mailbox.epoch)
        try:
            if self._saving is None:
                raise RemoteProtocolError("it is of a consumer: no ASGI application goes on with a request")
            attempt = mailbox.queue[0].attempt if mailbox.queue else 1
            saved = self._saving.restore(packed, self._scope, mailbox.first_seq, attempt)
        except RemoteProtocolError as error:
            logger.error("an ASGI application cannot go on with a state (connection %d, epoch %d): %s", *where, error)
            self._link.send(frames.Unresumable(*where, str(error)))
            return False
        self._scope["extensions"][EXTENSION].update(saved)
        self._adopted = True
        return True

    # -- its receive() -----------------------------------------------------------------------------------------

    async def _receive(self) -> Event:
        mailbox, saving = self._mailbox, self._saving
        if self._adopted:
            self._adopted = False
            self._link.send(frames.Resumed(mailbox.conn, mailbox.epoch))
        if saving is not None and saving.active:
            if saving.begins:
                saving.begins = False
                return {"type": "websocket.connect"}
            saving.commit()
            await self._credit()  # what it sent while it held the message waited for none
        while not mailbox.queue or self._is_fenced():
            if self._is_over():
                mailbox.disconnected = True
                await sleep(0)  # an application that asks again and again must not stop the loop
                return DISCONNECTED[self._kind].copy()
            if mailbox.next_seq == 1:
                self._link.ask(mailbox)
            await self._changed.wait()
        message = mailbox.queue.popleft()
        if saving is not None and saving.active:
            saving.received(message.seq)
        elif mailbox.over not in OVER:
            mailbox.acked = message.seq
            self._link.touch(mailbox)
        event = unpack_event(message.event)
        if event["type"] in ("http.disconnect", "websocket.disconnect"):
            mailbox.disconnected = True
        return event

    def _is_fenced(self) -> bool:
        """Say whether what has come is for another worker: soon, or by now, if the lease has run out unseen."""
        if not self._mailbox.resumable:
            return False
        return self._node.handed_over or not self._link.may_act() or self._mailbox.over == "moved"

    def _is_over(self) -> bool:
        """Say whether a disconnect is due that the client did not send: once for a socket, always for a request."""
        mailbox = self._mailbox
        if self._kind == "http":
            return mailbox.disconnected or bool(mailbox.over) or self._outgoing.state is COMPLETE
        return mailbox.over in GONE and not mailbox.disconnected

    # -- its send() --------------------------------------------------------------------------------------------

    async def _send(self, event: Event) -> None:
        mailbox, saving = self._mailbox, self._saving
        if saving is not None:
            kind: Any = type(event)
            if kind is dict and event.get("type") == SAVE:
                await saving.save(_saved(event))
                return
            if saving.again is not None and not mailbox.over:
                translated = saving.translate(event)
                if translated is None:
                    return
                event = translated
        if mailbox.over or mailbox.disconnected:
            self._refuse()
            return
        event = self._outgoing.check(event)
        body = event.get("body")
        if body is not None and len(body) > PIECE:
            await self._send_pieces(event, memoryview(body))
        else:
            packed = pack_event(event)
            if mailbox.sent >= mailbox.allowed and not self._holds():
                await self._credit()
            self._put(packed)
        if self._outgoing.state is COMPLETE:
            self._changed.set()  # receive() answers http.disconnect from now on

    def _refuse(self) -> None:
        """Do as servers do with what is sent to a client that has gone.

        ASGI 2.4 asks for an OSError; those that speak an older version keep silent about requests.
        """
        if self._moved:
            return  # what its last words are, nobody hears; its finally blocks are to run in peace
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
        if mailbox.over:
            return  # it has waited for credit meanwhile
        if len(packed) > PIECE and len(packed) > self._link.session.max_message_bytes + ENVELOPE:
            raise LocalProtocolError(
                f"a message of {len(packed)} bytes is longer than max_message_bytes,"
                f" {self._link.session.max_message_bytes}: send it in parts, or raise the bridge's limit"
            )
        if mailbox.resumable and self._saving is not None and self._saving.sent(packed):
            return
        mailbox.sent += len(packed)
        mailbox.out.append(packed)
        self._link.touch(mailbox)

    def _holds(self) -> bool:
        return self._mailbox.resumable and self._saving is not None and self._saving.holds


def _saved(event: Event) -> Any:
    if "state" not in event:
        raise LocalProtocolError(f"{SAVE}: 'state' has to be there")
    return event["state"]


def asgi2(app: Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]) -> ASGIApplication:
    """Make an ASGI 2 double callable an ASGI 3 application."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope)(receive, send)

    return application
