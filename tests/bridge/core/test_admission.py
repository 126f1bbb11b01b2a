"""Overload is answered at once, and what waits does not wait for ever."""

from typing import Any

import pytest

from channels_bridge.bridge.core import admission
from channels_bridge.bridge.core.admission import LOOK
from channels_bridge.bridge.core.ledger import CHANNELS
from channels_bridge.shared import frames
from channels_bridge.testing.playbook import Playbook, leftovers

REFUSED = "client 2 ends: overload"


def ends(book: Playbook) -> list[str]:
    return [line for line in book.lines() if "ends" in line]


# -- who is let in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_there_are_never_more_connections_than_allowed(kind: str) -> None:
    book = Playbook(max_connections=1)
    book.worker("a")
    one = book.open("1", kind)
    two = book.open("2", kind)
    assert ends(book) == [REFUSED]
    book.core.close(two)
    book.core.close(one)
    book.open("3", kind)
    assert ends(book) == []
    assert book.core.ledgers["default"].refused == {"overload": 1}


def test_sockets_that_are_not_accepted_yet_are_bounded_and_no_others() -> None:
    book = Playbook(max_handshakes=1)
    book.worker("a", slots=9)
    one = book.open("connect", "websocket")
    book.open("connect", "websocket")
    book.open("request", "http")
    assert ends(book) == [REFUSED]
    book.commit("a", one, 1, "accept")
    book.core.reached(one)
    four = book.open("connect", "websocket")
    book.core.close(four)
    book.open("connect", "websocket")
    assert ends(book) == []


def test_behind_too_many_that_wait_for_a_slot_nobody_is_let_in() -> None:
    book = Playbook(max_queue=2)
    book.worker("a", slots=1)
    for _ in range(4):
        book.open("connect", "websocket")
    assert ends(book) == ["client 4 ends: overload"]


def test_behind_too_many_that_wait_for_a_worker_nobody_is_let_in() -> None:
    book = Playbook(max_queue=1)
    book.open("1")
    book.open("2")
    assert ends(book) == [REFUSED]
    book.worker("a")
    book.open("3")
    assert ends(book) == []


def test_those_who_were_let_in_before_are_no_queue_however_many_wait() -> None:
    book = Playbook(max_queue=2)
    book.worker("a", slots=9)
    conns = [book.open("connect", "websocket") for _ in range(3)]
    for conn in conns:
        book.commit("a", conn, 1, "accept", on_loss="replay", state="one")
    book.lost("a")
    book.lines()
    book.open("connect", "websocket")
    assert ends(book) == []
    book.worker("b", slots=1)
    for conn in conns:
        book.event(conn, "hello")
    book.open("connect", "websocket")
    assert ends(book) == []


def test_behind_one_that_waits_for_too_long_nobody_is_let_in() -> None:
    book = Playbook(queue_delay=1.0)
    book.worker("a", slots=1)
    one = book.open("1")
    book.open("2")
    book.pass_time(1.1, "a")
    book.lines()
    book.open("3")
    assert ends(book) == ["client 3 ends: overload"]
    book.commit("a", one, 1)
    book.open("4")
    assert ends(book) == []


def test_who_can_go_to_a_worker_that_is_quick_is_let_in_whatever_another_does() -> None:
    book = Playbook(queue_delay=1.0)
    book.worker("stuck", slots=1)
    book.open("1")
    book.open("2")
    book.pass_time(1.1, "stuck")
    book.worker("quick", slots=1)
    book.lines()
    book.open("3")
    assert ends(book) == []


def test_who_is_refused_leaves_nothing_behind() -> None:
    book = Playbook(max_connections=1)
    book.core.close(book.open("1"))
    book.open("2")
    three = book.open("3")
    book.event(three, "more")
    book.core.close(three)
    book.pass_time(6.0)
    assert [name for name in leftovers(book.core) if not name.startswith("connections")] == []
    assert (book.core.ledgers["default"].accepted, book.core.balance()) == (2, {"default": 0, CHANNELS: 0})


# -- who waits -------------------------------------------------------------------------------------------------


def test_a_request_that_gets_no_slot_in_time_is_refused() -> None:
    book = Playbook(http_queue=2.0)
    book.worker("a", slots=1)
    book.open("1")
    book.open("2")
    book.pass_time(1.9, "a")
    assert ends(book) == []
    book.pass_time(0.2, "a")
    assert ends(book) == [REFUSED]
    assert book.core.ledgers["default"].expired == 1


