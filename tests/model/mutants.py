"""Rules that the model must miss if they are gone: each mutant takes one away while it is entered.

A model that finds nothing wrong with a mutant does not look at that rule. Nothing is edited: a method is put in
the place of another, and back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from channels_bridge.bridge.core.commits import Commits
from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.core.dispatcher import Dispatcher
from channels_bridge.bridge.core.endings import Endings
from channels_bridge.bridge.core.groups import Groups
from channels_bridge.bridge.core.holding import Holding
from channels_bridge.bridge.core.pool import Worker
from channels_bridge.shared import frames
from channels_bridge.shared.frames import Effect, Frame
from channels_bridge.shared.transitions import Link, LinkEvent
from channels_bridge.testing.scripted import Host
from channels_bridge.worker.core.session import Session

Mutant = Callable[[], AbstractContextManager[None]]
M = TypeVar("M", bound=Mutant)
OF_CONNECTIONS = (frames.Output, frames.Commit, frames.Failed, frames.Unresumable, frames.Save)
MUTANTS: dict[str, Mutant] = {}


@contextlib.contextmanager
def replaced(owner: type, name: str, method: object) -> Generator[None, None, None]:
    """Have another method in the place of this one."""
    original = getattr(owner, name)
    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _nothing(*_: object) -> None:
    """Do nothing, whatever was to be done."""


def _is_ready(self: Session, _now: float) -> bool:
    return self.ready


def mutant(function: M) -> M:
    """Enter a mutant in the list, under its function's name."""
    MUTANTS[function.__name__.replace("_", " ")] = function
    return function


@mutant
def a_frame_of_any_worker_and_epoch_counts() -> AbstractContextManager[None]:
    original = Core._frame

    def _frame(self: Core, worker: Worker, frame: Frame, now: float) -> bool:
        conn = self.connections.get(frame.conn) if isinstance(frame, OF_CONNECTIONS) else None
        if conn is None or conn.owner is None or not isinstance(frame, OF_CONNECTIONS):
            return original(self, worker, frame, now)
        return original(self, conn.owner, frame._replace(epoch=conn.epoch), now)

    return replaced(Core, "_frame", _frame)


@mutant
def a_frame_of_an_earlier_epoch_counts() -> AbstractContextManager[None]:
    """It has to be the owner's, but may have been said when it was the owner before."""
    original = Core._frame

    def _frame(self: Core, worker: Worker, frame: Frame, now: float) -> bool:
        if isinstance(frame, OF_CONNECTIONS) and frame.conn in worker.conns:
            frame = frame._replace(epoch=worker.conns[frame.conn].epoch)
        return original(self, worker, frame, now)

    return replaced(Core, "_frame", _frame)


@mutant
def a_dead_link_is_heard() -> AbstractContextManager[None]:
    """Whatever arrives counts, under whichever link epoch it was said."""
    original = Core.receive

    def receive(self: Core, peer: bytes, link_epoch: int, received: Sequence[Frame], now: float) -> None:
        if peer in self.supervisor.links:
            original(self, peer, self.supervisor.links[peer].link_epoch, received, now)
            return
        original(self, peer, link_epoch, received, now)
        for frame in received:
            conn = self.connections.get(frame.conn) if isinstance(frame, frames.Commit) else None
            if isinstance(frame, frames.Commit) and conn is not None and conn.owner is not None:
                self._frame(conn.owner, frame._replace(epoch=conn.epoch), now)

    return replaced(Core, "receive", receive)


@mutant
def outputs_leave_before_the_commit() -> AbstractContextManager[None]:
    def record(self: Host, *effects: Effect) -> None:
        events = [effect for effect in effects if isinstance(effect, bytes)]
        if events and self.turn is not None:
            self.worker.send(frames.Output(self.mailbox.conn, self.mailbox.epoch, 0, events, "", ""))
        self.said += [effect for effect in effects if not isinstance(effect, bytes)]

    return replaced(Host, "record", record)


@mutant
def a_frozen_worker_goes_on_after_its_lease() -> AbstractContextManager[None]:
    return replaced(Session, "may_act", _is_ready)


@mutant
def the_journal_is_not_replayed() -> AbstractContextManager[None]:
    """What the lost worker had is taken to be done."""
    original = Endings.orphan

    def orphan(self: Endings, conn: Connection, event: LinkEvent, now: float) -> None:
        self._dispatcher.acknowledge(conn, conn.sent)
        original(self, conn, event, now)

    return replaced(Endings, "orphan", orphan)


@mutant
def no_attempt_is_counted() -> AbstractContextManager[None]:
    def blame(_: Endings, worker: Worker, *, alive: bool) -> None:
        pass

    return replaced(Endings, "blame", blame)


