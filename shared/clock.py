"""The clock of both halves, and the one place where another one can be put in: the fault kit plays the time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Generator

import anyio

_BOOTTIME = time.CLOCK_BOOTTIME
_read: Callable[[int], float] = time.clock_gettime
_sleep: Callable[[float], Awaitable[None]] = anyio.sleep


def now() -> float:
    """Seconds that go on while the machine sleeps: what leases and deadlines are counted in."""
    return _read(_BOOTTIME)  # called for each message: what plays the time is called here with no detour


def sleep(seconds: float) -> Awaitable[None]:
    """Wait."""
    return _sleep(seconds)


@contextlib.contextmanager
def played(read: Callable[[], float], pause: Callable[[float], Awaitable[None]]) -> Generator[None, None, None]:
    """Let this process, all of it, ask ``read`` for the time and wait by ``pause``, until the block is left."""
    global _read, _sleep
    before = _read, _sleep
    _read, _sleep = (lambda clock: read()), pause
    try:
        yield
    finally:
        _read, _sleep = before
