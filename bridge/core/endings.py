"""How connections end, and what becomes of their messages then."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...shared.transitions import LinkEvent
from .actions import Action, Finish, Log, SetAside
from .connection import Connection
from .dispatcher import Dispatcher
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

    def blame(self, worker: Worker, *, alive: bool) -> None:
        """Note what a worker that was lost had in its hands: each of these may have been the cause.

        One that more workers have died with than with any other is guilty. Where several are equal, each is isolated.
        ``alive``: it has not died, but will not end what it had either.
        """
        in_hand = [conn for conn in worker.conns.values() if conn.in_hand and not conn.finished]
        if alive:
            for conn in in_hand:
                conn.attempt, conn.suspect_until = max(conn.attempt, 1), conn.sent
            return
        most = max((conn.attempt for conn in in_hand), default=0)
        suspects = [conn for conn in in_hand if conn.attempt == most]
        if most and len(suspects) == 1:
            suspects[0].is_guilty = True
        for conn in in_hand:
            conn.lost_with = [*conn.lost_with[: conn.attempt], worker.hello.name]
            conn.attempt += 1
            conn.suspect_until = conn.sent

    def orphan(self, conn: Connection, event: LinkEvent, now: float) -> None:
        """Deal with a connection whose worker is gone: it was lost, or has said goodbye."""
        in_hand = conn.in_hand
        flushed = conn.turn
        self._dispatcher.release(conn)
        if conn.finished:
            return
        if flushed:
            self._statistics.cut_turns += 1
            what = f"message {flushed} of connection {conn.id} had flushed when its worker was lost"
            self._emit(Log("warning", f"{what}: its rest is not run"))
        if conn.on_loss == "skip" and conn.out and not conn.is_guilty:
            self._statistics.skipped += conn.out
            self._dispatcher.skip(conn)
        conn.sent = conn.acked
        if conn.answered or (conn.closing and conn.acked == conn.seq):
            self.finish(conn, "returned")
        elif self._dispatcher.may_move(conn) and not (in_hand and conn.on_loss == "close"):
            if conn.attempt:
                self._dispatcher.holding.hold(conn, now)
            else:
                self._dispatcher.place(conn, now)
        elif conn.is_guilty:
            self._condemn(conn)
        else:
            self.finish(conn, "drain" if event is LinkEvent.GOODBYE else "worker-lost")

    def _condemn(self, conn: Connection) -> None:
        """End a connection that has cost workers their lives: by its next message, or by being resumed."""
        if conn.journal:
            self._set_aside(conn)
        else:
            lost = f"{' and '.join(conn.lost_with)} were lost as they took it over"
            self._emit(Log("warning", f"connection {conn.id} is given up: {lost}"))
        self.finish(conn, "poison")

    def _set_aside(self, conn: Connection) -> None:
        """Keep its next message for an operator."""
        made_of = conn.pool.name, conn.kind, conn.scope, conn.state, conn.on_loss, conn.turns
        lost = conn.attempt, conn.lost_with
        self._emit(SetAside(Letter(*made_of, conn.acked + 1, conn.journal[0], *lost, conn.id)))
        conn.ledger.dead_lettered += 1
        self._dispatcher.drop(conn, conn.acked + 1)
