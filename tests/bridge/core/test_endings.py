"""How connections end, beyond what test_core.py and test_adoption.py say of it."""

from channels_bridge.bridge.core import actions
from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.dispatcher import PROBATION
from channels_bridge.bridge.core.letters import Letter
from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.testing.playbook import Playbook

LETTER = Letter("default", "websocket", b"scope", b"one", "replay", True, 2, b"poison", 2, ["a", "b"], 1)


def test_a_letter_is_its_message_and_all_that_its_consumer_is_made_of() -> None:
    book = Playbook()
    kept: list[Letter] = []
    emit = book.core.endings._emit

    def keep(action: actions.Action) -> None:
        if isinstance(action, actions.SetAside):
            kept.append(action.letter)
        emit(action)

    book.core.endings._emit = keep
    book.worker("a", slots=1)
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, state="one", on_loss="replay")
    book.event(conn, "poison", "behind")
    book.lost("a")
    book.worker("b", slots=1)
    book.pass_time(0.1)
    book.lost("b")
    assert kept == [LETTER]


def test_a_turn_that_took_too_long_ends_its_connection_with_that_outcome() -> None:
    book = Playbook()
    book.worker("a", slots=1)
    conn = book.open("connect", "websocket")
    book.lines()
    book.says("a", frames.Failed(conn.id, 1, 1, "timeout", "Chat.websocket_connect: 5 s"))
    assert book.lines() == ["client 1 ends: timeout, Chat.websocket_connect: 5 s"]


# -- who is to blame -------------------------------------------------------------------------------------------


def crowd(book: Playbook, count: int, slots: int = 8) -> list[Connection]:
    """Open sockets of resumable consumers at worker a, each with a message in hand."""
    book.worker("a", slots=slots)
    conns = [book.open("connect", "websocket") for _ in range(count)]
    for conn in conns:
        book.commit("a", conn, 1, state="one", on_loss="replay")
        book.event(conn, "hello")
    return conns


def die(book: Playbook, name: str) -> None:
    """Let a worker die, and those that it had in its hands be placed again, where there is somebody."""
    book.lost(name)
    book.pass_time(0.1)


def handle(book: Playbook, name: str, conn: Connection) -> None:
    book.resumed(name, conn)
    book.commit(name, conn, conn.acked + 1, on_loss="replay")


def test_where_several_died_twice_with_a_worker_each_is_tried_alone_and_one_is_found_guilty() -> None:
    book = Playbook()
    culprit, *others = crowd(book, 3)
    book.worker("b", slots=8)
    die(book, "a")
    book.worker("c", slots=8)
    die(book, "b")  # with all three: nobody knows by which
    assert [conn.finished for conn in (culprit, *others)] == [False, False, False]
    assert [conn.owner is not None for conn in (culprit, *others)] == [True, False, False]
    book.worker("d", slots=8)
    assert [conn.owner is not None for conn in others] == [True, False]
    handle(book, "d", others[0])
    assert others[1].owner is not None  # its turn has come
    handle(book, "d", others[1])
    die(book, "c")
    assert (culprit.finished, [conn.finished for conn in others]) == (True, [False, False])
    assert book.core.ledgers["default"].dead_lettered == 1


def test_who_is_tried_alone_and_takes_its_time_lets_the_next_follow() -> None:
    book = Playbook()
    slow, other = crowd(book, 2)
    book.worker("b", slots=8)
    die(book, "a")
    book.worker("c", slots=8)
    die(book, "b")
    assert (slow.owner is not None, other.owner) == (True, None)
    book.pass_time(PROBATION, "c")
    assert other.owner is not None


def test_messages_that_died_together_are_given_out_one_by_one_and_the_right_one_is_set_aside() -> None:
    book = Playbook()
    [conn] = crowd(book, 1)
    book.event(conn, "die", "behind")
    book.worker("b", slots=8)
    die(book, "a")
    handle(book, "b", conn)  # the first one was innocent
    book.worker("c", slots=8)
    book.lines()
    book.lost("b")
    assert book.lines()[1:] == ["set aside: 1 #3 'die', state 'one', lost with a b", "client 1 ends: poison"]


def test_an_application_that_saves_is_given_its_messages_one_by_one_too() -> None:
    book = Playbook()
    book.worker("a")
    conn = book.open("connect", "websocket")
    book.says("a", frames.Save(conn.id, 1, 1, [], b"one"))
    book.event(conn, "two", "three", "four")
    book.worker("b")
    book.lines()
    die(book, "a")
    assert book.lines() == ["forget a", "b <- ADOPT 1.2 state 'one' 'two' from 2 attempt 2"]
    book.resumed("b", conn)
    book.event(conn, "five")
    assert book.lines() == []
    book.says("b", frames.Save(conn.id, 2, 2, [], b"two"))
    assert book.lines() == ["b <- MESSAGE 1.2 #3 'three' attempt 2"]
    book.says("b", frames.Save(conn.id, 2, 3, [], b"three"))
    book.says("b", frames.Save(conn.id, 2, 4, [], b"four"))
    assert book.lines() == ["b <- MESSAGE 1.2 #4 'four' attempt 2", "b <- MESSAGE 1.2 #5 'five'"]


def test_a_state_that_two_workers_died_of_is_not_given_to_a_third() -> None:
    book = Playbook()
    book.worker("a", slots=8)
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, state="deadly", on_loss="replay")
    book.worker("b", slots=8)
    book.lost("a")  # it rested: nobody suspects it
    book.worker("c", slots=8)
    die(book, "b")
    book.lines()
    book.worker("d", slots=8)
    book.lines()
    book.lost("c")
    assert book.lines() == ["forget c", "client 1 ends: poison"]
    assert book.logs[-1] == "warning: connection 1 is given up: b and c were lost as they took it over"


def test_who_was_taken_over_and_lives_is_not_suspected() -> None:
    book = Playbook()
    book.worker("a", slots=8)
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, state="one", on_loss="replay")
    for old, new in ("ab", "bc", "cd", "de"):
        book.worker(new, slots=8)
        die(book, old)
        book.resumed(new, conn)
    assert (conn.attempt, conn.finished) == (0, False)


def test_a_worker_that_says_hello_again_has_not_died_of_what_it_had() -> None:
    book = Playbook()
    book.worker("a", slots=8, boot=7, peer="socket 0")
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, state="one", on_loss="replay")
    book.event(conn, "hello")
    for number in range(1, 5):
        book.worker(f"a{number}", slots=8, boot=7, peer=f"socket {number}")
        book.pass_time(0.1)
    assert (conn.attempt, conn.finished) == (1, False)
    assert "attempt 2" in book.lines()[-1]


def test_a_bridge_that_stood_still_blames_nobody_for_its_silence() -> None:
    book = Playbook()
    [conn] = crowd(book, 1)
    waiting = book.open("request", "http", pool="elsewhere")
    book.pass_time(1.0, "a")
    book.lines()
    book.now += 60.0
    book.core.tick(book.now)
    assert book.lines() == []
    assert (conn.owner is not None, waiting.finished) == (True, False)
    book.pass_time(Config().verdict + 0.1)
    assert "forget a" in book.lines()
