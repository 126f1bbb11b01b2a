"""The channel layer of a bridge with an engine: what it joins, publishes and hears, and what it answers to whom."""

from __future__ import annotations

import pytest

from channels_bridge.bridge.core.bus import ANSWER, BELIEVE, LINGER, bridge_topic, group_topic, process_topic
from channels_bridge.bridge.core.connection import Connection
from channels_bridge.shared import frames
from channels_bridge.shared.frames import (
    Answer,
    ChannelSend,
    GroupAdd,
    GroupDiscard,
    GroupSend,
    LayerFrame,
    Listen,
    Listening,
    Peers,
    Relay,
    Subscribe,
    Unsubscribe,
)
from channels_bridge.shared.names import owned_channel, process_channel
from channels_bridge.testing.playbook import BOOT, Playbook, channel, leftovers

NEAR, FAR, FURTHER = 0xB1, 0xC0, 0xC1  # bridges: one of this machine, two of others
P = 0x50
OF_P = process_channel("specific", P, 1)
FOREIGN = owned_channel("consumer", FAR, 9)
SAID = GroupSend("room", b"said", [], [], [])
ROOM, TO_US, TO_FAR, TO_P = group_topic("room"), bridge_topic(BOOT), bridge_topic(FAR), process_topic(P)


def send(name: str, *route: int) -> ChannelSend:
    return ChannelSend(name, b"psst", 0, 0.0, list(route))


@pytest.fixture
def book() -> Playbook:
    """Give a bridge with a worker "a" for consumers (link 1), and a process "p" (link 2) whose home is elsewhere."""
    book = Playbook(has_engine=True, capacity=2)
    assert book.lines() == ["joins all", f"joins {TO_US}"]
    book.worker("a", slots=100)
    book.says("a", Peers([NEAR, BOOT]))
    book.worker("p", boot=P, pools=())
    book.says("p", Peers([NEAR, BOOT]))
    book.lines()
    return book


def socket(book: Playbook, *groups: str) -> Connection:
    """Open a socket whose client joins groups; the engine has its subscriptions at once."""
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, *(GroupAdd(group, channel(conn, "reply"), []) for group in groups))
    for line in book.lines():
        if line.startswith("joins "):
            book.core.layer.bus.joined(line[6:])
    return conn


def member(book: Playbook, group: str = "room") -> Connection:
    """Open a socket whose client is in the group."""
    return socket(book, group)


def hears(book: Playbook, topic: str, frame: frames.Frame) -> list[str]:
    """Let the engine bring this; give what comes of it."""
    book.core.layer.by_engine(topic, frame, book.now)
    return book.lines()


def relay(number: int, *effects: LayerFrame, origin: int = FAR, to: tuple[int, ...] = ()) -> Relay:
    return Relay(origin, number, list(to), list(effects))


# -- topics of groups ------------------------------------------------------------------------------------------


def test_a_groups_topic_is_joined_with_its_first_member_and_left_a_while_after_its_last(book: Playbook) -> None:
    one = book.open("connect", "websocket")
    book.lines()
    book.says("p", GroupAdd("room", channel(one), []), GroupAdd("room", channel(one, "reply"), []))
    book.says("p", Subscribe("room", []))
    assert book.lines() == [f"joins {ROOM}"]
    book.says("p", GroupDiscard("room", channel(one), []), Unsubscribe("room"))
    book.core.close(one)
    book.pass_time(LINGER - 0.3, "a", "p")
    assert [line for line in book.lines() if ROOM in line] == []
    book.pass_time(0.6, "a", "p")
    assert book.lines() == [f"leaves {ROOM}"]
    assert leftovers(book.core) == []


def test_a_topic_is_kept_for_who_comes_back(book: Playbook) -> None:
    book.core.close(member(book))
    book.pass_time(LINGER / 2, "a", "p")
    one = member(book)
    book.pass_time(2 * LINGER, "a", "p")
    assert [line for line in book.lines() if ROOM in line] == []
    assert one.groups == {("room", "reply")}


def test_a_membership_is_answered_when_other_machines_reach_it(book: Playbook) -> None:
    one = book.open("connect", "websocket")
    book.lines()
    book.says("p", GroupAdd("room", channel(one), [1]), Subscribe("room", [2]), GroupAdd("room", channel(one), []))
    assert book.lines() == [f"joins {ROOM}"]
    book.core.layer.bus.joined(ROOM)
    assert book.lines() == ["p <- ANSWER [1] done", "p <- ANSWER [2] done"]
    book.says("p", GroupAdd("room", channel(one, "reply"), [3]), GroupDiscard("room", channel(one), [4]))
    assert book.lines() == ["p <- ANSWER [3] done", "p <- ANSWER [4] done"]


