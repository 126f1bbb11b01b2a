"""A dead letter is handed to a worker again, on a connection that has no client."""

from channels_bridge.bridge.core.letters import Letter
from channels_bridge.testing.playbook import Playbook, leftovers

LETTER = Letter("default", "websocket", b"scope", b"one", "replay", True, 2, b"poison", 2, ["a", "b"], 1)


def replayed(book: Playbook, letter: Letter = LETTER) -> int:
    return book.core.replay(letter, b"farewell", None, book.now).id


def test_a_letter_that_is_replayed_is_a_connection_that_ends_with_a_farewell() -> None:
    book = Playbook()
    book.worker("c", slots=1)
    book.lines()
    conn = book.core.connections[replayed(book)]
    assert book.lines() == ["c <- ADOPT 1.1 state 'one' attempt 2", "c <- MESSAGE 1.1 #1 'poison' attempt 2"]
    book.resumed("c", conn)
    book.commit("c", conn, 1, "to nobody", state="two", on_loss="replay")
    assert book.lines() == ["client 1 <- 'to nobody'", "c <- MESSAGE 1.1 #2 'farewell'"]
    book.commit("c", conn, 2, on_loss="replay")
    assert book.lines() == ["client 1 ends: returned"]
    book.core.close(conn)
    assert leftovers(book.core) == []


def test_a_replay_that_one_more_worker_is_lost_with_is_set_aside_again() -> None:
    book = Playbook()
    book.worker("c", slots=1)
    replayed(book)
    book.worker("d", slots=1)
    book.lines()
    book.lost("c")
    assert book.lines() == ["forget c", "set aside: 1 #1 'poison', state 'one', lost with a c", "client 1 ends: poison"]


def test_a_replay_waits_for_a_worker_as_long_as_a_request_does() -> None:
    book = Playbook(http_queue=2.0)
    replayed(book)
    book.pass_time(1.9)
    assert book.lines() == []
    book.pass_time(0.2)
    assert book.lines() == ["client 1 ends: no-worker"]


def test_the_first_message_of_a_connection_is_replayed_to_a_consumer_that_begins() -> None:
    book = Playbook()
    book.worker("c")
    book.lines()
    replayed(book, LETTER._replace(state=b"", on_loss="", kind="http"))
    assert book.lines() == ["c <- ADOPT 1.1 'poison' attempt 2"]
