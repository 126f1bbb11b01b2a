"""What becomes of a group's message where a member is full: the three policies, for consumers and for clients."""

from __future__ import annotations

import pytest

from channels_bridge.bridge.core import actions
from channels_bridge.bridge.core.connection import GROUP_SHARE, Broadcast, Connection
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.core.delivery import single
from channels_bridge.bridge.core.pool import Pool
from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.shared.frames import ChannelSend, GroupAdd, GroupSend
from channels_bridge.shared.names import owned_channel
from channels_bridge.testing.playbook import BOOT, leftovers

PEER = b"a"
NOW = 1000.0
JOURNAL = 2 + GROUP_SHARE  # messages of others that a journal takes here


class Bench:
    """A bridge with one worker whose consumers are stuck in their first turn, and clients that read when told to."""

    def __init__(self, policy: str, *, slots: int = 100, window_bytes: int = 10) -> None:
        config = Config(slow_member=policy, journal_messages=2, journal_bytes=10_000, window_bytes=window_bytes)
        self.core = Core(BOOT, config.check(), self._take)
        self.queues: dict[int, list[bytes]] = {}  # conn -> what waits for the client
        self.ends: dict[int, str] = {}  # conn -> outcome
        self.answers: list[str] = []
        self.core.receive(PEER, 0, [frames.Hello("worker", 1, "a", ["default"], True, slots, 0)], NOW)

    def _take(self, action: actions.Action) -> None:
        match action:
            case actions.Write(conn, events):
                self.queues[conn.id] += events
            case actions.WriteAll(conns, event):
                for conn in conns:
                    assert conn.id not in self.ends, "nothing is written behind the end"
                    self.queues[conn.id].append(event)
            case actions.DropOldest(conn):
                self.drop_oldest(conn)
            case actions.Finish(conn, outcome):
                assert conn.id not in self.ends, "a connection ends once"
                self.ends[conn.id] = outcome
            case actions.Send(_, _, frames.Answer(_, code)):
                self.answers.append(code)
            case _:
                pass

    def drop_oldest(self, conn: Connection) -> None:
        """Do as bridge/client.py does."""
        queue = self.queues[conn.id]
        for event in queue:
            if type(event) is Broadcast:
                queue.remove(event)
                self.core.written(conn, len(event))
                return

    def member(self, *roles: str) -> Connection:
        """Open a socket; its consumer and its client join the group."""
        conn = self.core.connection("websocket", "default", b"", True, None)
        self.queues[conn.id] = []
        self.core.open(conn, b"connect", NOW)
        for role in roles:
            self.says(GroupAdd("room", owned_channel(role, BOOT, conn.id), []))
        return conn

    def says(self, *said: frames.Frame) -> None:
        self.core.receive(PEER, 1, said, NOW)

    def group(self, *texts: str) -> None:
        for text in texts:
            self.says(GroupSend("room", text.encode(), [], [], []))

    def texts(self, conn: Connection) -> list[str]:
        """Give what waits for the client."""
        return [event.decode() for event in self.queues[conn.id]]


def journal(conn: Connection) -> list[str]:
    """Give what of a group waits for the consumer."""
    return [event.decode() for event in conn.journal if type(event) is Broadcast]


def numbered(first: int, behind: int) -> list[str]:
    return [str(number) for number in range(first, behind)]


# -- consumers -------------------------------------------------------------------------------------------------


def stuck(bench: Bench) -> Connection:
    """Make a member that waits for a slot: no worker has any of its group's messages."""
    bench.member()
    return bench.member("consumer")


def test_drop_new_a_full_consumer_loses_the_message() -> None:
    bench = Bench("drop_new", slots=1)
    conn = stuck(bench)
    bench.group(*numbered(0, JOURNAL + 3))
    assert journal(conn) == numbered(0, JOURNAL - 1)  # "connect" is the first of them all
    assert (bench.core.statistics.dropped, bench.ends) == (4, {})


def test_drop_old_a_full_consumer_loses_its_oldest() -> None:
    bench = Bench("drop_old", slots=1)
    conn = stuck(bench)
    bench.group(*numbered(0, JOURNAL + 3))
    assert journal(conn) == numbered(4, JOURNAL + 3)
    assert (bench.core.statistics.dropped, bench.ends) == (4, {})
    assert (conn.seq, conn.journal[0]) == (JOURNAL, b"connect")
    bench.core.close(conn)
    assert conn.journal_bytes == 0


def test_drop_old_as_many_go_as_make_room() -> None:
    bench = Bench("drop_old", slots=1)
    conn = stuck(bench)
    bench.group("1", "2", "3", "x" * 20_000)
    assert journal(conn) == ["1", "2", "3", "x" * 20_000]
    bench.group("4")
    assert journal(conn) == ["4"]
    assert bench.core.statistics.dropped == 4


def test_drop_old_what_a_worker_has_and_what_is_the_clients_own_stays() -> None:
    bench = Bench("drop_old", slots=1)
    bench.member()
    conn = bench.member("consumer")
    bench.core.event(conn, b"x" * 20_000)  # the client's own: as many bytes as a journal takes of others
    bench.group("1")
    assert (journal(conn), bench.core.statistics.dropped) == ([], 1)
    assert list(conn.journal) == [b"connect", b"x" * 20_000]


def test_drop_old_numbers_have_no_gap_when_the_worker_gets_the_rest() -> None:
    bench = Bench("drop_old", slots=1)
    first = bench.member("consumer")
    bench.group(*numbered(0, JOURNAL + 3))
    bench.says(frames.Commit(first.id, first.epoch, 1, True, [], b"", ""))
    bench.says(frames.Commit(first.id, first.epoch, 2, True, [], b"", ""))
    assert (first.acked, first.sent, first.seq) == (2, 3, JOURNAL)
    assert journal(first)[0] == "5"