def test_who_is_lost_before_its_topic_is_joined_is_not_answered(book: Playbook) -> None:
    book.says("p", Subscribe("room", [2]))
    book.lost("p")
    book.lines()
    book.core.layer.bus.joined(ROOM)
    assert book.lines() == []


# -- groups ----------------------------------------------------------------------------------------------------


def test_what_a_turn_says_to_a_group_goes_here_to_other_machines_and_to_this_machines_bridges(book: Playbook) -> None:
    """Those that the relay reaches are named, so that they do not take it from the engine as well."""
    member(book)
    one = book.open("connect", "websocket")
    book.lines()
    book.commit("a", one, 1, SAID)
    assert book.lines() == [
        "client 1 <- 'said'",
        f"publishes {ROOM}: RELAY b0/1 to [{BOOT}, {NEAR}]: GROUP_SEND room 'said'",
        f"a <- RELAY b0/1 to [{NEAR}]: GROUP_SEND room 'said'",
    ]


def test_a_process_has_its_home_tell_the_engine_and_nobody_else(book: Playbook) -> None:
    member(book)
    book.says("p", SAID._replace(told=[NEAR, BOOT], exclude=["x"], route=[7]))
    assert book.lines() == ["client 1 <- 'said'", "p <- ANSWER [7] done"]
    book.says("p", SAID._replace(told=[BOOT, NEAR], exclude=["x"], route=[7]))
    assert book.lines() == [
        "client 1 <- 'said'",
        f"publishes {ROOM}: RELAY b0/1 to [{BOOT}, {NEAR}]: GROUP_SEND room 'said' but x",
        "p <- ANSWER [7] done",
    ]


def test_what_comes_by_the_engine_reaches_all_members_here_and_is_never_passed_on_to_a_bridge(book: Playbook) -> None:
    one = member(book)
    book.says("p", Peers([BOOT, NEAR]), Subscribe("room", []))
    book.lines()
    out = [owned_channel("consumer", BOOT, one.id), OF_P]
    assert hears(book, ROOM, relay(1, SAID._replace(exclude=out))) == [
        "client 1 <- 'said'", f"p <- GROUP_SEND room 'said' but {' '.join(out)}",
    ]  # fmt: skip
    assert len(book.core.layer.relays) == 0


def test_what_by_relay_or_from_its_sender_was_had_is_not_taken_from_the_engine(book: Playbook) -> None:
    member(book)
    assert hears(book, ROOM, relay(1, SAID, to=(FAR, BOOT))) == []
    assert hears(book, ROOM, relay(1, SAID, origin=BOOT)) == []
    assert hears(book, ROOM, relay(2, SAID, to=(FAR, FURTHER))) == ["client 1 <- 'said'"]


def test_what_another_bridge_of_this_machine_hands_on_is_not_published(book: Playbook) -> None:
    """Who applied the commit has told the engine."""
    member(book)
    book.says("a", Relay(NEAR, 1, [BOOT], [SAID]))
    assert book.lines() == ["client 1 <- 'said'", "a <- RELAYED b1/1"]


def test_missing_numbers_are_counted(book: Playbook) -> None:
    member(book)
    for number in (3, 4, 8):
        hears(book, ROOM, relay(number, SAID))
    assert book.core.statistics.missed == 3


def test_who_asked_is_told_of_a_gap(book: Playbook) -> None:
    member(book, "bridge.gap")
    book.says("p", Subscribe("bridge.gap", []))
    book.lines()
    book.core.layer.gap(b"gap", book.now)
    assert book.lines() == ["client 1 <- 'gap'", "p <- GROUP_SEND bridge.gap 'gap'"]
    assert book.core.statistics.gaps == 1


# -- one channel of another machine ----------------------------------------------------------------------------


def test_a_question_about_another_machines_channel_is_answered_once(book: Playbook) -> None:
    book.says("p", send(FOREIGN, 7), GroupAdd("room", FOREIGN, [8]))
    asked = f"by [7, 2, {BOOT}]", f"by [8, 2, {BOOT}]"
    assert book.lines() == [
        f"publishes {TO_FAR}: RELAY b0/1 to []: CHANNEL_SEND {FOREIGN} 'psst' {asked[0]}",
        f"publishes {TO_FAR}: RELAY b0/2 to []: GROUP_ADD room {FOREIGN} {asked[1]}",
    ]
    assert hears(book, TO_US, Answer([7, 2, BOOT], "full")) == ["p <- ANSWER [7] full"]
    assert hears(book, TO_US, Answer([7, 2, BOOT], "")) == []
    book.pass_time(ANSWER + 0.3, "a", "p")
    assert book.lines() == ["p <- ANSWER [8] unknown"]
    assert hears(book, TO_US, Answer([8, 2, BOOT], "")) == []
    assert book.core.statistics.unknown == 1


