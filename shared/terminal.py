"""HUP has two meanings: somebody wants a reload, or has closed the terminal, and nothing else would end us then."""

from __future__ import annotations

import os

STDIN = 0


class Terminal:
    """The terminal of this process, if it has one as it starts."""

    def __init__(self) -> None:
        self._was_there = os.isatty(STDIN)

    @property
    def is_gone(self) -> bool:
        """Say whether there was one, and it was closed."""
        return self._was_there and not os.isatty(STDIN)
