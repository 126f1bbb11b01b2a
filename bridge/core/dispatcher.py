"""Who gets a connection, and when its messages go there.

An ASGI application gets each message at once; what bounds them is the journal. A consumer gets a message as a
turn, and a worker never has more turns out than slots: what waits, waits here, in order. While slots are
scarce a connection has one turn out, so that one busy socket does not take the slots of its neighbours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

from ...shared import frames
from ...shared.config import Config
from .actions import Action, Room, Send
from .connection import Connection
from .handing import Handing, beginning
from .holding import Holding
from .pool import Pool, Worker

FIRST_WINDOW = 64 * 1024  # bytes for the client before its first CREDIT: most answers fit
SCARCE_WINDOW = 32 * 1024  # per connection while all clients together are slow
PROBATION = 5.0  # seconds after which an isolated connection lets the next one follow, though it still runs


class Dispatcher:
    """Places connections on workers and feeds them."""

    def __init__(self, config: Config, emit: Callable[[Action], None]) -> None:
        self._config = config
        self._emit = emit
        self._handing = Handing(emit)
        self.pools: dict[str, Pool] = {}
        self.holding = Holding()
        self.journal_bytes = 0  # of all connections
        self.buffered = 0  # bytes for clients, of all connections
        self._queued = 0  # connections in the queues of workers for a slot
        self._relieving = False  # a worker is being given what waits at others
        self.now = 0.0  # as the core was told last: near enough for how long somebody has waited

    def pool(self, name: str) -> Pool:
        """Give the pool of this name; pools come into being when a worker or a connection names them."""
        pool = self.pools.get(name)
        if pool is None:
            pool = self.pools[name] = Pool(name)
        return pool

    def pools_of(self, worker: Worker) -> list[Pool]:
        """Give the pools that a worker serves."""
        return [self.pool(name) for name in dict.fromkeys(worker.hello.pools)]

    @property
    def crowded(self) -> bool:
        """All journals together hold more than they should: each connection keeps to one message."""
        return self.journal_bytes >= self._config.buffered_bytes

    # -- placement ---------------------------------------------------------------------------------------------

    def place(self, conn: Connection, now: float) -> None:
        """Give the connection to the least loaded worker of its pool, or let it wait for one."""
        pool = conn.pool
        worker = self._taker(conn) if all(map(_is_particular, pool.waiting)) else None
        if worker is not None:
            self._assign(conn, worker)
            return
        conn.waits_since = now
        pool.waiting.append(conn)

    def _taker(self, conn: Connection) -> Worker | None:
        return conn.pool.least_loaded(conn.kind, conn.refused_by, isolated=conn.is_isolated)

    def place_held(self, now: float) -> None:
        """Place those that were held and whose time has come."""
        for conn in self.holding.due(now):
            self.place(conn, now)

    def _assign(self, conn: Connection, worker: Worker) -> None:
        conn.owner = worker
        conn.turns = worker.has_turns
        conn.epoch += 1
        conn.base = conn.received
        conn.granted = conn.written + FIRST_WINDOW
        worker.conns[conn.id] = conn
        conn.adopting = bool(conn.state)
        if conn.is_isolated:
            worker.isolated, worker.isolated_since = conn, self.now
        most = 0 if conn.turns else 1 if conn.attempt else None  # turns wait for a slot
        events = list(beginning(conn.journal, most))
        conn.sent = conn.acked + len(events)
        window = max(0, conn.granted - conn.base)
        attempt = conn.attempt + 1
        adopt = frames.Adopt(conn.id, conn.epoch, conn.scope, conn.acked + 1, window, attempt, conn.state, events)
        self._emit(Send(worker.peer, worker.link_epoch, adopt))
        if conn.turns:
            if conn.parked and not conn.seq:
                self.ask(conn)  # a consumer does not ask: each message comes to it
            self.pump(conn)
        else:
            self._send_rest(conn, worker)

    def _send_rest(self, conn: Connection, worker: Worker) -> None:
        """Send an application all that waits; one at a time, if one of them may be what workers were lost by."""
        while conn.sent < conn.seq and not (conn.attempt and conn.out):
            self._handing.next(worker, conn)

    def ask(self, conn: Connection) -> None:
        """Read the request of a client that waits to be asked for it."""
        conn.parked = False
        self._emit(Room(conn))

    def release(self, conn: Connection) -> None:
        """Take the connection from its owner, whose frames about it are refused from now on."""
        worker = conn.owner
        if worker is not None:
            self._go_on_without(worker, was_isolated=self._detach(conn, worker))

    def _detach(self, conn: Connection, worker: Worker) -> bool:
        """Take it from its owner, and give nobody what that frees. True: it was the isolated one there."""
        conn.owner, conn.adopting = None, False
        worker.conns.pop(conn.id, None)
        if conn.turns:
            if conn.queued:
                worker.waiting.remove(conn)
                self._queued -= 1
                conn.queued = False
            worker.turns_out -= conn.turns_held
            conn.turn = 0
        return worker.isolated is conn

    def _go_on_without(self, worker: Worker, *, was_isolated: bool) -> None:
        if was_isolated:
            self.end_isolation(worker)
        if worker.has_turns:
            self.pump_worker(worker)
        if worker.hello.connections and worker.takes_connections:
            self.serve(worker)

    def end_isolation(self, worker: Worker) -> None:
        """Let this worker have the next connection that is to be alone of its kind."""
        worker.isolated = None
        for pool in self.pools_of(worker):
            if any(conn.is_isolated for conn in pool.waiting):
                self.serve_waiting(pool)

    def look_at_isolated(self, workers: Iterable[Worker], now: float) -> None:
        """End the isolation of what has run for so long that it does not end workers at once."""
        for worker in workers:
            if worker.isolated is not None and now - worker.isolated_since >= PROBATION:
                self.end_isolation(worker)

    def move(self, conn: Connection, worker: Worker) -> None:
        """Have another worker take a movable connection over. The one that had it drops it without a word."""
        owner = conn.owner
        assert owner is not None, "what nobody has is placed"
        self._emit(Send(owner.peer, owner.link_epoch, frames.Cancel(conn.id, conn.epoch, "moved")))
        was_isolated = self._detach(conn, owner)
        self._assign(conn, worker)  # first: what this frees must not take its place there
        self._go_on_without(owner, was_isolated=was_isolated)

    def shed(self, conn: Connection) -> bool:
        """Move a connection away from a worker that drains, if it can be moved now. False: it stays."""
        other = self._taker(conn) if conn.is_movable else None
        if other is not None:
            self.move(conn, other)
        return other is not None

    def hand_over(self, worker: Worker, most: int) -> None:
        """Move connections away from a worker that drains, as far as others take them: so many at once."""
        for conn in [conn for conn in worker.conns.values() if conn.is_movable][:most]:
            self.shed(conn)

    def serve(self, worker: Worker) -> None:
        """Give a worker that takes connections, and turns, again what waits for it."""
        self.pump_worker(worker)
        for pool in self.pools_of(worker):
            self.serve_waiting(pool)

    def stop_waiting(self, conn: Connection) -> None:
        """Take the connection from those that wait for a worker, if it is among them."""
        if conn.waits_since and conn.owner is None:
            with contextlib.suppress(ValueError):  # it was placed since
                conn.pool.waiting.remove(conn)

    def close(self, conn: Connection) -> None:
        """Forget a connection whose ASGI call is over, and all that it kept here."""
        self.stop_waiting(conn)
        self.release(conn)
        conn.ledger.shed += len(conn.journal)
        self.drop(conn, conn.seq)
        self.buffered -= conn.buffered
        conn.written = conn.received

    def drop(self, conn: Connection, seq: int) -> None:
        """Forget messages up to ``seq``. The caller has said in the ledger what became of them."""
        self.journal_bytes -= conn.drop(seq)
        conn.sent = max(conn.sent, conn.acked)

    def may_move(self, conn: Connection) -> bool:
        """Say whether another worker may have it: nothing of it was read or answered, or it is resumable."""
        is_new = conn.acked == 0 and not conn.begun and conn.idempotent
        return (is_new or bool(conn.on_loss)) and not conn.is_guilty

    def serve_waiting(self, pool: Pool) -> None:
        """Place what waits for this pool, oldest first, as far as its workers take it."""
        passed_over: list[Connection] = []  # by all that there are
        while pool.waiting:
            conn = pool.waiting.popleft()
            worker = self._taker(conn)
            if worker is not None:
                self._assign(conn, worker)
                continue
            passed_over.append(conn)
            if not _is_particular(conn):
                break  # nobody takes any
        pool.waiting.extendleft(reversed(passed_over))

    # -- messages for consumers --------------------------------------------------------------------------------

    def append(self, conn: Connection, event: bytes) -> None:
        """Journal a message, and send it on as far as it may go."""
        conn.append(event)
        self.journal_bytes += len(event)
        worker = conn.owner
        if worker is None:
            return
        if conn.turns:
            self.pump(conn)
        else:
            self._send_rest(conn, worker)

    def fan_out(self, conns: Iterable[Connection], event: bytes) -> None:
        """Journal one message for many consumers, and send it on: one frame per worker, as far as it may go."""
        size = len(event)
        workers: dict[Worker, list[int]] = {}
        for conn in conns:
            conn.append(event)
            self.journal_bytes += size
            worker = conn.owner
            if worker is None:
                continue
            targets = workers.setdefault(worker, [])
            if conn.turns:
                self.queue(conn)
            elif conn.attempt:
                self._send_rest(conn, worker)
            else:
                conn.sent += 1
                targets += (conn.id, conn.epoch, conn.sent)
        for worker, targets in workers.items():
            self._handing.fan_out(worker, event, targets)
            self.pump_worker(worker)

    def drop_oldest(self, conn: Connection) -> bool:
        """Drop the oldest message of a group that no worker has. False: there is none."""
        size = conn.drop_oldest()
        self.journal_bytes -= size
        return size > 0

    def pump(self, conn: Connection) -> None:
        """Let a consumer's connection have a slot, if it has a message that may go."""
        if self.queue(conn) and conn.owner is not None:
            self.pump_worker(conn.owner)

    def queue(self, conn: Connection) -> bool:
        """Let it ask for a slot, if it has a message that may go. :meth:`pump_worker` gives them out.

        A resumable consumer whose worker is busy, or silent, goes to one that is free: it pays with its warm instance.
        """
        worker = conn.owner
        if worker is None or conn.queued or not self._wants_turn(conn, worker):
            return False
        if conn.is_movable and not worker.takes_turns:
            other = conn.pool.with_free_slot(conn)
            if other is not None:
                self.move(conn, other)
                return False
        self._wait_for_slot(conn, worker)
        return True

    def _wait_for_slot(self, conn: Connection, worker: Worker) -> None:
        conn.queued, conn.waits_since = True, self.now
        worker.waiting.append(conn)
        self._queued += 1

    def _wants_turn(self, conn: Connection, worker: Worker) -> bool:
        if conn.sent >= conn.seq or conn.buffered >= self._config.window_bytes:
            return False
        held = conn.turns_held
        if held == 0:
            return True
        if conn.attempt:
            return False  # one of its messages may be what workers were lost by: alone it can be told from the others
        scarce = worker.free_slots <= worker.hello.slots // 2
        return not scarce and held < self._config.turn_window

    def pump_worker(self, worker: Worker) -> None:
        """Give out free slots, one turn a connection, in the order in which they asked, then to others'."""
        event = b""
        run: list[tuple[Connection, int]] = []  # (connection, seq): those that get this same message, one by one
        while worker.waiting and worker.takes_turns:
            conn = worker.waiting.popleft()
            conn.queued = False
            self._queued -= 1
            worker.turns_out += 1
            following = conn.next_event()
            if following is not event:
                self._handing.run(worker, event, run)
                event, run = following, []
            run.append((conn, conn.sent))
            if self._wants_turn(conn, worker):
                self._wait_for_slot(conn, worker)
        self._handing.run(worker, event, run)
        if self._queued and worker.has_time:
            self._relieve(worker)

    def _relieve(self, worker: Worker) -> None:
        """Move what waits at busy workers to one that has slots, and nobody who waits for them."""
        if self._relieving:  # each move gives out slots, which ends here again
            return
        self._relieving = True
        for pool in self.pools_of(worker):
            while worker.has_time and (conn := pool.waiting_for_others(worker)) is not None:
                self.move(conn, worker)
        self._relieving = False

    def acknowledge(self, conn: Connection, seq: int) -> None:
        """Forget what the consumer is done with, and let the client send on."""
        self.journal_bytes -= conn.acknowledge(seq)
        self._go_on(conn)

    def skip(self, conn: Connection) -> None:
        """Give up what the owner had, and let the client send on."""
        conn.ledger.shed += conn.out
        self.drop(conn, conn.sent)
        self._go_on(conn)

    def resumed(self, conn: Connection) -> None:
        """Note that its owner goes on with its state."""
        conn.adopting = False
        self._clear(conn)

    def _clear(self, conn: Connection) -> None:
        """Let it be suspected no more, if all that it was suspected of has gone well."""
        if conn.attempt and not conn.adopting and conn.acked >= conn.suspect_until:
            conn.attempt = 0
            if conn.owner is not None and conn.owner.isolated is conn:
                self.end_isolation(conn.owner)

    def _go_on(self, conn: Connection) -> None:
        self._clear(conn)
        if conn.owner is not None and not conn.turns:
            self._send_rest(conn, conn.owner)
        if conn.parked and conn.takes_from_client(self._config, self.crowded):
            conn.parked = False
            self._emit(Room(conn))

    # -- bytes for clients -------------------------------------------------------------------------------------

    def received(self, conn: Connection, size: int, *, from_owner: bool) -> None:
        """Count bytes that wait for the client. What others sent it does not use up the owner's credit."""
        conn.received += size
        conn.begun = True
        self.buffered += size
        if not from_owner:
            conn.base += size

    def received_by_all(self, conns: Sequence[Connection], size: int) -> None:
        """Count ``size`` bytes for each of these clients, from others than their owners: as :meth:`received`."""
        for conn in conns:
            conn.received += size
            conn.base += size
            conn.begun = True
        self.buffered += size * len(conns)

    def written(self, conn: Connection, size: int) -> None:
        """Count bytes that the server took, and grant the owner as many again."""
        conn.written += size
        self.buffered -= size
        worker = conn.owner
        if worker is None:
            return
        window = SCARCE_WINDOW if self.buffered >= self._config.buffered_bytes else self._config.window_bytes
        if conn.granted - conn.written < window // 2:
            conn.granted = conn.written + window
            credit = frames.Credit(conn.id, conn.epoch, conn.granted - conn.base)
            self._emit(Send(worker.peer, worker.link_epoch, credit))
        if conn.turns:
            self.pump(conn)


def _is_particular(conn: Connection) -> bool:
    """Say whether a worker that takes others may not be one for it: those behind it are asked, too."""
    return bool(conn.refused_by) or conn.is_isolated or conn.pool.is_mixed
