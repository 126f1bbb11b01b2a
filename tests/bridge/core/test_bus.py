"""A bridge's part of the bus between machines: topics, numbers, questions, and who listens elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from channels_bridge.bridge.core import actions
from channels_bridge.bridge.core.actions import Action, Join, Leave, Publish
from channels_bridge.bridge.core.bus import (
    ALL,
    ANNOUNCE,
    ANNOUNCED,
    ANSWER,
    BELIEVE,
    LINGER,
    NUMBERED,
    Bus,
    bridge_topic,
    group_topic,
    process_topic,
)
from channels_bridge.bridge.core.statistics import Statistics
from channels_bridge.shared.frames import Answer, ChannelSend, GroupSend, Listening, Relay

OWN, OTHER, THIRD = 0xB0, 0xB1, 0xB2
NOW = 1000.0
SAID = GroupSend("room", b"said", [], [], [])


class Bench:
    """A bus, and what it asked for."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.statistics = Statistics()
        self._asked: list[Action] = []
        self.bus = Bus(OWN, self._asked.append, self.statistics, is_open=is_open)

    @property
    def asked(self) -> list[Action]:
        asked, self._asked[:] = self._asked[:], []
        return asked

    def numbers(self) -> list[int]:
        """Give the numbers of what was published."""
        frames = [action.frame for action in self.asked if isinstance(action, Publish)]
        return [frame.number for frame in frames if isinstance(frame, Relay)]


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.asked.clear()
    return bench


def noting(noted: list[str], what: str) -> Callable[[], None]:
    return lambda: noted.append(what)


# -- topics ----------------------------------------------------------------------------------------------------


def test_a_bridge_hears_what_is_for_all_and_what_is_for_it() -> None:
    assert Bench().asked == [Join("all"), Join("b.00000000000000b0")]


def test_topics_have_no_text_of_users_in_them_and_differ() -> None:
    topics = [group_topic("a"), group_topic("b"), group_topic("x" * 99), bridge_topic(1), process_topic(1), ALL]
    assert len(set(topics)) == 6
    assert all(topic.replace(".", "").isalnum() and len(topic) <= 34 for topic in topics)
    assert group_topic("a") == group_topic("a")


def test_a_topic_is_joined_once(bench: Bench) -> None:
    bench.bus.join("t")
    bench.bus.join("t")
    assert bench.asked == [Join("t")]


def test_a_topic_is_left_after_a_while_as_groups_come_and_go(bench: Bench) -> None:
    bench.bus.join("t")
    bench.bus.leave("t", NOW)
    bench.bus.tick(NOW + LINGER - 0.1)
    assert bench.asked == [Join("t")]
    bench.bus.tick(NOW + LINGER)
    bench.bus.tick(NOW + 2 * LINGER)
    assert bench.asked == [Leave("t")]
    bench.bus.join("t")
    assert bench.asked == [Join("t")]


def test_who_comes_back_in_time_has_not_left(bench: Bench) -> None:
    bench.bus.join("t")
    bench.bus.leave("t", NOW)
    bench.bus.join("t")
    bench.bus.tick(NOW + LINGER)
    assert bench.asked == [Join("t")]


def test_what_was_not_joined_is_not_left(bench: Bench) -> None:
    bench.bus.leave("t", NOW)
    bench.bus.tick(NOW + LINGER)
    assert bench.asked == []


def test_who_waits_for_a_topic_is_told_once_the_engine_has_it(bench: Bench) -> None:
    noted: list[str] = []
    bench.bus.join("t")
    bench.bus.when_joined("t", noting(noted, "1"))
    bench.bus.when_joined("t", noting(noted, "2"))
    assert noted == []
    bench.bus.joined("t")
    bench.bus.joined("t")
    assert noted == ["1", "2"]
    bench.bus.when_joined("t", noting(noted, "3"))
    bench.bus.when_joined("other", noting(noted, "4"))
    assert noted == ["1", "2", "3", "4"]


def test_who_waits_for_a_topic_that_is_left_waits_no_longer(bench: Bench) -> None:
    noted: list[str] = []
    bench.bus.join("t")
    bench.bus.when_joined("t", noting(noted, "1"))
    bench.bus.leave("t", NOW)
    bench.bus.tick(NOW + LINGER)
    assert noted == ["1"]


