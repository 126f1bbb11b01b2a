"""Keeps worker processes up: starts and restarts them, replaces them without a gap, passes on the wish to stop.

It runs no user code and has no event loop, so that nothing in a worker can bring it down. Where a child's
exit code says that it cannot start (``FINAL``), the next one could not either: then all is over, unless others serve.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from ..shared.children import STEERING, Child, News, Signals, stop
from ..shared.terminal import Terminal
from .slots import Change, Slot, log_end

logger = logging.getLogger("channels_bridge.worker")

FINAL = {3: "the app cannot start", 78: "a setting is wrong"}  # exit codes of worker/process.py
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
    request to stop, before what is left is killed. ``persistent``: go on when the app cannot start; the next reload
    may bring one that can.
    """

    def __init__(
        self,
        command: Sequence[str],
        processes: int,
        *,
        drain_timeout: float,
        parent_fd: int | None = None,
        grace: float = GRACE,
        persistent: bool = False,
    ) -> None:
        self._command = command
        self._slots = [Slot(command) for _ in range(processes)]
        self._rolling: list[Slot] = []  # still to be replaced, one after the other
        self._leaving: list[tuple[Child, float]] = []  # told to stop, and when they are killed
        self._drain_timeout = drain_timeout
        self._grace = grace
        self._parent_fd = parent_fd
        self._persistent = persistent
        self._terminal = Terminal()

    def run(self) -> int:
        """Keep the children up until SIGTERM or SIGINT, then end them; give 0, or a child's final exit code.

        HUP replaces them, one after the other; TTIN and TTOU make them one more, one less. In the main thread, as
        signals are handled there.
        """
        logger.info("supervisor %d keeps %d worker processes", os.getpid(), len(self._slots))
        with Signals(self._parent_fd, STEERING) as signals:
            end = self._keep_up(signals)
            self._stop(signals, end)
        return end.code

    def _keep_up(self, signals: Signals) -> _End:
        """Return when it is over."""
        while True:
            now = time.monotonic()
            self._roll(now)
            for slot in self._slots:
                slot.fill(now)
            children = [child for slot in self._slots for child in slot.children]
            news = signals.wait(self._wakes_at() - time.monotonic(), children)
            if News.STOP in news or (News.RELOAD in news and self._terminal.is_gone):
                logger.info("stopping: connections have up to %g s to end", self._drain_timeout)
                return _End(0, self._drain_timeout + self._grace, hurried=news.count(News.STOP) > 1)
            if News.ORPHANED in news:
                logger.warning("stopping: the process that started this one is gone")
                return _End(0, self._grace)
            for item in news:
                self._steer(item)
            if (code := self._look(time.monotonic())) is not None:
                logger.error("stopping: %s, as the worker process says above", FINAL[code])
                return _End(code, self._drain_timeout + self._grace)

    def _wakes_at(self) -> float:
        return min([slot.wakes_at for slot in self._slots] + [kill_at for _, kill_at in self._leaving])

    # -- steering ----------------------------------------------------------------------------------------------

    def _steer(self, news: News) -> None:
        if news is News.RELOAD:
            logger.info("reloading: %d worker processes, one after the other", len(self._slots))
            self._rolling = list(self._slots)
        elif news is News.MORE:
            self._slots.append(Slot(self._command))
            logger.info("one worker process more: %d", len(self._slots))
        elif news is News.FEWER and len(self._slots) > 1:
            slot = self._slots.pop()
            self._rolling = [other for other in self._rolling if other is not slot]
            logger.info("one worker process less: %d", len(self._slots))
            for child in slot.children:
                child.terminate()
                self._leave(child)

    def _roll(self, now: float) -> None:
        """Have the next one replaced, if none is on its way."""
        if self._rolling and not any(slot.is_changing for slot in self._slots):
            self._rolling.pop(0).replace(now)

    def _leave(self, child: Child) -> None:
        self._leaving.append((child, time.monotonic() + self._drain_timeout + self._grace))

    # -- what becomes of children ------------------------------------------------------------------------------

    def _look(self, now: float) -> int | None:
        """See what has become of all; give the exit code with which it is over, None while it is not."""
        self._look_at_leaving(now)
        code = None
        for slot in self._slots:
            change = slot.look(now)
            if change.relieved is not None:
                self._leave(change.relieved)
            if change.failed is not None:
                self._failed(change.failed)
            if change.ended in FINAL:
                code = self._cannot_start(slot, change) or code
        return code

    def _failed(self, status: int) -> None:
        """Go on with the processes that run, when one that should replace another has not come up."""
        why = FINAL.get(status, "a worker process has not come up")
        logger.error("%s: the %d worker processes that run are kept", why, len(self._slots))
        self._rolling.clear()

    def _cannot_start(self, slot: Slot, change: Change) -> int | None:
        """Give the exit code if all is over; else the slot waits, for the next attempt or for a reload."""
        if self._persistent:
            logger.error("waiting for a change")
            slot.due = math.inf
            return None
        return None if any(other.serves for other in self._slots) else change.ended

    def _look_at_leaving(self, now: float) -> None:
        for child, kill_at in list(self._leaving):
            status = child.poll()
            if status is None and now < kill_at:
                continue
            self._leaving.remove((child, kill_at))
            if status is not None:
                log_end(child, status)
            else:
                logger.warning("worker process %d did not end in time and is killed", child.pid)
                child.kill()
                self._leaving.append((child, math.inf))

    def _stop(self, signals: Signals, end: _End) -> None:
        children = [child for slot in self._slots for child in slot.children] + [child for child, _ in self._leaving]
        for child in stop(children, signals, end.patience, self._grace, hurried=end.hurried):
            logger.warning("worker process %d did not end in time and was killed", child.pid)
        logger.info("all worker processes have ended")
