"""A redis-server of our own, on a free port of the loopback, that keeps nothing."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time

from channels_bridge.testing.processes import HOST, ManagedProcess, free_port

READY_TIMEOUT = 10.0  # seconds; it takes some ten milliseconds
POLL = 0.02


class RedisServer(ManagedProcess):
    """``redis-server`` without persistence. Raises ``SystemExit`` with what to do if there is none."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise SystemExit("redis-server is not installed, and the comparison needs it: apt-get install redis-server")
        self.port = free_port()
        where = ("--port", str(self.port), "--bind", HOST)
        super().__init__([program, *where, "--save", "", "--appendonly", "no", "--daemonize", "no"])

    @property
    def url(self) -> str:
        """Where it is, as channels_redis takes it."""
        return f"redis://{HOST}:{self.port}"

    def wait_ready(self) -> None:
        """Return when it answers; raise ``ProcessFailedError`` when it ends or stays silent."""
        deadline = time.monotonic() + READY_TIMEOUT
        while not self._answers():
            if not self.alive or time.monotonic() > deadline:
                raise self.failure("did not answer PING")
            time.sleep(POLL)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64) == b"+PONG\r\n"
        return False
