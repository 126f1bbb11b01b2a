"""Connections whose worker was lost with them in its hands: they are placed again, but not at once.

Where all workers are killed by one hand, the next is about to go as well: it must not count as the message's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .connection import Connection

HOLD = 0.05  # seconds: longer than a kill of all workers takes, too short for a person to notice


class Holding:
    """Those that wait for that moment, in the order in which they came."""

    def __init__(self) -> None:
        self._held: deque[tuple[float, Connection]] = deque()  # (when it is placed, connection)

    @property
    def held(self) -> list[Connection]:
        """Give them, but for those that have ended meanwhile."""
        return [conn for _, conn in self._held if not conn.finished]

    def hold(self, conn: Connection, now: float) -> None:
        """Keep one for a moment."""
        self._held.append((now + HOLD, conn))

    def due(self, now: float) -> Iterator[Connection]:
        """Take out and give those whose moment is over."""
        while self._held and self._held[0][0] <= now:
            _, conn = self._held.popleft()
            if not conn.finished:
                yield conn
