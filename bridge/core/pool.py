"""Workers as the bridge sees them, and the pools that they serve."""

from __future__ import annotations

from collections import deque

from ...shared.frames import Hello
from ...shared.transitions import Link
from .connection import Connection


class Worker:
    """One link: a worker process, from its first frame to its end. The core alone changes it."""

    __slots__ = (
        "conns",
        "hello",
        "last_received",
        "link_epoch",
        "peer",
        "since",
        "state",
        "turns_out",
        "waiting",
    )

    def __init__(self, peer: bytes, link_epoch: int, now: float) -> None:
        self.peer = peer
        self.link_epoch = link_epoch
        self.state = Link.NEW
        self.since = now
        self.last_received = now
        self.hello: Hello | None = None
        self.conns: dict[int, Connection] = {}  # conn -> connection that it owns
        self.turns_out = 0
        self.waiting: deque[Connection] = deque()  # owned, with messages that wait for a slot

    @property
    def name(self) -> str:
        """For people."""
        return self.hello.name if self.hello is not None else "a worker that said nothing yet"

    @property
    def has_turns(self) -> bool:
        """True: it hosts consumers. False: ASGI applications."""
        return self.hello is not None and self.hello.turns

    @property
    def free_slots(self) -> int:
        """Turns that may be given to it now; a large number where it knows no bound."""
        if self.hello is None or not self.hello.slots:
            return 1_000_000
        return self.hello.slots - self.turns_out

    @property
    def takes_connections(self) -> bool:
        """Say whether a new connection may be placed here."""
        if self.hello is None or self.state is not Link.READY:
            return False
        return not self.hello.connections or len(self.conns) < self.hello.connections

    @property
    def load(self) -> tuple[int, int]:
        """What least-loaded placement compares: turns in flight, then connections."""
        return (self.turns_out + len(self.waiting), len(self.conns))


class Pool:
    """Workers that serve the same application, and the connections that wait for one of them."""

    __slots__ = ("name", "waiting", "workers")

    def __init__(self, name: str) -> None:
        self.name = name
        self.workers: list[Worker] = []
        self.waiting: deque[Connection] = deque()  # unowned, oldest first

    def least_loaded(self) -> Worker | None:
        """Pick the worker for a new connection; None where none takes one."""
        best: Worker | None = None
        for worker in self.workers:
            if worker.takes_connections and (best is None or worker.load < best.load):
                best = worker
        return best
