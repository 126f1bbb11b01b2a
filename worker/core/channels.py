"""Channels of this process: what waits in one, and who waits for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(slots=True)
class Statistics:
    """Counters of what did not arrive; each is a fact, none is an error of its own."""

    expired: int = 0  # messages that nobody received in time
    full: int = 0  # messages that a full channel did not take
    unknown: int = 0  # messages to channels that are gone
    stray: int = 0  # frames that have no place here


class Waiter:
    """Somebody who waits for a message, or for what became of a call. Who makes one says how to wake it."""

    __slots__ = ("place", "result")

    def __init__(self) -> None:
        self.place: object = None  # the Box or the Call that it waits for
        self.result: bytes | str | None = None  # a message, or the code of an answer

    def settle(self) -> bool:
        """Wake it, ``result`` is there. False: it is gone, its loop has ended."""
        return False


class Bounds(NamedTuple):
    """How much a channel keeps."""

    capacity: int  # messages
    expiry: float  # seconds that a message waits
    linger: float  # seconds without a receive after which a channel ends whose name is used as a copy


class Box:
    """Messages that wait for a receiver, or receivers that wait for a message: never both."""

    __slots__ = ("bounds", "queue", "statistics", "waiters")

    def __init__(self, bounds: Bounds, statistics: Statistics) -> None:
        self.bounds = bounds
        self.statistics = statistics
        self.queue: deque[tuple[float, bytes]] = deque()  # (when it expires, message)
        self.waiters: deque[Waiter] = deque()

    def offer(self, event: bytes, now: float, capacity: int = 0, expiry: float = 0.0) -> Waiter | bool | None:
        """Take a message: the waiter that has it now, or None if it is kept. False: there is no room.

        ``capacity`` and ``expiry`` are the sender's; 0: the channel's own.
        """
        if self.waiters:
            waiter = self.waiters.popleft()
            waiter.result = event
            return waiter
        queue, bounds = self.queue, self.bounds
        if queue:
            self.expire(now)
            if len(queue) >= (capacity or bounds.capacity):
                self.statistics.full += 1
                return False
        queue.append((now + (expiry or bounds.expiry), event))
        return None

    def take(self, waiter: Waiter, now: float) -> bool:
        """Give the oldest message to the waiter; False: there is none, and it waits."""
        waiter.place = self
        if self.queue:
            self.expire(now)
            if self.queue:
                waiter.result = self.queue.popleft()[1]
                return True
        self.waiters.append(waiter)
        return False

    def leave(self, waiter: Waiter, now: float) -> Waiter | None:
        """Forget a waiter. A message that it was given goes to the next one, who is returned, or back to the front."""
        if waiter.result is None:
            if waiter in self.waiters:
                self.waiters.remove(waiter)
        elif isinstance(waiter.result, bytes):
            event, waiter.result = waiter.result, None
            if self.waiters:
                heir = self.waiters.popleft()
                heir.result = event
                return heir
            self.queue.appendleft((now + self.bounds.expiry, event))
        return None

    def expire(self, now: float) -> None:
        """Drop what has waited for too long; behind a message that lives longer it waits until that is taken."""
        queue = self.queue
        while queue and queue[0][0] <= now:
            queue.popleft()
            self.statistics.expired += 1


class Channel(Box):
    """A channel that this process has made. It ends with the name that ``new_channel`` gave.

    A copy of the name says nothing when it goes, so a channel that was used by a copy lingers; and for a while one on
    which nobody has received so far, as somebody may be about to, by a copy.
    """

    __slots__ = ("copied", "groups", "name", "named", "owner", "received", "used_at")

    def __init__(self, name: str, owner: int, bounds: Bounds, statistics: Statistics) -> None:
        super().__init__(bounds, statistics)
        self.name = name
        self.owner = owner  # number of the layer that made it
        self.named = True  # the name that new_channel gave is alive
        self.copied = False
        self.received = False
        self.used_at = 0.0
        self.groups: set[str] = set()

    def is_left(self, now: float) -> bool:
        """Say whether nobody can receive on it, or nobody has for as long as it lingers."""
        if self.named or self.waiters:
            return False
        if self.copied:
            return now - self.used_at >= self.bounds.linger
        return self.received or now - self.used_at >= self.bounds.expiry
