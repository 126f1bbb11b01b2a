"""Workers as the bridge sees them, and the pools that they serve."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from itertools import islice

from ...shared.frames import Hello
from ...shared.transitions import Link
from .connection import Connection
from .ledger import Ledger

UNBOUNDED = 1_000_000  # slots
LOOKED_AT = 16  # connections at the head of a busy worker's queue: most often all can move, or none can


class Worker:
    """One link: a worker, or another process with a channel layer, from its first frame to its end.

    The core alone changes it.
    """

    __slots__ = (
        "asked", "conns", "groups", "has_turns", "hello", "isolated", "isolated_since", "last_received",
        "link_epoch", "listened", "oldest", "peer", "peers", "state", "turns_out", "waiting",
    )  # fmt: skip

    def __init__(self, peer: bytes, link_epoch: int, hello: Hello, now: float) -> None:
        self.peer = peer
        self.link_epoch = link_epoch
        self.hello = hello
        self.has_turns = hello.turns  # True: it hosts consumers. False: ASGI applications
        self.state = Link.NEW
        self.last_received = now
        self.oldest = 0.0  # seconds for which its oldest turn had been running, as its last beat says
        self.conns: dict[int, Connection] = {}  # conn -> connection that it owns
        self.isolated: Connection | None = None  # the one of its kind that it has: see Connection.is_isolated
        self.isolated_since = 0.0
        self.turns_out = 0
        self.waiting: deque[Connection] = deque()  # owned, with messages that wait for a slot
        self.peers: list[int] = []  # boots of the bridges that it has links with, its home first
        self.groups: set[str] = set()  # that channels of its own are in; kept in step with core/groups.py
        self.asked: dict[tuple[int, ...], None] = {}  # routes of what it was passed and has not answered
        self.listened: set[str] = set()  # named channels; kept in step with core/background.py

    @property
    def free_slots(self) -> int:
        """Turns that may be given to it now; a large number where it knows no bound."""
        return self.hello.slots - self.turns_out if self.hello.slots else UNBOUNDED

    @property
    def takes_connections(self) -> bool:
        """Say whether a new connection may be placed here."""
        limit = self.hello.connections
        return self.state is Link.READY and (not limit or len(self.conns) < limit)

    def suits(self, conn: Connection) -> bool:
        """Say whether it may have this connection, as far as that is the connection's affair."""
        return self.takes_kind(conn.kind) and self.link_epoch not in conn.refused_by

    def takes_kind(self, kind: str) -> bool:
        """Say whether it is for connections of this kind: "http" or "websocket"."""
        return not self.hello.kinds or kind in self.hello.kinds

    @property
    def takes_turns(self) -> bool:
        """Say whether a turn may be given to it now: a silent worker finishes what it has."""
        return (self.state is Link.READY or self.state is Link.DRAINING) and self.free_slots > 0

    @property
    def has_time(self) -> bool:
        """Say whether it could take over a connection and run a turn of it at once."""
        return self.has_turns and self.takes_connections and self.free_slots > 0 and not self.waiting

    @property
    def load(self) -> tuple[int, int]:
        """What least-loaded placement compares: turns in flight, then connections."""
        return (self.turns_out + len(self.waiting), len(self.conns))


class Pool:
    """Workers that serve the same application, and the connections that wait for one of them."""

    __slots__ = ("ledger", "name", "said_lonely", "waiting", "workers")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ledger = Ledger()
        self.workers: list[Worker] = []
        self.waiting: deque[Connection] = deque()  # unowned, oldest first
        self.said_lonely = False  # the operator was told that it has no worker

    @property
    def is_mixed(self) -> bool:
        """Say whether some of its workers are for some kinds of connections only."""
        return any(worker.hello.kinds for worker in self.workers)

    def least_loaded(self, kind: str, refused_by: Collection[int] = (), *, isolated: bool = False) -> Worker | None:
        """Pick the worker for a new connection; None where none takes one. ``refused_by``: link epochs of some not.

        ``isolated``: one that has no other such connection.
        """
        workers = [worker for worker in self.workers if worker.takes_connections and worker.takes_kind(kind)]
        if refused_by:
            workers = [worker for worker in workers if worker.link_epoch not in refused_by]
        if isolated:
            workers = [worker for worker in workers if worker.isolated is None]
        if len(workers) < 2:
            return workers[0] if workers else None
        return min(workers, key=_load)

    def with_free_slot(self, conn: Connection) -> Worker | None:
        """Pick a worker that could run a turn of this connection at once; None where all are busy."""
        return min((w for w in self.workers if w.has_time and w.suits(conn)), key=_load, default=None)

    def waiting_for_others(self, worker: Worker) -> Connection | None:
        """Pick a connection that waits for a slot of a worker that has none, and that this one could take over."""
        for busy in self.workers:
            if busy.waiting and not busy.takes_turns:
                for conn in islice(busy.waiting, LOOKED_AT):
                    if conn.is_movable and not conn.is_isolated and worker.suits(conn):
                        return conn
        return None


def _load(worker: Worker) -> tuple[int, int]:
    return worker.load
