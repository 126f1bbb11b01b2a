"""When a worker process has done its share: it has had so many turns, or has grown beyond so many bytes."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from pathlib import Path

from ..shared.config import MIB
from ..shared.errors import ConfigurationError
from .settings import Settings

STATM = Path("/proc/self/statm")  # pages: all of it, what is resident, and more
LOOK = 1.0  # seconds between two looks at the memory: one costs 20 us


def resident() -> int:
    """Give the bytes of memory that this process has. Raises ``ConfigurationError`` where the system does not say."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError as error:
        raise ConfigurationError(f"max_memory_per_child: the memory of a process is not known here: {error}") from None


class Recycling:
    """Counts turns and looks at the memory of this process. ``ConfigurationError`` if that cannot be seen.

    ``measure`` gives bytes. A message in the background is a turn, and so is a connection of an ASGI application.
    """

    def __init__(self, settings: Settings, measure: Callable[[], int] = resident) -> None:
        self.turns = 0
        self._most_bytes = settings.max_memory_per_child or math.inf
        self._most_turns: float = math.inf
        if settings.max_turns_per_child:
            self._most_turns = settings.max_turns_per_child + random.randint(0, settings.max_turns_jitter)  # noqa: S311
        self._measure = measure
        self._look_at = 0.0 if settings.max_memory_per_child else math.inf
        if settings.max_memory_per_child:
            measure()

    def count(self) -> None:
        """Note that a turn begins."""
        self.turns += 1

    def due(self, moment: float) -> str:
        """Say why this process should be replaced; empty: it should not."""
        if self.turns >= self._most_turns:
            return f"it has had {self.turns} turns, its share"
        if moment < self._look_at:
            return ""
        self._look_at = moment + LOOK
        size = self._measure()
        if size <= self._most_bytes:
            return ""
        return f"it has {size / MIB:.0f} MiB of memory, more than {self._most_bytes / MIB:.0f}"
