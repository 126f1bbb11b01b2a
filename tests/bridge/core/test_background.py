"""Named channels alone: bounded, expiring, fair, each message to one listener, nothing left behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.bridge.core.actions import Action, Send
from channels_bridge.bridge.core.background import CHANNEL, MESSAGE, Background
from channels_bridge.bridge.core.pool import Worker
from channels_bridge.bridge.core.statistics import Statistics
from channels_bridge.shared.config import Config
from channels_bridge.shared.frames import ChannelSend, Hello


class Bench:
    """The named channels of a bridge, and what they give to whom."""

    def __init__(self, **settings: object) -> None:
        self.now = 1000.0
        self.statistics = Statistics()
        self._given: list[str] = []
        config = Config(**settings).check()  # type: ignore[arg-type]
        self.channels = Background(config, self._take, self.statistics)

    def _take(self, action: Action) -> None:
        assert isinstance(action, Send)
        assert isinstance(action.frame, ChannelSend)
        assert action.frame == ChannelSend(action.frame.channel, action.frame.event, 0, 0.0, [])
        assert action.link_epoch == 7
        self._given.append(f"{action.peer.decode()} {action.frame.event.decode()}")

    @property
    def given(self) -> list[str]:
        given, self._given = self._given, []
        return given

    def put(self, *texts: str, name: str = "jobs", capacity: int = 0, expiry: float = 0.0) -> list[bool]:
        sent = (ChannelSend(name, text.encode(), capacity, expiry, []) for text in texts)
        return [self.channels.put(frame, self.now) for frame in sent]

    def listen(self, worker: Worker, total: int, name: str = "jobs") -> None:
        self.channels.listen(worker, name, total, self.now)

    def expire(self, seconds: float) -> None:
        self.now += seconds
        self.channels.expire(self.now)


def worker(name: str) -> Worker:
    return Worker(name.encode(), 7, Hello("layer", ord(name), name, [], False, 0, 0), 0.0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# -- bounds ----------------------------------------------------------------------------------------------------


def test_a_message_waits_for_a_listener_and_goes_to_it_once(bench: Bench) -> None:
    assert bench.put("1", "2") == [True, True]
    assert (bench.given, len(bench.channels)) == ([], 1)
    bench.listen(worker("a"), 5)
    bench.listen(worker("b"), 5)
    assert bench.given == ["a 1", "a 2"]


def test_a_channel_takes_its_capacity_of_waiting_messages() -> None:
    bench = Bench(capacity=2)
    assert bench.put("1", "2", "3") == [True, True, False]
    assert bench.put("1", name="others") == [True]
    assert bench.statistics.full == 1
    bench.listen(worker("a"), 1)
    assert bench.put("4", "5") == [True, False]


def test_the_sender_may_say_another_capacity() -> None:
    bench = Bench(capacity=2)
    assert bench.put("1", "2", "3", capacity=1) == [True, False, False]
    assert bench.put("2", "3", "4", capacity=3) == [True, True, False]


def test_the_first_pattern_that_fits_says_the_capacity() -> None:
    bench = Bench(capacity=4, channel_capacity={"mail.[ab]": 1, "mail.*": 2, "*": 3})
    names = ("mail.a", "mail.c", "Mail.a")
    assert [bench.put(*"1234", name=name).count(True) for name in names] == [1, 2, 3]


def test_a_channel_takes_so_many_bytes() -> None:
    bench = Bench(channel_bytes=2 * (10 + MESSAGE))
    assert bench.put("x" * 10, "x" * 11, "x" * 10, "") == [True, False, True, False]
    bench.listen(worker("a"), 1)
    assert bench.put("x" * 11, "x" * 10) == [False, True]


def test_all_channels_together_take_so_many_bytes() -> None:
    """Each channel costs something too: there may be very many with a short message each."""
    bench = Bench(background_bytes=2 * CHANNEL + 3 * (10 + MESSAGE))
    assert bench.put("x" * 10, "x" * 10, name="a") == [True, True]
    assert bench.put("x" * 11, "x" * 10, name="b") == [False, True]
    assert bench.put("", name="a") == bench.put("", name="c") == [False]
    assert len(bench.channels) == 2
    bench.listen(worker("w"), 1, "a")
    assert bench.put("x" * 10, name="b") == [True]


def test_a_channel_that_refuses_its_first_message_is_not_kept() -> None:
    bench = Bench(channel_bytes=1)
    assert bench.put("12") == [False]
    assert len(bench.channels) == 0


def test_what_is_taken_at_once_needs_no_room() -> None:
    bench = Bench(channel_bytes=1, background_bytes=1)
    bench.listen(worker("a"), 2)
    assert bench.put("12", "34", "56") == [True, True, False]
    assert bench.given == ["a 12", "a 34"]


# -- expiry ----------------------------------------------------------------------------------------------------


def test_what_nobody_takes_in_time_is_dropped_and_counted() -> None:
    bench = Bench(channel_expiry=60.0)
    bench.put("1")
    bench.put("2", expiry=5.0)
    bench.expire(4.9)
    assert bench.channels.ledger.expired == 0
    bench.expire(0.1)
    assert bench.channels.ledger.expired == 1
    bench.expire(54.9)
    assert (bench.channels.ledger.expired, len(bench.channels)) == (1, 1)
    bench.expire(0.1)
    assert (bench.channels.ledger.expired, len(bench.channels)) == (2, 0)


def test_what_has_expired_is_not_given_even_if_no_timer_was_looked_at(bench: Bench) -> None:
    bench.put("old", expiry=1.0)
    bench.put("new")
    bench.now += 1.0
    bench.listen(worker("a"), 5)
    assert (bench.given, bench.channels.ledger.expired) == (["a new"], 1)


def test_what_has_expired_makes_room_even_if_no_timer_was_looked_at() -> None:
    bench = Bench(capacity=1, channel_expiry=5.0)
    assert bench.put("old", expiry=5.0) == [True]
    bench.now += 5.0
    assert bench.put("new", "more") == [True, False]
    assert (bench.channels.ledger.expired, bench.statistics.full) == (1, 1)


def test_what_expires_makes_room() -> None:
    bench = Bench(channel_bytes=10 + MESSAGE, background_bytes=10 + MESSAGE + CHANNEL)
    for _ in range(3):
        assert bench.put("x" * 10, "x", expiry=1.0) == [True, False]
        bench.expire(1.0)


def test_a_channel_that_is_listened_on_stays_when_its_messages_expire(bench: Bench) -> None:
    bench.listen(worker("a"), 0)
    bench.put("1", expiry=1.0)
    bench.expire(1.0)
    assert bench.channels.listened == ["jobs"]


# -- listeners -------------------------------------------------------------------------------------------------


def test_listeners_take_turns(bench: Bench) -> None:
    for name in "abc":
        bench.listen(worker(name), 5)
    bench.put(*"1234567")
    assert bench.given == ["a 1", "b 2", "c 3", "a 4", "b 5", "c 6", "a 7"]


def test_who_has_no_credit_left_is_passed_over_and_comes_back_at_the_end(bench: Bench) -> None:
    a, b = worker("a"), worker("b")
    bench.listen(a, 1)
    bench.listen(b, 3)
    bench.put(*"123")
    assert bench.given == ["a 1", "b 2", "b 3"]
    bench.listen(a, 2)
    bench.put(*"45")
    assert bench.given == ["b 4", "a 5"]


def test_credit_is_a_total_and_never_shrinks(bench: Bench) -> None:
    """So a LISTEN that repeats what was said, or comes late, gives nothing away and takes nothing back."""
    a = worker("a")
    for total in (2, 2, 1, 0):
        bench.listen(a, total)
    bench.put(*"123")
    assert bench.given == ["a 1", "a 2"]
    bench.listen(a, 2)
    assert bench.given == []
    bench.listen(a, 3)
    assert bench.given == ["a 3"]


def test_who_listens_without_credit_is_a_listener_that_gets_nothing(bench: Bench) -> None:
    bench.listen(worker("a"), 0)
    assert bench.put("1") == [True]
    assert (bench.given, bench.channels.has_listener("jobs")) == ([], True)
    assert not bench.channels.has_listener("others")


def test_who_stops_gets_no_more_and_counts_anew(bench: Bench) -> None:
    a, b = worker("a"), worker("b")
    bench.listen(a, 5)
    bench.listen(b, 5)
    bench.put("1", "2", "3")
    bench.listen(a, -1)
    bench.put("4", "5")
    assert bench.given == ["a 1", "b 2", "a 3", "b 4", "b 5"]
    bench.listen(b, -1)
    bench.put("6", "7")
    bench.listen(a, 1)
    assert bench.given == ["a 6"]


def test_stopping_without_credit_or_twice_or_unheard_of(bench: Bench) -> None:
    a = worker("a")
    bench.listen(a, -1)
    bench.listen(a, 0)
    bench.listen(a, -1)
    bench.listen(a, -1)
    assert (len(bench.channels), a.listened) == (0, set())
    bench.put("1")
    bench.listen(a, -1)
    assert len(bench.channels) == 1


def test_a_lost_listener_gets_no_more_and_what_it_was_given_is_gone(bench: Bench) -> None:
    """At most once. What waits, waits for the next one."""
    a = worker("a")
    bench.listen(a, 1)
    bench.listen(a, 5, "others")
    bench.listen(a, 5, "stopped")
    bench.listen(a, -1, "stopped")
    bench.listen(worker("c"), 0, "stopped")
    bench.put("1", "2")
    bench.channels.lose(a)
    assert bench.given == ["a 1"]
    assert (bench.channels.listened, len(bench.channels)) == (["stopped"], 2)
    bench.listen(worker("b"), 5)
    assert bench.given == ["b 2"]


# -- for other machines ----------------------------------------------------------------------------------------


def test_all_that_waits_is_taken_out_oldest_first(bench: Bench) -> None:
    bench.put("1")
    bench.now += 1.0
    bench.put("2", expiry=5.0)
    taken = list(bench.channels.take_all("jobs"))
    assert [(waiting.event, waiting.expires_at - bench.now) for waiting in taken] == [(b"1", 59.0), (b"2", 5.0)]
    assert len(bench.channels) == 0
    assert list(bench.channels.take_all("jobs")) == []


# -- any sequence ----------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "listen", "stop", "lose", "expire"]), st.integers(0, 2), st.integers(0, 6)),
    max_size=60,
)


@given(STEPS)
def test_each_message_has_one_end_and_nothing_is_left(steps: list[tuple[str, int, int]]) -> None:
    """In order, within the credit, and: accepted = given + expired + waiting."""
    bench = Bench(capacity=4)
    workers = [worker(name) for name in "abc"]
    totals: dict[Worker, int] = dict.fromkeys(workers, 0)
    accepted = 0
    given: list[int] = []
    counts = dict.fromkeys("abc", 0)
    for step, which, number in steps:
        one = workers[which]
        if step == "put":
            accepted += bench.put(str(accepted), expiry=1.0 + number)[0]
        elif step == "listen":
            totals[one] = max(totals[one], number)
            bench.listen(one, number)
        elif step == "stop":
            bench.listen(one, -1)
            totals[one] = counts["abc"[which]] = 0
        elif step == "lose":
            bench.channels.lose(one)
            workers[which] = worker("abc"[which])
            totals[workers[which]] = counts["abc"[which]] = 0
        else:
            bench.expire(float(number))
        for line in bench.given:
            counts[line[0]] += 1
            given.append(int(line[2:]))
        assert all(counts[w.hello.name] <= totals[w] for w in workers)
    assert given == sorted(set(given))
    bench.expire(100.0)
    assert len(given) + bench.channels.ledger.expired == accepted
    for one in workers:
        bench.channels.lose(one)
    assert len(bench.channels) == 0
    assert bench.put(*"1234", "no") == [True] * 4 + [False]
