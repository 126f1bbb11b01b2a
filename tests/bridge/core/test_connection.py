import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.bridge.core.connection import GROUP_SHARE, Connection
from channels_bridge.bridge.core.pool import Pool
from channels_bridge.shared.config import Config

CONFIG = Config(journal_messages=3, journal_bytes=100)


def connection(*events: bytes) -> Connection:
    conn = Connection(1, "websocket", Pool("default"), b"scope", True, None)
    for event in events:
        conn.append(event)
    return conn


def test_messages_are_numbered_from_one() -> None:
    conn = connection(b"a", b"b")
    assert (conn.seq, conn.sent, conn.acked, conn.out) == (2, 0, 0, 0)
    assert conn.next_event() == b"a"
    assert conn.next_event() == b"b"
    assert (conn.sent, conn.out) == (2, 2)


def test_what_is_acknowledged_is_dropped_and_counted() -> None:
    conn = connection(b"a", b"bb", b"ccc")
    conn.next_event()
    conn.next_event()
    assert conn.acknowledge(2) == 3
    assert (list(conn.journal), conn.journal_bytes, conn.out) == ([b"ccc"], 3, 0)
    assert conn.next_event() == b"ccc"


@pytest.mark.parametrize("seq", [0, 1, 2])
def test_acknowledging_again_changes_nothing(seq: int) -> None:
    conn = connection(b"a", b"b", b"c")
    conn.sent = 3
    conn.acknowledge(2)
    assert conn.acknowledge(seq) == 0
    assert (conn.acked, list(conn.journal), conn.journal_bytes) == (2, [b"c"], 1)


@given(st.lists(st.sampled_from(["append", "send", "acknowledge", "lose"])))
def test_nothing_is_lost_and_the_order_kept_whatever_comes(steps: list[str]) -> None:
    """Against a model that never forgets: a list of all messages, and two marks in it."""
    conn, arrived, sent, acked = connection(), list[bytes](), 0, 0
    for step in steps:
        if step == "append":
            arrived.append(b"%d" % len(arrived))
            conn.append(arrived[-1])
        elif step == "send" and sent < len(arrived):
            assert conn.next_event() == arrived[sent]
            sent += 1
        elif step == "acknowledge" and acked < sent:
            acked += 1
            assert conn.acknowledge(acked) == len(arrived[acked - 1])
        elif step == "lose":  # its owner is gone: the next one gets what was not acknowledged
            conn.sent = sent = acked
        assert list(conn.journal) == arrived[acked:]
        assert conn.journal_bytes == sum(map(len, arrived[acked:]))
        assert (conn.seq, conn.sent, conn.acked, conn.out) == (len(arrived), sent, acked, sent - acked)


def test_a_turn_that_has_committed_early_holds_its_slot() -> None:
    conn = connection(b"a", b"b")
    conn.next_event()
    assert conn.turns_held == 1
    conn.acknowledge(1)
    conn.turn = 1
    assert (conn.out, conn.turns_held) == (0, 1)
    conn.next_event()
    assert conn.turns_held == 2


@pytest.mark.parametrize(
    ("events", "crowded", "takes"),
    [
        ([], False, True),
        ([], True, True),  # one message each, however crowded it is: else nobody would ever be served
        ([b"x"], True, False),
        ([b"x", b"x"], False, True),
        ([b"x", b"x", b"x"], False, False),
        ([b"x" * 99], False, True),
        ([b"x" * 100], False, False),
        ([b"x" * 10**6], False, False),  # one long message may overrun the bound: no message is too long for it
    ],
)
def test_a_client_may_send_until_the_journal_is_full(events: list[bytes], crowded: bool, takes: bool) -> None:
    assert connection(*events).takes_from_client(CONFIG, crowded) is takes


@pytest.mark.parametrize(
    ("events", "takes"),
    [
        ([b""] * (3 + GROUP_SHARE - 1), True),
        ([b""] * (3 + GROUP_SHARE), False),
        ([b"x" * 199], True),
        ([b"x" * 200], False),
    ],
)
def test_groups_and_channels_have_a_share_beyond_the_clients(events: list[bytes], takes: bool) -> None:
    """They cannot be made to wait; and a client that fills its own share must not shut them out."""
    assert connection(*events).takes_from_others(CONFIG) is takes


def test_what_waits_for_the_client() -> None:
    conn = connection()
    conn.received, conn.written = 10, 4
    assert conn.buffered == 6
