"""Runs the examples as their first lines say."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from channels_bridge.testing.processes import ManagedProcess, ServerProcess

ROOT = Path(__file__).resolve().parent.parent.parent
START = 30.0  # seconds for the server and all workers; one will do where nothing else runs

Run = Callable[..., tuple[str, ManagedProcess]]


class Talk:
    """One connection straight into an ASGI application, without a server: what goes in, what comes out."""

    def __init__(self, application: Callable[..., Awaitable[None]], kind: str, path: str, **scope: Any) -> None:
        self._application = application
        self._scope: dict[str, Any] = {"type": kind, "path": path, "headers": [], "query_string": b"", **scope}
        self._to: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            await self._application(self._scope, self._to.get, self._from.put)
        except Exception as error:
            await self._from.put(error)

    async def put(self, kind: str, **message: Any) -> None:
        """Be the server: give the application a message."""
        await self._to.put({"type": kind, **message})

    async def get(self, kind: str) -> dict[str, Any]:
        """Return the application's next message, which has to be of this kind; raise what the application raised."""
        message = await asyncio.wait_for(self._from.get(), START)
        if isinstance(message, Exception):
            raise message
        assert message["type"] == kind, message
        return message

    async def connect(self) -> None:
        """Open a WebSocket."""
        await self.put("websocket.connect")
        await self.get("websocket.accept")

    async def say(self, text: str) -> None:
        """Send a text message."""
        await self.put("websocket.receive", text=text)

    async def hear(self) -> str:
        """Return the text of the next message."""
        text: str = (await self.get("websocket.send"))["text"]
        return text

    async def end(self, code: int = 1001) -> None:
        """Disconnect, and wait until the application has ended."""
        await self.put("websocket.disconnect", code=code)
        assert self._task is not None
        await asyncio.wait_for(self._task, START)


class ServeProcess(ManagedProcess):
    """``channels-bridge serve APP …`` on a free port. It is ready when so many ``workers`` are connected."""

    def __init__(self, app: str, *args: str, workers: int = 1) -> None:
        command = [sys.executable, "-m", "channels_bridge.bridge", "serve", app, "--port", "0", "--app-dir", str(ROOT)]
        super().__init__([*command, *args])
        self.workers = workers
        self.url = ""

    def wait_ready(self) -> None:
        """Return when it serves."""
        self.url = self.wait_for_log(r"^Serving \S+ on (\S+)", START)[1]
        self.wait_for_log(r"(?s)" + r".*connected to the bridge" * self.workers, START)


@pytest.fixture(scope="module")
def serve() -> Iterator[Run]:
    """Start ``channels-bridge serve APP ARGUMENTS``, and return its URL and its process. It ends with the module."""
    with contextlib.ExitStack() as exits:

        def run(app: str, *args: str, workers: int = 1) -> tuple[str, ManagedProcess]:
            process = exits.enter_context(ServeProcess(app, *args, workers=workers))
            return process.url, process

        yield run


@pytest.fixture(scope="module", params=["direct", "bridged"])
def either_way(request: pytest.FixtureRequest, serve: Run) -> Iterator[Run]:
    """Run an ASGI application in uvicorn itself, and again behind a bridge: it may not notice."""
    if request.param == "bridged":
        yield serve
        return
    with contextlib.ExitStack() as exits:

        def run(app: str) -> tuple[str, ManagedProcess]:
            process = exits.enter_context(ServerProcess("uvicorn", app, pythonpath=[ROOT]))
            return process.url, process

        yield run


@pytest.fixture
def root() -> Path:
    """The top of the repository: where examples are imported from."""
    return ROOT


@pytest.fixture
def talk() -> type[Talk]:
    """``talk(application, "websocket", "/path/")``: a connection without a server."""
    return Talk


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import "module:attribute" of the examples, as a worker does it."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])

    def load(app: str) -> Any:
        module, _, attribute = app.partition(":")
        return getattr(importlib.import_module(module), attribute)

    return load
