"""A site: one bridge, its workers and its clients in the running event loop; network and clock are played."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from channels_bridge.bridge.app import Bridge, Pools
from channels_bridge.shared import clock, network
from channels_bridge.testing.faults.cables import Step
from channels_bridge.testing.faults.clients import Call, Headers, Response, WebSocket, response_to, scope_of
from channels_bridge.testing.faults.owned import Owned
from channels_bridge.testing.faults.plan import At, Plan
from channels_bridge.testing.faults.worker import FaultyWorker, World
from channels_bridge.worker.load import Application
from channels_bridge.worker.settings import Settings

URL = "tcp://127.0.0.1:1"  # of no meaning: nobody listens there
STARTUP = 20.0  # seconds of the site's time
REST = 60.0  # seconds of the site's time until nothing may be left of connections that have ended
ROUNDS = 10  # turns of the event loop in which nothing happens: all has come to rest
LIVELY = 10_000  # turns of the event loop after which what never comes to rest is taken as if it did
MOMENT = 0.002  # real seconds between two looks while a turn runs: user code may wait for what no clock of ours moves
LOOKS = 25  # so many of them before any time passes
THREADS = 5.0  # real seconds for threads of consumers to end

T = TypeVar("T")


class Site:
    """What a test has in hand. Made by :meth:`.Faults.site`."""

    def __init__(self, app: Application, settings: Settings, pools: Pools | None) -> None:
        self.workers: list[FaultyWorker] = []  # all that there were, dead or alive; the oldest first
        self.plan = Plan()
        self._world = World(self.plan.before)
        self._app, self._settings = app, settings
        self.bridge = Bridge(URL, pools=pools, config=settings.config)  # an ASGI application
        self._clients: list[WebSocket] = []

    # -- faults ------------------------------------------------------------------------------------------------

    @property
    def steps(self) -> list[Step]:
        """All messages between the bridge and workers, since the site was complete."""
        return self._world.cables.steps

    def at(self, step: int | str) -> At:
        """Choose the moment of a fault: 1 is the next message, "Commit" the next with that frame (docs/protocol.md).

        What is to happen then is a method of what is returned: ``site.at(1).kill()``.
        """
        return At(self.plan, step + len(self.steps) if isinstance(step, int) else step, self._world)

    # -- clients -----------------------------------------------------------------------------------------------

    async def websocket(
        self, path: str = "/", *, headers: Headers = (), subprotocols: tuple[str, ...] = ()
    ) -> WebSocket:
        """Connect a client. Raises :class:`.Closed` if it is refused."""
        extensions = {"websocket.http.response": dict[str, Any]()}
        scope = scope_of("websocket", path, headers, subprotocols=list(subprotocols), extensions=extensions)
        client = WebSocket(self._call(scope), self.until)
        self._clients.append(client)
        await client.connect()
        return client

    async def request(self, method: str, path: str, *, body: bytes = b"", headers: Headers = ()) -> Response:
        """Make a request. Raises :class:`.Aborted` if there is no whole answer."""
        call = self._call(scope_of("http", path, headers, method=method))
        return await response_to(call, body, self.until)

    async def get(self, path: str) -> Response:
        """Make a GET request, as :meth:`request`."""
        return await self.request("GET", path)

    def _call(self, scope: dict[str, Any]) -> Call:
        call = Call(self.bridge, scope)
        self._world.loop.spawn(Owned(call.run(), self._world.actors, None))
        return call

    # -- time --------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The site's time, in seconds."""
        return self._world.clock.now

    async def until(self, condition: Callable[[], object], seconds: float = REST, what: str = "a condition") -> None:
        """Let things happen, and the time pass when nothing more does, until the condition holds.

        It is looked at only when all has come to rest, so that the steps are the same each time. Raises
        ``TimeoutError`` if it does not hold within so many seconds of the site's time.
        """
        end, looks = self.now + seconds, 0
        while True:
            await self._rest()
            if condition():
                return
            if self.now >= end:
                raise TimeoutError(f"{what} did not come within {seconds:g} s of the site's time")
            if any(worker.busy for worker in self.workers):
                await anyio.sleep(MOMENT)
                looks += 1
                if looks < LOOKS:
                    continue
            self.plan.let_go()
            self._world.clock.move(end)
            self._raise_errors()

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        with contextlib.suppress(TimeoutError):
            await self.until(lambda: False, seconds)

    async def settle(self) -> None:
        """Let all happen that can without any time passing."""
        await self._rest()

    async def passing(self, work: Awaitable[T]) -> T:
        """Wait for something of your own while the time passes: ``await site.passing(layer.receive(name))``.

        Returns and raises what it does; ``TimeoutError`` after ``REST`` seconds of the site's time.
        """
        results: list[T] = []
        errors: list[Exception] = []

        async def run() -> None:
            try:
                results.append(await work)
            except Exception as error:
                errors.append(error)

        task = self._world.loop.spawn(run())
        try:
            await self.until(lambda: results or errors, what="what was awaited")
        finally:
            task.cancel()
        if errors:
            raise errors[0]
        return results[0]

    async def _rest(self) -> None:
        """Let the loop turn until nothing moves any more."""
        actors, still = self._world.actors, 0
        for _ in range(LIVELY):
            before = actors.moves
            await anyio.lowlevel.checkpoint()
            still = still + 1 if actors.moves == before else 0
            if still == ROUNDS:
                return

    def _raise_errors(self) -> None:
        if self._world.cables.errors:
            raise self._world.cables.errors[0]

    # -- workers -----------------------------------------------------------------------------------------------

    async def start_worker(self) -> FaultyWorker:
        """Start one more worker, and wait until it is linked. Raises what keeps it from starting."""
        worker = FaultyWorker(self._world, f"worker-{len(self.workers) + 1}", self._app, self._settings)
        self.workers.append(worker)
        await self.passing(worker.start())
        links = self.bridge.start().link.core.supervisor.links
        await self.until(lambda: worker.linked and len(links) >= self.alive, STARTUP, "a worker's link")
        return worker

    async def stop_worker(self, worker: FaultyWorker, drain: float = 30.0) -> None:
        """End a worker as a deploy does: it drains for so many seconds at most, then says goodbye."""
        await self.passing(worker.stop(drain))

    @property
    def alive(self) -> int:
        """Workers that were neither killed nor stopped."""
        return sum(worker.alive for worker in self.workers)

    # -- beginning and end -------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def run(self, workers: int) -> AsyncGenerator[Site]:
        """Be there, and at the end see that nothing is left and all is accounted for: ``AssertionError`` if not."""
        world = self._world
        if network.standing_in() is not None:
            raise RuntimeError("another site is there: it has the clock and the network of this process")
        with clock.played(world.clock.read, world.clock.pause), network.played(world.cables):
            try:
                self.bridge.start()
                for _ in range(workers):
                    await self.start_worker()
                await self.settle()
                world.cables.counts = True
                yield self
                await self.end()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._clean_up()

    async def end(self) -> None:
        """Let all clients leave, thaw who is frozen, and check the bridge: as the end of the site's block does."""
        if self.plan.due:
            raise AssertionError(f"faults that never came, in {len(self.steps)} steps: at {self.plan.due}")
        self.plan.clear()
        for worker in self.workers:
            worker.thaw()
        for client in self._clients:
            client.leave()
        with contextlib.suppress(TimeoutError):
            await self.until(lambda: not self.left())
        if self.left():
            raise AssertionError(f"connections have ended, and the bridge still has: {self.left()}")
        for worker in self.workers:
            await self.stop_worker(worker, drain=0.0)
        self._raise_errors()

    def left(self) -> dict[str, Any]:
        """Say what the bridge has of connections, and what of its ledger does not balance: {} if all is well."""
        core = self.bridge.start().link.core
        workers = core.supervisor.links.values()
        found: dict[str, Any] = {
            "connections": len(core.connections),
            "groups": len(core.layer.groups),
            "bytes in journals": core.dispatcher.journal_bytes,
            "waiting for a worker": sum(len(pool.waiting) for pool in core.dispatcher.pools.values()),
            "connections of workers": sum(len(worker.conns) for worker in workers),
            "turns of workers": sum(worker.turns_out for worker in workers),
        }
        found |= {f"messages of {pool!r} out of balance": missing for pool, missing in core.balance().items()}
        return {what: amount for what, amount in found.items() if amount}

    async def _clean_up(self) -> None:
        self.bridge.stop()
        for worker in self.workers:
            worker.kill()
        with anyio.move_on_after(THREADS):
            while any(worker.has_threads for worker in self.workers):  # noqa: ASYNC110 - threads tell nobody
                await anyio.sleep(MOMENT)
        await self._rest()
