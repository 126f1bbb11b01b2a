import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.shared.frames import Adopt, Message
from channels_bridge.worker.core.mailbox import Mailbox


def mailbox(*events: bytes, next_seq: int = 1, window: int = 100, attempt: int = 1, state: bytes = b"") -> Mailbox:
    return Mailbox(Adopt(7, 2, b"scope", next_seq, window, attempt, state, list(events)))


def message(seq: int, epoch: int = 2) -> Message:
    return Message(7, epoch, seq, 1, b"%d" % seq)


def test_a_mailbox_begins_as_the_bridge_says() -> None:
    box = mailbox(next_seq=4, window=10)
    assert (box.conn, box.epoch, box.scope, box.next_seq, box.over) == (7, 2, b"scope", 4, "")
    assert not box.queue
    assert box.may_send


def test_a_state_that_came_along_says_that_the_consumer_outlives_its_worker() -> None:
    assert (mailbox().state, mailbox().resumable) == (b"", False)
    box = mailbox(next_seq=4, state=b"kept")
    assert (box.state, box.resumable, box.next_seq) == (b"kept", True, 4)


def test_what_came_along_is_as_if_each_had_come_by_itself() -> None:
    box = mailbox(b"a", b"b", next_seq=4, attempt=2)
    assert list(box.queue) == [Message(7, 2, 4, 2, b"a"), Message(7, 2, 5, 2, b"b")]
    assert box.put(message(6))
    assert box.next_seq == 7


@pytest.mark.parametrize("odd", [message(0), message(2), message(3), message(1, epoch=1), message(1, epoch=3)])
def test_only_the_next_message_of_this_epoch_is_taken(odd: Message) -> None:
    box = mailbox()
    assert not box.put(odd)
    assert (list(box.queue), box.next_seq) == ([], 1)
    assert box.put(message(1))
    assert not box.put(message(1))
    assert list(box.queue) == [message(1)]


@given(st.lists(st.integers(0, 5)))
def test_whatever_comes_what_is_queued_is_in_order_and_without_a_gap(seqs: list[int]) -> None:
    box = mailbox()
    for seq in seqs:
        box.put(message(seq))
    assert [queued.seq for queued in box.queue] == list(range(1, box.next_seq))


def test_one_message_may_overrun_the_credit() -> None:
    """Else one that is longer than the window could never be sent."""
    box = mailbox(window=10)
    box.sent = 9
    assert box.may_send
    box.sent += 1_000_000
    assert not box.may_send
    box.grant(1_000_010)
    assert box.may_send


def test_without_a_window_nothing_is_sent_until_there_is_credit() -> None:
    box = mailbox(window=0)
    assert not box.may_send
    box.grant(1)
    assert box.may_send


@given(st.lists(st.integers(0, 1000)))
def test_credit_only_grows(totals: list[int]) -> None:
    """A total that comes twice, or late, does no harm."""
    box = mailbox(window=100)
    for total in totals:
        before = box.allowed
        box.grant(total)
        assert box.allowed == max(before, total)


def test_there_is_no_dict_for_each() -> None:
    """There is a mailbox for each connection."""
    assert not hasattr(mailbox(), "__dict__")
