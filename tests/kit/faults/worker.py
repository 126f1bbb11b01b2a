"""A worker in the test's own event loop, which can be killed and frozen."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from channels_bridge.shared.endpoint import running_loop
from channels_bridge.testing.faults.cables import Cables
from channels_bridge.testing.faults.clock import PlayedClock
from channels_bridge.testing.faults.owned import Actors, Owned, OwnedLoop
from channels_bridge.worker.load import Application
from channels_bridge.worker.node import Node
from channels_bridge.worker.settings import Settings


class World:
    """What all in a site share."""

    def __init__(self, before: Callable[[Any], int]) -> None:
        self.actors = Actors()
        self.loop = running_loop()
        self.clock = PlayedClock(self.actors, lambda of: isinstance(of, FaultyWorker) and of.frozen)
        self.cables = Cables(self.loop, self.actors, before)


class FaultyWorker:
    """One worker: the real node and the consumers that it hosts, on the site's network and clock."""

    def __init__(self, world: World, name: str, app: Application, settings: Settings) -> None:
        self.name = name
        self.frozen = False
        self.alive = True  # neither killed nor stopped
        self._world = world
        self._loop = OwnedLoop(world.loop, world.actors, self)
        self._node = Node(app, settings)
        self._node.loop = self._loop
        self._node.bridges.hello = self._node.bridges.hello._replace(name=name)  # what logs call it

    def __repr__(self) -> str:
        state = "frozen" if self.frozen else "alive" if self.alive else "over"
        return f"<{self.name}, {state}>"

    # -- faults ------------------------------------------------------------------------------------------------

    def kill(self, *, said: bool = False) -> None:
        """End it at once, as SIGKILL does: nothing of it goes on, and nothing that is under way to it arrives.

        ``said``: what it had handed to its socket still arrives; else that is lost with it. Its tasks are cancelled, so
        that ``finally`` blocks run, which in a killed process do not; a thread that runs a sync consumer goes on to the
        end of the turn. Neither can reach the bridge any more.
        """
        if not self.alive:
            return
        self.alive, self.frozen = False, False
        self._loop.kill()
        for cable in self._world.cables.of(self):
            cable.end(keeps=said)
        self._node.abandon()

    def freeze(self, seconds: float | None = None) -> None:
        """Let it stand still as SIGSTOP does, for so many seconds of the site's time or until :meth:`thaw`.

        As seen from outside: no message reaches it, none that it sends leaves, and none of its timers (beats, leases)
        goes off. A handler that runs goes on, and its commit comes too late, after the thaw.
        """
        self.frozen = self.alive
        if seconds is not None:
            clock = self._world.clock
            clock.at(clock.now + seconds, self.thaw)

    def thaw(self) -> None:
        """Let it go on, as SIGCONT does: first what was under way arrives, then its timers see the time."""
        self.frozen = False
        self._world.cables.look()

    def cut(self) -> None:
        """Cut its connection to the bridge in the middle: what is under way on it is lost. It connects anew."""
        for cable in self._world.cables.of(self):
            cable.cut()

    # -- life --------------------------------------------------------------------------------------------------

    @property
    def linked(self) -> bool:
        """Say whether it is ready to serve, as far as it knows."""
        return any(link.session.ready for link in self._node.links.values())

    @property
    def busy(self) -> bool:
        """Say whether code of the application runs, or waits for what the site does not move."""
        return self.alive and not self.frozen and self._loop.busy

    @property
    def has_threads(self) -> bool:
        """Say whether sync code of it still runs, dead or alive."""
        return self._node.busy_threads > 0

    @property
    def connections(self) -> int:
        """Connections that it hosts."""
        return self._node.connections if self.alive else 0

    async def start(self) -> None:
        """Start the application and connect."""
        await self._run(self._node.start())

    async def stop(self, drain: float) -> None:
        """End it as SIGTERM does: drain for so many seconds at most, then say goodbye. The site's time has to move."""
        if self.alive:
            await self._run(self._node.drain(drain))
        if self.alive:
            await self._run(self._node.close("stopped"))
            self.alive = False

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> Owned:
        return Owned(coroutine, self._world.actors, self)
