"""Who is let in, how long turns wait for a slot, and who reads too slowly: overload is an answer, early and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ...shared.config import Config
from .connection import Connection
from .pool import Pool, Worker

LOOK = 5.0  # seconds between two looks at all clients


class Admission:
    """Applies the limits of ``Config`` to new connections, and to those of ``connections`` that wait."""

    def __init__(self, config: Config, connections: Mapping[int, Connection]) -> None:
        self._config = config
        self._connections = connections
        self._handshakes: set[Connection] = set()  # sockets that were not accepted when this was looked at last
        self._looked_at = 0.0
        self._stalled: dict[Connection, tuple[int, float]] = {}  # -> (bytes written, since when no more)

    # -- new ones ----------------------------------------------------------------------------------------------

    def admits(self, conn: Connection, now: float) -> bool:
        """Say whether there is room for one more. If so, it counts."""
        limit = self._config.max_connections
        if (limit and len(self._connections) >= limit) or self._is_crowded(conn.pool, now):
            return False
        return conn.kind != "websocket" or self._begins_handshake(conn)

    def _begins_handshake(self, conn: Connection) -> bool:
        if len(self._handshakes) >= self._config.max_handshakes:
            self._handshakes = {one for one in self._handshakes if not (one.begun or one.finished)}
            if len(self._handshakes) >= self._config.max_handshakes:
                return False
        self._handshakes.add(conn)
        return True

    def _is_crowded(self, pool: Pool, now: float) -> bool:
        """Say whether who comes now would be behind too many, or anywhere behind one that waits for too long."""
        workers = [worker for worker in pool.workers if worker.takes_connections]
        queues = [pool.waiting, *(worker.waiting for worker in workers)]
        limit = self._config.max_queue  # of new ones: those of ten thousand open sockets may all wait at once
        if sum(map(len, queues)) >= limit and sum(not conn.begun for queue in queues for conn in queue) >= limit:
            return True
        delays = [now - worker.waiting[0].waits_since if worker.waiting else 0.0 for worker in workers]
        return min(delays, default=0.0) > self._config.queue_delay

    # -- those that are here -----------------------------------------------------------------------------------

    def overdue(self, workers: Iterable[Worker], now: float) -> Iterator[Connection]:
        """Give the connections that have waited too long for a slot of their worker."""
        shortest = min(self._config.http_queue, self._config.park)
        for worker in workers:
            for conn in list(worker.waiting):
                waited = now - conn.waits_since
                if waited < shortest:
                    break  # those behind it have waited for less
                is_new = not conn.begun and not conn.closing
                if waited >= (self._config.http_queue if is_new else self._config.park):
                    yield conn

    def slow(self, now: float) -> Iterator[Connection]:
        """Give the clients that have taken nothing of a full window for ``slow_client`` seconds."""
        if now - self._looked_at < LOOK:
            return
        self._looked_at = now
        before, self._stalled = self._stalled, {}
        for conn in list(self._connections.values()):
            if conn.buffered < self._config.window_bytes or conn.finished:
                continue
            written, since = before.get(conn, (-1, now))
            self._stalled[conn] = conn.written, since if written == conn.written else now
            if now - self._stalled[conn][1] >= self._config.slow_client:
                yield conn
