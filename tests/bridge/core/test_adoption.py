"""Resumable consumers move when their worker is lost, drains or is busy. What was committed holds."""

import pytest

from channels_bridge.bridge.core.connection import Connection
from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.testing.playbook import Playbook, channel, leftovers

KIB = 1024


@pytest.fixture
def book() -> Playbook:
    """Give a bridge with two workers for consumers."""
    book = Playbook()
    book.worker("a", slots=4)
    book.worker("b", slots=4)
    book.lines()
    return book


def settled(book: Playbook, on_loss: str = "replay") -> Connection:
    """Open a socket whose consumer has committed its first turn at worker a, and with it a state."""
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, "accept", state="one", on_loss=on_loss)
    book.core.written(conn, conn.buffered)
    book.lines()
    return conn


# -- a lost worker ---------------------------------------------------------------------------------------------


def test_a_lost_workers_idle_connection_goes_on_from_its_last_state(book: Playbook) -> None:
    conn = settled(book)
    book.lost("a")
    assert book.lines() == ["forget a", "b <- ADOPT 1.2 state 'one' from 2"]
    book.event(conn, "next")
    assert book.lines() == ["b <- MESSAGE 1.2 #2 'next'"]
    assert (conn.attempt, conn.finished) == (0, False)


def test_what_was_in_flight_is_run_again_and_says_so(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "two", "three")
    book.lines()
    book.lost("a")
    assert book.lines() == ["forget a"]
    book.pass_time(0.1)
    assert book.lines() == [
        "b <- ADOPT 1.2 state 'one' from 2 attempt 2",
        "b <- MESSAGE 1.2 #2 'two' attempt 2",
    ]
    book.resumed("b", conn)
    book.commit("b", conn, 2, "two done", state="two", on_loss="replay")
    assert book.lines() == ["client 1 <- 'two done'", "b <- MESSAGE 1.2 #3 'three' attempt 2"]
    assert (conn.state, conn.attempt, conn.acked) == (b"two", 1, 2)
    book.commit("b", conn, 3, on_loss="replay")
    assert conn.attempt == 0


def test_what_the_lost_one_still_says_is_refused(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "two")
    book.lost("a")
    book.lines()
    book.commit("a", conn, 2, "late", epoch=1, state="late", on_loss="replay")
    assert book.lines() == ["a <- RESET no link of this bridge"]
    assert conn.state == b"one"


def test_a_state_that_did_not_change_is_not_repeated_and_stays(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "two")
    book.commit("a", conn, 2, on_loss="replay")
    assert conn.state == b"one"
    book.lines()
    book.lost("a")
    assert book.lines()[1] == "b <- ADOPT 1.2 state 'one' from 3"


def test_on_loss_skip_gives_up_what_was_in_flight(book: Playbook) -> None:
    conn = settled(book, "skip")
    book.event(conn, "two", "three")
    book.lines()
    book.lost("a")
    assert book.lines() == ["forget a", "b <- ADOPT 1.2 state 'one' from 4"]
    assert (book.core.statistics.skipped, conn.acked, conn.journal_bytes) == (2, 3, 0)


def test_on_loss_close_closes_only_where_something_was_in_flight(book: Playbook) -> None:
    idle, busy = settled(book, "close"), book.open("connect", "websocket")
    book.commit("b", busy, 1, "accept", state="one", on_loss="close")
    book.event(busy, "two")
    book.lines()
    book.lost("b")
    assert book.lines() == ["forget b", "client 2 ends: worker-lost"]
    book.worker("c", slots=4)
    book.lines()
    book.lost("a")
    assert book.lines() == ["forget a", "c <- ADOPT 1.2 state 'one' from 2"]
    assert not idle.finished


def test_a_consumer_that_is_not_resumable_is_closed_as_ever(book: Playbook) -> None:
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, "accept")
    book.lines()
    book.lost("a")
    assert book.lines() == ["forget a", "client 1 ends: worker-lost"]