def test_a_topic_may_be_left_at_once(bench: Bench) -> None:
    noted: list[str] = []
    bench.bus.quit("t")
    bench.bus.join("t")
    bench.bus.when_joined("t", noting(noted, "1"))
    bench.bus.leave("t", NOW)
    bench.bus.quit("t")
    bench.bus.quit("t")
    bench.bus.tick(NOW + LINGER)
    assert (bench.asked, noted) == ([Join("t"), Leave("t")], ["1"])


def test_without_an_engine_nothing_is_joined_announced_or_answered() -> None:
    bench, noted = Bench(is_open=False), list[str]()
    bench.bus.join("t")
    bench.bus.when_joined("t", noting(noted, "at once"))
    bench.bus.announce(["jobs"], NOW)
    bench.bus.answer([1, 2, OTHER], "")
    assert (bench.asked, noted) == ([], ["at once"])


# -- out -------------------------------------------------------------------------------------------------------


def test_each_message_has_its_number_on_its_topic(bench: Bench) -> None:
    for topic in "aab":
        bench.bus.publish(topic, SAID, [OWN, OTHER], NOW)
    assert bench.asked == [
        Publish("a", Relay(OWN, 1, [OWN, OTHER], [SAID])),
        Publish("a", Relay(OWN, 2, [OWN, OTHER], [SAID])),
        Publish("b", Relay(OWN, 1, [OWN, OTHER], [SAID])),
    ]


def test_the_topic_that_was_silent_for_longest_loses_its_number(bench: Bench) -> None:
    """It begins anew, which shows no gap where there is none."""
    for number in range(NUMBERED):
        bench.bus.publish(f"t{number}", SAID, [], NOW)
    bench.bus.publish("t0", SAID, [], NOW)
    bench.bus.publish("one more", SAID, [], NOW)
    assert bench.numbers()[-2:] == [2, 1]
    bench.bus.publish("t0", SAID, [], NOW)
    bench.bus.publish("t1", SAID, [], NOW)
    assert bench.numbers() == [3, 1]


def test_a_question_has_one_answer_or_none_in_time(bench: Bench) -> None:
    for call in (1, 2, 3):
        question = ChannelSend("b.1", b"hi", 0, 0.0, [call, 7, OWN])
        bench.bus.publish(bridge_topic(OTHER), question, [], NOW + call / 10)
    assert [bench.bus.answered([2, 7, OWN]), bench.bus.answered([2, 7, OWN])] == [True, False]
    assert not bench.bus.answered([1, 8, OWN])
    assert bench.bus.tick(NOW + ANSWER) == []
    assert bench.bus.tick(NOW + 0.1 + ANSWER) == [[1, 7, OWN]]
    assert bench.bus.tick(NOW + 0.3 + ANSWER) == [[3, 7, OWN]]
    assert bench.bus.tick(NOW + 9.0) == []
    assert not bench.bus.answered([1, 7, OWN])


def test_what_nobody_asked_about_has_no_deadline(bench: Bench) -> None:
    bench.bus.publish("t", SAID, [], NOW)
    assert bench.bus.tick(NOW + 9.0) == []


def test_an_answer_goes_to_the_bridge_that_asked(bench: Bench) -> None:
    bench.bus.answer([1, 2, OTHER], "full")
    assert bench.asked == [Publish(bridge_topic(OTHER), Answer([1, 2, OTHER], "full"))]


# -- announcements ---------------------------------------------------------------------------------------------


def announced(bench: Bench) -> list[list[str]]:
    published = [action for action in bench.asked if isinstance(action, actions.Publish)]
    assert all(action.topic == ALL for action in published)
    return [action.frame.channels for action in published if isinstance(action.frame, Listening)]


