"""How the commands log: one line each on stderr, with the time, the level and the process."""

from __future__ import annotations

import logging
import sys

LEVELS = ("critical", "error", "warning", "info", "debug", "trace")  # those of uvicorn
FORMAT = "%(asctime)s %(levelname)-7s [%(process)d] %(name)s: %(message)s"


def set_up(level: str) -> None:
    """Log what is of ``level`` (one of ``LEVELS``) or above. Only commands call this; libraries never do."""
    number = logging.DEBUG if level == "trace" else logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(stream=sys.stderr, level=number, format=FORMAT)
