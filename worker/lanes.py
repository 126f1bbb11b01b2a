"""Lanes: what takes the messages of named channels in a worker, each one at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from ..shared.loop import Signal
from .core.channels import Bounds, Waiter
from .limits import CAPACITY, EXPIRY, GROUP_EXPIRY

if TYPE_CHECKING:
    from .node import Node

SURPLUS = Bounds(CAPACITY, EXPIRY, GROUP_EXPIRY)  # of what comes when all lanes are at work


class Seat(Waiter):
    """What a lane waits with on one channel, in the hub's loop."""

    __slots__ = ("_signal", "channel")

    def __init__(self, channel: str, signal: Signal) -> None:
        super().__init__()
        self.channel = channel
        self._signal = signal

    def settle(self) -> bool:
        """As :meth:`Waiter.settle`."""
        self._signal.set()
        return True


class Lane:
    """One task of the background: does one thing after the other, until the worker stops.

    It waits on all of its channels at once. As long as it works it waits on none, so that what comes meanwhile is
    for another lane, or for another worker.
    """

    def __init__(self, node: Node, work: Callable[[Lane], Awaitable[None]], *channels: str) -> None:
        self.channels = channels
        self.stopping = False
        self._node = node
        self._work = work
        self._signal = node.loop.signal()
        self._seats: list[Seat] = []

    async def run(self) -> None:
        """Work. Does not raise, but for cancellation."""
        try:
            await self._work(self)
        finally:
            self._node.ended(self)

    async def next(self) -> tuple[str, bytes] | None:
        """Wait for a message; give its channel and what it is. None: the worker stops."""
        if self.stopping:
            return None
        self._seats = [Seat(channel, self._signal) for channel in self.channels]
        self.channels = (*self.channels[1:], self.channels[0])  # another one is the first to be looked into
        try:
            seat = await self._seated()
        finally:
            self._leave()
        return (seat.channel, seat.result) if seat is not None and isinstance(seat.result, bytes) else None

    async def _seated(self) -> Seat | None:
        """Wait on all channels; give the seat that has got something, which is one no more. None: none is left."""
        for seat in self._seats:
            self._node.hub.receive(seat.channel, seat, SURPLUS)
            if seat.result is not None:
                break
        while self._seats:
            for seat in self._seats:
                if seat.result is not None:
                    self._seats.remove(seat)
                    return seat
            await self._signal.wait()
        return None

    def _leave(self) -> None:
        """Wait no more. What has come meanwhile waits for somebody else."""
        seats, self._seats = self._seats, []
        for seat in seats:
            self._node.hub.leave(seat)

    async def pause(self, seconds: float) -> None:
        """Wait, or until the worker stops."""
        with anyio.move_on_after(seconds):
            while not self.stopping:
                await self._signal.wait()

    def stop(self) -> None:
        """Take nothing more; what it does now it finishes."""
        self.stopping = True
        self._leave()
        self._signal.set()
