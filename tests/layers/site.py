"""Sites: bridges, workers and layers at one address, for many tests. Names keep the tests apart.

Bridges run in a thread of this process, workers in two others (consumers on asyncio, an ASGI application on trio),
async layers in one for each kind of loop; and there is one more process, ``far``, which has a layer, too.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Generator
from concurrent.futures import Future
from functools import cached_property
from typing import Any, ClassVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

import channels1_project
from channels_bridge import AsyncConsumer, Bridge, ChannelLayer, Router, SyncChannelLayer, SyncConsumer
from channels_bridge.testing.processes import free_port
from halves import directory, hosting
from layers.peer import CAPACITY
from layers.seats import HostedSeat, Job, LoopSeat, RemoteSeat, Seat, ThreadSeat
from played_server import Call, Event, websocket_scope

CLIENTS = ("asyncio", "trio", "sync")
REMOTE = ("main-asyncio", "main-trio")  # in the main thread of another process, which may do without a thread for it
HOSTED = ("turn", "turn-sync", "outside", "outside-sync", "asgi")


class Ear(AsyncConsumer):
    """Tells its client its channel, and then all that it hears."""

    async def websocket_connect(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "text": self.consumer_channel})

    async def heard(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "text": repr(message)})


class Busy(AsyncConsumer):
    """Does jobs, one a turn; gives its layer to who wants to use it outside of turns."""

    layers: ClassVar[dict[str, Any]] = {}  # consumer channel -> layer

    async def websocket_connect(self, message: Event) -> None:
        self.layers[self.consumer_channel] = self.channel_layer
        await self.send({"type": "websocket.send", "text": self.consumer_channel})

    async def websocket_receive(self, message: Event) -> None:
        await Job.jobs.pop(message["text"]).run(self.channel_layer)
        await self.send({"type": "websocket.send", "text": "done"})


class BusySync(SyncConsumer):
    """The same in threads."""

    def websocket_connect(self, message: Event) -> None:
        Busy.layers[self.consumer_channel] = self.channel_layer
        self.send({"type": "websocket.send", "text": self.consumer_channel})

    def websocket_receive(self, message: Event) -> None:
        Job.jobs.pop(message["text"]).run_sync(self.channel_layer)
        self.send({"type": "websocket.send", "text": "done"})


CONSUMERS = Router({"/ear/": Ear, "/turn/": Busy, "/turn-sync/": BusySync})


class Application:
    """An ASGI application that has a layer of its own, and does jobs with it."""

    def __init__(self, *urls: str) -> None:
        self._layer = ChannelLayer(urls, capacity=CAPACITY)

    async def __call__(self, scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._layer.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "here"})
        while (event := await receive())["type"] == "websocket.receive":
            await Job.jobs.pop(event["text"]).run(self._layer)
            await send({"type": "websocket.send", "text": "done"})


class Client:
    """A WebSocket at a bridge, played in the bridge's thread."""

    def __init__(self, portal: BlockingPortal, bridge: Bridge, path: str) -> None:
        self._portal = portal
        self._call = portal.call(Call, bridge, websocket_scope(path))
        self._entered = portal.wrap_async_context_manager(self._call)
        self._entered.__enter__()
        self._left = False
        accepted = portal.call(self._call.connect)
        assert accepted["type"] == "websocket.accept", accepted
        self.consumer = str(self.hear())
        self.reply = self.consumer.replace("consumer.", "reply.")

    def hear(self) -> str | bytes:
        """Give the next message for the client."""
        return self._portal.call(self._call.hear)

    def hear_message(self) -> Any:
        """Give the next message that its consumer has heard."""
        return ast.literal_eval(str(self.hear()))

    def have_done(self, job: Job, then: Callable[[Client], None]) -> Future[Any]:
        """Have the consumer do a job; give what becomes of it."""

        async def have() -> Any:
            self._call.say(job.number)
            assert await self._call.hear() == "done"
            then(self)
            return job.outcome()

        return self._portal.start_task_soon(have)

    def close(self) -> None:
        """Leave, and wait until the bridge has forgotten the connection. Again is no error."""
        if not self._left:
            self._left = True
            self._entered.__exit__(None, None, None)


@contextlib.contextmanager
def loop_thread(backend: str) -> Generator[BlockingPortal]:
    """Run an event loop in a thread. What still waits in the end, as tests that failed leave it, is cancelled."""
    with start_blocking_portal(backend) as portal:
        try:
            yield portal
        finally:
            portal.call(portal.stop, True)