def test_what_the_engine_does_not_take_is_answered_at_once(book: Playbook) -> None:
    book.says("p", send(FOREIGN, 7))
    book.lines()
    refused = relay(1, send(FOREIGN, 7, 2, BOOT), origin=BOOT)
    for frame in (refused, refused, relay(2, SAID, origin=BOOT), Answer([7, 2, FAR], "")):
        book.core.layer.unpublished(frame)
    assert book.lines() == ["p <- ANSWER [7] unknown"]
    assert book.core.statistics.unpublished == 4
    book.pass_time(ANSWER + 0.3, "a", "p")
    assert book.lines() == []


def test_a_message_for_a_named_channel_that_the_engine_does_not_take_waits_here(book: Playbook) -> None:
    waits = ChannelSend("jobs", b"work", 1, 0.0, [7, 2, BOOT])
    hears(book, "all", Listening(FAR, ["jobs"]))
    book.says("p", ChannelSend("jobs", b"work", 1, 0.0, [7]))
    book.lines()
    for _ in range(2):
        book.core.layer.unpublished(relay(1, waits, origin=BOOT))
    assert book.lines() == ["p <- ANSWER [7] done"]
    assert (book.core.statistics.unpublished, book.core.statistics.full) == (0, 1)


def test_a_turn_reaches_another_machine_without_an_answer(book: Playbook) -> None:
    socket(book)
    one = book.open("connect", "websocket")
    book.lines()
    book.commit("a", one, 1, send(FOREIGN), send(process_channel("x", 0x77, 1)))
    assert book.lines() == [
        f"publishes {TO_FAR}: RELAY b0/1 to []: CHANNEL_SEND {FOREIGN} 'psst'",
        f"publishes {process_topic(0x77)}: RELAY b0/1 to []: CHANNEL_SEND x.0000000000000077!p1 'psst'",
    ]


ROUTE = [7, 5, FAR]
QUESTIONS: dict[str, tuple[LayerFrame, str]] = {
    "a client": (send(owned_channel("reply", BOOT, 1), *ROUTE), "done"),
    "to add": (GroupAdd("room", owned_channel("reply", BOOT, 1), ROUTE), "done"),
    "to discard": (GroupDiscard("room", owned_channel("reply", BOOT, 1), ROUTE), "done"),
    "a connection that is no more": (send(owned_channel("reply", BOOT, 99), *ROUTE), "unknown"),
    "a named channel": (send("jobs", *ROUTE), "done"),
    "a named channel that is full": (send("full", *ROUTE), "full"),
}


@pytest.mark.parametrize("case", QUESTIONS)
def test_another_machines_question_is_answered_once_by_the_engine(book: Playbook, case: str) -> None:
    member(book)
    book.says("p", send("full"), send("full"))
    question, code = QUESTIONS[case]
    lines = hears(book, TO_US, relay(1, question))
    assert [line for line in lines if "ANSWER" in line] == [f"publishes {TO_FAR}: ANSWER {ROUTE} {code}"]
    assert [line for line in lines if "RELAY" in line] == []


def test_a_question_of_another_machine_about_a_group_is_answered_when_its_topic_is_joined(book: Playbook) -> None:
    one = socket(book)
    assert hears(book, TO_US, relay(1, GroupAdd("room", channel(one), ROUTE))) == [f"joins {ROOM}"]
    book.core.layer.bus.joined(ROOM)
    assert book.lines() == [f"publishes {TO_FAR}: ANSWER {ROUTE} done"]


# -- channels of processes -------------------------------------------------------------------------------------


def test_the_home_of_a_process_hears_what_is_for_it_on_other_machines(book: Playbook) -> None:
    book.says("p", Peers([BOOT, NEAR]))
    book.says("p", Peers([BOOT]))
    assert book.lines() == [f"joins {TO_P}"]
    assert hears(book, TO_P, relay(1, send(OF_P, *ROUTE))) == [f"p <- CHANNEL_SEND {OF_P} 'psst' by {ROUTE}"]
    book.says("p", Answer(ROUTE, "full"), Answer(ROUTE, "full"))
    assert book.lines() == [f"publishes {TO_FAR}: ANSWER {ROUTE} full"]
    hears(book, TO_P, relay(2, send(OF_P, *ROUTE)))
    book.lost("p")
    assert book.lines() == ["forget p", f"publishes {TO_FAR}: ANSWER {ROUTE} unknown", f"leaves {TO_P}"]


