"""From one thread into the event loop of another, and the wake-up of who waits there.

What a burst brings crosses in one call into the loop: a thousand receivers cost one, not a thousand. There is no
lock: a finalizer may put something, and the garbage collector runs those in the middle of anything, ``put`` included.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ..shared.endpoint import running_loop
from ..shared.loop import Loop
from .core.channels import Content, Waiter

logger = logging.getLogger("channels_bridge.worker")

T = TypeVar("T")


class Crossing(Generic[T]):
    """Hands things to ``take`` in the thread of a loop, in order. What is put before :meth:`open` waits for it."""

    __slots__ = ("_called", "_loop", "_queue", "_take", "_thread")

    def __init__(self, take: Callable[[T], object]) -> None:
        self._take = take
        self._loop: Loop | None = None
        self._thread = 0
        self._queue: deque[T] = deque()
        self._called = True  # the loop will come, or will never: another call is of no use

    def __bool__(self) -> bool:
        return bool(self._queue)

    def open(self, loop: Loop) -> None:
        """Say which loop it is, in its thread."""
        self._loop, self._thread = loop, threading.get_ident()
        loop.call_soon(self.empty)

    def detach(self) -> None:
        """Let go of a loop that has ended: what is put from now on waits for another :meth:`open`."""
        self._loop, self._thread, self._called = None, 0, True

    def put(self, item: T) -> bool:
        """Hand over, from any thread. False: the loop has ended."""
        self._queue.append(item)
        return self._called or self._call()

    @property
    def is_here(self) -> bool:
        """Say whether this is the loop's thread."""
        return threading.get_ident() == self._thread

    def _call(self) -> bool:
        loop = self._loop
        if loop is None:  # it was emptied before it was open: nobody will come
            return False
        self._called = True
        try:
            (loop.call_soon if self.is_here else loop.from_thread)(self.empty)
        except RuntimeError:
            self._called = False
            return False
        return True

    def empty(self) -> None:
        """Take what is there, in the loop's thread. What is put from now on brings another call."""
        self._called = False
        for _ in range(len(self._queue)):
            try:
                self._take(self._queue.popleft())
            except Exception:  # a bug of ours; what is behind it has to arrive all the same
                logger.exception("an error in the channel layer; going on with the next")


class Landing(Crossing["Ticket"]):
    """Where the waiters of one loop are woken."""

    __slots__ = ("loop", "promise")

    def __init__(self, loop: Loop) -> None:
        super().__init__(Ticket.wake)
        self.loop = loop
        self.promise = loop.promise
        self.open(loop)


class _Landings(threading.local):
    landing: Landing | None = None


_landings = _Landings()


def landing() -> Landing:
    """Give the landing of the loop that runs in this thread. ``RuntimeError`` if none does."""
    found = _landings.landing
    if found is None or not found.loop.is_current():
        found = _landings.landing = Landing(running_loop())
    return found


class Ticket(Waiter):
    """A task that waits in its loop, for ``promise``."""

    __slots__ = ("_landing", "promise")

    def __init__(self, landing: Landing) -> None:
        self.place: object = None
        self.result: Content | str | None = None
        self._landing = landing
        self.promise = landing.promise()

    def settle(self) -> bool:
        """As :meth:`Waiter.settle`."""
        landing = self._landing
        if landing.loop.is_current():
            self.wake()
            return True
        return landing.put(self)

    def wake(self) -> None:
        """Go on, in the loop's thread."""
        if not self.promise.done():
            self.promise.set_result(None)


class ThreadTicket(Waiter):
    """A thread that waits, without any loop."""

    __slots__ = ("_settled",)

    def __init__(self) -> None:
        super().__init__()
        self._settled = threading.Lock()
        self._settled.acquire()

    def settle(self) -> bool:
        """As :meth:`Waiter.settle`."""
        self._settled.release()
        return True

    def wait(self, timeout: float | None) -> Content | str | None:
        """Block until the result is there. None: it was not within ``timeout`` seconds."""
        self._settled.acquire(timeout=-1 if timeout is None else timeout)
        return self.result