def test_an_open_socket_waits_longer_for_a_slot() -> None:
    book = Playbook(http_queue=2.0, park=4.0)
    book.worker("a", slots=1)
    one = book.open("connect", "websocket")
    book.commit("a", one, 1, "accept")
    book.open("request")
    book.event(one, "hello")
    book.pass_time(3.9, "a")
    assert ends(book) == []
    book.pass_time(0.2, "a")
    assert ends(book) == ["client 1 ends: overload"]


def test_whose_client_has_left_is_told_so_however_busy_its_worker_is() -> None:
    """As long as anybody waits here: it is its consumer's last message."""
    book = Playbook(http_queue=2.0, park=4.0)
    book.worker("a", slots=1)
    book.open("request")
    one = book.open("connect", "websocket")
    book.event(one, "gone", last=True)
    book.pass_time(3.9, "a")
    assert ends(book) == []


def test_the_wait_begins_anew_with_each_turn() -> None:
    book = Playbook(park=4.0, http_queue=3.0)
    book.worker("a", slots=1)
    one = book.open("connect", "websocket")
    two = book.open("connect", "websocket")
    book.pass_time(2.5, "a")
    book.commit("a", one, 1, "accept")
    book.commit("a", two, 1, "accept")
    book.event(one, "hello")
    book.event(two, "hello")
    book.pass_time(2.5, "a")
    assert ends(book) == []


# -- who reads too slowly --------------------------------------------------------------------------------------


def test_a_client_that_takes_nothing_of_a_full_window_is_closed() -> None:
    book = Playbook(window_bytes=10, slow_client=20.0)
    book.worker("a")
    one = book.open("connect", "websocket")
    book.output("a", one, "x" * 10)
    book.pass_time(20.0 - LOOK, "a")
    assert ends(book) == []
    book.pass_time(2 * LOOK + 0.1, "a")
    assert ends(book) == ["client 1 ends: slow"]


@pytest.mark.parametrize("taken", [1, 10])
def test_a_client_that_takes_something_now_and_then_is_not(taken: int) -> None:
    book = Playbook(window_bytes=10, slow_client=20.0)
    book.worker("a")
    one = book.open("connect", "websocket")
    book.output("a", one, "x" * 100)
    for _ in range(5):
        book.pass_time(10.0, "a")
        book.core.written(one, taken)
    assert ends(book) == []


def test_a_client_for_whom_little_waits_may_take_its_time() -> None:
    book = Playbook(window_bytes=10, slow_client=20.0)
    book.worker("a")
    one = book.open("connect", "websocket")
    book.says("a", frames.Output(one.id, one.epoch, 0, [b"x"], "", ""))
    book.pass_time(100.0, "a")
    assert ends(book) == []


# -- applications that do not answer ---------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "limit"), [("websocket", "handshake"), ("http", "answer")])
def test_who_is_not_answered_in_time_is_answered_by_the_bridge(kind: str, limit: str) -> None:
    settings: Any = {limit: 5.0}
    book = Playbook(**settings)
    book.worker("a", slots=9)
    for _ in range(3):
        book.open("hello", kind)
    answered, closed, _ = list(book.core.connections.values())
    book.commit("a", answered, 1, "answer")
    book.core.reached(answered)
    book.core.close(closed)
    book.pass_time(4.9, "a")
    assert ends(book) == []
    book.pass_time(0.2, "a")
    assert ends(book) == ["client 3 ends: timeout"]
    book.pass_time(5.0, "a")
    assert ends(book) == []


@pytest.mark.parametrize(("kind", "limit"), [("websocket", "handshake"), ("http", "answer")])
def test_what_the_server_was_not_given_is_no_answer(kind: str, limit: str) -> None:
    """A message of Channels 1 that does not fit is dropped on its last step."""
    settings: Any = {limit: 5.0}
    book = Playbook(**settings)
    book.worker("a", slots=9)
    conn = book.open("hello", kind)
    book.commit("a", conn, 1, "no answer")
    book.pass_time(5.1, "a")
    assert ends(book) == ["client 1 ends: timeout"]


def test_requests_that_were_answered_are_not_remembered_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "ANSWERED", 2)
    book = Playbook(answer=60.0)
    book.worker("a", slots=9)
    for _ in range(9):
        conn = book.open("hello", "http")
        book.commit("a", conn, 1, "answer")
        book.core.close(conn)
    assert len(book.core.admission._requests) <= 4


# -- workers for some kinds of connections ---------------------------------------------------------------------


def test_a_worker_gets_the_kinds_that_it_is_for() -> None:
    book = Playbook()
    a = book.worker("a", slots=9, kinds=("http",))
    socket = book.open("1", "websocket")
    request = book.open("2", "http")
    assert (socket.owner, request.owner) == (None, a)
    b = book.worker("b", slots=9, kinds=("websocket",))
    assert socket.owner is b
