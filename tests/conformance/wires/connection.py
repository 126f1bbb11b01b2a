"""A TCP connection to a server, and the notebook that all connections of one client share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterable
from typing import Any

from ..plain import plain

READ = 1 << 16
PATIENCE = 10.0  # seconds until a client gives up waiting for the next bytes; nothing here takes one


class Notebook:
    """What a client writes down, and the numbers of its requests."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.notes: list[tuple[Any, ...]] = []
        self.requests = 0

    def note(self, *what: object) -> None:
        """Write something down; it is compared, so it must not depend on time or place."""
        self.notes.append(tuple(plain(item) for item in what))

    def next_run(self) -> bytes:
        """Return the value of the header that tells the application what to play, and count the request."""
        self.requests += 1
        return f"{self.run}~{self.requests}".encode()


class Connection:
    """A TCP connection, and where its notes go."""

    def __init__(self, notebook: Notebook, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.notebook = notebook
        self.note = notebook.note
        self.patience = PATIENCE
        self.reader = reader
        self.writer = writer

    async def write(self, data: bytes) -> None:
        """Send bytes as they are; a server that has hung up already is no matter here."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def read(self) -> bytes:
        """Return the next bytes; b"" at the end, orderly or not. Raise ``TimeoutError`` if nothing comes."""
        try:
            async with asyncio.timeout(self.patience):
                return await self.reader.read(READ)
        except ConnectionError:
            return b""

    async def closed(self, timeout: float = 2.0) -> None:
        """Note whether the server closes the connection, taking no note of what it still sends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while await self.read():
                    pass
                self.note("connection closed")
                return
        self.note("connection left open")

    async def close(self) -> None:
        """Hang up in the usual way."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def vanish(self) -> None:
        """Hang up with a TCP reset, as a client does that crashed."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        await self.close()


def without_date(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Leave out what is the server's and the clock's own."""
    own = (b"date", b"server")
    return [(bytes(name), bytes(value)) for name, value in headers if name.lower() not in own]