def test_a_message_that_two_workers_were_lost_with_is_set_aside(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "poison")
    book.lost("a")
    book.pass_time(0.1)
    book.lines()
    book.lost("b")
    assert book.lines() == ["forget b", "set aside: 1 #2 'poison', state 'one', lost with a b", "client 1 ends: poison"]
    assert book.core.ledgers["default"].dead_lettered == 1


def test_without_a_worker_it_waits_for_one_up_to_the_park_limit(book: Playbook) -> None:
    conn = settled(book)
    book.lost("a")
    book.resumed("b", conn)
    book.lines()
    book.lost("b")
    book.event(conn, "meanwhile")
    assert book.lines() == ["forget b"]
    book.pass_time(Config().park - 1.0)
    book.worker("c", slots=4)
    assert book.lines()[1:] == ["c <- ADOPT 1.3 state 'one' from 2", "c <- MESSAGE 1.3 #2 'meanwhile'"]
    book.lost("c")
    book.pass_time(Config().park + 1.1)
    assert book.lines()[-1] == "client 1 ends: no-worker"


def test_a_turn_that_had_committed_early_is_over(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "two", "three")
    book.commit("a", conn, 2, done=False, state="half", on_loss="replay")
    book.lines()
    book.lost("a")
    book.pass_time(0.1)
    assert book.lines()[1:] == ["b <- ADOPT 1.2 state 'half' from 3 attempt 2", "b <- MESSAGE 1.2 #3 'three' attempt 2"]
    assert conn.turn == 0


def test_a_client_that_left_meanwhile_is_told_to_the_next_worker(book: Playbook) -> None:
    conn = settled(book)
    book.lost("a")
    book.resumed("b", conn)
    book.lost("b")
    book.event(conn, "gone", last=True)
    book.lines()
    book.worker("c", slots=4)
    assert book.lines()[1:] == ["c <- ADOPT 1.3 state 'one' from 2", "c <- MESSAGE 1.3 #2 'gone'"]
    book.commit("c", conn, 2, on_loss="replay")
    assert book.lines() == ["client 1 ends: returned"]


def test_memberships_and_group_messages_live_through_it(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "join")
    book.commit("a", conn, 2, frames.GroupAdd("room", channel(conn), []), on_loss="replay")
    book.says("a", frames.GroupSend("room", b"said", [], [], []))
    book.lines()
    book.lost("a")
    book.pass_time(0.1)
    assert book.lines()[1:] == ["b <- ADOPT 1.2 state 'one' from 3 attempt 2", "b <- MESSAGE 1.2 #3 'said' attempt 2"]
    book.says("b", frames.GroupSend("room", b"again", [], [], []))
    assert book.lines() == []  # as long as the one before may be what the worker was lost by
    book.resumed("b", conn)
    book.commit("b", conn, 3, on_loss="replay")
    assert book.lines() == ["b <- MESSAGE 1.2 #4 'again'"]


def test_many_move_at_once_and_nothing_is_left_of_them(book: Playbook) -> None:
    conns = [settled(book) if index % 2 == 0 else book.open("x", "websocket") for index in range(2)]
    for conn in conns:
        book.core.close(conn)
    book.lost("a")
    assert leftovers(book.core) == []


# -- what cannot be resumed ------------------------------------------------------------------------------------


def test_a_worker_that_cannot_read_a_state_passes_it_on(book: Playbook) -> None:
    conn = settled(book)
    book.worker("c", slots=4)
    book.lost("a")
    first = book.core.supervisor.links[b"b"] if conn.owner is book.core.supervisor.links[b"b"] else None
    name, other = ("b", "c") if first is not None else ("c", "b")
    book.lines()
    book.says(name, frames.Unresumable(conn.id, conn.epoch, "no attribute 'room'"))
    assert book.lines() == [f"{other} <- ADOPT 1.3 state 'one' from 2"]
    book.says(other, frames.Unresumable(conn.id, conn.epoch, "no attribute 'room'"))
    assert book.lines() == ["client 1 ends: drain"]


