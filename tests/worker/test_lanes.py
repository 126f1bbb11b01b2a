"""A lane waits on several channels at once, takes one message at a time, and loses none when it stops waiting."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from channels_bridge.shared.endpoint import running_loop
from channels_bridge.worker.core.channels import Bounds
from channels_bridge.worker.lanes import Lane, Seat
from channels_bridge.worker.node import Node
from played_server import eventually

pytestmark = pytest.mark.anyio


class Channels:
    """What a lane sees of a hub: channels, here without a bridge."""

    def __init__(self) -> None:
        self.queues: dict[str, list[bytes]] = {}
        self.waiters: dict[str, list[Seat]] = {}

    def receive(self, channel: str, seat: Seat, bounds: Bounds) -> None:
        self.waiters.setdefault(channel, []).append(seat)
        self._match(channel)

    def leave(self, seat: Seat) -> None:
        if isinstance(seat.result, bytes):
            self.queues[seat.channel].insert(0, seat.result)
        elif seat in self.waiters.get(seat.channel, ()):
            self.waiters[seat.channel].remove(seat)
        self._match(seat.channel)

    def send(self, channel: str, event: bytes) -> None:
        self.queues.setdefault(channel, []).append(event)
        self._match(channel)

    def _match(self, channel: str) -> None:
        while (queue := self.queues.get(channel)) and (waiters := self.waiters.get(channel)):
            seat = waiters.pop(0)
            seat.result = queue.pop(0)
            seat.settle()

    @property
    def waiting(self) -> dict[str, int]:
        return {name: len(waiters) for name, waiters in self.waiters.items()}


class Owner:
    """A node, as far as a lane is concerned."""

    def __init__(self) -> None:
        self.loop = running_loop()
        self.hub = Channels()
        self.lanes_ended: list[object] = []

    def ended(self, lane: object) -> None:
        self.lanes_ended.append(lane)

    def lane(self, taken: list[tuple[str, bytes]], *channels: str) -> Lane:
        async def work(lane: Lane) -> None:
            while (got := await lane.next()) is not None:
                taken.append(got)

        return Lane(cast("Node", self), work, *channels)


async def test_it_takes_what_comes_on_any_of_its_channels() -> None:
    owner, taken = Owner(), list[tuple[str, bytes]]()
    lane = owner.lane(taken, "a", "b")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lane.run)
        await eventually(lambda: owner.hub.waiting == {"a": 1, "b": 1})
        owner.hub.send("b", b"1")
        await eventually(lambda: taken == [("b", b"1")])
        owner.hub.send("a", b"2")
        owner.hub.send("b", b"3")
        await eventually(lambda: len(taken) == 3)
        lane.stop()
    assert sorted(taken[1:]) == [("a", b"2"), ("b", b"3")]
    assert owner.lanes_ended == [lane]


async def test_while_it_works_it_waits_on_none() -> None:
    owner, gate = Owner(), anyio.Event()
    working = anyio.Event()

    async def work(lane: Lane) -> None:
        assert await lane.next() == ("a", b"1")
        working.set()
        await gate.wait()
        assert await lane.next() == ("b", b"2")

    lane = Lane(cast("Node", owner), work, "a", "b")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lane.run)
        await eventually(lambda: owner.hub.waiting == {"a": 1, "b": 1})
        owner.hub.send("a", b"1")
        await working.wait()
        assert owner.hub.waiting == {"a": 0, "b": 0}
        owner.hub.send("b", b"2")
        assert owner.hub.queues["b"] == [b"2"]
        gate.set()


async def test_of_two_messages_at_once_one_is_left_for_another() -> None:
    owner, first, second = Owner(), list[tuple[str, bytes]](), list[tuple[str, bytes]]()

    async def once(lane: Lane) -> None:
        got = await lane.next()
        assert got is not None
        first.append(got)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Lane(cast("Node", owner), once, "a", "b").run)
        await eventually(lambda: owner.hub.waiting == {"a": 1, "b": 1})
        lane = owner.lane(second, "b")
        tasks.start_soon(lane.run)
        await eventually(lambda: owner.hub.waiting == {"a": 1, "b": 2})
        owner.hub.send("a", b"1")
        owner.hub.send("b", b"2")  # both to the first lane, which has not woken up yet
        await eventually(lambda: (first, second) == ([("a", b"1")], [("b", b"2")]))
        lane.stop()


async def test_a_channel_that_is_always_full_does_not_starve_another() -> None:
    owner, taken = Owner(), list[tuple[str, bytes]]()
    for number in range(3):
        owner.hub.send("a", b"%d" % number)
        owner.hub.send("b", b"%d" % number)
    lane = owner.lane(taken, "a", "b")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lane.run)
        await eventually(lambda: len(taken) == 6)
        lane.stop()
    assert [channel for channel, _ in taken] == ["a", "b"] * 3


async def test_what_came_and_was_not_taken_waits_for_somebody_else() -> None:
    owner, taken = Owner(), list[tuple[str, bytes]]()
    lane = owner.lane(taken, "a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lane.run)
        await eventually(lambda: owner.hub.waiting == {"a": 1})
        owner.hub.send("a", b"1")
        lane.stop()
    assert taken == []
    assert owner.hub.queues["a"] == [b"1"]
    assert owner.lanes_ended == [lane]


async def test_a_lane_that_is_cancelled_waits_no_more() -> None:
    owner = Owner()
    lane = owner.lane([], "a", "b")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lane.run)
        await eventually(lambda: owner.hub.waiting == {"a": 1, "b": 1})
        tasks.cancel_scope.cancel()
    assert owner.hub.waiting == {"a": 0, "b": 0}
    assert owner.lanes_ended == [lane]


async def test_a_pause_ends_with_its_time_or_with_the_lane() -> None:
    owner, paused = Owner(), anyio.Event()

    async def work(lane: Lane) -> None:
        await lane.pause(0.0)
        assert not lane.stopping
        paused.set()
        await lane.pause(60.0)

    lane = Lane(cast("Node", owner), work, "a")
    with anyio.fail_after(5.0):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lane.run)
            await paused.wait()
            lane.stop()


async def test_a_hub_that_ends_ends_its_lanes() -> None:
    owner, taken = Owner(), list[tuple[str, Any]]()
    lane = owner.lane(taken, "a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lane.run)
        await eventually(lambda: owner.hub.waiting == {"a": 1})
        seat = owner.hub.waiters["a"].pop()
        seat.result = "closed"
        seat.settle()
    assert (taken, owner.lanes_ended) == ([], [lane])
