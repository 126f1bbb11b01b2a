"""The place of one worker process in its supervisor: who has it, who comes next.

A process is replaced in this order: its successor is started; once that says that it serves, or has nobody to serve,
the old one is told to stop, and finishes what it has. One that cannot start leaves the old one where it is.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

from ..shared.children import Child, Word, ending
from ..shared.liveness import back_off

logger = logging.getLogger("channels_bridge.worker")

QUICK = 1.0  # seconds; a child that ends sooner, and has not served, is restarted with growing delays
RECYCLED = 75  # EX_TEMPFAIL of sysexits.h: it has ended to be replaced
AGAIN = (1.0, 60.0)  # seconds, growing, to the next attempt to relieve a process that wants to be replaced
PATIENCE = 60.0  # seconds for a process to serve: an application that starts for longer is taken for stuck
SHORT_LIFE = 10.0  # seconds; who serves and wants to be replaced sooner has a successor after growing delays


class Change(NamedTuple):
    """What has become of a slot: at most one of these."""

    ended: int | None = None  # the exit status of its child, which is to be replaced
    failed: int | None = None  # that of a successor; the child stays
    relieved: Child | None = None  # a child whose successor serves: it has been told to stop


class Slot:
    """The place of one child, and of the next when that ends or is to be replaced."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._quick_ends = 0  # in a row
        self._short_lives = 0  # of children that wanted to be replaced as soon as they served, in a row
        self._killed: Child | None = None  # for it never served; it has not been seen to end yet
        self._served_at = math.inf  # when the child was first seen to serve
        self.child: Child | None = None
        self.successor: Child | None = None
        self.due = 0.0  # when the next one is to start; never while nobody is wanted
        self.failures = 0  # of successors, in a row

    @property
    def children(self) -> list[Child]:
        """All processes that are in this place."""
        return [child for child in (self.child, self.successor) if child is not None]

    @property
    def serves(self) -> bool:
        """Say whether its child does its work."""
        return self.child is not None and Word.SERVING in self.child.said

    @property
    def wakes_at(self) -> float:
        """When something is due here: a start, or the end of patience with a process that does not serve yet."""
        starting = [
            child.started + PATIENCE
            for child in self.children
            if Word.SERVING not in child.said and child is not self._killed
        ]
        if self.successor is not None:
            return min(starting, default=math.inf)
        return min([*starting, self.due])

    @property
    def is_changing(self) -> bool:
        """Say whether a successor is on its way. One that waits for its turn to start keeps nobody from anything."""
        return self.successor is not None

    def replace(self, now: float) -> None:
        """Have its child replaced now, whatever pause was planned; if a successor is on its way, that will do."""
        if not self.is_changing:
            self.due = min(self.due, now)

    def fill(self, now: float) -> None:
        """Start whoever is due."""
        if self.due > now:
            return
        try:
            started = Child(self._command)
        except OSError as error:  # no memory, no process numbers: it may get better
            logger.error("a worker process cannot be started: %s", error)
            self._ended_quickly(now)
            return
        self.due = math.inf
        if self.child is None:
            self.child = started
            logger.info("worker process %d started", started.pid)
        else:
            self.successor = started
            logger.info("worker process %d started, to replace %d", started.pid, self.child.pid)

    def look(self, now: float) -> Change:
        """Hear what its processes say, see who has ended, and plan what follows."""
        for child in self.children:
            child.listen()
        if self.successor is not None:
            change = self._look_at_successor(self.successor, now)
            if change is not None:
                return change
        if self.child is None:
            return Change()
        status = self.child.poll()
        if status is not None:
            return self._ended(self.child, status, now)
        if self.serves:
            self._served_at = min(self._served_at, now)
        else:
            self._end_if_stuck(self.child, now)
        if Word.RETIRING in self.child.said and not self.is_changing and self.due == math.inf:
            self._retires(self.child, now)
        return Change()

    def _retires(self, child: Child, now: float) -> None:
        """Plan its relief: at once, but for one of several that wanted it as soon as they served."""
        if now - self._served_at >= SHORT_LIFE:
            self._short_lives, self.due = 0, now
            return
        self.due = now + back_off(self._short_lives, *AGAIN)
        self._short_lives += 1
        logger.warning(
            "worker process %d wants to be replaced as soon as it serves: its successor starts in %g s. Is"
            " --max-memory-per-child below what the application needs, or --max-turns-per-child very low?",
            child.pid, self.due - now,
        )  # fmt: skip

    def _look_at_successor(self, successor: Child, now: float) -> Change | None:
        status = successor.poll()
        if status is None and self._end_if_stuck(successor, now):
            return None
        if status is not None:
            self.successor = None
            wanted = self.child is not None and Word.RETIRING in self.child.said
            self.due = now + back_off(self.failures, *AGAIN) if wanted else math.inf
            self.failures += 1
            logger.error("worker process %d, a successor, %s", successor.pid, ending(status))
            return Change(failed=status)
        if Word.SERVING not in successor.said:
            return None
        old, self.child, self.successor, self.failures = self.child, successor, None, 0
        self._served_at = now
        if old is None:
            return None
        old.terminate()
        logger.info("worker process %d serves: %d is told to stop", successor.pid, old.pid)
        return Change(relieved=old)

    def _end_if_stuck(self, child: Child, now: float) -> bool:
        """Kill a process that should serve by now. False: it does, or may still come to it."""
        if Word.SERVING in child.said or now - child.started <= PATIENCE:
            return False
        if child is not self._killed:
            logger.error("worker process %d does not serve after %g s: killing it", child.pid, PATIENCE)
            child.kill()
            self._killed = child
        return True

    def _ended(self, child: Child, status: int, now: float) -> Change:
        log_end(child, status)
        self.child, self.successor = self.successor, None  # whoever is on its way has the place
        self._served_at = math.inf
        if self.child is not None:
            return Change()
        if now - child.started < QUICK and Word.SERVING not in child.said:
            self._ended_quickly(now)
        else:
            self._quick_ends, self.due = 0, now
        return Change(ended=status)

    def _ended_quickly(self, now: float) -> None:
        self.due = now + back_off(self._quick_ends)
        self._quick_ends += 1


def log_end(child: Child, status: int) -> None:
    """Say how a process ended: as an error, if it was not told to."""
    level = logging.INFO if status in (0, RECYCLED) else logging.ERROR
    logger.log(level, "worker process %d %s", child.pid, ending(status))
