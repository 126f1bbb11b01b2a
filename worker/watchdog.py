"""Ends a process whose event loop is held up: nothing in the loop could do it, and its bridges wait for it.

A thread looks at the loop several times a second. It counts only time that it has seen go by in small steps, so that a
process which was frozen, or a machine that slept, is not taken for a loop that is stuck. Code in C that keeps the GIL
holds up this thread as well; then only the bridges notice, by their verdict.
"""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("channels_bridge.worker")

EXIT_STUCK = 70  # EX_SOFTWARE of sysexits.h: the process ended itself, in the middle of what it did
LOOK = 0.1  # seconds between two looks


class Stall:
    """How long the loop has not moved, by looks of which each counts ``2 * LOOK`` at most."""

    def __init__(self, moment: float) -> None:
        self.seconds = 0.0
        self._moment = moment
        self._moves = -1

    def look(self, moment: float, moves: int) -> float:
        """Note how often the loop has moved until now; give the seconds since it did last."""
        if moves != self._moves:
            self._moves, self.seconds = moves, 0.0
        else:
            self.seconds += min(moment - self._moment, 2 * LOOK)
        self._moment = moment
        return self.seconds


class Watchdog:
    """Ends this process when its loop has not :meth:`moved` for :attr:`patience` seconds, and somebody is to blame.

    ``overdue(seconds)`` names what is in the loop and may not hold it up for so long; called in the watchdog's thread.
    ``end`` ends the process.
    """

    def __init__(self, overdue: Callable[[float], str | None], end: Callable[[int], object] = os._exit) -> None:
        self.patience = math.inf
        self._overdue = overdue
        self._end = end
        self._moves = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def moved(self) -> None:
        """Note that the loop moves. In the loop, again and again."""
        self._moves += 1

    def watch(self, patience: float) -> None:
        """Watch from now on; ``patience`` is the shortest of all limits."""
        self.patience = patience
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True, name="channels-bridge-watchdog")
            self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _watch(self) -> None:
        stall = Stall(time.monotonic())
        while not self._stopped.wait(LOOK):
            seconds = stall.look(time.monotonic(), self._moves)
            if seconds >= self.patience and (culprit := self._overdue(seconds)) is not None:
                logger.critical("the event loop stands still for %.3g s in %s: this process ends", seconds, culprit)
                faulthandler.dump_traceback(sys.__stderr__ or sys.stderr, all_threads=True)
                logging.shutdown()
                self._end(EXIT_STUCK)
                return
