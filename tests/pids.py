"""Which processes live: asked by their number, as most that tests ask about are not our own children."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil

POLL = 0.02  # seconds


def alive(pid: int) -> bool:
    """Tell whether the process runs. A zombie does not: who adopted it (in a container) may never reap it."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_gone(pids: Sequence[int], timeout: float = 10.0) -> None:
    """Return when none of the processes is left; fail after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, f"{left} live on"
        time.sleep(POLL)