@mutant
def a_slot_that_is_free_is_given_to_nobody() -> AbstractContextManager[None]:
    """A connection that goes gives its slots back, and those that wait for one are not looked at."""
    original = Dispatcher.release

    def release(self: Dispatcher, conn: Connection) -> None:
        with replaced(Dispatcher, "pump_worker", _nothing):
            original(self, conn)

    return replaced(Dispatcher, "release", release)


@mutant
def who_is_held_is_forgotten() -> AbstractContextManager[None]:
    return replaced(Holding, "hold", _nothing)


@mutant
def a_save_acknowledges_nothing() -> AbstractContextManager[None]:
    original = Commits._save

    def _save(self: Commits, worker: Worker, conn: Connection, frame: frames.Save) -> None:
        original(self, worker, conn, frame._replace(acked=0))

    return replaced(Commits, "_save", _save)


@mutant
def a_commit_that_comes_twice_counts_twice() -> AbstractContextManager[None]:
    original = Commits._commit

    def _commit(self: Commits, worker: Worker, conn: Connection, frame: frames.Commit, now: float) -> None:
        if frame.seq == conn.acked and not conn.turn:
            self._write(conn, [effect for effect in frame.effects if isinstance(effect, bytes)], from_owner=True)
        else:
            original(self, worker, conn, frame, now)

    return replaced(Commits, "_commit", _commit)


@mutant
def a_turn_that_is_skipped_is_run_again() -> AbstractContextManager[None]:
    original = Endings.orphan

    def orphan(self: Endings, conn: Connection, event: LinkEvent, now: float) -> None:
        on_loss = conn.on_loss
        conn.on_loss = "replay" if on_loss in ("skip", "close") else on_loss
        original(self, conn, event, now)
        conn.on_loss = on_loss

    return replaced(Endings, "orphan", orphan)


@mutant
def the_state_of_a_commit_is_lost() -> AbstractContextManager[None]:
    original = Commits._commit

    def _commit(self: Commits, worker: Worker, conn: Connection, frame: frames.Commit, now: float) -> None:
        original(self, worker, conn, frame._replace(state=b""), now)

    return replaced(Commits, "_commit", _commit)


@mutant
def nobody_waits_for_a_worker_that_drains() -> AbstractContextManager[None]:
    """A connection whose turn has ended there, and which nobody else takes, is not queued for its next one."""
    original = Commits._turn_done

    def _turn_done(self: Commits, worker: Worker, conn: Connection) -> None:
        if worker.state is not Link.DRAINING:
            original(self, worker, conn)
            return
        with replaced(Dispatcher, "queue", _nothing):
            original(self, worker, conn)

    return replaced(Commits, "_turn_done", _turn_done)


@mutant
def a_connection_moves_in_the_middle_of_a_turn() -> AbstractContextManager[None]:

    def is_movable(self: Connection) -> bool:
        return bool(self.on_loss) and not self.out and not self.finished

    return replaced(Connection, "is_movable", property(is_movable))


@mutant
def a_client_is_not_read_on() -> AbstractContextManager[None]:
    """The journal has room again, and nobody is told."""

    def _go_on(_: Dispatcher, conn: Connection) -> None:
        conn.attempt = 0

    return replaced(Dispatcher, "_go_on", _go_on)


@mutant
def a_client_is_not_read_on_after_a_skip() -> AbstractContextManager[None]:
    """A mistake that was there for some hours."""

    def skip(self: Dispatcher, conn: Connection) -> None:
        conn.ledger.shed += conn.out
        self.drop(conn, conn.sent)
        conn.attempt = 0

    return replaced(Dispatcher, "skip", skip)


@mutant
def what_is_skipped_is_not_accounted_for() -> AbstractContextManager[None]:
    original = Dispatcher.skip

    def skip(self: Dispatcher, conn: Connection) -> None:
        shed = conn.ledger.shed
        original(self, conn)
        conn.ledger.shed = shed

    return replaced(Dispatcher, "skip", skip)


@mutant
def who_has_left_is_moved() -> AbstractContextManager[None]:
    """An application has saved its disconnect, and its worker drains before it has ended: nobody would end it."""

    def is_movable(self: Connection) -> bool:
        return bool(self.on_loss) and not self.out and not self.turn and not self.finished

    return replaced(Connection, "is_movable", property(is_movable))


@mutant
def a_turn_is_over_before_its_effects() -> AbstractContextManager[None]:
    """A group's message that it sends to itself finds it idle, and moves it. A mistake that was there, too."""
    original = Commits._apply

    def _apply(self: Commits, worker: Worker, conn: Connection, effects: Sequence[Effect], now: float) -> None:
        turn, conn.turn = conn.turn, 0
        original(self, worker, conn, effects, now)
        conn.turn = turn

    return replaced(Commits, "_apply", _apply)


@mutant
def a_group_keeps_who_is_gone() -> AbstractContextManager[None]:
    return replaced(Groups, "drop", _nothing)
