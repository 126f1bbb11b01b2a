"""Our side of the pipe to the process that has started this one: it shows that end, and hears what we say."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from ..shared.children import Word
from ..shared.loop import Loop


class Parent:
    """Calls ``gone`` in the loop when the parent has ended. ``fd``: the number behind ``--parent-fd``."""

    def __init__(self, fd: int, loop: Loop, gone: Callable[[], None]) -> None:
        self._fd = fd

        def wait() -> None:
            with contextlib.suppress(ConnectionError):  # it has ended without reading what we said
                os.read(fd, 1)
            with contextlib.suppress(RuntimeError):  # our loop has ended before
                loop.from_thread(gone)

        threading.Thread(target=wait, daemon=True, name="parent-watch").start()

    def say(self, word: Word) -> None:
        """Tell it something of this process."""
        word.say(self._fd)
