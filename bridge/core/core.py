"""The bridge's decisions: events of clients and frames of workers in, actions out.

No await, no I/O, no clock (``now`` is an argument: seconds, monotonic), no log. The entrances are
:meth:`Core.open`, :meth:`Core.event`, :meth:`Core.written` and :meth:`Core.close` for the ASGI side,
:meth:`Core.receive`, :meth:`Core.lost` and :meth:`Core.tick` for the link.

The commit rule, which the rest hangs on: what a worker says of a connection counts if and only if link, link
epoch and epoch are the present ones, and a COMMIT's ``seq`` is ``acked + 1``. Then all of it happens, else none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...shared import frames
from ...shared.config import PROTOCOL, Config
from ...shared.frames import Frame
from ...shared.names import parse_owned
from ...shared.transitions import LinkEvent
from .actions import Action, Finish, Log, Send, Write
from .connection import Connection
from .dispatcher import Dispatcher
from .groups import Groups
from .pool import Worker
from .supervision import Supervisor


@dataclass(slots=True)
class Statistics:
    """Counters of what did not go the usual way; each is a fact, none is an error of its own."""

    fenced: int = 0  # frames about a connection from a worker that does not own it (any more)
    malformed: int = 0  # messages that were not of this protocol
    dropped: int = 0  # messages of groups and channels that a full connection did not take
    unknown: int = 0  # messages to channels that are gone
    lost_workers: int = 0


class Core:
    """One bridge process: its connections, its workers, its groups."""

    def __init__(self, boot: int, config: Config, emit: Callable[[Action], None]) -> None:
        self.boot = boot
        self.config = config
        self.emit = emit
        self.statistics = Statistics()
        self.connections: dict[int, Connection] = {}  # conn -> connection
        self.groups = Groups()
        self.dispatcher = Dispatcher(config, emit)
        self.supervisor = Supervisor(boot, config, emit)
        self._last = 0  # conn of the newest connection

    # -- the ASGI side -----------------------------------------------------------------------------------------

    def open(self, kind: str, pool: str, scope: bytes, idempotent: bool, edge: object, now: float) -> Connection:
        """Begin a connection and find it a worker. Its first message follows through :meth:`event`."""
        self._last += 1
        conn = Connection(self._last, kind, pool, scope, idempotent, edge)
        self.connections[conn.id] = conn
        self.dispatcher.place(conn, now)
        return conn

    def event(self, conn: Connection, event: bytes, last: bool) -> None:
        """Take a message from the client; ``last`` where it is a disconnect. See :meth:`room` before the next."""
        if not conn.finished and not conn.closing:
            conn.closing = last
            self.dispatcher.append(conn, event)

    def room(self, conn: Connection) -> bool:
        """Say whether the next message may be read from the client. False: a Room action follows."""
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
        if conn.owner is not None:
            self._send(conn.owner, frames.Cancel(conn.id, conn.epoch, "gone"))

    def close(self, conn: Connection) -> None:
        """End a connection: its ASGI call is over. Nothing of it is left here afterwards."""
        if self.connections.pop(conn.id, None) is None:
            return
        if conn.owner is not None:
            self._send(conn.owner, frames.Cancel(conn.id, conn.epoch, "closed"))
        conn.finished = True
        self.groups.drop(conn)
        self.dispatcher.close(conn)

    # -- the workers' side -------------------------------------------------------------------------------------

    def receive(self, peer: bytes, link_epoch: int, received: Sequence[Frame], now: float) -> None:
        """Take what a worker sent."""
        worker = self.supervisor.links.get(peer)
        if type(received[0]) is frames.Hello:
            self._hello(peer, received[0], now)
            return
        if worker is None or worker.link_epoch != link_epoch:
            self.statistics.fenced += len(received)
            self.supervisor.stranger(peer, now)
            return
        if self.supervisor.heard(worker, now):
            self._serve(worker)
        for frame in received:
            self._frame(worker, frame, now)

    def _frame(self, worker: Worker, frame: Frame, now: float) -> None:
        if isinstance(frame, frames.Output | frames.Commit | frames.Failed | frames.End):
            conn = self.connections.get(frame.conn)
            if conn is None or conn.owner is not worker or conn.epoch != frame.epoch or conn.finished:
                self.statistics.fenced += 1
            else:
                self._of_connection(worker, conn, frame)
        elif isinstance(frame, frames.Acks):
            self._acks(worker, frame.flat)
        elif isinstance(frame, frames.LayerFrame):
            self._layer(frame)
        else:
            self._of_link(worker, frame, now)

    def _of_connection(
        self, worker: Worker, conn: Connection, frame: frames.Output | frames.Commit | frames.Failed | frames.End
    ) -> None:
        """Act on a frame that came from the owner under the present epoch."""
        if isinstance(frame, frames.Output):
            self._write(conn, frame.event, from_owner=True)
        elif isinstance(frame, frames.Commit):
            self._commit(worker, conn, frame)
        elif isinstance(frame, frames.Failed):
            self._finish(conn, "raised", frame.text)
        else:
            self.dispatcher.release(conn)
            self._finish(conn, frame.outcome, frame.text)

    def _of_link(self, worker: Worker, frame: Frame, now: float) -> None:
        if type(frame) is frames.Beat:
            self.supervisor.beat(worker, frame, now)
        elif type(frame) is frames.Drain:
            self.supervisor.drain(worker)
        elif type(frame) is frames.Goodbye:
            self._end_link(worker, LinkEvent.GOODBYE, now)
        else:
            self.statistics.malformed += 1  # a frame that only bridges send

    def malformed(self, peer: bytes, version: int | None, now: float) -> None:
        """Count a message that could not be decoded; tell a peer of another protocol version what is wrong."""
        self.statistics.malformed += 1
        if version is not None and version != PROTOCOL:
            text = f"this bridge speaks protocol version {PROTOCOL}, not {version}: install the same release on both"
            self.emit(Send(peer, 0, frames.Refuse("version", text)))
            self.emit(Log("warning", f"refused a worker of protocol version {version}"))

    def lost(self, peer: bytes, now: float) -> None:
        """Note that the socket knows this peer no more: its process died or its connection was cut."""
        worker = self.supervisor.links.get(peer)
        if worker is not None:
            self._end_link(worker, LinkEvent.LOST, now)

    def tick(self, now: float) -> None:
        """Look at the timers."""
        for worker in self.supervisor.silent(now):
            self._end_link(worker, LinkEvent.LOST, now)
        for conn in self.dispatcher.expired(now):
            self._finish(conn, "no-worker", "")

    # -- links -------------------------------------------------------------------------------------------------

    def _hello(self, peer: bytes, hello: frames.Hello, now: float) -> None:
        for older in self.supervisor.of_process(hello.boot):
            self._end_link(older, LinkEvent.LOST, now)
        worker = self.supervisor.hello(peer, hello, now)
        if worker is not None:
            for name in hello.pools:
                self.dispatcher.pool(name).workers.append(worker)
            self._serve(worker)

    def _serve(self, worker: Worker) -> None:
        for name in worker.hello.pools if worker.hello is not None else ():
            self.dispatcher.serve_waiting(self.dispatcher.pool(name))

    def _end_link(self, worker: Worker, event: LinkEvent, now: float) -> None:
        for name in worker.hello.pools if worker.hello is not None else ():
            self.dispatcher.pool(name).workers.remove(worker)
        self.supervisor.end(worker, event)
        drained = event is LinkEvent.GOODBYE
        if not drained:
            self.statistics.lost_workers += 1
            self.emit(Log("warning", f"worker {worker.name} is lost, with {len(worker.conns)} connections"))
        worker.waiting.clear()
        for conn in list(worker.conns.values()):
            conn.queued = False
            self._orphan(conn, drained, now)

    def _orphan(self, conn: Connection, drained: bool, now: float) -> None:
        self.dispatcher.release(conn)
        if conn.finished:
            return
        conn.attempt += 0 if drained else 1
        if self.dispatcher.may_move(conn):
            self.dispatcher.place(conn, now)
        else:
            self._finish(conn, "drain" if drained else "worker-lost", "")

    # -- what workers say of connections -----------------------------------------------------------------------

    def _acks(self, worker: Worker, flat: list[int]) -> None:
        for conn_id, epoch, seq in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
            conn = self.connections.get(conn_id)
            if conn is None or conn.owner is not worker or conn.epoch != epoch or seq > conn.sent:
                self.statistics.fenced += 1
            else:
                self.dispatcher.acknowledge(conn, seq)

    def _commit(self, worker: Worker, conn: Connection, frame: frames.Commit) -> None:
        resumed = conn.turn != 0 and frame.seq == conn.turn == conn.acked  # the rest of a turn that flushed
        if not resumed and (frame.seq != conn.acked + 1 or frame.seq > conn.sent or conn.turn):
            self.statistics.fenced += 1
            return
        if not resumed:
            self.dispatcher.acknowledge(conn, frame.seq)
        for effect in frame.effects:
            if isinstance(effect, bytes):
                self._write(conn, effect, from_owner=True)
            else:
                self._layer(effect)
        if frame.foreign:
            self._send(worker, frames.Applied(conn.id, conn.epoch, frame.seq))
        if frame.done:
            self._turn_done(worker, conn)
        else:
            conn.turn = frame.seq

    def _turn_done(self, worker: Worker, conn: Connection) -> None:
        conn.turn = 0
        worker.turns_out -= 1
        if conn.closing and conn.acked == conn.seq:
            self._finish(conn, "returned", "")
        else:
            self.dispatcher.pump(conn)
        self.dispatcher.pump_worker(worker)

    def _write(self, conn: Connection, event: bytes, from_owner: bool) -> None:
        self.dispatcher.received(conn, len(event), from_owner)
        self.emit(Write(conn, event))

    def _finish(self, conn: Connection, outcome: str, text: str) -> None:
        conn.finished = True
        self.emit(Finish(conn, outcome, text))

    def _send(self, worker: Worker, frame: Frame) -> None:
        self.emit(Send(worker.peer, worker.link_epoch, frame))

    # -- the channel layer -------------------------------------------------------------------------------------

    def _layer(self, frame: frames.LayerFrame) -> None:
        if isinstance(frame, frames.GroupSend):
            exclude = [owned for name in frame.exclude if (owned := parse_owned(name)) is not None]
            for role, conn in self.groups.members(frame.group, exclude):
                self._deliver(role, conn, frame.event)
            return
        found = self._find(frame.channel)
        if found is None:
            self.statistics.unknown += 1
        elif isinstance(frame, frames.GroupAdd):
            self.groups.add(frame.group, *found)
        elif isinstance(frame, frames.GroupDiscard):
            self.groups.discard(frame.group, *found)
        else:
            self._deliver(*found, frame.event)

    def _find(self, channel: str) -> tuple[str, Connection] | None:
        owned = parse_owned(channel)
        conn = self.connections.get(owned.conn) if owned is not None and owned.bridge == self.boot else None
        return None if owned is None or conn is None else (owned.role, conn)

    def _deliver(self, role: str, conn: Connection, event: bytes) -> None:
        if conn.finished or conn.closing:
            self.statistics.unknown += 1
        elif role == "reply":
            if conn.buffered >= self.config.window_bytes:
                self.statistics.dropped += 1
            else:
                self._write(conn, event, from_owner=False)
        elif conn.takes_from_others(self.config):
            self.dispatcher.append(conn, event)
        else:
            self.statistics.dropped += 1
