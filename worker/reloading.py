"""Reloads when code changes: a thread in the supervisor that looks at files and sends SIGHUP to its own process."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import watchfiles

logger = logging.getLogger("channels_bridge.worker")


def _hang_up() -> None:
    os.kill(os.getpid(), signal.SIGHUP)


class Watch:
    """Calls ``reload`` in a thread whenever a ``*.py`` file in one of the folders, or below, has changed.

    Virtual environments, caches and what else no editor writes to are left out. Changes that come together are one.
    """

    def __init__(self, folders: Sequence[Path], reload: Callable[[], None] = _hang_up) -> None:
        self._folders = folders
        self._reload = reload
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="reload-watch")

    def start(self) -> None:
        """Begin to watch."""
        logger.info("reloading on changes in %s", ", ".join(str(folder.resolve()) for folder in self._folders))
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; returns when the thread has ended."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        only_python = watchfiles.PythonFilter()
        for changes in watchfiles.watch(
            *self._folders, watch_filter=only_python, stop_event=self._stopped, raise_interrupt=False
        ):
            names = sorted({Path(name).name for _, name in changes})
            logger.info("changed: %s", ", ".join(names))
            self._reload()
