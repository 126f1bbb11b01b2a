"""How connections end, and what becomes of their messages then."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...shared.transitions import LinkEvent
from .actions import Action, Finish, Log, SetAside
from .connection import Connection
from .dispatcher import MAX_ATTEMPTS, Dispatcher
from .ledger import EXPIRED, OWN_ENDS
from .letters import Letter
from .pool import Worker
from .statistics import Statistics


class Endings:
    """Ends connections, and finds others for those that outlive their worker."""

    def __init__(self, emit: Callable[[Action], None], dispatcher: Dispatcher, statistics: Statistics) -> None:
        self._emit = emit
        self._dispatcher = dispatcher
        self._statistics = statistics

    def finish(self, conn: Connection, outcome: str, text: str = "", events: Sequence[bytes] = ()) -> None:
        """Have the ASGI call end, and account for the messages that are left. Its owner, if any, has none of them."""
        conn.finished = True
        self._account(conn, outcome)
        self._dispatcher.drop(conn, conn.seq)
        self._emit(Finish(conn, outcome, text, events))

    def _account(self, conn: Connection, outcome: str) -> None:
        """Say what becomes of the messages that are left."""
        ledger, left = conn.ledger, len(conn.journal)
        if outcome in OWN_ENDS:
            had = 0 if conn.turns else conn.out  # an application had them, whether it has looked at them or not
            ledger.delivered += had
            ledger.shed += left - had
        else:
            ledger.refused[outcome] += 1
            if outcome in EXPIRED:
                ledger.expired += left
            else:
                ledger.shed += left

    def orphan(self, conn: Connection, worker: Worker, event: LinkEvent, now: float) -> None:
        """Deal with a connection whose worker is gone: it was lost, or has said goodbye."""
        drained = event is LinkEvent.GOODBYE
        in_flight = conn.turns_held > 0 or not (conn.turns or conn.on_loss)
        flushed = conn.turn
        self._dispatcher.release(conn)
        if conn.finished:
            return
        if flushed:
            self._statistics.cut_turns += 1
            what = f"message {flushed} of connection {conn.id} had flushed when its worker was lost"
            self._emit(Log("warning", f"{what}: its rest is not run"))
        if in_flight and not drained:
            conn.lost_with = [*conn.lost_with[: conn.attempt], worker.hello.name]
            conn.attempt += 1
        if in_flight and conn.on_loss == "skip":
            self._statistics.skipped += conn.out
            self._dispatcher.skip(conn)
        conn.sent = conn.acked
        if conn.closing and conn.acked == conn.seq:
            self.finish(conn, "returned")
        elif self._dispatcher.may_move(conn) and not (in_flight and conn.on_loss == "close"):
            if conn.attempt:
                self._dispatcher.hold(conn, now)
            else:
                self._dispatcher.place(conn, now)
        elif conn.attempt >= MAX_ATTEMPTS and conn.journal:
            self._set_aside(conn)
        else:
            self.finish(conn, "drain" if drained else "worker-lost")

    def _set_aside(self, conn: Connection) -> None:
        """End a connection whose next message has cost two workers their lives; a third does not get it."""
        made_of = conn.pool.name, conn.kind, conn.scope, conn.state, conn.on_loss, conn.turns
        lost = conn.attempt, conn.lost_with
        self._emit(SetAside(Letter(*made_of, conn.acked + 1, conn.journal[0], *lost, conn.id)))
        conn.ledger.dead_lettered += 1
        self._dispatcher.drop(conn, conn.acked + 1)
        self.finish(conn, "poison")
