"""The application's lifespan: once per worker process, before it serves, and after."""

from __future__ import annotations

import logging
from typing import Any

from ..shared.errors import ApplicationLoadError
from ..shared.loop import Loop, Task
from ..shared.wire import Event
from .asgi import ASGIApplication

logger = logging.getLogger("channels_bridge.worker")


class Lifespan:
    """Runs one lifespan scope. ``mode``: "auto" (an application that does not know it is fine), "on" or "off"."""

    def __init__(self, app: ASGIApplication, mode: str, loop: Loop) -> None:
        self.state: dict[str, Any] = {}  # every connection's scope gets a shallow copy
        self._app, self._mode, self._loop = app, mode, loop
        self._signal = loop.signal()
        self._task: Task | None = None
        self._asked: list[Event] = []  # for the application
        self._told: list[Event] = []  # by the application
        self._ended = False
        self._started = False
        self._failure = ""

    async def startup(self) -> None:
        """Start the application. Raises ``ApplicationLoadError`` if it says that it cannot."""
        if self._mode == "off":
            return
        self._task = self._loop.spawn(self._run())
        self._ask("lifespan.startup")
        while not self._told and not self._ended:
            await self._signal.wait()
        if self._told and self._told[0]["type"] == "lifespan.startup.failed":
            raise ApplicationLoadError(f"the application's startup failed: {self._told[0].get('message', '')}")
        if not self._told and self._mode == "on":
            raise ApplicationLoadError(f"the application's lifespan failed: {self._failure or 'it returned early'}")
        self._started = bool(self._told)
        self._told.clear()

    def cancel(self) -> None:
        """End the application's task without asking it."""
        if self._task is not None:
            self._task.cancel()

    async def shutdown(self) -> None:
        """Tell the application to end, and wait for it, if it has started."""
        if self._task is None or self._ended:
            return
        if not self._started and not self._told:  # its startup was cut off: there is nothing to shut down
            self.cancel()
            return
        self._told.clear()
        self._ask("lifespan.shutdown")
        while not self._told and not self._ended:
            await self._signal.wait()
        if self._told and self._told[0]["type"] == "lifespan.shutdown.failed":
            logger.error("the application's shutdown failed: %s", self._told[0].get("message", ""))
        self.cancel()

    def _ask(self, kind: str) -> None:
        self._asked.append({"type": kind})
        self._signal.set()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except BaseException as error:
            if self._loop.is_ending(error, True):
                raise
            self._failure = f"{type(error).__name__}: {error}"
            if self._mode == "on" or self._told or self._started:
                logger.exception("Exception in the application's lifespan")
        finally:
            self._ended = True
            self._signal.set()

    async def _receive(self) -> Event:
        while not self._asked:
            await self._signal.wait()
        return self._asked.pop(0)

    async def _send(self, event: Event) -> None:
        self._told.append(event)
        self._signal.set()
