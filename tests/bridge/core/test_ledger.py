"""Every message that was accepted is accounted for: one test per way in which it can end."""

import pytest

from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.ledger import CHANNELS
from channels_bridge.shared import frames
from channels_bridge.shared.frames import ChannelSend, GroupAdd, GroupSend, Listen
from channels_bridge.testing.playbook import Playbook, channel


def counted(book: Playbook, name: str = "default") -> dict[str, int]:
    """Give what is not 0, and see that nothing is missing."""
    assert set(book.core.balance().values()) <= {0}
    ledger = book.core.ledgers[name]
    found = {key: getattr(ledger, key) for key in ("accepted", "delivered", "shed", "expired", "dead_lettered")}
    found["in flight"] = book.core.in_flight()[name]
    return {key: count for key, count in found.items() if count}


def consumer(book: Playbook, name: str = "a", slots: int = 1) -> Connection:
    book.worker(name, slots=slots)
    return book.open("connect", "websocket")


def test_a_message_is_in_flight_until_its_turn_is_committed() -> None:
    book = Playbook()
    conn = consumer(book)
    book.event(conn, "two")
    assert counted(book) == {"accepted": 2, "in flight": 2}
    book.commit("a", conn, 1)
    assert counted(book) == {"accepted": 2, "delivered": 1, "in flight": 1}


def test_a_message_whose_turn_failed_was_delivered_and_those_behind_it_are_shed() -> None:
    book = Playbook()
    conn = consumer(book)
    book.event(conn, "two", "three")
    book.says("a", frames.Failed(conn.id, 1, 1, "raised", "no"))
    assert counted(book) == {"accepted": 3, "delivered": 1, "shed": 2}


def test_what_an_application_had_when_it_returned_was_delivered() -> None:
    book = Playbook()
    book.worker("a")
    conn = book.open("request")
    book.event(conn, "gone", last=True)
    book.output("a", conn, outcome="returned")
    assert counted(book) == {"accepted": 2, "delivered": 2}


def test_what_waits_when_the_client_has_gone_is_shed() -> None:
    book = Playbook()
    conn = consumer(book)
    book.event(conn, "two")
    book.core.close(conn)
    assert counted(book) == {"accepted": 2, "shed": 2}


def test_what_nobody_takes_in_time_expires() -> None:
    book = Playbook(http_queue=1.0)
    book.open("request")
    book.pass_time(1.1)
    assert counted(book) == {"accepted": 1, "expired": 1}
    assert book.core.ledgers["default"].refused == {"no-worker": 1}


def test_what_is_lost_with_a_worker_that_cannot_be_replaced_is_shed() -> None:
    book = Playbook()
    conn = consumer(book)
    book.commit("a", conn, 1)
    book.event(conn, "two")
    book.lost("a")
    assert counted(book) == {"accepted": 2, "delivered": 1, "shed": 1}
    assert book.core.ledgers["default"].refused == {"worker-lost": 1}


def test_what_on_loss_skip_gives_up_is_shed_and_what_is_behind_it_goes_on() -> None:
    book = Playbook()
    conn = consumer(book)
    book.commit("a", conn, 1, on_loss="skip", state="one")
    book.event(conn, "two", "three")
    book.lost("a")
    assert counted(book) == {"accepted": 3, "delivered": 1, "shed": 1, "in flight": 1}


def test_a_message_that_two_workers_were_lost_with_is_a_dead_letter_and_those_behind_it_are_shed() -> None:
    book = Playbook()
    conn = consumer(book)
    book.commit("a", conn, 1, on_loss="replay", state="one")
    book.event(conn, "poison", "behind")
    for name in ("a", "b"):
        book.worker(name, slots=1, boot=ord(name))
        book.pass_time(0.1)
        book.lost(name)
    assert counted(book) == {"accepted": 3, "delivered": 1, "dead_lettered": 1, "shed": 1}


def test_a_group_message_that_makes_room_for_a_newer_one_was_shed() -> None:
    book = Playbook(slow_member="drop_old", journal_messages=1)
    conn = consumer(book)
    book.says("a", GroupAdd("room", channel(conn), []))
    for _ in range(70):
        book.says("a", GroupSend("room", b"said", [], [], []))
    shed = counted(book)["shed"]
    assert counted(book) == {"accepted": 71, "shed": shed, "in flight": 71 - shed}
    assert shed > 0


@pytest.mark.parametrize("listens", [True, False])
def test_messages_of_named_channels_have_a_ledger_of_their_own(listens: bool) -> None:
    book = Playbook(channel_expiry=1.0)
    book.worker("a", slots=1)
    if listens:
        book.says("a", Listen("mail", 5))
    book.says("a", ChannelSend("mail", b"x", 0, 0.0, []))
    book.pass_time(1.5)
    assert counted(book, CHANNELS) == {"accepted": 1, "delivered" if listens else "expired": 1}


def test_what_is_handed_over_by_a_worker_that_drains_is_in_flight_once() -> None:
    book = Playbook()
    conn = consumer(book)
    book.commit("a", conn, 1, on_loss="replay", state="one")
    book.says("a", frames.Drain())
    book.worker("b", slots=1)
    book.event(conn, "two")
    assert counted(book) == {"accepted": 2, "delivered": 1, "in flight": 1}
