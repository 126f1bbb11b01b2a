"""Memberships: alone, and as workers ask for them. They live with the connection and die with it."""

import pytest

from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.groups import Groups
from channels_bridge.bridge.core.pool import Pool, Worker
from channels_bridge.shared.frames import ChannelSend, GroupAdd, GroupDiscard, GroupSend, Hello
from channels_bridge.shared.names import Owned, owned_channel
from channels_bridge.testing.playbook import BOOT, Playbook, channel, leftovers


def connection(number: int) -> Connection:
    return Connection(number, "websocket", Pool("default"), b"", True, None)


def ids(groups: Groups, name: str, *exclude: Owned) -> list[tuple[str, int]]:
    return [(role, conn.id) for role, conn in groups.members(name, exclude)]


# -- the table -------------------------------------------------------------------------------------------------


def test_members_come_in_the_order_of_joining_each_once() -> None:
    groups, one, two = Groups(), connection(1), connection(2)
    for role, conn in (("consumer", two), ("reply", one), ("consumer", one), ("consumer", two)):
        groups.add("room", role, conn)
    assert ids(groups, "room") == [("consumer", 2), ("reply", 1), ("consumer", 1)]
    assert ids(groups, "other") == []


def test_who_is_excluded_is_left_out_under_that_name_only() -> None:
    groups, one = Groups(), connection(1)
    groups.add("room", "consumer", one)
    groups.add("room", "reply", one)
    assert ids(groups, "room", Owned("consumer", BOOT, 1)) == [("reply", 1)]
    assert ids(groups, "room", Owned("reply", BOOT, 1), Owned("consumer", BOOT, 9)) == [("consumer", 1)]


def test_discarding_ends_one_membership_and_is_never_an_error() -> None:
    groups, one = Groups(), connection(1)
    groups.add("room", "consumer", one)
    groups.add("room", "reply", one)
    groups.discard("room", "consumer", one)
    assert ids(groups, "room") == [("reply", 1)]
    groups.discard("room", "consumer", one)
    groups.discard("other", "consumer", one)
    groups.discard("room", "reply", connection(2))
    assert ids(groups, "room") == [("reply", 1)]
    assert one.groups == {("room", "reply")}


def test_a_group_without_members_is_forgotten() -> None:
    groups, one = Groups(), connection(1)
    groups.add("a", "consumer", one)
    groups.add("b", "consumer", one)
    assert len(groups) == 2
    groups.discard("a", "consumer", one)
    assert len(groups) == 1
    groups.drop(one)
    assert len(groups) == 0
    assert one.groups == set()


def test_members_may_leave_while_a_message_goes_round() -> None:
    groups, members = Groups(), [connection(number) for number in range(3)]
    for member in members:
        groups.add("room", "consumer", member)
    seen: list[int] = []
    for _, conn in groups.members("room", ()):
        seen.append(conn.id)
        groups.drop(conn)
    assert seen == [0, 1, 2]


def test_who_left_while_a_message_goes_round_is_passed_over() -> None:
    groups, members = Groups(), [connection(number) for number in range(3)]
    for member in members:
        groups.add("room", "consumer", member)
    seen: list[int] = []
    for _, conn in groups.members("room", ()):
        seen.append(conn.id)
        groups.drop(members[1])
    assert seen == [0, 2]


def process(name: str) -> Worker:
    return Worker(name.encode(), 1, Hello("layer", ord(name), name, [], False, 0, 0), 0.0)


def test_processes_subscribe_once_and_beside_connections() -> None:
    groups, a, b = Groups(), process("a"), process("b")
    for one in (b, a, b):
        groups.subscribe("room", one)
    groups.add("room", "consumer", connection(1))
    assert groups.processes("room") == [b, a]
    assert (ids(groups, "room"), len(groups), "room" in groups) == ([("consumer", 1)], 1, True)
    groups.unsubscribe("room", b)
    groups.unsubscribe("room", b)
    groups.unsubscribe("other", a)
    assert groups.processes("room") == [a]
    assert (a.groups, b.groups) == ({"room"}, set())


def test_a_lost_process_is_in_no_group() -> None:
    groups, a = Groups(), process("a")
    groups.subscribe("room", a)
    groups.subscribe("hall", a)
    groups.subscribe("hall", process("b"))
    groups.lose(a)
    assert (a.groups, groups.processes("room"), len(groups)) == (set(), [], 1)


def test_the_first_member_and_the_end_of_the_last_are_told() -> None:
    """Whatever they are: connections as consumer or client, processes."""
    changes: list[str] = []
    groups = Groups(lambda group: changes.append(f"{group} {group in groups}"))
    one, a = connection(1), process("a")
    groups.add("room", "consumer", one)
    groups.add("room", "reply", one)
    groups.subscribe("room", a)
    assert changes == ["room True"]
    groups.drop(one)
    assert changes == ["room True"]
    groups.lose(a)
    groups.lose(a)
    assert changes == ["room True", "room False"]
    groups.subscribe("room", a)
    groups.add("room", "reply", one)
    groups.unsubscribe("room", a)
    groups.discard("room", "reply", one)
    assert changes == ["room True", "room False"] * 2


# -- as workers ask for them -----------------------------------------------------------------------------------


@pytest.fixture
def book() -> Playbook:
    """Give a bridge with one worker for consumers that has slots for all."""
    book = Playbook(journal_messages=2, window_bytes=10)
    book.worker("a", slots=100)
    return book


