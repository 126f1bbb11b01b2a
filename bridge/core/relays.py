"""Relays: what turns did to other bridges of this machine.

Bridges have no links with each other; a worker has one with each of them. So the bridge that applies a commit hands
what is for others back to a worker, keeps it until that worker says that it has arrived, and gives it to another
worker if that one ends before. Who gets a relay twice does nothing the second time: its effects happen once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...shared import frames
from .actions import Action, Send
from .pool import Worker
from .statistics import Statistics

KEEP = 60.0  # seconds for which a relay waits for a worker to take it: as long as a message in a channel
MOST = 8192  # relays that are under way at most; the oldest goes
REMEMBERED = 8192  # numbers per origin: more than can be under way, so that none is taken for new twice
ORIGINS = 256  # bridge processes whose relays are remembered; on one machine they are a few


@dataclass(slots=True)
class Held:
    """A relay that has not arrived."""

    frame: frames.Relay
    by: Worker | None  # who passes it on; None: nobody, yet
    expires_at: float


class Relays:
    """Those that this bridge sends, and the numbers of those that it has had."""

    def __init__(self, boot: int, emit: Callable[[Action], None], statistics: Statistics) -> None:
        self._boot = boot
        self._emit = emit
        self._statistics = statistics
        self._number = 0
        self._held: OrderedDict[int, Held] = OrderedDict()  # number -> relay; oldest first
        self._had: OrderedDict[int, OrderedDict[int, None]] = OrderedDict()  # origin -> numbers, oldest first

    def __len__(self) -> int:
        return len(self._held)

    # -- ours --------------------------------------------------------------------------------------------------

    def send(self, worker: Worker, to: list[int], effects: list[frames.LayerFrame], now: float) -> None:
        """Have the worker pass these on to the bridges ``to``."""
        self._number += 1
        held = Held(frames.Relay(self._boot, self._number, to, effects), None, now + KEEP)
        self._held[self._number] = held
        if len(self._held) > MOST:
            self._held.popitem(last=False)
            self._statistics.unrelayed += 1
        self._give(held, worker)

    def _give(self, held: Held, worker: Worker) -> None:
        held.by = worker
        self._emit(Send(worker.peer, worker.link_epoch, held.frame))

    def arrived(self, number: int) -> None:
        """Forget a relay: all of its targets have it."""
        self._held.pop(number, None)

    def lose(self, worker: Worker, workers: Iterable[Worker]) -> None:
        """Give what this worker had under way to one of the others that knows a target, or keep it until one does."""
        others = [other for other in workers if other is not worker]
        for held in self._held.values():
            if held.by is worker:
                held.by = None
                for other in others:
                    if not set(held.frame.to).isdisjoint(other.peers):
                        self._give(held, other)
                        break

    def offer(self, worker: Worker) -> None:
        """Let a worker, whose links have changed, pass on what waits for one."""
        for held in self._held.values():
            if held.by is None and not set(held.frame.to).isdisjoint(worker.peers):
                self._give(held, worker)

    def expire(self, now: float) -> None:
        """Give up what nobody could pass on."""
        while self._held:
            number, held = next(iter(self._held.items()))
            if held.expires_at > now:
                return
            del self._held[number]
            self._statistics.unrelayed += 1

    # -- other bridges' ----------------------------------------------------------------------------------------

    def is_new(self, origin: int, number: int) -> bool:
        """Say whether this relay was not had before, and note that it was now."""
        had = self._had.setdefault(origin, OrderedDict())
        self._had.move_to_end(origin)
        if len(self._had) > ORIGINS:
            self._had.popitem(last=False)
        if number in had:
            return False
        had[number] = None
        if len(had) > REMEMBERED:
            had.popitem(last=False)
        return True
