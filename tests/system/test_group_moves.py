"""A group has what is sent to it exactly once each, in order, while members come and go and workers are killed.

Numbers go out in a steady stream: from a client of the layer, from a consumer whose worker lives, from consumers whose
workers are killed in the middle of it. Members are consumers and clients (reply channels), at one bridge or at two.

What a member has to have: every number whose sending began after it had joined and was over before it left. What
nobody may ever see: a number twice, or behind a later one of the same sender. And what a killed worker's consumer has
sent is at every bridge or at none: a turn has been committed or has not.

What is not covered, as it is not promised yet: consumers that have begun do not move to another worker. The sockets of
a killed worker are closed, and that ends their memberships; they count as members up to a moment before. Members that
are to see it all are hosted by a worker that lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from channels_bridge import ChannelLayer
from channels_bridge.testing.processes import ServerProcess, WorkerProcess
from halves import directory
from system.group_apps import GROUPS, numbered

pytestmark = pytest.mark.system

HERE = Path(__file__).resolve().parent
KILLS = 4
BETWEEN = 0.7  # seconds between two kills: a worker takes most of it to start
PACE = 0.005  # seconds between two numbers of a sender
MARGIN = 0.5  # seconds before a member's end in which it may miss what is sent
PATIENCE = 10.0  # seconds for the last numbers to arrive

Number = tuple[str, int]  # sender, number


@dataclass
class Sent:
    """The numbers of all senders, and when each was sent."""

    times: dict[Number, tuple[float, float]] = field(default_factory=dict["Number", tuple[float, float]])

    def required(self, since: float, until: float) -> set[Number]:
        """Give those that somebody has to have who was a member in this time."""
        return {number for number, (began, over) in self.times.items() if began > since and over < until}


@dataclass
class Member:
    """A WebSocket in a group, and what it has got."""

    socket: ClientConnection
    pid: int  # of its worker
    since: float = field(default_factory=time.monotonic)
    until: float = float("inf")
    got: list[Number] = field(default_factory=list["Number"])

    async def listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                by, _, number = str(text).partition(" ")
                self.got.append((by, int(number)))
        self.until = min(self.until, time.monotonic())

    def check(self, sent: Sent) -> None:
        by_sender: defaultdict[str, list[int]] = defaultdict(list)
        for by, number in self.got:
            by_sender[by].append(number)
        for by, numbers in by_sender.items():
            wrong = [pair for pair in itertools.pairwise(numbers) if pair[0] >= pair[1]]
            assert not wrong, f"{by}: not in order, or twice: {wrong}"
        missing = sent.required(self.since, self.until - MARGIN) - set(self.got)
        assert not missing, f"{len(missing)} of {len(self.got)} are missing: {sorted(missing)[:5]}"


class Site:
    """Bridges; one worker that lives, others that are killed."""

    def __init__(self, url: str, bridges: int, stack: ExitStack) -> None:
        self._stack, self.url, self._bridges = stack, url, bridges
        env = {"CHANNELS_BRIDGE_URL": url}
        apps = ["bridge_app:application"] * bridges
        self.servers = [stack.enter_context(ServerProcess("uvicorn", app, env=env, pythonpath=[HERE])) for app in apps]
        self.kept = self.worker()
        self.sent = Sent()
        self.over = False

    def worker(self) -> WorkerProcess:
        worker = WorkerProcess("group_apps:application", self.url, pythonpath=[HERE], args=["--loop", "uvloop"])
        self._stack.enter_context(worker)
        return worker

    async def linked(self, worker: WorkerProcess) -> None:
        pattern = rf"(connected to the bridge[\s\S]*){{{self._bridges}}}"
        await asyncio.to_thread(worker.wait_for_log, pattern)

    async def connect(self, path: str, server: int) -> tuple[ClientConnection, int]:
        socket = await connect(f"{self.servers[server % self._bridges].ws_url}{path}")
        try:
            word, _, pid = str(await socket.recv()).partition(" ")
        except ConnectionClosed:
            await socket.close()
            raise
        assert word == "pid"
        return socket, int(pid)

    async def member(self, group: str, server: int) -> Member:
        return Member(*await self.connect(f"/member/{group}/", server))

    # -- who sends ---------------------------------------------------------------------------------------------

    async def client_sends(self) -> None:
        layer = ChannelLayer(self.url)
        try:
            for number in self._numbers():
                began = time.monotonic()
                for group in GROUPS:
                    await layer.group_send(group, numbered(group, "client", number))
                self.sent.times["client", number] = began, time.monotonic()
                await asyncio.sleep(PACE)
        finally:
            await layer.close()

    async def consumer_sends(self, name: str, socket: ClientConnection) -> None:
        async with socket:
            for number in self._numbers():
                began = time.monotonic()
                await socket.send(str(number))
                assert await socket.recv() == f"{name} {number}"
                self.sent.times[name, number] = began, time.monotonic()
                await asyncio.sleep(PACE)

    async def doomed_consumers_send(self) -> None:
        """Send from workers that are killed; what is not confirmed may or may not have happened."""
        for generation in self._numbers():
            name = f"doomed{generation}"
            with contextlib.suppress(ConnectionClosed, InvalidStatus):
                socket, pid = await self.connect(f"/publish/{name}/", generation)
                if pid == self.kept.pid:
                    await socket.close()
                else:
                    await self.consumer_sends(name, socket)
            await asyncio.sleep(PACE)

    def _numbers(self) -> Iterator[int]:
        number = 0
        while not self.over:
            yield number
            number += 1

    # -- who comes and goes ------------------------------------------------------------------------------------

    async def kill_workers(self) -> None:
        victims = [self.worker(), self.worker()]
        for victim in victims:
            await self.linked(victim)
        for _ in range(KILLS):
            await asyncio.sleep(BETWEEN)
            victims.pop(0).kill()
            victims.append(self.worker())
            await self.linked(victims[-1])
        self.over = True

    async def come_and_go(self, number: int) -> list[Member]:
        """Join again and again, for a while; be closed, or cut."""
        members: list[Member] = []
        rng = random.Random(number)
        while not self.over:
            with contextlib.suppress(ConnectionClosed, InvalidStatus):
                member = await self.member(rng.choice(list(GROUPS)), rng.randrange(2))
                members.append(member)
                listening = asyncio.create_task(member.listen())
                await asyncio.sleep(MARGIN + rng.random() / 2)
                member.until = min(member.until, time.monotonic())
                if rng.random() < 0.5:
                    await member.socket.close()
                else:
                    member.socket.transport.abort()
                await listening
        return members


class Steady:
    """Members that see it all: of both kinds, at each bridge."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members
        self._tasks = [asyncio.create_task(member.listen()) for member in members]

    @classmethod
    async def at(cls, site: Site) -> Self:
        return cls([await site.member(group, server) for group in GROUPS for server in (0, 1)])

    async def settle(self, sent: Sent) -> None:
        """Wait until they have all that they must have."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while any(sent.required(m.since, m.until) - set(m.got) for m in self.members):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    async def leave(self) -> None:
        for member in self.members:
            await member.socket.close()
        await asyncio.gather(*self._tasks)


@pytest.fixture(params=[1, 2], ids=["one bridge", "two bridges"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack.enter_context(directory()), request.param, stack)


@contextlib.asynccontextmanager
async def steady_members(site: Site) -> AsyncGenerator[Steady]:
    await site.linked(site.kept)
    steady = await Steady.at(site)
    assert {member.pid for member in steady.members} == {site.kept.pid}
    yield steady
    await steady.leave()


async def scenario(site: Site) -> None:
    async with steady_members(site) as steady:
        socket, pid = await site.connect("/publish/consumer/", 0)
        assert pid == site.kept.pid
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(site.kill_workers())
            tasks.create_task(site.client_sends())
            tasks.create_task(site.consumer_sends("consumer", socket))
            doomed = [tasks.create_task(site.doomed_consumers_send())]
            comers = [tasks.create_task(site.come_and_go(number)) for number in range(4)]
        assert all(task.done() for task in doomed)
        await steady.settle(site.sent)
        everybody = [*steady.members, *(member for task in comers for member in task.result())]
    for member in everybody:
        member.check(site.sent)
    first, *others = [set(member.got) for member in steady.members]
    assert all(got == first for got in others), "a turn was committed at one bridge and not at the other"
    assert len(everybody) > 12
    assert sum(by.startswith("doomed") for by, _ in first) > 100
    assert sum(by == "consumer" for by, _ in first) > 100
    assert sum(by == "client" for by, _ in first) > 100


def test_exactly_once_and_in_order(site: Site) -> None:
    asyncio.run(scenario(site))
