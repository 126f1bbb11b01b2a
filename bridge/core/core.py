"""The bridge's decisions: events of clients and frames of workers in, actions out.

No await, no I/O, no clock (``now`` is an argument: seconds, monotonic), no log. The entrances are
:meth:`Core.open`, :meth:`Core.event`, :meth:`Core.written` and :meth:`Core.close` for the ASGI side,
:meth:`Core.receive`, :meth:`Core.lost` and :meth:`Core.tick` for the link.

The commit rule, which the rest hangs on: what a worker says of a connection counts if and only if link, link
epoch and epoch are the present ones, and a COMMIT's ``seq`` is ``acked + 1``. Then all of it happens, else none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...shared import frames
from ...shared.config import ENVELOPE, PROTOCOL, Config
from ...shared.frames import Frame
from ...shared.transitions import Link, LinkEvent
from .actions import Action, Asked, Log, Send, Write
from .admission import Admission
from .connection import Connection
from .delivery import Delivery
from .dispatcher import MAX_ATTEMPTS, Dispatcher
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
        self._last = 0  # conn of the newest connection

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
            self._finish(conn, "overload")
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

    def refuse(self, conn: Connection, outcome: str) -> None:
        """End a connection with an answer of the bridge's own (bridge/answers.py)."""
        if conn.finished:
            return
        self._cancel(conn, "closed")
        self.dispatcher.stop_waiting(conn)
        self.dispatcher.release(conn)
        self._finish(conn, outcome)

    def replay(self, letter: Letter, farewell: bytes, edge: object, now: float) -> Connection:
        """Hand a dead letter to a worker again, on a connection without a client, with a disconnect behind it.

        One more worker that is lost with it sets it aside again.
        """
        conn = self.connection(letter.kind, letter.pool, letter.scope, True, edge)
        conn.state, conn.on_loss, conn.begun = letter.state, letter.on_loss, bool(letter.state)
        conn.attempt, conn.lost_with = MAX_ATTEMPTS - 1, letter.workers[: MAX_ATTEMPTS - 1]
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
        """Give what the ledgers cannot explain: 0 for each, else messages were lost, or came from nowhere."""
        here = self.in_flight()
        return {name: ledger.accepted - ledger.ended - here[name] for name, ledger in self.ledgers.items()}

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
        if isinstance(frame, _OF_CONNECTIONS):
            conn = self.connections.get(frame.conn)
            if conn is None or conn.owner is not worker or conn.epoch != frame.epoch or conn.finished:
                self.statistics.fenced += 1
            elif isinstance(frame, frames.Output):
                self._output(conn, frame)
            elif isinstance(frame, frames.Unresumable):
                self._unresumable(worker, conn, frame, now)
            elif isinstance(frame, frames.Save):
                self._save(worker, conn, frame)
            else:
                self._of_turn(worker, conn, frame, now)
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
        self.dispatcher.now = now
        self._end_links(self.supervisor.silent(now), LinkEvent.LOST, now)
        self.layer.tick(now)
        self.dispatcher.place_held(now)
        for worker in self.supervisor.draining:
            self.dispatcher.hand_over(worker, HAND_OVER)
        for conn in list(self.dispatcher.expired(now)):
            self._say_lonely(conn.pool)
            self._finish(conn, "no-worker")
        for conn in list(self.admission.overdue(self.supervisor.links.values(), now)):
            self.refuse(conn, "overload")
        for conn in list(self.admission.slow(now)):
            self.refuse(conn, "slow")

    def _say_lonely(self, pool: Pool) -> None:
        """Tell the operator, once until a worker comes, that a pool has none."""
        if not pool.workers and not pool.said_lonely:
            pool.said_lonely = True
            where = "is channels-worker up, with this bridge's address?"
            self.emit(Log("warning", f"no worker for the pool {pool.name!r}: {where}"))

    # -- links -------------------------------------------------------------------------------------------------

    def _hello(self, peer: bytes, hello: frames.Hello, now: float) -> None:
        self._end_links(self.supervisor.replaced_by(peer, hello), LinkEvent.LOST, now)
        worker = self.supervisor.hello(peer, hello, now)
        if worker is not None:
            for pool in self.dispatcher.pools_of(worker):
                pool.workers.append(worker)
                pool.said_lonely = False
            self.dispatcher.serve(worker)

    def _end_links(self, workers: Sequence[Worker], event: LinkEvent, now: float) -> None:
        """Close links for good; all of them before the first of their connections moves to another worker."""
        for worker in workers:
            for pool in self.dispatcher.pools_of(worker):
                pool.workers.remove(worker)
            self.supervisor.end(worker, event)
            self.layer.lose(worker, now)
        for worker in workers:
            if event is LinkEvent.LOST and worker.hello.role == "worker":
                self.statistics.lost_workers += 1
                text = f"worker {worker.hello.name} is lost, with {len(worker.conns)} connections"
                self.emit(Log("warning", text))
            for conn in list(worker.conns.values()):
                self.endings.orphan(conn, worker, event, now)

    # -- what workers say of connections -----------------------------------------------------------------------

    def _output(self, conn: Connection, frame: frames.Output) -> None:
        if frame.acked > conn.sent or frame.outcome not in OUTCOMES or (conn.turns and (frame.acked or frame.outcome)):
            self.statistics.malformed += 1
            return
        if frame.acked:
            self.dispatcher.acknowledge(conn, frame.acked)
        elif conn.parked and not (conn.seq or frame.events or frame.outcome):
            self.dispatcher.ask(conn)
        if frame.outcome:
            self.dispatcher.release(conn)
            self.dispatcher.received(conn, sum(map(len, frame.events)), from_owner=True)
            self._finish(conn, frame.outcome, frame.text, frame.events)
        elif frame.events:
            self._write(conn, frame.events, from_owner=True)

    def _of_turn(self, worker: Worker, conn: Connection, frame: OfTurn, now: float) -> None:
        if not conn.turns:
            self.statistics.malformed += 1
        elif isinstance(frame, frames.Commit):
            self._commit(worker, conn, frame, now)
        else:
            self.dispatcher.release(conn)
            if frame.seq == conn.acked + 1 <= conn.sent:
                self.dispatcher.acknowledge(conn, frame.seq)
            self._finish(conn, "timeout" if frame.outcome == "timeout" else "raised", frame.text)

    def _save(self, worker: Worker, conn: Connection, frame: frames.Save) -> None:
        if conn.turns or frame.acked > conn.sent or not self._fits(frame.state):
            self.statistics.malformed += 1
            return
        conn.on_loss, conn.state = "replay", frame.state or conn.state
        if frame.acked:
            self.dispatcher.acknowledge(conn, frame.acked)
        if frame.events:
            self._write(conn, frame.events, from_owner=True)
        if worker.state is Link.DRAINING:
            self.dispatcher.shed(conn)

    def _fits(self, state: bytes) -> bool:
        return len(state) <= self.config.state_bytes + ENVELOPE

    def _unresumable(self, worker: Worker, conn: Connection, frame: frames.Unresumable, now: float) -> None:
        """Offer a connection to a worker of another release: this one cannot read the state."""
        self.emit(Log("warning", f"worker {worker.hello.name} cannot resume connection {conn.id}: {frame.text[:200]}"))
        conn.refused_by += (worker.link_epoch,)
        self.dispatcher.release(conn)
        conn.sent = conn.acked
        if conn.pool.least_loaded(conn.refused_by) is None:
            self._finish(conn, "drain")
        else:
            self.dispatcher.place(conn, now)

    def _commit(self, worker: Worker, conn: Connection, frame: frames.Commit, now: float) -> None:
        if frame.on_loss not in ("", *frames.ON_LOSS) or not self._fits(frame.state):
            self.statistics.malformed += 1
            self.dispatcher.release(conn)
            self._finish(conn, "raised", "its state is too long, or its on_loss is unknown")
            return
        resumed = conn.turn != 0 and frame.seq == conn.turn == conn.acked  # the rest of a turn that flushed
        if not resumed:
            if frame.seq != conn.acked + 1 or frame.seq > conn.sent or conn.turn:
                self.statistics.fenced += 1
                return
            self.dispatcher.acknowledge(conn, frame.seq)
            conn.turn = frame.seq  # until it is done: what it sends to itself must not find it idle
        if frame.on_loss:
            conn.on_loss, conn.state = frame.on_loss, frame.state or conn.state
        self._apply(worker, conn, frame.effects, now)
        if frame.done and conn.owner is worker:
            self._turn_done(worker, conn)

    def _apply(self, worker: Worker, conn: Connection, effects: Sequence[frames.Effect], now: float) -> None:
        for_others: list[frames.LayerFrame] = []
        for effect in effects:
            if isinstance(effect, bytes):
                if not conn.finished:  # its own group message may have ended it (slow_member = "close")
                    self._write(conn, [effect], from_owner=True)
            elif self.layer.effect(worker, effect, now):
                for_others.append(effect)
        if for_others:
            self.layer.relay(worker, for_others, now)

    def _turn_done(self, worker: Worker, conn: Connection) -> None:
        conn.turn = 0
        worker.turns_out -= 1
        if conn.closing and conn.acked == conn.seq:
            self._finish(conn, "returned")
        elif not (worker.state is Link.DRAINING and self.dispatcher.shed(conn)):
            self.dispatcher.queue(conn)

    def _write(self, conn: Connection, events: list[bytes], *, from_owner: bool) -> None:
        self.dispatcher.received(conn, sum(map(len, events)), from_owner=from_owner)
        self.emit(Write(conn, events))

    def _finish(self, conn: Connection, outcome: str, text: str = "", events: Sequence[bytes] = ()) -> None:
        self.endings.finish(conn, outcome, text, events)

    def _cancel(self, conn: Connection, reason: str) -> None:
        """Tell the owner, if there is one, that nothing of the connection reaches the client any more."""
        if conn.owner is not None:
            self._send(conn.owner, frames.Cancel(conn.id, conn.epoch, reason))

    def _send(self, worker: Worker, frame: Frame) -> None:
        self.emit(Send(worker.peer, worker.link_epoch, frame))


HAND_OVER = 64  # connections that a draining worker gives away at once; the rest at the next ticks
OfTurn = frames.Commit | frames.Failed
OUTCOMES = ("", "returned", "raised", "disconnected")
_OF_CONNECTIONS = (frames.Output, frames.Commit, frames.Failed, frames.Unresumable, frames.Save)
