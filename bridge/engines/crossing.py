"""A bounded queue from one thread to another; the side that takes is woken once per burst, not once per item."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ...shared.config import MIB

MESSAGES = 1024  # a second's worth for most; beyond, what waits is too old to be of use
OCTETS = 8 * MIB  # the same in bytes: eight of the largest messages that NATS takes
BURST = 64  # items in one take: others get their turn in between
BURST_OCTETS = 1 * MIB

Item = TypeVar("Item")


class Crossing(Generic[Item]):
    """Any thread may put; one takes, in the order of putting. Closed until :meth:`open`."""

    def __init__(self, messages: int = MESSAGES, octets: int = OCTETS) -> None:
        self._messages, self._limit = messages, octets
        self._lock = threading.Lock()
        self._items: deque[tuple[Item, int]] = deque()  # with the size of each
        self._octets = 0
        self._refused = 0
        self._wake: Callable[[], object] | None = None  # None: closed
        self._woken = False  # the taker was called and has not yet found the queue empty

    @property
    def is_open(self) -> bool:
        """Whether anything is taken now."""
        return self._wake is not None

    def open(self, wake: Callable[[], object]) -> None:
        """Take items from now on. ``wake`` is called, from any thread, when the first one of a burst is there."""
        with self._lock:
            self._wake = wake

    def put(self, item: Item, size: int) -> bool:
        """Append an item of ``size`` bytes; False if it is closed or full. Size 0: a notice, never too many."""
        with self._lock:
            wake = self._wake
            if wake is None:
                return False
            if size and (len(self._items) >= self._messages or self._octets + size > self._limit):
                self._refused += 1
                return False
            self._items.append((item, size))
            self._octets += size
            asleep, self._woken = not self._woken, True
        if asleep:
            with contextlib.suppress(RuntimeError):  # the taker's loop has ended
                wake()
        return True

    def take(self) -> list[Item]:
        """Remove the next items, ``BURST`` or ``BURST_OCTETS`` at most. Come again until there are none."""
        taken: list[Item] = []
        octets = 0
        with self._lock:
            while self._items and len(taken) < BURST and octets < BURST_OCTETS:
                item, size = self._items.popleft()
                octets += size
                taken.append(item)
            self._octets -= octets
            self._woken = bool(taken)
        return taken

    def take_refused(self) -> int:
        """Return how many items were too many since this was asked last."""
        with self._lock:
            refused, self._refused = self._refused, 0
        return refused

    def close(self) -> list[Item]:
        """Take nothing more; return what was left."""
        with self._lock:
            left = [item for item, _ in self._items]
            self._items.clear()
            self._wake, self._octets, self._woken = None, 0, False
        return left
