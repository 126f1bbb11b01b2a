"""All links of this process, one per bridge process: where bridges are, which come, which go. And their exchange.

A worker's node has them to host connections, a layer's hub to reach the channel layer and nothing else.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence

import anyio

from ..shared import frames
from ..shared.config import Config
from ..shared.discovery import Discovery
from ..shared.endpoint import now, run_in_thread, sleep
from ..shared.errors import ConfigurationError
from ..shared.frames import Frame
from ..shared.loop import Loop, Task
from .core import actions
from .core.exchange import Exchange
from .core.mailbox import Mailbox
from .link import Host, Link

logger = logging.getLogger("channels_bridge.worker")

SCAN = 0.25  # seconds between two looks into a directory of sockets
RESOLVE = 30.0  # seconds between two look-ups of a name
SAY = 30.0  # seconds between two lines that say that no bridge is there
FIRST_SAY = 1.0
SETTLE = 0.25  # seconds for the first links to come up, all of them, if nobody listens at some addresses
LOOK = 0.01  # seconds between two looks for an answer


def make_hello(role: str) -> frames.Hello:
    """Introduce this process, which hosts nothing so far; ``role`` as in HELLO."""
    boot = int.from_bytes(os.urandom(8), "big")
    return frames.Hello(role, boot, f"{socket.gethostname()}:{os.getpid()}", [], False, 0, 0)


class Links:
    """The links of one process, in one loop. :meth:`start` them there, :meth:`close` them.

    Raises ``ConfigurationError`` for addresses and settings that cannot be.
    """

    def __init__(
        self,
        urls: Sequence[str],
        hello: frames.Hello,
        config: Config,
        host: Callable[[Link, Mailbox], Host] | None = None,
        oldest: Callable[[float], float] = lambda moment: 0.0,
    ) -> None:
        self.urls = tuple(urls)
        self.hello = hello
        self.config = config.check()
        self.exchange = Exchange(hello.boot, self._perform)
        self.by_url: dict[str, Link] = {}  # ZeroMQ address -> link
        self.trouble: ConfigurationError | None = None  # why no bridge can be looked for now
        self.draining = False
        self._discovery = Discovery(urls, self.config.insecure_tcp)
        self._host = host
        self._oldest = oldest  # moment -> seconds for which the oldest running turn has been running
        self._ready: dict[int, Link] = {}  # boot of the bridge -> link
        self.started = False
        self._loop: Loop | None = None
        self._ticker: Task | None = None
        self._resolver: Task | None = None
        self._scanned_at = self._resolved_at = self._said_at = 0.0
        self._said = ""
        self._started_at = now()

    @property
    def places(self) -> frozenset[str]:
        """The URLs, each written in the one way that all who mean it write."""
        return frozenset(map(str, self._discovery.addresses))

    @property
    def ready(self) -> bool:
        """Say whether there is a bridge to talk to."""
        return bool(self._ready)

    @property
    def max_message_bytes(self) -> int:
        """What a message may have, as the bridges say."""
        limits = [link.session.max_message_bytes for link in self._ready.values()]
        return min(limits, default=self.config.max_message_bytes)

    # -- life --------------------------------------------------------------------------------------------------

    async def start(self, loop: Loop) -> None:
        """Connect, now and whenever a bridge comes. A place where none may be looked for is in :attr:`trouble`."""
        self._loop = loop
        self.draining = False  # it may have been closed in another loop
        self._look_ups = anyio.CapacityLimiter(1)  # of this loop
        if self._discovery.names:
            await self._resolve()
        self._scan()
        self._ticker = loop.spawn(self._tick())
        self.started = True

    def drain(self) -> None:
        """Ask for no new connections."""
        self.draining = True
        for link in self.by_url.values():
            link.session.drain()

    async def settled(self, seconds: float) -> None:
        """Return when we know that every bridge has acted on what it was told; at the latest after so many seconds."""
        asked = now()
        sessions = [link.session for link in self._ready.values()]
        for session in sessions:
            session.hurry()
        while now() < asked + seconds and any(s.ready and s.acknowledged < asked for s in sessions):
            await sleep(LOOK)

    def close(self, reason: str) -> None:
        """Say goodbye to all; without a word if the loop has ended, which would have to send it."""
        self.draining = True
        if self._loop is not None and self._loop.is_over():
            for link in list(self.by_url.values()):
                link.abandon(reason)
        else:
            for task in filter(None, (self._ticker, self._resolver)):
                task.cancel()
            for link in list(self.by_url.values()):
                link.close(reason)
        self.by_url.clear()

    def forget(self) -> None:
        """In a forked child: do nothing more with what is the parent's."""
        for link in self.by_url.values():
            link.forget()

    async def _tick(self) -> None:
        while True:
            await sleep(self.config.tick)
            moment = now()
            oldest = self._oldest(moment)
            for link in list(self.by_url.values()):
                link.tick(oldest)
            self.exchange.tick(moment)
            if moment - self._scanned_at >= SCAN:
                self._scan()
            if self._discovery.names and moment - self._resolved_at >= RESOLVE:
                self._resolved_at = moment
                assert self._loop is not None
                self._resolver = self._loop.spawn(self._resolve())
            if self._ready:
                self._said = ""
            else:
                self._say(moment, str(self.trouble or f"no bridge at {', '.join(self.urls)} yet; waiting"))

    async def _resolve(self) -> None:
        """Look names up, in a thread that no consumer can keep from us; beats go on meanwhile."""
        await run_in_thread(self._discovery.resolve, self._look_ups)

    def _scan(self) -> None:
        self._scanned_at = now()
        if self.draining:
            return
        try:
            found = self._discovery.scan()
        except ConfigurationError as error:  # a directory that others may enter
            self.trouble = error
            return
        self.trouble = None
        assert self._loop is not None
        new = found - self.by_url.keys()
        if new and not self._ready:
            self.exchange.expect(len(found), self._scanned_at + SETTLE)
        for url in new:
            link = self.by_url[url] = Link(url, self.hello, self.config, self._loop, self)
            link.open()
        for url in self.by_url.keys() - found:
            if not self.by_url[url].session.ready:
                link = self.by_url.pop(url)
                link.session.orphans.end()  # its address is gone, and so is the bridge
                link.close("gone")

    def _say(self, moment: float, text: str) -> None:
        """Tell a person who waits why nothing happens: at once if it is news, else now and then."""
        if moment - self._started_at >= FIRST_SAY and (text != self._said or moment - self._said_at >= SAY):
            self._said, self._said_at = text, moment
            logger.warning("%s", text)

    # -- what links tell ---------------------------------------------------------------------------------------

    def host(self, link: Link, mailbox: Mailbox) -> Host:
        """As :class:`.link.Owner`."""
        assert self._host is not None, "a bridge gives no connections to who has no pools"
        return self._host(link, mailbox)

    def up(self, link: Link, bridge: int) -> None:
        """As :class:`.link.Owner`."""
        if bridge in self._ready:  # by another address: the bridge has ended that link
            self.exchange.over(bridge, now())
        self._ready[bridge] = link
        self.exchange.up(bridge, now())

    def over(self, link: Link, bridge: int) -> None:
        """As :class:`.link.Owner`."""
        if self._ready.get(bridge) is link:
            del self._ready[bridge]
            self.exchange.over(bridge, now())

    def hear(self, bridge: int, frame: Frame) -> None:
        """As :class:`.link.Owner`."""
        self.exchange.hear(bridge, frame, now())

    # -- what the exchange wants -------------------------------------------------------------------------------

    def _perform(self, action: actions.LayerAction) -> None:
        if isinstance(action, actions.Settle):
            for waiter in action.waiters:
                if not waiter.settle():
                    self.exchange.leave(waiter, now())
        elif (link := self._ready.get(action.bridge)) is not None:
            link.send(action.frame)
