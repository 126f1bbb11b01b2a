"""What workers say of connections that are theirs: the commit rule.

The core has seen that link, link epoch and epoch are the present ones. A COMMIT counts if its ``seq`` is ``acked + 1``;
then all of it happens, else none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...shared import frames
from ...shared.config import ENVELOPE, Config
from ...shared.transitions import Link
from .actions import Action, Log, Write
from .connection import Connection
from .dispatcher import Dispatcher
from .endings import Endings
from .layer import Layer
from .pool import Worker
from .statistics import Statistics

OfTurn = frames.Commit | frames.Failed
OfConnection = OfTurn | frames.Output | frames.Save | frames.Resumed | frames.Unresumable
OF_CONNECTIONS = (
    frames.Output, frames.Commit, frames.Failed, frames.Unresumable, frames.Save, frames.Resumed,
)  # fmt: skip
OUTCOMES = ("", "returned", "raised", "disconnected")


class Commits:
    """Applies what the owner of a connection has done."""

    def __init__(
        self,
        config: Config,
        emit: Callable[[Action], None],
        dispatcher: Dispatcher,
        endings: Endings,
        layer: Layer,
        statistics: Statistics,
    ) -> None:
        self._config = config
        self._emit = emit
        self._dispatcher = dispatcher
        self._endings = endings
        self._layer = layer
        self._statistics = statistics

    def take(self, worker: Worker, conn: Connection, frame: OfConnection, now: float) -> None:
        """Take what the present owner says of a connection."""
        if isinstance(frame, frames.Output):
            self._output(conn, frame)
        elif isinstance(frame, frames.Save):
            self._save(worker, conn, frame)
        elif isinstance(frame, frames.Resumed):
            self._dispatcher.resumed(conn)
        elif isinstance(frame, frames.Unresumable):
            self._unresumable(worker, conn, frame, now)
        else:
            self._of_turn(worker, conn, frame, now)

    def _output(self, conn: Connection, frame: frames.Output) -> None:
        by_turns = conn.turns and (frame.acked or frame.outcome)  # a consumer says such by its commits
        if by_turns or frame.outcome not in OUTCOMES or not self._may_acknowledge(conn, frame.acked):
            self._statistics.malformed += 1
            return
        if frame.acked:
            self._dispatcher.acknowledge(conn, frame.acked)
        elif conn.parked and not (conn.seq or frame.events or frame.outcome):
            self._dispatcher.ask(conn)
        if frame.outcome:
            self._dispatcher.release(conn)
            self._dispatcher.received(conn, sum(map(len, frame.events)), from_owner=True)
            self._endings.finish(conn, frame.outcome, frame.text, frame.events)
        elif frame.events:
            self._write(conn, frame.events, from_owner=True)

    def _of_turn(self, worker: Worker, conn: Connection, frame: OfTurn, now: float) -> None:
        if not conn.turns:
            self._statistics.malformed += 1
        elif isinstance(frame, frames.Commit):
            self._commit(worker, conn, frame, now)
        else:
            self._dispatcher.release(conn)
            if frame.seq == conn.acked + 1 <= conn.sent:
                self._dispatcher.acknowledge(conn, frame.seq)
            self._endings.finish(conn, "timeout" if frame.outcome == "timeout" else "raised", frame.text)

    def _save(self, worker: Worker, conn: Connection, frame: frames.Save) -> None:
        if conn.turns or not self._may_acknowledge(conn, frame.acked) or not self._fits(frame.state):
            self._statistics.malformed += 1
            return
        conn.on_loss, conn.state = "replay", frame.state or conn.state
        if frame.acked:
            self._dispatcher.acknowledge(conn, frame.acked)
        if frame.events:
            self._write(conn, frame.events, from_owner=True)
        if worker.state is Link.DRAINING:
            self._dispatcher.shed(conn)

    def _may_acknowledge(self, conn: Connection, seq: int) -> bool:
        return not seq or conn.acked <= seq <= conn.sent

    def _fits(self, state: bytes) -> bool:
        return len(state) <= self._config.state_bytes + ENVELOPE

    def _unresumable(self, worker: Worker, conn: Connection, frame: frames.Unresumable, now: float) -> None:
        """Offer a connection to a worker of another release: this one cannot read the state."""
        self._emit(Log("warning", f"worker {worker.hello.name} cannot resume connection {conn.id}: {frame.text[:200]}"))
        conn.refused_by += (worker.link_epoch,)
        self._dispatcher.release(conn)
        conn.sent = conn.acked
        if conn.pool.least_loaded(conn.kind, conn.refused_by) is None:
            self._endings.finish(conn, "drain")
        else:
            self._dispatcher.place(conn, now)

    def _commit(self, worker: Worker, conn: Connection, frame: frames.Commit, now: float) -> None:
        if frame.on_loss not in ("", *frames.ON_LOSS) or not self._fits(frame.state):
            self._statistics.malformed += 1
            self._dispatcher.release(conn)
            self._endings.finish(conn, "raised", "its state is too long, or its on_loss is unknown")
            return
        resumed = conn.turn != 0 and frame.seq == conn.turn == conn.acked  # the rest of a turn that flushed
        if not resumed:
            if frame.seq != conn.acked + 1 or frame.seq > conn.sent or conn.turn:
                self._statistics.fenced += 1
                return
            self._dispatcher.acknowledge(conn, frame.seq)
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
            elif self._layer.effect(worker, effect, now):
                for_others.append(effect)
        if for_others:
            self._layer.relay(worker, for_others, now)

    def _turn_done(self, worker: Worker, conn: Connection) -> None:
        conn.turn = 0
        worker.turns_out -= 1
        if conn.answered or (conn.closing and conn.acked == conn.seq):
            self._endings.finish(conn, "returned")
        elif not (worker.state is Link.DRAINING and self._dispatcher.shed(conn)):
            self._dispatcher.queue(conn)

    def _write(self, conn: Connection, events: list[bytes], *, from_owner: bool) -> None:
        self._dispatcher.received(conn, sum(map(len, events)), from_owner=from_owner)
        self._emit(Write(conn, events))
