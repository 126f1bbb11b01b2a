"""The pump: one bridge, one socket, one clock. Feeds the session and performs what it decides.

What is queued during one turn of the event loop leaves as one ZeroMQ message; in a long turn, what has
waited for a millisecond does not wait for its slow neighbours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from ..shared import frames, wire
from ..shared.config import MIB, Config
from ..shared.endpoint import Endpoint, PeerGone, connect, now
from ..shared.errors import AddressError, RemoteProtocolError
from ..shared.frames import Frame
from ..shared.loop import Loop
from .core import actions
from .core.mailbox import Mailbox
from .core.session import Session

logger = logging.getLogger("channels_bridge.worker")

FLUSH_AGE = 0.001  # seconds
GOODBYE_LINGER = 0.5  # seconds for the last frames


class Host(Protocol):
    """What runs one connection."""

    def wake(self) -> None:
        """Look at the mailbox: something changed."""
        ...


class Owner(Protocol):
    """Who has the links of this process."""

    def host(self, link: Link, mailbox: Mailbox) -> Host:
        """Host a connection."""
        ...

    def up(self, link: Link, bridge: int) -> None:
        """Note that the link is ready; ``bridge`` is the boot of the other end."""
        ...

    def over(self, link: Link, bridge: int) -> None:
        """Note that the link, which was ready, is not any more."""
        ...

    def hear(self, bridge: int, frame: Frame) -> None:
        """Take a frame of the channel layer."""
        ...


class Link:
    """This process's end of the link to one bridge process, over all its sessions."""

    def __init__(
        self,
        url: str,
        hello: frames.Hello,
        config: Config,
        loop: Loop,
        owner: Owner,
    ) -> None:
        self.url = url
        self.session = Session(hello, config, self._perform)
        self._hello, self._config, self._loop, self._owner = hello, config, loop, owner
        self._endpoint: Endpoint | None = None
        self._outbox = wire.Outbox()
        self._unsent: list[list[bytes]] = []  # encoded, and refused by a full socket
        self._dirty: list[Mailbox] = []  # connections that have something to say
        self._dirty_since = 0.0  # 0: nothing waits for a flush
        self._reopen_at = 0.0
        self._performers: dict[type[Any], Callable[[Any], None]] = {
            actions.Send: self._send,
            actions.Start: self._host,
            actions.Wake: _wake,
            actions.Up: lambda action: owner.up(self, action.bridge),
            actions.Over: lambda action: owner.over(self, action.bridge),
            actions.Hear: lambda action: owner.hear(*action),
            actions.Reconnect: self._reconnect,
            actions.Log: self._log,
        }

    # -- what hosts call ---------------------------------------------------------------------------------------

    def may_act(self) -> bool:
        """Say whether the lease holds: before each turn."""
        return self.session.may_act(now())

    def send(self, frame: Frame) -> None:
        """Queue a frame. Without a lease it is dropped: the bridge has given, or will give, our connections away."""
        moment = now()
        if not self.session.may_act(moment):
            return
        self._queue(frame, moment)

    def touch(self, mailbox: Mailbox) -> None:
        """Say at the end of this turn of the loop what an application has received and sent: see OUTPUT."""
        if not mailbox.dirty:
            mailbox.dirty = True
            self._dirty.append(mailbox)
            if not self._dirty_since:
                self._schedule(now())
        elif now() - self._dirty_since > FLUSH_AGE:
            self._flush()

    def tell(self, mailbox: Mailbox) -> None:
        """Say it now: something is to follow that must not overtake it, nor be in one frame with it."""
        if mailbox.out or mailbox.acked:
            output = frames.Output(mailbox.conn, mailbox.epoch, mailbox.acked, mailbox.out, "", "")
            mailbox.out, mailbox.acked = [], 0  # first: send() may flush, which looks at them
            self.send(output)

    def ask(self, mailbox: Mailbox) -> None:
        """Ask for the request of a client that waits for that (100-continue): an OUTPUT that says nothing else."""
        self.send(frames.Output(mailbox.conn, mailbox.epoch, 0, [], "", ""))

    def end(self, mailbox: Mailbox, outcome: str, text: str) -> None:
        """Say, behind all else of this connection, how its application ended."""
        if self.session.may_act(now()):
            self._outbox.add(frames.Output(mailbox.conn, mailbox.epoch, mailbox.acked, mailbox.out, outcome, text))
            mailbox.out, mailbox.acked = [], 0
            if not self._dirty_since:
                self._schedule(now())

    # -- sessions ----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the socket and greet as soon as a bridge is there."""
        try:
            self._endpoint = connect(self.url)
        except AddressError as error:
            logger.error("%s", error)
            self._reopen_at = now() + self._config.verdict
            return
        self._inbox = wire.Inbox(MIB)
        self._endpoint.start(self._loop, self._receive)
        self._endpoint.on_disconnect(self._cut)
        self._endpoint.when_writable(lambda: self.session.connected(now()))

    def close(self, reason: str) -> None:
        """Say goodbye and close for good."""
        self._reopen_at = 0.0
        self._flush()
        self.session.close(reason)
        self._flush()
        self._drop(GOODBYE_LINGER)

    def abandon(self, reason: str) -> None:
        """Close for good; the loop has ended, and nothing can be sent."""
        self._reopen_at = 0.0
        self._dirty_since = now()  # no flush is asked of the loop
        self._drop()
        self.session.close(reason)

    def tick(self, oldest: float) -> None:
        """Look at the timers."""
        moment = now()
        self.session.tick(moment, oldest)
        if self._reopen_at and moment >= self._reopen_at:
            self._reopen_at = 0.0
            self.session = self.session.next()
            self.open()

    def _cut(self) -> None:
        if self._endpoint is not None:
            self._endpoint.drain()  # it may have said goodbye
        self.session.lost("its connection was cut")

    def forget(self) -> None:
        """In a forked child: do nothing more with what is the parent's."""
        if self._endpoint is not None:
            self._endpoint.forget()

    def _drop(self, linger: float = 0.0) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.close(linger)
        self._outbox = wire.Outbox()
        self._unsent.clear()
        self._dirty.clear()

    # -- in ----------------------------------------------------------------------------------------------------

    def _receive(self, message: list[bytes]) -> None:
        limit = max(self.session.max_message_bytes, self.session.turn_bytes)  # as WELCOME says; a RELAY has a turn's
        self._inbox.max_frame = limit + MIB
        try:
            link_epoch, received = self._inbox.decode(message)
            self.session.receive(link_epoch, received)
        except RemoteProtocolError as error:  # what it meant to say is lost: start over
            version = wire.peek_version(message)
            logger.error("the bridge at %s sent a malformed message (version %s): %s", self.url, version, error)
            self.session.lost("malformed message", self._config.suspect)

    # -- out ---------------------------------------------------------------------------------------------------

    def _perform(self, action: actions.Action) -> None:
        self._performers[type(action)](action)

    def _send(self, action: actions.Send) -> None:
        self._queue(action.frame, now())

    def _queue(self, frame: Frame, moment: float) -> None:
        self._outbox.add(frame)
        if not self._dirty_since:
            self._schedule(moment)
        elif moment - self._dirty_since > FLUSH_AGE:
            self._flush()
            self._schedule(moment)

    def _schedule(self, moment: float) -> None:
        self._dirty_since = moment
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._dirty_since = 0.0
        endpoint = self._endpoint
        if endpoint is None:
            return
        if self._dirty:
            self._collect()
        if self._outbox:
            self._unsent.extend(self._outbox.batches(self.session.link_epoch))
        try:
            while self._unsent and endpoint.send(self._unsent[0]):
                del self._unsent[0]
        except PeerGone:
            return
        if self._unsent:
            endpoint.when_writable(self._flush)

    def _collect(self) -> None:
        """Make one frame of what each connection has to say. Without a lease it is dropped, as in :meth:`send`."""
        dirty, self._dirty = self._dirty, []
        may_act = self.session.may_act(now())
        for mailbox in dirty:
            mailbox.dirty = False
            if may_act and (mailbox.out or mailbox.acked):
                self._outbox.add(frames.Output(mailbox.conn, mailbox.epoch, mailbox.acked, mailbox.out, "", ""))
            mailbox.out, mailbox.acked = [], 0

    def _host(self, action: actions.Start) -> None:
        mailbox = action.mailbox
        mailbox.host = host = self._owner.host(self, mailbox)
        if mailbox.queue or mailbox.state:
            host.wake()

    def _reconnect(self, action: actions.Reconnect) -> None:
        self._drop()
        self._reopen_at = now() + action.delay

    def _log(self, action: actions.Log) -> None:
        level = {"warning": logging.WARNING, "error": logging.ERROR}.get(action.level, logging.INFO)
        logger.log(level, "%s: %s", self.url, action.text)


def _wake(action: actions.Wake) -> None:
    host: Any = action.mailbox.host  # a Host: _host put it there; None once it has ended
    if host is not None:
        host.wake()