class Site:
    """One address, and all that is there.

    ``place``: "one" bridge in a directory, "two" of them, or two at a "tcp" address each.
    """

    def __init__(self, place: str, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        if place == "tcp":
            self.urls = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
            bound = self.urls
        else:
            self.urls = [stack.enter_context(directory())]
            bound = self.urls * (2 if place == "two" else 1)
        self.portal = self.loop("asyncio")
        self.bridges = [Bridge(url, pools={"/asgi/": "asgi"}) for url in bound]
        for bridge in self.bridges:
            self.portal.call(bridge.start)
            stack.callback(self._stop, bridge)
        self._seats: dict[str, Seat] = {}
        self._loops: dict[str, BlockingPortal] = {}

    def _stop(self, bridge: Bridge) -> None:
        self.portal.call(bridge.stop)

    def loop(self, backend: str) -> BlockingPortal:
        """Start an event loop in a thread of its own."""
        return self._stack.enter_context(loop_thread(backend))

    @cached_property
    def far(self) -> RemoteSeat:
        """The other process."""
        return self._remote("sync")

    def _remote(self, kind: str) -> RemoteSeat:
        seat = RemoteSeat(self.urls, kind)
        self._stack.callback(seat.close)
        seat.group_send("nobody", {"type": "x"})  # it is linked, then
        return seat

    @cached_property
    def worker(self) -> BlockingPortal:
        """The loop of a worker that hosts consumers."""
        portal = self.loop("asyncio")
        worker = hosting(CONSUMERS, *self.urls, bridges=len(self.bridges))
        self._stack.enter_context(portal.wrap_async_context_manager(worker))
        return portal

    @cached_property
    def asgi_worker(self) -> BlockingPortal:
        """The loop of a worker that hosts an ASGI application."""
        portal = self.loop("trio")
        worker = hosting(Application(*self.urls), *self.urls, bridges=len(self.bridges), pools=("asgi",))
        self._stack.enter_context(portal.wrap_async_context_manager(worker))
        return portal

    def client(self, path: str = "/ear/", bridge: int = -1) -> Client:
        """Connect to the last bridge, by default; close it in the end."""
        _ = self.asgi_worker if path == "/asgi/" else self.worker
        return Client(self.portal, self.bridges[bridge], path)

    def seat(self, flavour: str) -> Seat:
        """Give the seat of this flavour; it stays as long as the site."""
        if flavour not in self._seats:
            self._seats[flavour] = self._make(flavour)
        return self._seats[flavour]

    def _make(self, flavour: str) -> Seat:
        if flavour in CLIENTS:
            seat = self.layer(flavour, capacity=CAPACITY)
            self._stack.callback(seat.close)
            return seat
        if flavour in REMOTE:
            return self._remote(flavour.removeprefix("main-"))
        if flavour.startswith("outside"):
            return self._outside(flavour)
        in_turns = flavour != "asgi"
        return HostedSeat(lambda: self._connected(f"/{flavour}/", bridge=0), not flavour.endswith("sync"), in_turns)

    def _connected(self, path: str, bridge: int) -> Client:
        client = self.client(path, bridge)
        self._stack.callback(client.close)
        return client

    def _outside(self, flavour: str) -> Seat:
        """Sit down with the layer of a consumer, but outside of its turns."""
        client = self._connected(f"/{flavour.replace('outside', 'turn')}/", bridge=-1)
        layer = Busy.layers[client.consumer]
        return LoopSeat(self.worker, layer) if layer.is_async else ThreadSeat(layer)

    def layer(self, flavour: str, **options: Any) -> Seat:
        """Make a layer. Close it in the end."""
        if flavour == "sync":
            return ThreadSeat(SyncChannelLayer(self.urls, **options))
        if flavour not in self._loops:
            self._loops[flavour] = self.loop(flavour)
        return LoopSeat(self._loops[flavour], ChannelLayer(self.urls, **options))

    def counted(self, figure: str) -> int:
        """Add up a counter of all bridges."""
        return sum(getattr(bridge._running.link.core.statistics, figure) for bridge in self.bridges if bridge._running)


class MemorySite:
    """Channels' own in-memory layer: what it does is right by definition, as far as it goes."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._portal = stack.enter_context(loop_thread("asyncio"))
        self.far = self.layer("asyncio", capacity=CAPACITY)

    def seat(self, flavour: str) -> Seat:
        """Give the one seat: all in one loop reach the same layer."""
        return self.far

    def layer(self, flavour: str, **options: Any) -> Seat:
        """Make a layer, which reaches nobody but itself."""
        channels1_project.choose()
        from channels.layers import InMemoryChannelLayer

        return LoopSeat(self._portal, InMemoryChannelLayer(**options))