def test_a_state_that_is_too_long_ends_its_connection(book: Playbook) -> None:
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, "never", state="x" * (66 * KIB), on_loss="replay")
    assert book.lines()[-1].startswith("client 1 ends: raised")
    assert book.core.statistics.malformed == 1


def test_an_unknown_word_for_on_loss_ends_its_connection(book: Playbook) -> None:
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, state="x", on_loss="hope")
    assert book.lines()[-1].startswith("client 1 ends: raised")


# -- a worker that leaves --------------------------------------------------------------------------------------


def test_a_draining_worker_gives_its_idle_connections_away_without_a_word_to_them(book: Playbook) -> None:
    conn = settled(book)
    book.says("a", frames.Drain())
    assert book.lines() == ["a <- CANCEL 1.1 moved", "b <- ADOPT 1.2 state 'one' from 2"]
    book.event(conn, "two")
    assert book.lines() == ["b <- MESSAGE 1.2 #2 'two'"]


def test_a_busy_connection_follows_at_the_end_of_its_turn(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "two")
    book.lines()
    book.says("a", frames.Drain())
    assert book.lines() == []
    book.commit("a", conn, 2, state="two", on_loss="replay")
    assert book.lines() == ["a <- CANCEL 1.1 moved", "b <- ADOPT 1.2 state 'two' from 3"]


def test_with_nobody_else_it_stays_and_goes_on_until_somebody_comes(book: Playbook) -> None:
    conn = settled(book)
    book.lost("b")
    book.says("a", frames.Drain())
    book.event(conn, "two")
    assert book.lines() == ["forget b", "a <- MESSAGE 1.1 #2 'two'"]
    book.commit("a", conn, 2, state="two", on_loss="replay")
    book.worker("c", slots=4)
    book.lines()
    book.pass_time(0.1, "a", "c")
    assert book.lines() == ["a <- CANCEL 1.1 moved", "c <- ADOPT 1.2 state 'two' from 3"]


def test_what_waits_for_a_slot_of_a_draining_worker_goes_on_there_if_nobody_else_takes_it() -> None:
    book = Playbook()
    book.worker("a", slots=1)
    conn = settled(book)
    book.event(conn, "two", "three")
    book.says("a", frames.Drain())
    book.lines()
    book.commit("a", conn, 2, state="two", on_loss="replay")
    assert book.lines() == ["a <- MESSAGE 1.1 #3 'three'"]


def test_the_end_of_one_turn_moves_that_connection_alone(book: Playbook) -> None:
    """The others follow in their own time: so many at a tick."""
    book.lost("b")
    conns = [settled(book) for _ in range(3)]
    book.event(conns[0], "two")
    book.says("a", frames.Drain())
    book.worker("c", slots=4)
    book.lines()
    book.commit("a", conns[0], 2, state="two", on_loss="replay")
    assert book.lines() == ["a <- CANCEL 1.1 moved", "c <- ADOPT 1.2 state 'two' from 3"]


def test_what_a_worker_leaves_behind_with_its_goodbye_waits_for_the_next(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "two")
    book.lost("b")
    book.lines()
    book.says("a", frames.Goodbye("drained"))
    assert book.lines() == ["forget a"]
    book.worker("c", slots=4)
    assert book.lines()[1:] == ["c <- ADOPT 1.2 state 'one' from 2", "c <- MESSAGE 1.2 #2 'two'"]
    assert conn.attempt == 0


# -- a worker that is busy -------------------------------------------------------------------------------------


def test_a_busy_worker_sheds_a_connection_that_wants_a_turn_to_a_free_one() -> None:
    book = Playbook()
    book.worker("a", slots=1)
    one = book.open("connect", "websocket")
    book.commit("a", one, 1, state="one", on_loss="replay")
    two = book.open("connect", "websocket")
    book.commit("a", two, 1, state="one", on_loss="replay")
    book.worker("b", slots=1)
    book.event(one, "long")
    book.lines()
    book.event(two, "quick")
    assert book.lines() == ["a <- CANCEL 2.1 moved", "b <- ADOPT 2.2 state 'one' from 2", "b <- MESSAGE 2.2 #2 'quick'"]
    book.event(one, "more")
    assert book.lines() == []  # between two turns only


