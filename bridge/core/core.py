"""The bridge's decisions: events of clients and frames of workers in, actions out.

No await, no I/O, no clock (``now`` is an argument: seconds, monotonic), no log. The entrances are
:meth:`Core.open`, :meth:`Core.event`, :meth:`Core.written` and :meth:`Core.close` for the ASGI side,
:meth:`Core.receive`, :meth:`Core.lost` and :meth:`Core.tick` for the link.

What a worker says of a connection counts if and only if link, link epoch and epoch are the present ones; what becomes
of it then is in commits.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...shared import frames
from ...shared.config import PROTOCOL, Config
from ...shared.frames import Frame
from ...shared.transitions import LinkEvent
from .actions import Action, Asked, Log, Send
from .admission import Admission
from .commits import OF_CONNECTIONS, Commits
from .connection import Connection
from .delivery import Delivery
from .dispatcher import Dispatcher
from .endings import Endings
from .layer import Layer
from .ledger import CHANNELS, Ledger
from .letters import Letter
from .pool import Pool, Worker
from .statistics import Statistics
from .supervision import Supervisor


class Core:
    """One bridge process: its connections, its workers, its groups."""

    def __init__(self, boot: int, config: Config, emit: Callable[[Action], None], *, has_engine: bool = False) -> None:
        self.boot = boot
        self.config = config
        self.emit = emit
        self.statistics = Statistics()
        self.connections: dict[int, Connection] = {}  # conn -> connection
        self.dispatcher = Dispatcher(config, emit)
        self.admission = Admission(config, self.connections)
        self.endings = Endings(emit, self.dispatcher, self.statistics)
        self.supervisor = Supervisor(boot, config, emit)
        delivery = Delivery(config, emit, self.dispatcher, self.statistics, self.refuse)
        self.layer = Layer(boot, config, emit, self.connections, self.supervisor, delivery, has_engine=has_engine)
        self.commits = Commits(config, emit, self.dispatcher, self.endings, self.layer, self.statistics)
        self._last = 0  # conn of the newest connection
        self._ticked_at = math.inf

    # -- the ASGI side -----------------------------------------------------------------------------------------

    def connection(self, kind: str, pool: str, scope: bytes, idempotent: bool, edge: object) -> Connection:
        """Make a connection. It begins with :meth:`open`."""
        self._last += 1
        return Connection(self._last, kind, self.dispatcher.pool(pool), scope, idempotent, edge)

    def open(self, conn: Connection, event: bytes | None, now: float, *, last: bool = False) -> None:
        """Begin a connection with its first message: find it a worker, or refuse it. ``last`` as in :meth:`event`.

        None: the client sends its request only if it is asked to (100-continue); a Room action says when.
        """
        self.dispatcher.now = now
        is_admitted = self.admission.admits(conn, now)
        self.connections[conn.id] = conn
        if not is_admitted:
            self.endings.finish(conn, "overload")
            return
        conn.closing = last
        if event is None:
            conn.parked = True
        else:
            self.dispatcher.append(conn, event)
        self.dispatcher.place(conn, now)

    def event(self, conn: Connection, event: bytes, *, last: bool = False) -> bool:
        """Take a message from the client; ``last`` where it is a disconnect.

        False: the journal is full, and the next message has to wait for a Room action.
        """
        if conn.finished or conn.closing:
            return True
        conn.closing = last
        self.dispatcher.append(conn, event)
        if conn.takes_from_client(self.config, self.dispatcher.crowded):
            return True
        conn.parked = True
        return False

    def written(self, conn: Connection, size: int) -> None:
        """Note that the server took ``size`` bytes of what Write actions gave it."""
        if conn.id in self.connections:
            self.dispatcher.written(conn, size)

    def gone(self, conn: Connection) -> None:
        """Note that the server says, on send, that the client is gone: the application's sends fail from now on."""
        self._cancel(conn, "gone")

    def reached(self, conn: Connection) -> None:
        """Note that the server is given something for the client: it has its answer, or the beginning of one."""
        conn.reached = True

    def answered(self, conn: Connection) -> bool:
        """Note that a consumer's answer is complete. False: its turn goes on; a Finish comes when it ends."""
        conn.answered = conn.turn != 0 and not conn.finished
        return not conn.answered

    def refuse(self, conn: Connection, outcome: str) -> None:
        """End a connection with an answer of the bridge's own (bridge/answers.py)."""
        if conn.finished:
            return
        self._cancel(conn, "closed")
        self.dispatcher.stop_waiting(conn)
        self.dispatcher.release(conn)
        self.endings.finish(conn, outcome)

    def replay(self, letter: Letter, farewell: bytes, edge: object, now: float) -> Connection:
        """Hand a dead letter to a worker again, on a connection without a client, with a disconnect behind it.

        One more worker that is lost with it sets it aside again.
        """
        conn = self.connection(letter.kind, letter.pool, letter.scope, True, edge)
        conn.state, conn.on_loss, conn.begun = letter.state, letter.on_loss, bool(letter.state)
        conn.attempt, conn.suspect_until, conn.lost_with = 1, 1, letter.workers[:1]
        conn.closing = True
        self.connections[conn.id] = conn
        self.dispatcher.append(conn, letter.event)
        self.dispatcher.append(conn, farewell)
        self.dispatcher.place(conn, now)
        return conn

    def stop(self) -> None:
        """End every connection: this bridge stops."""
        for conn in list(self.connections.values()):
            self.refuse(conn, "drain")

    def close(self, conn: Connection) -> None:
        """End a connection: its ASGI call is over. Nothing of it is left here afterwards."""
        if self.connections.pop(conn.id, None) is None:
            return
        self._cancel(conn, "closed")
        conn.finished = True
        if conn.groups:
            self.layer.groups.drop(conn)
        self.dispatcher.close(conn)

    # -- the ledger --------------------------------------------------------------------------------------------

    @property
    def ledgers(self) -> dict[str, Ledger]:
        """Pool -> its ledger; CHANNELS -> that of all named channels."""
        pools = {name: pool.ledger for name, pool in self.dispatcher.pools.items()}
        return {**pools, CHANNELS: self.layer.background.ledger}

    def in_flight(self) -> dict[str, int]:
        """Count the messages that are here, where they lie."""
        counted = dict.fromkeys(self.ledgers, 0)
        for conn in self.connections.values():
            counted[conn.pool.name] += len(conn.journal)
        counted[CHANNELS] = self.layer.background.waiting
        return counted

    def balance(self) -> dict[str, int]:
        """Give what each ledger cannot explain: 0."""
        here = self.in_flight()
        return {name: ledger.balance(here[name]) for name, ledger in self.ledgers.items()}

    # -- the workers' side -------------------------------------------------------------------------------------

    def receive(self, peer: bytes, link_epoch: int, received: Sequence[Frame], now: float) -> None:
        """Take what a worker sent."""
        self.dispatcher.now = now
        if type(received[0]) is frames.Hello:
            self._hello(peer, received[0], now)
            return
        worker = self.supervisor.links.get(peer)
        if worker is None or worker.link_epoch != link_epoch:
            self.statistics.fenced += len(received)
            self.supervisor.stranger(peer, now)
            return
        if self.supervisor.heard(worker, now):
            self.dispatcher.serve(worker)
        for done, frame in enumerate(received):
            if not self._frame(worker, frame, now):
                self.statistics.fenced += len(received) - done - 1  # it has ended its own link
                return
        self.dispatcher.pump_worker(worker)  # slots that commits have freed, given out in one go

    def _frame(self, worker: Worker, frame: Frame, now: float) -> bool:
        """Act on a frame. False: the link is over."""
        if isinstance(frame, OF_CONNECTIONS):
            conn = self.connections.get(frame.conn)
            if conn is None or conn.owner is not worker or conn.epoch != frame.epoch or conn.finished:
                self.statistics.fenced += 1
            else:
                self.commits.take(worker, conn, frame, now)
        elif isinstance(frame, frames.Goodbye):
            self._end_links([worker], LinkEvent.GOODBYE, now)
            return False
        elif isinstance(frame, frames.Beat):
            self.supervisor.beat(worker, frame, now)
        elif isinstance(frame, frames.Drain):
            self.supervisor.drain(worker)
            self.dispatcher.hand_over(worker, HAND_OVER)
        elif not (self._asked(worker, frame) or self.layer.frame(worker, frame, now)):
            self.statistics.malformed += 1  # a frame that only bridges send
        return True

    def _asked(self, worker: Worker, frame: Frame) -> bool:
        """Pass an operator's question on. False: it is none, or not an operator's."""
        if not isinstance(frame, frames.Query) or worker.hello.role != "operator":
            return False
        self.emit(Asked(worker.peer, worker.link_epoch, frame))
        return True

    def malformed(self, peer: bytes, version: int | None, now: float) -> None:
        """Count a message that could not be decoded; tell a peer of another protocol version what is wrong.

        A worker of ours that sends such is out of its mind, and what it meant to say is lost: its link ends.
        """
        self.statistics.malformed += 1
        self.lost(peer, now)
        if version is not None and version != PROTOCOL:
            text = f"this bridge speaks protocol version {PROTOCOL}, not {version}: install the same release on both"
            self.emit(Send(peer, 0, frames.Refuse("version", text)))
            self.emit(Log("warning", f"refused a worker of protocol version {version}"))

    def lost(self, peer: bytes, now: float) -> None:
        """Note that the socket knows this peer no more: its process died or its connection was cut."""
        worker = self.supervisor.links.get(peer)
        if worker is not None:
            self._end_links([worker], LinkEvent.LOST, now)

    def tick(self, now: float) -> None:
        """Look at the timers."""
        if now - self._ticked_at > self.config.suspect:  # this process stood still: nobody was heard, and nobody waited
            self._forgive(now - self._ticked_at)
        self._ticked_at = self.dispatcher.now = now
        self._end_links(self.supervisor.silent(now), LinkEvent.LOST, now)
        self.layer.tick(now)
        self.dispatcher.place_held(now)
        self.dispatcher.look_at_isolated(self.supervisor.links.values(), now)
        for worker in self.supervisor.draining:
            self.dispatcher.hand_over(worker, HAND_OVER)
        for conn in list(self.admission.expired(self.dispatcher.pools.values(), now)):
            self._say_lonely(conn.pool)
            self.endings.finish(conn, "no-worker")
        for conn in list(self.admission.overdue(self.supervisor.links.values(), now)):
            self.refuse(conn, "overload")
        for conn in list(self.admission.unanswered(now)):
            self.refuse(conn, "timeout")
        for conn in list(self.admission.slow(now)):
            self.refuse(conn, "slow")

    def _forgive(self, seconds: float) -> None:
        """Let nobody's time be over by this."""
        for worker in self.supervisor.links.values():
            worker.last_received += seconds
        for conn in self.connections.values():
            if conn.waits_since:
                conn.waits_since += seconds

    def _say_lonely(self, pool: Pool) -> None:
        """Tell the operator, once until a worker comes, that a pool has none."""
        if not pool.workers and not pool.said_lonely:
            pool.said_lonely = True
            where = "is channels-worker up, with this bridge's address?"
            self.emit(Log("warning", f"no worker for the pool {pool.name!r}: {where}"))

    # -- links -------------------------------------------------------------------------------------------------

    def _hello(self, peer: bytes, hello: frames.Hello, now: float) -> None:
        for link in self.supervisor.replaced_by(peer, hello):
            self._end_links([link], LinkEvent.LOST, now, alive=link.hello.boot == hello.boot)
        worker = self.supervisor.hello(peer, hello, now)
        if worker is not None:
            for pool in self.dispatcher.pools_of(worker):
                pool.workers.append(worker)
                pool.said_lonely = False
            self.dispatcher.serve(worker)

    def _end_links(self, workers: Sequence[Worker], event: LinkEvent, now: float, *, alive: bool = False) -> None:
        """Close links for good; all of them before the first of their connections moves to another worker.

        ``alive``: the process has a new link; what it had in its hands has not ended it.
        """
        for worker in workers:
            for pool in self.dispatcher.pools_of(worker):
                pool.workers.remove(worker)
            self.supervisor.end(worker, event)
            self.layer.lose(worker, now)
            if event is LinkEvent.LOST:
                self.endings.blame(worker, alive=alive)
        for worker in workers:
            if event is LinkEvent.LOST and worker.hello.role == "worker":
                self.statistics.lost_workers += 1
                text = f"worker {worker.hello.name} is lost, with {len(worker.conns)} connections"
                self.emit(Log("warning", text))
            for conn in list(worker.conns.values()):
                self.endings.orphan(conn, event, now)

    def _cancel(self, conn: Connection, reason: str) -> None:
        """Tell the owner, if there is one, that nothing of the connection reaches the client any more."""
        if conn.owner is not None:
            self._send(conn.owner, frames.Cancel(conn.id, conn.epoch, reason))

    def _send(self, worker: Worker, frame: Frame) -> None:
        self.emit(Send(worker.peer, worker.link_epoch, frame))


HAND_OVER = 64  # connections that a draining worker gives away at once; the rest at the next ticks
