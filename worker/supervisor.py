"""Keeps worker processes up: starts them, restarts one that ends, passes on the wish to stop.

It runs no user code and has no event loop, so that nothing in a worker can bring it down. Exit code 3 of a
child ("the app cannot start") is final: the next one could not start either.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Sequence

from ..shared.children import COLD, Child, News, Signals, ending, stop
from ..shared.liveness import back_off

logger = logging.getLogger("channels_bridge.worker")

CANNOT_START = 3  # exit code of a process whose app cannot be loaded, as of uvicorn and gunicorn
QUICK = 1.0  # seconds; a child that ends sooner is restarted with growing delays, any other at once
GRACE = 5.0  # seconds beyond the children's own drain timeout before they are killed


class Supervisor:
    """Runs ``command``, followed by ``--parent-fd N``, in ``processes`` children. Call :meth:`run` next.

    ``drain_timeout``: seconds the children take at most to end after SIGTERM. ``parent_fd``: a pipe whose end
    means that our own parent is gone.
    """

    def __init__(
        self, command: Sequence[str], processes: int, *, drain_timeout: float, parent_fd: int | None = None
    ) -> None:
        self._slots = [_Slot(command) for _ in range(processes)]
        self._patience = drain_timeout + GRACE
        self._parent_fd = parent_fd

    def run(self) -> int:
        """Keep the children up until SIGTERM or SIGINT, end them, and give the exit code: 0, or a child's 3.

        In the main thread, as signals are handled there.
        """
        logger.info("supervisor %d keeps %d worker processes", os.getpid(), len(self._slots))
        with Signals(self._parent_fd) as signals:
            try:
                code, patience = self._keep_up(signals)
            except BaseException:
                self._stop(signals, COLD)
                raise
            self._stop(signals, patience)
        return code

    def _keep_up(self, signals: Signals) -> tuple[int, float]:
        """Return the exit code and how many seconds the children have left, once it is over."""
        while True:
            now = time.monotonic()
            for slot in self._slots:
                slot.fill(now)
            for news in signals.wait(min(slot.due for slot in self._slots) - now):
                if news is News.STOP:
                    logger.info("stopping: connections have up to %g s to end", self._patience - GRACE)
                    return 0, self._patience
                if news is News.ORPHANED:
                    logger.warning("stopping: the process that started this one is gone")
                    return 0, COLD
            hopeless = [slot for slot in self._slots if slot.reap(time.monotonic())]
            if hopeless:
                logger.error("stopping: the app cannot start, as its worker says above")
                return CANNOT_START, self._patience

    def _stop(self, signals: Signals, patience: float) -> None:
        children = [slot.child for slot in self._slots if slot.child is not None]
        for child in stop(children, signals, patience):
            logger.warning("worker process %d did not end in time and was killed", child.pid)
        logger.info("all worker processes have ended")


class _Slot:
    """The place of one child, and of the next when that ends."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._quick_ends = 0  # in a row
        self.child: Child | None = None
        self.due = 0.0  # when the next child is to start; never while there is one

    def fill(self, now: float) -> None:
        """Start a child if one is due."""
        if self.due > now:
            return
        try:
            self.child = Child(self._command)
        except OSError as error:  # no memory, no process numbers: it may get better
            logger.error("a worker process cannot be started: %s", error)
            self._ended_quickly(now)
        else:
            self.due = math.inf
            logger.info("worker process %d started", self.child.pid)

    def reap(self, now: float) -> bool:
        """See whether the child has ended, and plan the next one. True if that could not start either."""
        status = None if self.child is None else self.child.poll()
        if self.child is None or status is None:
            return False
        child, self.child = self.child, None
        logger.log(
            logging.INFO if status == 0 else logging.ERROR, "worker process %d %s", child.pid, ending(status)
        )
        if now - child.started < QUICK:
            self._ended_quickly(now)
        else:
            self._quick_ends, self.due = 0, now
        return status == CANNOT_START

    def _ended_quickly(self, now: float) -> None:
        self.due = now + back_off(self._quick_ends)
        self._quick_ends += 1
