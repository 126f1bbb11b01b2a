"""What a consumer's ``send`` returns: it may be awaited, and need not be."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Done:
    """An awaitable whose work is done: awaiting it costs nothing, and not awaiting it loses nothing.

    With ``wait``, awaiting it waits: for what a slow client has still to take.
    """

    __slots__ = ("_wait",)

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, Any, None]:
        if self._wait is not None:
            yield from self._wait().__await__()


DONE = Done()
