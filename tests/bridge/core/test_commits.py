"""What the owner of a connection says of it is applied whole, and once: beyond what test_core.py has of it."""

import pytest

from channels_bridge.bridge.core.connection import Connection
from channels_bridge.shared import frames
from channels_bridge.shared.config import ENVELOPE
from channels_bridge.testing.playbook import Playbook, channel


def settled(book: Playbook) -> Connection:
    """Open a socket whose consumer has committed its first turn at worker a, and with it a state."""
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, "accept", state="one", on_loss="replay")
    book.core.written(conn, conn.buffered)
    return conn


# -- what a turn does to its own connection --------------------------------------------------------------------


def test_what_a_turn_that_goes_on_sends_to_itself_does_not_move_it() -> None:
    book = Playbook()
    a = book.worker("a", slots=1)
    conn = settled(book)
    b = book.worker("b", slots=1)
    book.event(conn, "two")
    book.lines()
    to_itself = frames.ChannelSend(channel(conn), b"psst", 0, 0.0, [])
    book.commit("a", conn, 2, to_itself, done=False, state="two", on_loss="replay")
    assert (book.lines(), a.turns_out, b.turns_out) == ([], 1, 0)
    book.commit("a", conn, 2, state="two", on_loss="replay")
    assert (book.lines(), a.turns_out, b.turns_out) == (["a <- MESSAGE 1.1 #3 'psst'"], 1, 0)


def test_a_turn_whose_own_group_message_ends_its_connection_writes_no_more_and_gives_its_slot_back_once() -> None:
    book = Playbook(slow_member="close", window_bytes=3)
    worker = book.worker("a", slots=2)
    conn = settled(book)
    book.says("a", frames.GroupAdd("room", channel(conn).replace("consumer", "reply"), []))
    book.event(conn, "two")
    book.lines()
    said = [frames.GroupSend("room", text, [], [], []) for text in (b"full", b"over")]
    book.commit("a", conn, 2, *said, "too late", state="two", on_loss="replay")
    assert book.lines() == ["client 1 <- 'full'", "a <- CANCEL 1.1 closed", "client 1 ends: slow"]
    assert worker.turns_out == 0


@pytest.mark.parametrize("end", ["done", "lost"])
def test_a_connection_whose_answer_was_flushed_ends_with_its_turn(end: str) -> None:
    book = Playbook()
    book.worker("a", slots=1)
    conn = book.open("request")
    book.commit("a", conn, 1, "answer", done=False)
    assert not book.core.answered(conn)
    book.event(conn, "disconnect", last=True)
    book.lines()
    if end == "done":
        book.commit("a", conn, 1, frames.ChannelSend("mail", b"letter", 0, 0.0, []))
        assert book.core.layer.background.waiting == 1
    else:
        book.lost("a")
    assert "client 1 ends: returned" in book.lines()


def test_a_connection_whose_answer_came_with_the_end_of_its_turn_ends_at_once() -> None:
    book = Playbook()
    book.worker("a", slots=1)
    conn = book.open("request")
    book.commit("a", conn, 1, "answer")
    assert book.core.answered(conn)


# -- SAVE: an application without turns ------------------------------------------------------------------------


def saved(book: Playbook) -> Connection:
    """Open a socket whose application has saved once, at worker a."""
    book.worker("a")
    conn = book.open("connect", "websocket")
    book.says("a", frames.Save(conn.id, 1, 1, [b"accept"], b"one"))
    book.core.written(conn, conn.buffered)
    book.lines()
    return conn


def test_a_save_is_applied_whole() -> None:
    book = Playbook()
    conn = saved(book)
    book.event(conn, "two")
    book.lines()
    book.says("a", frames.Save(conn.id, 1, 2, [b"answer", b"more"], b"two"))
    assert book.lines() == ["client 1 <- 'answer' 'more'"]
    assert (conn.acked, conn.state, conn.on_loss) == (2, b"two", "replay")


def test_what_was_not_saved_is_given_to_the_next_with_what_was() -> None:
    book = Playbook()
    conn = saved(book)
    book.event(conn, "two")
    book.lost("a")
    book.worker("b")
    book.lines()
    book.pass_time(0.1)
    assert book.lines() == ["b <- ADOPT 1.2 state 'one' 'two' from 2 attempt 2"]


@pytest.mark.parametrize(
    "frame",
    [
        frames.Save(1, 1, 9, [b"no"], b"two"),
        frames.Save(1, 1, 0, [b"no"], bytes(64 * 1024 + ENVELOPE + 1)),
    ],
    ids=["what it was not sent", "too much state"],
)
def test_a_save_that_cannot_be_is_dropped_whole(frame: frames.Save) -> None:
    book = Playbook()
    conn = saved(book)
    book.says("a", frame)
    assert (book.lines(), conn.state, book.core.statistics.malformed) == ([], b"one", 1)


@pytest.mark.parametrize("how", ["save", "output"])
def test_nothing_is_acknowledged_twice(how: str) -> None:
    book = Playbook()
    conn = saved(book)
    book.event(conn, "two")
    book.says("a", frames.Save(conn.id, 1, 2, [], b"two"))
    if how == "save":
        book.says("a", frames.Save(conn.id, 1, 1, [], b"one"))
    else:
        book.output("a", conn, acked=1)
    assert (conn.acked, conn.state, book.core.statistics.malformed) == (2, b"two", 1)
    assert book.core.balance()["default"] == 0


def test_a_consumer_does_not_save() -> None:
    book = Playbook()
    book.worker("a", slots=1)
    conn = settled(book)
    book.lines()
    book.says("a", frames.Save(conn.id, 1, 1, [b"no"], b"two"))
    assert (book.lines(), conn.state, book.core.statistics.malformed) == ([], b"one", 1)


def test_an_application_that_is_done_with_its_disconnect_ends_where_it_is() -> None:
    """Another one would have nothing to receive, and never end."""
    book = Playbook()
    book.worker("a")
    book.worker("b")
    conn = book.open("connect", "websocket")
    book.event(conn, "gone", last=True)
    owner, other = ("a", "b") if conn.id in book.core.supervisor.links[b"a"].conns else ("b", "a")
    book.says(owner, frames.Save(conn.id, 1, 2, [], b"one"))
    book.lines()
    book.says(owner, frames.Drain())
    assert book.lines() == []
    book.output(owner, conn, outcome="returned")
    assert book.lines() == ["client 1 ends: returned"]
    assert book.core.supervisor.links[other.encode()].conns == {}


def test_an_application_that_saves_leaves_a_worker_that_drains_with_its_next_save() -> None:
    book = Playbook()
    book.worker("a")
    conn = book.open("connect", "websocket")
    book.says("a", frames.Save(conn.id, 1, 1, [], b"one"))
    book.event(conn, "two")
    book.worker("b")
    book.says("a", frames.Drain())
    book.lines()
    book.says("a", frames.Save(conn.id, 1, 2, [], b"two"))
    assert book.lines() == ["a <- CANCEL 1.1 moved", "b <- ADOPT 1.2 state 'two' from 3"]
