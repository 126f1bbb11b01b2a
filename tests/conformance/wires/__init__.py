"""The client's side of a scenario: connections that note whatever a server says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TypeVar

from channels_bridge.testing.processes import HOST

from ..tap import POLL, leave
from .connection import Connection, Notebook
from .http1 import Http1
from .http2 import Http2
from .websocket import WebSocket

C = TypeVar("C", bound=Connection)

PATIENCE = 10.0  # seconds until a client gives up waiting for a signal


class Wire(Notebook):
    """What a scenario's client has: connections to the server, notes, and signals to the application."""

    def __init__(self, port: int, server: str, folder: Path, run: str, variant: str) -> None:
        super().__init__(run)
        self.port = port
        self.server = server
        self.folder = folder
        self.variant = variant

    def http(self) -> contextlib.AbstractAsyncContextManager[Http1]:
        """Open an HTTP/1.1 connection; leaving closes it."""
        return self._open(Http1)

    def websocket(self) -> contextlib.AbstractAsyncContextManager[WebSocket]:
        """Open a connection for a WebSocket, the handshake yet to be done; leaving closes it."""
        return self._open(WebSocket)

    def http2(self) -> contextlib.AbstractAsyncContextManager[Http2]:
        """Open an HTTP/2 connection; leaving closes it."""
        return self._open(Http2)

    @contextlib.asynccontextmanager
    async def _open(self, kind: type[C]) -> AsyncGenerator[C]:
        connection = kind(self, *await asyncio.open_connection(HOST, self.port))
        try:
            yield connection
        finally:
            await connection.close()

    def signal(self, name: str, request: int = 1) -> None:
        """Tell the application of the given request that something has happened."""
        leave(self.folder / f"{self.run}~{request}.{name}", "")

    async def wait(self, name: str, request: int = 1, timeout: float = PATIENCE) -> bool:
        """Return True once the application has signalled ``name``, False if it does not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not (self.folder / f"{self.run}~{request}.{name}").exists():  # noqa: ASYNC110 - another process
                    await asyncio.sleep(POLL)
                return True
        return False
