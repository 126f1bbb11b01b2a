"""Channels of this process: what waits in one, and who waits for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(slots=True)
class Statistics:
    """Counters of what did not arrive; each is a fact, none is an error of its own."""

    expired: int = 0  # messages that nobody received in time
    full: int = 0  # messages that a full channel did not take
    unknown: int = 0  # messages to channels that are gone
    stray: int = 0  # frames that have no place here


class Parcel:
    """A message for many channels, carried once. Who opens it first leaves here what was in it, for the others."""

    __slots__ = ("event", "message")

    def __init__(self, event: bytes) -> None:
        self.event = event
        self.message: dict[str, Any] | None = None  # to be copied; None: nobody has opened it, or a copy is not enough


Content = bytes | Parcel


class Waiter:
    """Somebody who waits for a message, or for what became of a call. Who makes one says how to wake it."""

    __slots__ = ("place", "result")

    def __init__(self) -> None:
        self.place: object = None  # the Box or the Call that it waits for
        self.result: Content | str | None = None  # a message, or the code of an answer

    def settle(self) -> bool:
        """Wake it, ``result`` is there. False: it is gone, its loop has ended."""
        return False


class Bounds(NamedTuple):
    """How much a channel keeps."""

    capacity: int  # messages
    expiry: float  # seconds that a message waits
    linger: float  # seconds without a receive after which a channel ends whose name is used as a copy


class Box:
    """Messages that wait for a receiver, or receivers that wait for a message.

    The exchange's thread gives; a receiver may come, take and leave in any thread. There is no lock: each step is one
    operation of a deque, which nothing comes between. A message and a receiver that come in the same moment may miss
    each other, so each side looks again when its own is in place (:meth:`match`, :meth:`wait`).
    """

    __slots__ = ("bounds", "queue", "statistics", "waiters")

    def __init__(self, bounds: Bounds, statistics: Statistics) -> None:
        self.bounds = bounds
        self.statistics = statistics
        self.queue: deque[tuple[float, Content]] = deque()  # (when it expires, message)
        self.waiters: deque[Waiter] = deque()

    # -- in the exchange's thread ------------------------------------------------------------------------------

    def offer(self, content: Content, now: float, capacity: int = 0, expiry: float = 0.0) -> Waiter | bool | None:
        """Take a message: the waiter that has it now, or None if it is kept. False: there is no room.

        ``capacity`` and ``expiry`` are the sender's; 0: the channel's own.
        """
        if self.waiters and (waiter := self.give(content)) is not None:
            return waiter
        queue, bounds = self.queue, self.bounds
        if queue:
            self.expire(now)
            if len(queue) >= (capacity or bounds.capacity):
                self.statistics.full += 1
                return False
        queue.append((now + (expiry or bounds.expiry), content))
        return self.match() if self.waiters else None

    def give(self, content: Content | str) -> Waiter | None:
        """Give this to the first who waits; None: nobody does (any more)."""
        waiters = self.waiters
        while waiters:
            try:
                waiter = waiters[0]
                waiter.result = content  # first, so that who comes too late to leave finds it
                waiters.remove(waiter)
            except (IndexError, ValueError):  # it has left
                continue
            return waiter
        return None

    def match(self) -> Waiter | None:
        """Give the oldest message to who waits, if there are both."""
        while self.queue and self.waiters:
            try:
                oldest = self.queue.popleft()
            except IndexError:  # somebody has taken it
                break
            waiter = self.give(oldest[1])
            if waiter is not None:
                return waiter
            self.queue.appendleft(oldest)
        return None

    def take(self, waiter: Waiter, now: float) -> bool:
        """Give the oldest message to the waiter; False: there is none, and it waits."""
        while True:
            content = self.pop(now)
            if content is not None:
                waiter.place, waiter.result = self, content
                return True
            if self.wait(waiter):
                return False

    def expire(self, now: float) -> None:
        """Drop what has waited for too long; behind a message that lives longer it waits until that is taken."""
        queue = self.queue
        while queue:
            try:
                oldest = queue[0]
                if oldest[0] > now:
                    return
                queue.remove(oldest)
            except (IndexError, ValueError):  # somebody has taken it
                continue
            self.statistics.expired += 1

    # -- in any thread -----------------------------------------------------------------------------------------

    def pop(self, now: float) -> Content | None:
        """Take the oldest message; None: there is none."""
        queue = self.queue
        while queue:
            try:
                expires_at, content = queue.popleft()
            except IndexError:  # somebody else has taken it
                break
            if expires_at > now:
                return content
            self.statistics.expired += 1  # two threads that come here at once may count one
        return None

    def wait(self, waiter: Waiter) -> bool:
        """Wait for a message. False: there is one after all; :meth:`pop` it."""
        waiter.place = self
        self.waiters.append(waiter)
        return not self.queue or not self._withdraw(waiter)

    def leave(self, waiter: Waiter, now: float) -> bool:
        """Wait no more. A message that it was given goes back to the front; True: others wait, so :meth:`match` it."""
        if not self._withdraw(waiter) and not isinstance(waiter.result, str | None):
            self.queue.appendleft((now + self.bounds.expiry, waiter.result))
            waiter.result = None
        return bool(self.queue and self.waiters)

    def _withdraw(self, waiter: Waiter) -> bool:
        """Take a waiter out. False: it is not in it (any more)."""
        try:
            self.waiters.remove(waiter)
        except ValueError:
            return False
        return True


class Channel(Box):
    """A channel that this process has made. It ends with the name that ``new_channel`` gave.

    A copy of the name says nothing when it goes, so a channel that was used by a copy lingers; and for a while one on
    which nobody has received so far, as somebody may be about to, by a copy.
    """

    __slots__ = ("closed", "copied", "groups", "name", "named", "owner", "received", "used_at")

    def __init__(self, name: str, owner: int, bounds: Bounds, statistics: Statistics) -> None:
        super().__init__(bounds, statistics)
        self.name = name
        self.owner = owner  # number of the layer that made it
        self.closed = False  # nothing comes any more
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