def test_close_a_full_consumers_connection_ends() -> None:
    bench = Bench("close", slots=1, window_bytes=10_000)
    conn, neighbour = stuck(bench), bench.member("reply")
    bench.group(*numbered(0, JOURNAL - 1))
    assert bench.ends == {}
    bench.group("one too many", "and more")
    assert bench.ends == {conn.id: "slow"}
    assert bench.texts(neighbour)[-1] == "and more"
    assert (bench.core.statistics.dropped, bench.core.statistics.unknown) == (1, 1)


# -- clients ---------------------------------------------------------------------------------------------------


def test_drop_new_a_slow_client_loses_the_message() -> None:
    bench = Bench("drop_new")
    slow, quick = bench.member("reply"), bench.member("reply")
    for text in ("12345", "67890", "abcde"):
        bench.group(text)
        bench.core.written(quick, len(text))
    assert bench.texts(slow) == ["12345", "67890"]
    assert bench.texts(quick) == ["12345", "67890", "abcde"]
    assert bench.core.statistics.dropped == 1


def test_drop_old_a_slow_client_loses_its_oldest() -> None:
    bench = Bench("drop_old")
    slow = bench.member("reply")
    bench.group("12345", "67890", "abcde", "fghij")
    assert (bench.texts(slow), slow.buffered) == (["abcde", "fghij"], 10)
    assert bench.core.statistics.dropped == 2


def test_drop_old_what_its_own_consumer_sent_stays() -> None:
    """Then the client is full of that, and loses the new one after all."""
    bench = Bench("drop_old")
    slow = bench.member("reply")
    bench.group("12345")
    bench.says(frames.Commit(slow.id, slow.epoch, 1, True, [b"own own own"], b"", ""))
    bench.group("67890")
    assert (bench.texts(slow), bench.core.statistics.dropped) == (["own own own"], 2)


def test_close_a_slow_clients_connection_ends() -> None:
    bench = Bench("close")
    slow, quick = bench.member("reply"), bench.member("reply")
    for text in ("12345", "67890", "abcde", "fghij"):
        bench.group(text)
        bench.core.written(quick, len(text))
    assert bench.ends == {slow.id: "slow"}
    assert bench.texts(quick)[-1] == "fghij"
    assert (bench.core.statistics.dropped, bench.core.statistics.unknown) == (1, 1)


@pytest.mark.parametrize("roles", [("reply", "consumer"), ("consumer", "reply")])
@pytest.mark.parametrize("full", ["client", "consumer"])
def test_close_one_that_is_a_member_twice_ends_once_and_gets_nothing_more(roles: tuple[str, str], full: str) -> None:
    bench = Bench("close", slots=1, window_bytes=10 if full == "client" else 10_000)
    bench.member()
    conn = bench.member(*roles)
    if full == "client":
        bench.group("1234567890")
    else:
        bench.group(*numbered(0, JOURNAL - 1))
    before = (conn.seq, conn.received)
    bench.group("one too many")
    assert bench.ends == {conn.id: "slow"}
    assert (conn.seq, conn.received) == before
    bench.core.stop()
    for open_still in list(bench.core.connections.values()):
        bench.core.close(open_still)
    assert leftovers(bench.core) == []


# -- all members -----------------------------------------------------------------------------------------------


def test_members_that_are_at_their_end_are_counted_as_gone() -> None:
    bench = Bench("drop_new")
    over, leaving, there = bench.member("reply"), bench.member("reply"), bench.member("reply")
    bench.core.refuse(over, "too-big")
    bench.core.event(leaving, b"disconnect", last=True)
    bench.group("said")
    assert [bench.texts(conn) for conn in (over, leaving, there)] == [[], [], ["said"]]
    assert (bench.core.statistics.unknown, bench.core.statistics.dropped) == (2, 0)


def test_one_message_is_one_object_for_all_its_members() -> None:
    """So that it is packed, kept and unpacked once."""
    bench = Bench("drop_new", slots=1)
    clients = [bench.member("reply", "consumer") for _ in range(3)]
    bench.group("said")
    kept = {id(conn.journal[-1]) for conn in clients} | {id(bench.queues[conn.id][-1]) for conn in clients}
    assert len(kept) == 1


def test_what_is_sent_to_a_client_is_counted_and_uses_up_nobodys_credit() -> None:
    bench = Bench("drop_new")
    conn = bench.member("reply")
    bench.group("12345")
    assert (conn.received, conn.base, conn.buffered, bench.core.dispatcher.buffered) == (5, 5, 5, 5)


# -- one channel -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "last"), [("drop_new", "full"), ("drop_old", ""), ("close", "full")])
@pytest.mark.parametrize("role", ["consumer", "reply"])
def test_who_sends_to_one_channel_is_told_if_it_is_full(policy: str, last: str, role: str) -> None:
    bench = Bench(policy, slots=1)
    conn = stuck(bench)
    fits = JOURNAL - 1 if role == "consumer" else 10
    for call in range(fits + 1):
        bench.says(ChannelSend(owned_channel(role, BOOT, conn.id), b"x", 0, 0.0, [call]))
    assert bench.answers == [""] * fits + [last]


def test_a_channel_has_one_member() -> None:
    conn = Connection(1, "websocket", Pool("default"), b"", True, None)
    assert list(single("reply", conn)) == [("reply", conn)]
