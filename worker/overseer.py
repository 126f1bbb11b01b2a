"""Holds handlers to their time limits: those that run in the loop, in threads, and one that holds up the loop itself.

::

    Run        one handler under limits: interrupt() tells it, give_up() no longer waits for it
    Overseer   looks at all runs at each tick of the loop, and acts on those whose time is over
    Watchdog   a thread that looks at the loop: while a handler burns CPU in it, nothing else can

A handler that was given up and still runs a second later will not end: the process has to be replaced (``on_stuck``).
"""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ..shared.endpoint import now, run_in_thread, sleep
from ..shared.errors import SoftTimeLimitExceeded, TimeLimitExceeded
from ..shared.loop import Loop, Task
from .time_limits import Limits
from .watchdog import Watchdog

logger = logging.getLogger("channels_bridge.worker")

TOLD = (SoftTimeLimitExceeded, TimeLimitExceeded)  # what is raised in threads
FEW = 10  # turns of a loop: the interpreter looks for what is to be raised at each
CLEARING = 1.0  # seconds for a handler that was given up to end after all, and for its thread to be free again


class Run:
    """One handler that has a time limit; ``what`` names it in the log. Run it by :meth:`in_loop` or :meth:`in_thread`.

    ``give_up`` is called once, in the loop, when its hard limit is over.
    """

    def __init__(
        self, overseer: Overseer, host: object, what: str, limits: Limits, give_up: Callable[[Run], None]
    ) -> None:
        self.host = host  # whose task waits for it
        self.what = what
        self.limits = limits
        self.began = 0.0  # 0: it waits for a thread, which is not its fault
        self.interrupted = False  # it was told
        self.given_up = False  # nobody waits for it
        self.stuck = False  # and it goes on for ever
        self.threads: anyio.CapacityLimiter | None = None  # of which it has one; None: it runs in the loop
        self._overseer = overseer
        self._give_up = give_up
        self._scope: anyio.CancelScope | None = None  # of one that runs in the loop
        self._thread: int | None = None  # of one that runs in a thread; guarded by the lock
        self._lock = threading.Lock()

    async def in_loop(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Await it; returns and raises as it does, and ``SoftTimeLimitExceeded`` when it ended by being cancelled.

        ``TimeLimitExceeded``, if it was given up by then. The cause is the cancellation, which knows where it was.
        """
        self.began = now()
        self._overseer.add(self)
        where: BaseException | None = None
        try:
            with anyio.CancelScope() as self._scope:
                try:
                    return await work()
                except BaseException as error:
                    where = error
                    raise
            raise self._told(f"{self.what} has run for {now() - self.began:.3g} s") from where
        finally:
            where = None  # it knows this frame: what knows each other stays until the next collection
            self._overseer.discard(self)

    @property
    def _told(self) -> type[SoftTimeLimitExceeded | TimeLimitExceeded]:
        """What it is told."""
        return TimeLimitExceeded if self.given_up else SoftTimeLimitExceeded

    async def in_thread(self, work: Callable[[], Any], threads: anyio.CapacityLimiter) -> Any:
        """Call it in one of these threads; returns and raises as it does."""
        self.threads = threads
        self._overseer.add(self)
        try:
            return await run_in_thread(lambda: self._called(work), threads)
        finally:
            self._overseer.discard(self)

    def _called(self, work: Callable[[], Any]) -> Any:
        """Call it in its thread. What :meth:`interrupt` raises comes out of here, and never later: see the lock."""
        try:
            try:
                self._thread = threading.get_ident()
                self.began = now()
                return work()
            finally:
                self._seal()
        except TOLD:  # perhaps raised in the finally itself, before it held the lock
            self._seal()
            raise

    def _seal(self) -> None:
        while not self._sealed():
            pass

    def _sealed(self) -> bool:
        """Let nothing more be raised in this thread. False: something was, just now; what the handler did stands.

        What was asked for and has not come out yet comes out in the loop: else it would in the thread's next work. It
        is not taken back: CPython 3.11 would look for it for ever, and under a debugger or coverage do nothing else.
        """
        try:
            with self._lock:
                self._thread = None
            for _ in range(FEW):
                pass
        except TOLD:
            return False
        return True

    @property
    def in_the_loop(self) -> bool:
        """Say whether it runs, or waits, in the event loop."""
        return self._scope is not None

    def interrupt(self) -> None:
        """Tell it that its time is over. In the loop."""
        if self._scope is not None:
            self.interrupted = True
            self._scope.cancel()
        with self._lock:
            if self._thread is not None:
                self.interrupted = True
                _raise_in(self._thread, self._told)

    def look(self, moment: float) -> None:
        """Do what is due. In the loop."""
        age = moment - self.began if self.began else 0.0
        if not self.interrupted and age >= self.limits.soft:
            logger.warning("%s has run for %.3g s, its soft time limit: telling it to end", self.what, age)
            self.interrupt()
        if not self.given_up and age >= self.limits.hard:
            logger.error("%s has run for %.3g s, its time limit: it is given up%s", self.what, age, self._place())
            self.given_up = True
            self.interrupt()
            self._overseer.lend(self)
            self._give_up(self)
        if not self.stuck and age >= self.limits.hard + CLEARING:
            self.stuck = True
            self._overseer.on_stuck(f"{self.what} does not end")

    def _place(self) -> str:
        """Say where it is, if it is in a thread; "": nobody knows. In the loop."""
        with self._lock:  # while we hold it the thread does not go on to other work
            frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
            frame = None if self._thread is None else frames.get(self._thread)
            return "" if frame is None else ", in its thread at:\n" + "".join(traceback.format_stack(frame)).rstrip()


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Have an exception raised at the thread's next call or turn of a loop."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


class Overseer:
    """Has all runs of one worker. Costs nothing until there is the first; ``tick``: seconds between two looks.

    ``on_stuck(reason)`` is called for each handler that cannot be ended.
    """

    def __init__(self, loop: Loop, tick: float, on_stuck: Callable[[str], None]) -> None:
        self.on_stuck = on_stuck
        self.runs: set[Run] = set()
        self._loop = loop
        self._tick = tick
        self._ticker: Task | None = None
        self._watchdog = Watchdog(self._overdue)

    def add(self, run: Run) -> None:
        """Watch it."""
        self.runs.add(run)
        if self._ticker is None:
            self._ticker = self._loop.spawn(self._look())
        if run.limits.hard < self._watchdog.patience:
            self._watchdog.watch(run.limits.hard)

    def discard(self, run: Run) -> None:
        """Watch it no more: it has ended."""
        self.runs.discard(run)
        if run.given_up and run.threads is not None:
            run.threads.total_tokens -= 1

    def lend(self, run: Run) -> None:
        """Let one thread more run in the place of that of a run that was given up: its slot at the bridge is free."""
        if run.threads is not None:
            run.threads.total_tokens += 1

    @property
    def given_up(self) -> set[object]:
        """Give the hosts whose handlers were given up and still run."""
        return {run.host for run in self.runs if run.given_up}

    def close(self) -> None:
        """Watch nothing any more."""
        self._watchdog.stop()
        if self._ticker is not None:
            self._ticker.cancel()

    async def _look(self) -> None:
        while True:
            await sleep(self._tick)
            self._watchdog.moved()
            moment = now()
            for run in list(self.runs):
                run.look(moment)

    def _overdue(self, stalled: float) -> str | None:
        """Name what is in the loop and has a limit of no more than ``stalled`` seconds. In any thread.

        Counted is the time for which the loop stands still, not the age of a run: many wait, and one of them burns.
        """
        overdue = [run for run in list(self.runs) if run.in_the_loop and stalled >= run.limits.hard]
        return ", ".join(run.what for run in overdue) or None
