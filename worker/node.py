"""One worker process: its application, its links to all bridges, its connections, its drain."""

from __future__ import annotations

import inspect
import logging
import os
import socket
from collections.abc import Callable

import anyio

from ..shared import frames
from ..shared.endpoint import now, run_in_thread, running_loop, sleep
from ..shared.errors import ConfigurationError
from ..shared.loop import Loop, Task
from ..shared.names import parse_owned
from .asgi import AsgiHost
from .core.mailbox import Mailbox
from .discovery import Discovery
from .lifespan import Lifespan
from .link import Host, Link
from .load import Application
from .router import Router
from .runner import ConsumerHost
from .settings import Settings

logger = logging.getLogger("channels_bridge.worker")

ASYNC_SLOTS = 64  # turns at once of async consumers: enough to fill batches, few enough to leave a choice of worker
SCAN = 0.25  # seconds between two looks into a directory of sockets
RESOLVE = 30.0  # seconds between two look-ups of a name
SAY = 30.0  # seconds between two lines that say that no bridge is there
FIRST_SAY = 1.0
DRAIN_LOOK = 0.02
GRACE = 2.0  # seconds for applications that were told to end, and for lifespan.shutdown


class Node:
    """A worker process in its loop. :meth:`start` it, :meth:`drain` it, :meth:`close` it."""

    def __init__(self, app: Application, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.config = settings.config.check()
        self.loop: Loop = running_loop()
        self.threads = anyio.CapacityLimiter(settings.threads)
        self.turns: set[ConsumerHost] = set()  # that run a turn now
        self.flavours: dict[int, bool] = {}  # id of a consumer factory -> what it makes is async
        self.links: dict[str, Link] = {}  # ZeroMQ address -> link
        self._discovery = Discovery(settings.urls, self.config.insecure_tcp)
        self.lifespan = Lifespan(app.target, "off" if app.has_turns else settings.lifespan, self.loop)
        self._hello = self._make_hello()
        self._ticker: Task | None = None
        self._resolver: Task | None = None
        self._look_ups = anyio.CapacityLimiter(1)
        self._tasks: dict[AsgiHost | ConsumerHost, Task] = {}  # what runs an application now
        self._scanned_at = self._resolved_at = self._said_at = 0.0
        self._said = self._trouble = ""
        self._started_at = now()
        self.draining = False
        self._closing = False  # applications' tasks may be cancelled

    def _make_hello(self) -> frames.Hello:
        settings = self.settings
        slots = settings.max_inflight or self._slots()
        boot = int.from_bytes(os.urandom(8), "big")
        name = f"{socket.gethostname()}:{os.getpid()}"
        connections = settings.max_connections
        if not self.app.has_turns and settings.max_inflight:
            connections, slots = min(filter(None, (connections, settings.max_inflight))), 0
        return frames.Hello("worker", boot, name, list(settings.pools), self.app.has_turns, slots, connections)

    def _slots(self) -> int:
        """Give the turns that can run at once: sync consumers are bound by their threads. 0: no turns, no bound."""
        if not self.app.has_turns:
            return 0
        factories = self.app.target.factories if isinstance(self.app.target, Router) else [self.app.target]
        sync = all(inspect.isclass(f) and not inspect.iscoroutinefunction(f.__call__) for f in factories)
        return self.settings.threads if sync else ASYNC_SLOTS

    # -- life --------------------------------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """Connections that are hosted now."""
        return sum(len(link.session.mailboxes) for link in self.links.values())

    async def start(self) -> None:
        """Start the application, then connect. Raises ``ConfigurationError``: what cannot be served, or where."""
        await self.lifespan.startup()
        if self._discovery.names:
            await self._resolve()
        self._scan()
        self._ticker = self.loop.spawn(self._tick())

    async def drain(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Take no new connections; wait until those that are here have ended, the time is over, or it is enough."""
        self.draining = True
        for link in self.links.values():
            link.session.drain()
        end = now() + seconds
        while now() < end and not enough():
            if not self._tasks and not self.connections:
                return
            await sleep(DRAIN_LOOK)

    async def close(self, reason: str, grace: float = GRACE) -> None:
        """Say goodbye to the bridges, end what does not end within ``grace`` seconds, shut the application down."""
        self.draining = self._closing = True
        if self._ticker is not None:
            self._ticker.cancel()
        for link in self.links.values():
            link.close(reason)
        self.links.clear()
        end = now() + grace
        while self._tasks and now() < end:
            await sleep(DRAIN_LOOK)
        for task in list(self._tasks.values()):
            task.cancel()
        with anyio.move_on_after(GRACE):
            await self.lifespan.shutdown()

    def abandon(self) -> None:
        """Let go of everything at once, without waiting: the loop is being torn down."""
        self._closing = True
        for link in self.links.values():
            link.close("stopped")
        for task in (*self._tasks.values(), *filter(None, [self._ticker])):
            task.cancel()
        self.lifespan.cancel()

    def run(self, host: AsgiHost | ConsumerHost) -> None:
        """Run an application's code as a task of its own, to be ended with this node; it tells by :meth:`ended`."""
        self._tasks[host] = self.loop.spawn(host.run())

    def ends(self, error: BaseException) -> bool:
        """Say whether an exception out of an application is the end of its task, and no failure of its own."""
        return self.loop.is_ending(error, self._closing)

    def ended(self, host: AsgiHost | ConsumerHost) -> None:
        """Forget a host's task."""
        self._tasks.pop(host, None)

    async def _tick(self) -> None:
        while True:
            await sleep(self.config.tick)
            moment = now()
            oldest = max((moment - host.turn.since for host in self.turns if host.turn is not None), default=0.0)
            for link in list(self.links.values()):
                link.tick(oldest)
            if moment - self._scanned_at >= SCAN:
                try:
                    self._scan()
                    self._trouble = ""
                except ConfigurationError as error:  # a directory that others may enter since
                    self._trouble = str(error)
            if self._discovery.names and moment - self._resolved_at >= RESOLVE:
                self._resolved_at = moment
                self._resolver = self.loop.spawn(self._resolve())
            if any(link.session.ready for link in self.links.values()):
                self._said = ""
            else:
                self._say(moment, self._trouble or f"no bridge at {', '.join(self.settings.urls)} yet; waiting")

    async def _resolve(self) -> None:
        """Look names up, in a thread that no consumer can keep from us; beats go on meanwhile."""
        await run_in_thread(self._discovery.resolve, self._look_ups)

    def _scan(self) -> None:
        self._scanned_at = now()
        if self.draining:
            return
        found = self._discovery.scan()
        for url in found - self.links.keys():
            link = self.links[url] = Link(url, self._hello, self.config, self.loop, self._host)
            link.open()
        for url in self.links.keys() - found:
            if not self.links[url].session.ready:
                self.links.pop(url).close("gone")

    def _say(self, moment: float, text: str) -> None:
        """Tell a person who waits why nothing happens: at once if it is news, else now and then."""
        if moment - self._started_at >= FIRST_SAY and (text != self._said or moment - self._said_at >= SAY):
            self._said, self._said_at = text, moment
            logger.warning("%s", text)

    def _host(self, link: Link, mailbox: Mailbox) -> Host:
        if self.app.has_turns:
            return ConsumerHost(self.app.target, self, link, mailbox)
        host = AsgiHost(self.app.target, self, link, mailbox)
        self.run(host)
        return host

    # -- the channel layer over all bridges --------------------------------------------------------------------

    def _others(self, link: Link | None) -> list[Link]:
        return [other for other in self.links.values() if other is not link and other.session.ready]

    def is_local(self, frame: frames.LayerFrame, link: Link) -> bool:
        """Say whether the bridge of this link has a part in it."""
        return isinstance(frame, frames.GroupSend) or self._home(frame) == link.session.boot

    def is_foreign(self, frame: frames.LayerFrame, link: Link) -> bool:
        """Say whether other bridges have a part in it."""
        if isinstance(frame, frames.GroupSend):
            return bool(self._others(link))
        return self._home(frame) != link.session.boot

    def send_layer(self, frame: frames.LayerFrame) -> None:
        """Send it to every bridge that has a part in it, now."""
        self.send_to_others(frame, None)

    def send_to_others(self, frame: frames.LayerFrame, link: Link | None) -> None:
        """Send it to every bridge but this link's that has a part in it."""
        for other in self._others(link):
            if self.is_local(frame, other):
                other.send(frame)

    def _home(self, frame: frames.GroupAdd | frames.GroupDiscard | frames.ChannelSend) -> int | None:
        owned = parse_owned(frame.channel)
        return None if owned is None else owned.bridge
