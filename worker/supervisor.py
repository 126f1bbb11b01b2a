"""Keeps worker processes up: starts them, restarts one that ends, passes on the wish to stop.

It runs no user code and has no event loop, so that nothing in a worker can bring it down. Where a child's
exit code says that it cannot start (``FINAL``), the next one could not either: then all is over.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from ..shared.children import Child, News, Signals, ending, stop
from ..shared.liveness import back_off

logger = logging.getLogger("channels_bridge.worker")

FINAL = {3: "the app cannot start", 78: "a setting is wrong"}  # exit codes of worker/process.py
QUICK = 1.0  # seconds; a child that ends sooner is restarted with growing delays, any other at once
GRACE = 5.0  # seconds; what an interpreter may need to end, once its connections have


class _End(NamedTuple):
    """How a supervisor ends."""

    code: int  # its exit code
    patience: float  # seconds that the children have
    hurried: bool = False  # asked twice already


class Supervisor:
    """Runs ``command``, followed by ``--parent-fd N``, in ``processes`` children. Call :meth:`run` next.

    ``drain_timeout``: seconds for which children wait for their connections after SIGTERM. ``parent_fd``: a pipe
    whose end means that our own parent is gone. ``grace``: seconds beyond the drain timeout, or after a second
    request to stop, before what is left is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        processes: int,
        *,
        drain_timeout: float,
        parent_fd: int | None = None,
        grace: float = GRACE,
    ) -> None:
        self._slots = [_Slot(command) for _ in range(processes)]
        self._drain_timeout = drain_timeout
        self._grace = grace
        self._parent_fd = parent_fd

    def run(self) -> int:
        """Keep the children up until SIGTERM or SIGINT, then end them; give 0, or a child's final exit code.

        In the main thread, as signals are handled there.
        """
        logger.info("supervisor %d keeps %d worker processes", os.getpid(), len(self._slots))
        with Signals(self._parent_fd) as signals:
            end = self._keep_up(signals)
            self._stop(signals, end)
        return end.code

    def _keep_up(self, signals: Signals) -> _End:
        """Return when it is over."""
        while True:
            now = time.monotonic()
            for slot in self._slots:
                slot.fill(now)
            news = signals.wait(min(slot.due for slot in self._slots) - now)
            if News.STOP in news:
                logger.info("stopping: connections have up to %g s to end", self._drain_timeout)
                return _End(0, self._drain_timeout + self._grace, hurried=news.count(News.STOP) > 1)
            if News.ORPHANED in news:
                logger.warning("stopping: the process that started this one is gone")
                return _End(0, self._grace)
            statuses = [slot.reap(time.monotonic()) for slot in self._slots]
            for code in FINAL.keys() & statuses:
                logger.error("stopping: %s, as the worker process says above", FINAL[code])
                return _End(code, self._drain_timeout + self._grace)

    def _stop(self, signals: Signals, end: _End) -> None:
        children = [slot.child for slot in self._slots if slot.child is not None]
        for child in stop(children, signals, end.patience, self._grace, hurried=end.hurried):
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

    def reap(self, now: float) -> int | None:
        """If the child has ended, give its exit status and plan the next one."""
        status = None if self.child is None else self.child.poll()
        if self.child is None or status is None:
            return None
        child, self.child = self.child, None
        logger.log(logging.INFO if status == 0 else logging.ERROR, "worker process %d %s", child.pid, ending(status))
        if now - child.started < QUICK:
            self._ended_quickly(now)
        else:
            self._quick_ends, self.due = 0, now
        return status

    def _ended_quickly(self, now: float) -> None:
        self.due = now + back_off(self._quick_ends)
        self._quick_ends += 1