def test_a_bridge_that_is_not_its_home_any_more_leaves_it_to_the_next(book: Playbook) -> None:
    """It has a link with the process all the same: what was under way to both would arrive twice."""
    book.says("p", Peers([BOOT, NEAR]), Peers([NEAR, BOOT]))
    assert book.lines() == [f"joins {TO_P}", f"leaves {TO_P}"]
    assert hears(book, TO_P, relay(1, send(OF_P, *ROUTE))) == []
    book.lost("p")
    book.lines()
    assert hears(book, TO_P, relay(2, send(OF_P, *ROUTE))) == []


# -- named channels --------------------------------------------------------------------------------------------


def test_who_listens_here_is_announced(book: Playbook) -> None:
    book.says("p", Listen("jobs", 5))
    book.pass_time(0.3, "a", "p")
    assert book.lines() == ["publishes all: LISTENING b0 jobs"]
    book.lost("p")
    book.lines()
    book.pass_time(0.3, "a")
    assert book.lines() == ["publishes all: LISTENING b0 "]


def test_a_named_message_goes_to_another_machine_if_nobody_listens_here(book: Playbook) -> None:
    hears(book, "all", Listening(FAR, ["jobs"]))
    hears(book, "all", Listening(FURTHER, ["jobs"]))
    book.says("p", send("jobs", 7), send("jobs"))
    assert book.lines() == [
        f"publishes {TO_FAR}: RELAY b0/1 to []: CHANNEL_SEND jobs 'psst' by [7, 2, {BOOT}]",
        f"publishes {bridge_topic(FURTHER)}: RELAY b0/1 to []: CHANNEL_SEND jobs 'psst'",
    ]
    book.says("a", Listen("jobs", 1))
    book.says("p", send("jobs"), send("jobs"))  # here it waits, rather, for credit
    assert book.lines() == ["a <- CHANNEL_SEND jobs 'psst'"]


def test_a_named_message_of_another_machine_stays_here(book: Playbook) -> None:
    """Else two bridges that have lost their listeners would play ball with it."""
    hears(book, "all", Listening(FAR, ["jobs"]))
    assert hears(book, TO_US, relay(1, send("jobs"))) == []
    assert len(book.core.layer.background) == 1


def test_who_is_not_heard_of_again_is_not_believed(book: Playbook) -> None:
    hears(book, "all", Listening(FAR, ["jobs"]))
    book.pass_time(BELIEVE + 0.3, "a", "p")
    book.says("p", send("jobs", 7))
    assert book.lines() == ["p <- ANSWER [7] done"]


def test_what_waits_here_goes_to_the_machine_where_somebody_begins_to_listen(book: Playbook) -> None:
    """With the time that it has left."""
    book.says("p", send("jobs"), ChannelSend("jobs", b"later", 0, 5.0, []), send("mail"))
    book.now += 4.0
    assert hears(book, "all", Listening(FAR, ["jobs", "other"])) == [
        f"publishes {TO_FAR}: RELAY b0/1 to []: CHANNEL_SEND jobs 'psst' for 56 s",
        f"publishes {TO_FAR}: RELAY b0/2 to []: CHANNEL_SEND jobs 'later' for 1 s",
    ]
    assert len(book.core.layer.background) == 1


def test_what_waits_for_somebody_here_stays(book: Playbook) -> None:
    book.says("p", Listen("jobs", 0), send("jobs"))
    assert hears(book, "all", Listening(FAR, ["jobs"])) == []


# -- what cannot be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [frames.Drain(), Listening(BOOT, ["jobs"]), SAID, Peers([1])])
def test_what_no_other_bridge_publishes_is_malformed(book: Playbook, frame: frames.Frame) -> None:
    assert hears(book, "all", frame) == []
    assert book.core.statistics.malformed == 1


def test_without_an_engine_an_answer_to_another_machine_goes_nowhere() -> None:
    book = Playbook()
    book.worker("p", boot=P)
    book.lines()
    book.says("p", Relay(NEAR, 1, [BOOT], [send("jobs", *ROUTE)]))
    assert book.lines() == ["p <- RELAYED b1/1"]
