"""Who is let in, how long turns wait for a slot, and who reads too slowly: overload is an answer, early and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile

from ...shared.config import Config
from .connection import Connection
from .pool import Pool, Worker

ANSWERED = 1024  # requests that may be answered and still be remembered
LOOK = 5.0  # seconds between two looks at all clients


class Admission:
    """Applies the limits of ``Config`` to new connections, and to those of ``connections`` that wait."""

    def __init__(self, config: Config, connections: Mapping[int, Connection]) -> None:
        self._config = config
        self._connections = connections
        self._handshakes: dict[Connection, float] = {}  # sockets, when they came; those accepted since among them
        self._requests: dict[Connection, float] = {}  # the same for requests, if there is a limit for their answer
        self._looked_at = 0.0
        self._stalled: dict[Connection, tuple[int, float]] = {}  # -> (bytes written, since when no more)

    # -- new ones ----------------------------------------------------------------------------------------------

    def admits(self, conn: Connection, now: float) -> bool:
        """Say whether there is room for one more. If so, it counts."""
        limit = self._config.max_connections
        if (limit and len(self._connections) >= limit) or self._is_crowded(conn.pool, now):
            return False
        if conn.kind == "websocket":
            return self._begins_handshake(conn, now)
        if self._config.answer:
            if len(self._requests) > max(ANSWERED, 2 * len(self._connections)):
                self._requests = {one: since for one, since in self._requests.items() if _is_unanswered(one)}
            self._requests[conn] = now
        return True

    def _begins_handshake(self, conn: Connection, now: float) -> bool:
        if len(self._handshakes) >= self._config.max_handshakes:
            self._handshakes = {one: since for one, since in self._handshakes.items() if _is_unanswered(one)}
            if len(self._handshakes) >= self._config.max_handshakes:
                return False
        self._handshakes[conn] = now
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

    def unanswered(self, now: float) -> Iterator[Connection]:
        """Give the sockets and requests whose application has had its time to accept, or to begin its answer."""
        limits = (self._handshakes, self._config.handshake), (self._requests, self._config.answer)
        for waiting, limit in limits:
            if limit:
                for conn in _older(waiting, now - limit):
                    del waiting[conn]
                    if _is_unanswered(conn):
                        yield conn

    def expired(self, pools: Iterable[Pool], now: float) -> Iterator[Connection]:
        """Take out and give the connections whose time to wait for a worker is over."""
        for pool in pools:
            for conn in [conn for conn in pool.waiting if self._is_late(conn, now)]:
                pool.waiting.remove(conn)
                yield conn

    def _is_late(self, conn: Connection, now: float) -> bool:
        """Say whether it has waited long enough: an open socket may wait longer than a request."""
        parked = conn.begun and conn.kind == "websocket" and not conn.closing
        return now - conn.waits_since >= (self._config.park if parked else self._config.http_queue)

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


def _is_unanswered(conn: Connection) -> bool:
    return not (conn.reached or conn.finished)


def _older(came: Mapping[Connection, float], moment: float) -> list[Connection]:
    """Give those that came before; they are in the order in which they came."""
    return [conn for conn, _ in takewhile(lambda one: one[1] <= moment, came.items())]