def test_where_all_are_busy_it_waits_at_its_own() -> None:
    book = Playbook()
    for name in ("a", "b"):
        book.worker(name, slots=1)
    conns = [book.open("connect", "websocket") for _ in range(3)]
    for conn in conns:
        name = "a" if conn.owner is book.core.supervisor.links[b"a"] else "b"
        book.commit(name, conn, 1, state="one", on_loss="replay")
    owner = conns[2].owner
    assert owner is not None
    for conn in conns:
        book.event(conn, "long")
    assert conns[2].epoch <= 2
    assert sum(worker.turns_out for worker in book.core.supervisor.links.values()) == 2


def test_a_silent_worker_loses_a_connection_that_wants_a_turn(book: Playbook) -> None:
    conn = settled(book)
    book.pass_time(Config().suspect + 1.0, "b")
    book.lines()
    book.event(conn, "two")
    assert book.lines() == ["a <- CANCEL 1.1 moved", "b <- ADOPT 1.2 state 'one' from 2", "b <- MESSAGE 1.2 #2 'two'"]


def test_who_was_refused_by_all_does_not_hold_up_others() -> None:
    book = Playbook()
    for name in ("a", "old"):
        book.worker(name, slots=4)
    conn = settled(book)
    book.lost("a")
    book.worker("new", slots=4)
    book.says("old", frames.Unresumable(conn.id, conn.epoch, "of another release"))
    book.resumed("new", conn)
    book.lost("new")
    book.lines()
    other = book.open("hello", "websocket")
    assert book.lines()[0] == "old <- ADOPT 2.1"
    assert (conn.owner, other.finished) == (None, False)
    book.worker("newer", slots=4)
    assert "newer <- ADOPT 1.4 state 'one' from 2" in book.lines()


def test_workers_that_are_lost_together_count_as_one(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "innocent")
    book.lost("a")
    book.lost("b")
    book.worker("c", slots=4)
    assert (conn.attempt, conn.finished) == (1, False)
    book.pass_time(0.1, "c")
    book.lines()
    book.lost("c")
    assert book.lines() == [
        "forget c",
        "set aside: 1 #2 'innocent', state 'one', lost with a c",
        "client 1 ends: poison",
    ]


def test_a_client_that_leaves_while_its_connection_is_held_leaves_nothing(book: Playbook) -> None:
    conn = settled(book)
    book.event(conn, "two")
    book.lost("a")
    book.core.close(conn)
    book.lines()
    book.pass_time(0.1)
    assert (book.lines(), leftovers(book.core), book.core.dispatcher.holding.held) == ([], [], [])


def test_a_client_that_has_left_waits_no_longer_for_a_worker_than_a_request(book: Playbook) -> None:
    """Its server may be about to stop."""
    conn = settled(book)
    book.lost("a")
    book.lost("b")
    book.event(conn, "gone", last=True)
    book.lines()
    book.pass_time(Config().http_queue + 0.1)
    assert book.lines() == ["client 1 ends: no-worker"]


def test_an_answer_that_has_begun_waits_as_long_whether_its_client_has_left_or_not(book: Playbook) -> None:
    conn = book.open("request", "http")
    book.commit("a", conn, 1, "start", state="one", on_loss="replay")
    book.core.written(conn, conn.buffered)
    book.lost("a")
    book.lost("b")
    book.event(conn, "gone", last=True)
    book.lines()
    book.pass_time(Config().http_queue - 0.5)
    assert book.lines() == []
    book.pass_time(0.6)
    assert book.lines() == ["client 1 ends: no-worker"]


def test_a_client_whose_journal_was_full_of_what_is_skipped_may_send_on() -> None:
    book = Playbook(journal_messages=1)
    book.worker("a", slots=1)
    conn = settled(book, on_loss="skip")
    assert not book.event(conn, "two")
    book.lines()
    book.lost("a")
    assert "client 1 may send" in book.lines()