def test_who_listens_here_is_told_at_each_change_and_now_and_then(bench: Bench) -> None:
    bench.bus.announce(["jobs"], NOW)
    bench.bus.announce(["jobs"], NOW + ANNOUNCE - 0.1)
    assert announced(bench) == [["jobs"]]
    bench.bus.announce(["jobs", "mail"], NOW + ANNOUNCE - 0.1)
    bench.bus.announce(["mail", "jobs"], NOW + ANNOUNCE)
    assert announced(bench) == [["jobs", "mail"]]
    bench.bus.announce(["jobs", "mail"], NOW + 2 * ANNOUNCE)
    assert announced(bench) == [["jobs", "mail"]]


def test_that_nobody_listens_any_more_is_told_once(bench: Bench) -> None:
    bench.bus.announce([], NOW)
    bench.bus.announce(["jobs"], NOW)
    bench.bus.announce([], NOW)
    bench.bus.announce([], NOW + ANNOUNCE)
    assert announced(bench) == [["jobs"], []]


def test_an_announcement_has_a_bound(bench: Bench) -> None:
    bench.bus.announce([f"c{number}" for number in range(ANNOUNCED + 5)], NOW)
    assert [len(channels) for channels in announced(bench)] == [ANNOUNCED]


# -- in --------------------------------------------------------------------------------------------------------


def relay(number: int, origin: int = OTHER, *to: int) -> Relay:
    return Relay(origin, number, list(to), [SAID])


def test_what_is_our_own_or_was_told_to_us_by_another_way_is_no_news(bench: Bench) -> None:
    bench.bus.join("t")
    cases = [relay(1), relay(1, OWN), relay(2, OTHER, OTHER, OWN), relay(3, OTHER, OTHER, THIRD)]
    assert [bench.bus.is_news("t", case) for case in cases] == [True, False, False, True]
    assert bench.statistics.missed == 0  # what was told to us counts as had


def test_missing_numbers_are_counted_for_each_origin_from_its_first_on(bench: Bench) -> None:
    bench.bus.join("t")
    for case in (relay(5), relay(6), relay(9), relay(100, THIRD), relay(102, THIRD), relay(10)):
        assert bench.bus.is_news("t", case)
    assert bench.statistics.missed == 2 + 1
    bench.bus.is_news("t", relay(1))  # it has begun anew
    bench.bus.is_news("t", relay(2))
    assert bench.statistics.missed == 3


def test_what_comes_for_a_topic_that_was_left_is_news_and_not_counted(bench: Bench) -> None:
    assert bench.bus.is_news("t", relay(1))
    assert bench.bus.is_news("t", relay(5))
    assert bench.statistics.missed == 0


def test_who_joins_anew_has_missed_nothing(bench: Bench) -> None:
    bench.bus.join("t")
    bench.bus.is_news("t", relay(1))
    bench.bus.leave("t", NOW)
    bench.bus.tick(NOW + LINGER)
    bench.bus.join("t")
    bench.bus.is_news("t", relay(50))
    assert bench.statistics.missed == 0


def test_bridges_where_somebody_listens_take_turns(bench: Bench) -> None:
    assert bench.bus.listener("jobs", NOW) is None
    for boot in (OTHER, THIRD):
        bench.bus.heard(Listening(boot, ["jobs", "mail"]), NOW)
    assert [bench.bus.listener("jobs", NOW) for _ in range(3)] == [OTHER, THIRD, OTHER]
    assert bench.bus.listener("mail", NOW) == OTHER
    assert bench.bus.listener("other", NOW) is None


def test_a_list_replaces_the_one_before(bench: Bench) -> None:
    bench.bus.heard(Listening(OTHER, ["jobs", "mail"]), NOW)
    bench.bus.heard(Listening(OTHER, ["mail"]), NOW)
    assert (bench.bus.listener("jobs", NOW), bench.bus.listener("mail", NOW)) == (None, OTHER)


def test_what_is_not_repeated_is_forgotten(bench: Bench) -> None:
    bench.bus.heard(Listening(OTHER, ["jobs"]), NOW)
    bench.bus.heard(Listening(THIRD, ["jobs"]), NOW + 1.0)
    bench.bus.tick(NOW + BELIEVE)
    assert [bench.bus.listener("jobs", NOW + BELIEVE) for _ in range(2)] == [THIRD, THIRD]
    bench.bus.tick(NOW + BELIEVE + 1.0)
    assert bench.bus.listener("jobs", NOW) is None
