"""Groups never leak: whoever joins them and however it goes, nothing is left in bridge, worker and layers.

Thousands of joins by consumers in turns, by clients of the layer, by channels that are just forgotten and by layers
that are just dropped; half of them leave, the others are cut off in the middle. Then every table of every part is as
long as after the first round, the groups are gone, and memory is what it was.

$CHANNELS_BRIDGE_TEST_SCALE multiplies the joins: 50 for a million. 0.1 while coverage is measured.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import anyio
import psutil
import pytest

from channels_bridge import AsyncConsumer, Bridge, ChannelLayer, SyncChannelLayer
from halves import bridging, directory, hosting
from played_server import Call, Event, eventually, websocket_scope

pytestmark = pytest.mark.anyio

MEASURED = "COVERAGE_PROCESS_CONFIG" in os.environ  # coverage follows every line
SCALE = float(os.environ.get("CHANNELS_BRIDGE_TEST_SCALE", "0.1" if MEASURED else "1"))
JOINS = int(20_000 * SCALE)  # of all cases together, about
GROUPS = 20  # that each joins
AT_ONCE = 25  # sockets, or tasks, at a time
SLACK = 60  # entries by which a table may be longer: what is under way at the moment, histories that are bounded
OBJECTS = 3000  # by which the collector may see more of them
MIB = 1024 * 1024
GROWTH = 24 * MIB  # bytes; allocators keep what they had at the busiest moment


class Joiner(AsyncConsumer):
    """Joins groups with its own channel and its client's; leaves them when it is told to."""

    def _channels(self) -> Iterator[tuple[str, str]]:
        for number in range(GROUPS // 2):
            yield f"{self.consumer_channel[-6:].replace('!', '.')}.{number}", self.consumer_channel
            yield f"all.{number}", self.consumer_channel.replace("consumer.", "reply.")

    async def websocket_connect(self, message: Event) -> None:
        for group, channel in self._channels():
            await self.channel_layer.group_add(group, channel)
        await self.send({"type": "websocket.send", "text": "joined"})

    async def websocket_receive(self, message: Event) -> None:
        for group, channel in self._channels():
            await self.channel_layer.group_discard(group, channel)
        await self.send({"type": "websocket.send", "text": "left"})


class Site:
    """Bridges, a worker and a layer, and what they hold."""

    def __init__(self, url: str, bridges: list[Bridge], worker: Any) -> None:
        self.url, self.bridges, self.worker = url, bridges, worker
        self.layer = ChannelLayer(url, expiry=0.2)  # rides on the worker's hub
        self.process = psutil.Process()

    def cores(self) -> list[Any]:
        return [bridge.start().link.core for bridge in self.bridges]

    def tables(self) -> dict[str, int]:
        """Measure every list, set and dictionary of all parts: where it is -> how long it is."""
        roots = {f"bridge {number}": bridge.start().link for number, bridge in enumerate(self.bridges)}
        return lengths({**roots, "worker": self.worker, "layer": self.layer})

    async def settle(self) -> None:
        """Wait until the groups are empty; what was forgotten is noticed a moment later."""
        gc.collect()
        await eventually(lambda: not any(len(core.layer.groups) for core in self.cores()))
        await eventually(lambda: not any(core.connections for core in self.cores()))
        gc.collect()


def lengths(roots: dict[str, Any]) -> dict[str, int]:
    """Walk through what belongs to us, and measure all containers."""
    found: dict[str, int] = {}
    seen: set[int] = set()
    queue: deque[tuple[str, Any]] = deque(roots.items())
    while queue:
        path, thing = queue.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if type(thing) in (dict, list, set, deque):
            found[path] = len(thing)
            queue.extend((f"{path}[]", value) for value in elements(thing)[:50])
        elif type(thing).__module__.startswith("channels_bridge."):
            queue.extend((f"{path}.{name}", value) for name, value in attributes(thing))
    return found


def elements(container: Any) -> list[Any]:
    return list(container.values() if hasattr(container, "values") else container)


def attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        slots: Any = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(thing, name):
                yield name, getattr(thing, name)


@pytest.fixture
def anyio_backend() -> object:
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(params=[1, 2], ids=["one bridge", "two bridges"])
async def site(request: pytest.FixtureRequest) -> AsyncGenerator[Site]:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(directory())
        bridges = [stack.enter_context(bridging(url)) for _ in range(request.param)]
        async with hosting(Joiner, url, bridges=request.param) as worker:
            yield Site(url, bridges, worker)


Round = Callable[[Site], Awaitable[None]]  # makes AT_ONCE * GROUPS joins, and ends them in all ways that there are


async def at_once(one: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(AT_ONCE):
            tasks.start_soon(one, number)


async def consumers(site: Site) -> None:
    """Join in turns; leave in a turn, or drop the socket."""

    async def one(number: int) -> None:
        async with Call(site.bridges[number % len(site.bridges)], websocket_scope()) as call:
            await call.connect()
            assert await call.hear() == "joined"
            if number % 2:
                call.say("leave")
                assert await call.hear() == "left"
            if number % 3:
                call.leave()
                await call.end()

    await at_once(one)


async def clients(site: Site) -> None:
    """Join by calls, others than the members themselves; have them leave, or be forgotten."""

    async def one(number: int) -> None:
        channel = await site.layer.new_channel()
        for group in range(GROUPS):
            await site.layer.group_add(f"{number}.{group}" if group % 2 else f"all.{group}", channel)
        await site.layer.group_send(f"{number}.1", {"type": "x"})
        if number % 3 == 0:
            assert await site.layer.receive(channel) == {"type": "x"}
        if number % 2:
            for group in range(GROUPS):
                await site.layer.group_discard(f"{number}.{group}" if group % 2 else f"all.{group}", channel)

    await at_once(one)


async def dropped_layers(site: Site) -> None:
    """Join by layers of their own process, which are closed, or just dropped."""

    def one(number: int) -> None:
        layer = SyncChannelLayer([site.url, f"{site.url}other/"])  # not the worker's hub: a process would have its own
        channel = layer.new_channel()
        for group in range(GROUPS):
            layer.group_add(f"{number}.{group}" if group % 2 else f"all.{group}", channel)
        if number % 2:
            layer.close()

    def all_of_them() -> None:
        for number in range(AT_ONCE // 5):  # each has a thread and a socket
            one(number)

    await anyio.to_thread.run_sync(all_of_them)


async def named_channels(site: Site) -> None:
    """Send, receive and be cancelled, each on a channel that nobody uses again."""

    async def one(number: int) -> None:
        for group in range(GROUPS):
            name = f"named.{number}.{os.urandom(6).hex()}"
            with anyio.move_on_after(0.0 if group % 2 else 0.001):
                await site.layer.receive(name)
            await site.layer.send(name, {"type": "x"})
            assert await site.layer.receive(name) == {"type": "x"}

    await at_once(one)


async def requests(site: Site) -> None:
    """Ask, and be answered by nobody."""

    async def one(number: int) -> None:
        for _ in range(GROUPS // 10):
            with contextlib.suppress(TimeoutError):
                await site.layer.request(f"request.{number}", {"type": "x"}, timeout=0.01)

    await at_once(one)
    with anyio.move_on_after(0.05):  # those that have not expired yet
        while True:
            await site.layer.receive("request.0")


CASES: tuple[Round, ...] = (consumers, clients, dropped_layers, named_channels, requests)
ROUNDS = max(2, JOINS // (AT_ONCE * GROUPS * len(CASES)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_nothing_is_left(site: Site, case: Round) -> None:
    await case(site)
    await case(site)
    await site.settle()
    before, objects, rss = site.tables(), len(gc.get_objects()), site.process.memory_info().rss
    for _ in range(ROUNDS):
        await case(site)
    await site.settle()
    with anyio.move_on_after(5.0):
        while grown(before, site.tables()):
            await anyio.sleep(0.05)  # what is forgotten is noticed a moment later
            gc.collect()
    assert grown(before, site.tables()) == {}
    assert len(gc.get_objects()) - objects < OBJECTS
    assert site.process.memory_info().rss - rss < GROWTH


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Give the tables that are longer than they were: where -> (before, after)."""
    return {path: (before.get(path, 0), size) for path, size in after.items() if size > before.get(path, 0) + SLACK}
