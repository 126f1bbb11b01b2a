"""One worker process: its application, its links to all bridges, its connections, its drain."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Protocol

import anyio

from ..shared import frames
from ..shared.endpoint import now, running_loop, sleep
from ..shared.loop import Loop, Task
from . import hubs
from .asgi import AsgiHost
from .background import Background
from .building import Builder, is_async
from .core.mailbox import Mailbox
from .hub import Hub
from .lifespan import Lifespan
from .link import Host, Link
from .links import Links, make_hello
from .load import Application
from .overseer import Overseer, Run
from .recycling import Recycling
from .router import Router
from .runner import ConsumerHost
from .settings import Settings
from .time_limits import Limits, limits
from .turn import Turn

logger = logging.getLogger("channels_bridge.worker")

ASYNC_SLOTS = 64  # turns at once of async consumers: enough to fill batches, few enough to leave a choice of worker
DRAIN_LOOK = 0.02
SETTLING = 1.0  # seconds for bridges to hear that we listen no more
HAND_OVER = 1.0  # seconds for bridges to give resumable connections to others; what is left then waits for one there
GRACE = 2.0  # seconds for applications that were told to end, and for lifespan.shutdown


class Runs(Protocol):
    """What runs code of the application as a task, and tells the node when it has ended."""

    async def run(self) -> None:
        """Run. Does not raise, but for cancellation."""
        ...


class Node:
    """A worker process in its loop. :meth:`start` it, :meth:`drain` it, :meth:`close` it."""

    def __init__(self, app: Application, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.config = settings.config.check()
        self.loop: Loop = running_loop()
        self.limits = limits(settings.soft_time_limit, settings.time_limit)
        self.turns: set[Turn] = set()  # that run now, those of the background among them
        self.recycling = Recycling(settings)
        self.on_retire: Callable[[str], None] = _say
        self.retiring = ""  # why this process should be replaced; empty: it need not
        self.overseer = Overseer(self.loop, self.config.tick, self.retire)
        self.bridges = Links(settings.urls, self._make_hello(), self.config, self._host, self._tick)
        self.hub = Hub(self.bridges)  # of all channel layers in this process
        self.builder = Builder(app.target, self.hub, anyio.CapacityLimiter(settings.threads))
        self.lifespan = Lifespan(app.target, settings.lifespan if app.interface == "asgi" else "off", self.loop)
        self.channels = app.channels or settings.channels  # of Channels 1 both, together
        self.background = Background(self, self.channels, settings.max_inflight or self._slots(background=True))
        self._tasks: dict[Runs, Task] = {}  # what runs an application now
        self._closing = False  # applications' tasks may be cancelled
        self.handed_over = False  # what can go on elsewhere takes nothing new here: it goes with our goodbye

    def _make_hello(self) -> frames.Hello:
        settings, turns = self.settings, self.app.has_turns
        slots = settings.max_inflight or self._slots()
        connections = settings.max_connections
        if not turns and settings.max_inflight:
            connections, slots = min(filter(None, (connections, settings.max_inflight))), 0
        hello = make_hello("worker")
        pools = settings.pools if self.app.kinds != () else ()
        kinds = list(self.app.kinds or ())
        return hello._replace(
            pools=list(pools), turns=turns, slots=slots, connections=connections, kinds=kinds if len(kinds) == 1 else []
        )

    def _slots(self, *, background: bool = False) -> int:
        """Give the turns that can run at once: sync consumers are bound by their threads. 0: no turns, no bound."""
        if self.app.interface == "function":
            return ASYNC_SLOTS if is_async(self.app.target) else self.settings.threads
        if not self.app.has_turns:
            return ASYNC_SLOTS if background else 0
        factories = self.app.target.factories if isinstance(self.app.target, Router) else [self.app.target]
        return self.settings.threads if all(map(_makes_sync, factories)) else ASYNC_SLOTS

    # -- life --------------------------------------------------------------------------------------------------

    @property
    def links(self) -> dict[str, Link]:
        """ZeroMQ address -> link."""
        return self.bridges.by_url

    @property
    def connections(self) -> int:
        """Connections that are hosted now."""
        return sum(len(link.session.mailboxes) for link in self.links.values())

    @property
    def staying(self) -> int:
        """Connections that end with this worker: all but those that are resumable, which others take over."""
        mailboxes = (mailbox for link in self.links.values() for mailbox in link.session.mailboxes.values())
        return sum(not mailbox.resumable for mailbox in mailboxes)

    @property
    def busy_threads(self) -> int:
        """Threads that are at work."""
        return self.builder.busy_threads + self.background.builder.busy_threads

    @property
    def _is_busy(self) -> bool:
        """Say whether something runs here, but for what does not end, and ASGI applications that go on elsewhere."""
        return not all(isinstance(host, AsgiHost) and host.is_movable for host in self._ending)

    @property
    def _ending(self) -> set[Runs]:
        """Give what runs here and may end: all but the hosts of handlers that were given up."""
        return self._tasks.keys() - self.overseer.given_up

    async def start(self) -> None:
        """Start the application, then connect. Raises ``ConfigurationError``: what cannot be served, or where."""
        hubs.enter(self.hub)  # the application may use a layer as it starts
        try:
            self.hub.open(self.loop)
            await self.lifespan.startup()
            await self.bridges.start(self.loop)
            if self.bridges.trouble is not None:
                raise self.bridges.trouble
        except BaseException:
            hubs.leave(self.hub)
            raise
        self.background.start()

    async def linked(self, seconds: float) -> None:
        """Return when a bridge knows this process, at the latest after so many seconds."""
        end = now() + seconds
        while now() < end and not self.bridges.ready:
            await sleep(DRAIN_LOOK)

    async def drain(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Take nothing new; wait until what is here has ended, the time is over, or it is enough."""
        end, handed_over = now() + seconds, now() + HAND_OVER
        self.background.stop()
        self.bridges.drain()
        if self.channels:
            await self.bridges.settled(SETTLING)  # what bridges have sent meanwhile is given back
        while now() < end and not enough():
            self.handed_over = now() >= handed_over
            left = self.staying if self.handed_over else self.connections
            if not left and not self._is_busy:
                return
            await sleep(DRAIN_LOOK)

    async def close(self, reason: str, grace: float = GRACE) -> None:
        """Say goodbye to the bridges, end what does not end within ``grace`` seconds, shut the application down."""
        self._closing = True
        self.background.stop()
        self._leave(reason)
        end = now() + grace
        while self._ending and now() < end:
            await sleep(DRAIN_LOOK)
        for task in list(self._tasks.values()):
            task.cancel()
        with anyio.move_on_after(GRACE):
            await self.lifespan.shutdown()

    def abandon(self) -> None:
        """Let go of everything at once, without waiting: the loop is being torn down."""
        self._closing = True
        self._leave("stopped")
        for task in self._tasks.values():
            task.cancel()
        self.lifespan.cancel()

    def _leave(self, reason: str) -> None:
        hubs.leave(self.hub)
        self.hub.close()
        self.overseer.close()
        self.bridges.close(reason)

    def run(self, host: Runs) -> None:
        """Run an application's code as a task of its own, to be ended with this node; it tells by :meth:`ended`."""
        self._tasks[host] = self.loop.spawn(host.run())

    def began(self, turn: Turn) -> None:
        """Note that a turn begins; whoever began it discards it from :attr:`turns`."""
        self.turns.add(turn)
        self.recycling.count()

    def limited(self, host: Runs, what: str, limits: Limits, give_up: Callable[[Run], None]) -> Run | None:
        """Make the run of a handler under limits; None if there are none. ``host``: what waits for it, see ``Run``."""
        return Run(self.overseer, host, what, limits, give_up) if limits.any else None

    def retire(self, reason: str) -> None:
        """Say, once, that this process has to be replaced: by :attr:`on_retire`, in the loop."""
        if not self.retiring:
            self.retiring = reason
            self.on_retire(reason)

    def cancel(self, host: Runs) -> None:
        """Cancel a host's task: what it runs goes on elsewhere."""
        if (task := self._tasks.get(host)) is not None:
            task.cancel()

    def ends(self, error: BaseException) -> bool:
        """Say whether an exception out of an application is the end of its task, and no failure of its own."""
        return self.loop.is_ending(error, self._closing)

    def ended(self, host: Runs) -> None:
        """Forget a host's task."""
        self._tasks.pop(host, None)

    def _tick(self, moment: float) -> float:
        """Do what is due; give the seconds for which the oldest running turn has been running."""
        if reason := self.recycling.due(moment):
            self.retire(reason)
        return max((moment - turn.since for turn in self.turns), default=0.0)

    def _host(self, link: Link, mailbox: Mailbox) -> Host:
        if self.app.has_turns:
            return ConsumerHost(self, link, mailbox)
        self.recycling.count()
        host = AsgiHost(self.app.target, self, link, mailbox)
        self.run(host)
        return host


def _makes_sync(factory: Any) -> bool:
    """Say whether a factory says, by its class or its word, that it makes sync consumers."""
    if inspect.isclass(factory):
        return not inspect.iscoroutinefunction(factory.__call__)
    return getattr(factory, "is_async", None) is False


def _say(reason: str) -> None:
    logger.warning("this worker should be replaced, but nobody does: %s", reason)
