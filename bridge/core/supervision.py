"""Links: who is a worker of ours, and is it alive. States and their changes: shared/transitions.py."""

from __future__ import annotations

from collections.abc import Callable

from ...shared import frames
from ...shared.config import Config
from ...shared.liveness import Health, health
from ...shared.transitions import LINK, Link, LinkEvent, step
from .actions import Action, Forget, Log, Send
from .pool import Worker

RESET_EVERY = 1.0  # seconds between two RESETs to one peer: answers must not outnumber questions
ROLES = ("worker", "layer", "operator")
WITHOUT_POOLS = {"layer": "has a channel layer", "operator": "looks"}
STRANGERS = 1024  # peers without a link that are remembered for that
POOLS = 64  # that one process serves: people type them
KNOWN_POOLS = 1024  # that were ever served here: each keeps its ledger for as long as this process lives
POOL_NAME = 99  # characters, as of a channel's name
KINDS = frozenset({"http", "websocket"})  # of connections
PROCESS_NAME = 300  # characters: a host's name has 255, and a process id


class Supervisor:
    """The links of this bridge process."""

    def __init__(self, boot: int, config: Config, emit: Callable[[Action], None]) -> None:
        self._boot = boot
        self._config = config
        self._emit = emit
        self._link_epoch = 0  # of the newest link
        self._reset_at: dict[bytes, float] = {}  # peer without a link -> when it was told so last
        self._pools: set[str] = set()  # that were ever served here
        self.links: dict[bytes, Worker] = {}  # routing id -> worker
        self.processes: dict[int, Worker] = {}  # boot -> worker
        self.by_epoch: dict[int, Worker] = {}  # link epoch -> worker

    def hello(self, peer: bytes, hello: frames.Hello, now: float) -> Worker | None:
        """Let a worker in, or refuse it and return None. The caller has ended older links of the same process."""
        refusal = self._refusal(hello)
        if refusal is not None:
            self._emit(Send(peer, 0, refusal))
            self._emit(Log("warning", f"refused {hello.name[:PROCESS_NAME]}: {refusal.text}"))
            return None
        self._pools.update(hello.pools)
        self._link_epoch += 1
        worker = Worker(peer, self._link_epoch, hello, now)
        worker.state = step(LINK, worker.state, LinkEvent.HELLO)
        self.links[peer] = self.processes[hello.boot] = self.by_epoch[worker.link_epoch] = worker
        self._reset_at.pop(peer, None)
        config = self._config
        times = float(config.lease), float(config.beat)
        welcome = frames.Welcome(worker.link_epoch, self._boot, *times, config.max_message_bytes, config.turn_bytes)
        self._emit(Send(peer, worker.link_epoch, welcome))
        what = f"serves {', '.join(hello.pools)}" if hello.pools else WITHOUT_POOLS.get(hello.role, "has no pools")
        self._emit(Log("info", f"{hello.role} {hello.name} {what}"))
        return worker

    def _refusal(self, hello: frames.Hello) -> frames.Refuse | None:
        """Say why not; None: let it in. What a HELLO makes this process remember is bounded, whoever says it."""
        if hello.role not in ROLES:
            return frames.Refuse("role", f"a bridge serves workers and channel layers, not a {hello.role[:20]!r}")
        if hello.pools and hello.role != "worker":
            return frames.Refuse("role", f"only a worker serves pools, not a process of the role {hello.role!r}")
        if len(hello.name) > PROCESS_NAME:
            return frames.Refuse("name", f"the name of a process has at most {PROCESS_NAME} characters")
        if len(self.links) >= self._config.max_links:
            return frames.Refuse("links", f"this bridge has max_links = {self._config.max_links} links already")
        if not KINDS.issuperset(hello.kinds):
            return frames.Refuse("role", f"a worker is for connections of the kinds {', '.join(sorted(KINDS))}, or all")
        return self._refusal_of_pools(hello.pools)

    def _refusal_of_pools(self, pools: list[str]) -> frames.Refuse | None:
        if len(pools) > POOLS:
            return frames.Refuse("pools", f"a worker serves at most {POOLS} pools, not {len(pools)}")
        if not all(1 <= len(pool) <= POOL_NAME for pool in pools):
            return frames.Refuse("pools", f"the name of a pool has 1 to {POOL_NAME} characters")
        if len(self._pools.union(pools)) > KNOWN_POOLS:
            text = f"this bridge has had {KNOWN_POOLS} pools of different names: it takes others when it starts anew"
            return frames.Refuse("pools", text)
        return None

    def replaced_by(self, peer: bytes, hello: frames.Hello) -> list[Worker]:
        """Give the links that a HELLO ends: those of the same process, and what this peer was before."""
        return [link for link in self.links.values() if link.hello.boot == hello.boot or link.peer == peer]

    def heard(self, worker: Worker, now: float) -> bool:
        """Note that a worker lives. True if it was suspected: it takes work again."""
        worker.last_received = now
        if worker.state is not Link.SUSPECT:
            return False
        worker.state = step(LINK, worker.state, LinkEvent.HEARD)
        return True

    def beat(self, worker: Worker, beat: frames.Beat, now: float) -> None:
        """Answer a beat: the worker's lease runs from the time that we send back."""
        worker.oldest = beat.oldest
        self._emit(Send(worker.peer, worker.link_epoch, frames.Beat(now, beat.sent_at, 0.0)))

    def drain(self, worker: Worker) -> None:
        """Give it no new connections; it finishes what it has."""
        worker.state = step(LINK, worker.state, LinkEvent.DRAIN)
        self._emit(Log("info", f"worker {worker.hello.name} is draining"))

    @property
    def draining(self) -> list[Worker]:
        """Those that leave."""
        return [worker for worker in self.links.values() if worker.state is Link.DRAINING]

    def stranger(self, peer: bytes, now: float) -> None:
        """Tell a peer that speaks without a link of ours to start over; not more often than RESET_EVERY."""
        if now - self._reset_at.get(peer, -RESET_EVERY) < RESET_EVERY:
            return
        if len(self._reset_at) >= STRANGERS:
            self._reset_at.clear()
        self._reset_at[peer] = now
        self._emit(Send(peer, 0, frames.Reset("no link of this bridge")))

    def end(self, worker: Worker, event: LinkEvent) -> None:
        """Close a link for good. The caller deals with its connections."""
        worker.state = step(LINK, worker.state, event)
        self.links.pop(worker.peer, None)
        self.processes.pop(worker.hello.boot, None)
        self.by_epoch.pop(worker.link_epoch, None)
        self._emit(Forget(worker.peer))

    def silent(self, now: float) -> list[Worker]:
        """Suspect those that are silent for long; give those that are silent for too long."""
        dead: list[Worker] = []
        for worker in self.links.values():
            found = health(now, worker.last_received, self._config.suspect, self._config.verdict)
            if found is Health.DEAD:
                dead.append(worker)
            elif found is Health.SUSPECT and worker.state is Link.READY:
                worker.state = step(LINK, worker.state, LinkEvent.SILENT)
                self._emit(Log("warning", f"worker {worker.hello.name} is silent: it gets no new work"))
        return dead
