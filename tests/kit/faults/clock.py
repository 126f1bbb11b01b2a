"""The time of a site: it stands still until it is moved, and then goes from one timer to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable

import anyio

from channels_bridge.shared.endpoint import now
from channels_bridge.testing.faults.owned import Actors, Rest


class Timer:
    """What is to be done at a moment. ``of``: the worker whose timer it is; None: nobody's that could be frozen."""

    __slots__ = ("cancelled", "due", "fire", "of")

    def __init__(self, due: float, fire: Callable[[], object], of: object) -> None:
        self.due = due
        self.fire = fire
        self.of = of
        self.cancelled = False


class PlayedClock:
    """Begins with the real time, so that what was noted before makes sense, and is the same in all threads."""

    def __init__(self, actors: Actors, is_frozen: Callable[[object], bool]) -> None:
        self.now = now()
        self._actors = actors
        self._is_frozen = is_frozen
        self._thread = threading.get_ident()
        self._timers: list[Timer] = []

    def read(self) -> float:
        """Give the time: seconds."""
        return self.now

    async def pause(self, seconds: float) -> None:
        """Wait; in other threads than the site's really."""
        if seconds <= 0 or threading.get_ident() != self._thread:
            await anyio.sleep(seconds)
            return
        over = anyio.Event()
        timer = self.at(self.now + seconds, over.set, self._actors.now)
        try:
            await Rest(over.wait(), self._actors)
        finally:
            timer.cancelled = True

    def at(self, moment: float, fire: Callable[[], object], of: object = None) -> Timer:
        """Do something at a moment."""
        timer = Timer(moment, fire, of)
        self._timers.append(timer)
        return timer

    def move(self, end: float) -> None:
        """Go to the next moment for which there is a timer, not further than ``end``. Those of the frozen wait."""
        self._timers = [timer for timer in self._timers if not timer.cancelled]
        running = [timer for timer in self._timers if not self._is_frozen(timer.of)]
        self.now = max(self.now, min([end, *(timer.due for timer in running)]))
        for timer in sorted(running, key=lambda timer: timer.due):
            if timer.due <= self.now and not timer.cancelled:
                timer.cancelled = True
                timer.fire()