def joined(book: Playbook, *groups: str, role: str = "consumer") -> Connection:
    """Open a socket whose first turn joins groups."""
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, *(GroupAdd(group, channel(conn, role), []) for group in groups))
    book.lines()
    return conn


def test_a_message_for_a_group_goes_to_its_members_consumers_each_under_its_own_number(book: Playbook) -> None:
    one, two, _ = joined(book, "room"), joined(book, "room"), joined(book, "other")
    book.event(two, "own")
    book.commit("a", two, 2)
    book.lines()
    book.says("a", GroupSend("room", b"said", [], [], []))
    assert book.lines() == ["a <- FAN_OUT 'said' to 1.1#2 2.1#3"]
    assert (one.out, two.out) == (1, 1)


def test_a_reply_channel_leads_past_the_consumer_to_the_client(book: Playbook) -> None:
    joined(book, "room", role="reply")
    book.says("a", GroupSend("room", b"said", [], [], []))
    assert book.lines() == ["client 1 <- 'said'"]


def test_exclude_leaves_out_whoever_it_names(book: Playbook) -> None:
    one, two = joined(book, "room"), joined(book, "room")
    names = [channel(one), "not.owned", owned_channel("consumer", BOOT + 1, two.id)]
    book.says("a", GroupSend("room", b"said", names, [], []))
    assert book.lines() == ["a <- MESSAGE 2.1 #2 'said'"]


def test_who_sends_to_a_group_in_its_turn_gets_the_message_after_the_turn(book: Playbook) -> None:
    """The commit that carries it acknowledges the turn first: order holds, and no slot is counted twice."""
    one = joined(book, "room")
    book.event(one, "speak")
    book.lines()
    book.commit("a", one, 2, "before", GroupSend("room", b"said", [], [], []), "after")
    assert book.lines() == ["client 1 <- 'before'", "a <- MESSAGE 1.1 #3 'said'", "client 1 <- 'after'"]
    assert book.core.supervisor.links[b"a"].turns_out == 1


def test_leaving_a_group(book: Playbook) -> None:
    one = joined(book, "room")
    book.says("a", GroupDiscard("room", channel(one), []), GroupSend("room", b"said", [], [], []))
    assert book.lines() == []


@pytest.mark.parametrize("frame", [GroupAdd, GroupDiscard])
@pytest.mark.parametrize("name", ["named", "consumer.00000000000000b0!99", owned_channel("consumer", BOOT + 1, 1)])
def test_what_is_no_channel_of_this_bridge_is_counted(
    book: Playbook, frame: type[GroupAdd] | type[GroupDiscard], name: str
) -> None:
    joined(book)
    book.says("a", frame("room", name, []))
    assert (book.core.statistics.unknown, len(book.core.layer.groups), book.lines()) == (1, 0, [])


def test_membership_dies_with_the_connection(book: Playbook) -> None:
    one, two = joined(book, "room", "hall"), joined(book, "room")
    book.core.close(one)
    book.lines()
    book.says("a", GroupSend("room", b"said", [], [], []), GroupSend("hall", b"said", [], [], []))
    assert book.lines() == ["a <- MESSAGE 2.1 #2 'said'"]
    book.core.close(two)
    assert leftovers(book.core) == []


def test_a_commit_that_does_not_hold_joins_nothing(book: Playbook) -> None:
    one = book.open("connect", "websocket")
    book.commit("a", one, 2, GroupAdd("room", channel(one), []))
    assert len(book.core.layer.groups) == 0


@pytest.mark.parametrize("role", ["consumer", "reply"])
def test_a_message_to_one_channel(book: Playbook, role: str) -> None:
    one = joined(book)
    book.says("a", ChannelSend(channel(one, role), b"psst", 0, 0.0, []))
    assert book.lines() == (["a <- MESSAGE 1.1 #2 'psst'"] if role == "consumer" else ["client 1 <- 'psst'"])


def test_a_message_to_a_channel_that_is_gone_is_counted(book: Playbook) -> None:
    one = joined(book)
    book.core.close(one)
    book.says("a", ChannelSend(channel(one), b"psst", 0, 0.0, []))
    assert book.core.statistics.unknown == 1


def test_a_full_journal_takes_no_more_of_a_group_and_counts_that(book: Playbook) -> None:
    """Such a sender cannot be made to wait; the slow consumer's neighbours get the message all the same."""
    slow, quick = joined(book, "room"), joined(book, "room")
    bound = 2 + 64  # journal_messages + GROUP_SHARE
    for _ in range(bound + 10):
        book.says("a", GroupSend("room", b"said", [], [], []))
        book.commit("a", quick, quick.sent)
    assert len(slow.journal) == bound
    assert (quick.acked, book.core.statistics.dropped) == (bound + 10 + 1, 10)


def test_a_slow_client_takes_no_more_of_a_group_and_that_is_counted(book: Playbook) -> None:
    slow = joined(book, "room", role="reply")
    for _ in range(5):
        book.says("a", GroupSend("room", b"12345", [], [], []))
    assert (slow.buffered, book.core.statistics.dropped) == (10, 3)
    book.core.written(slow, 5)
    book.says("a", GroupSend("room", b"12345", [], [], []))
    assert (slow.buffered, book.core.statistics.dropped) == (10, 3)


def test_nothing_of_a_group_comes_behind_a_disconnect(book: Playbook) -> None:
    one = joined(book, "room")
    book.event(one, "disconnect", last=True)
    book.lines()
    book.says("a", GroupSend("room", b"said", [], [], []), ChannelSend(channel(one), b"psst", 0, 0.0, []))
    assert (book.lines(), book.core.statistics.unknown) == ([], 2)
