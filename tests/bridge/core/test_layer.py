"""The channel layer at one bridge: what processes, turns and relays of other bridges ask for, and who is answered.

The engine, and with it other machines, has its own file: test_layer_engine.py.
"""

from __future__ import annotations

import pytest

from channels_bridge.bridge.core.connection import GROUP_SHARE, Connection
from channels_bridge.bridge.core.relays import KEEP
from channels_bridge.shared import frames
from channels_bridge.shared.frames import (
    Answer,
    ChannelSend,
    Frame,
    GroupAdd,
    GroupDiscard,
    GroupSend,
    LayerFrame,
    Listen,
    Peers,
    Relay,
    Relayed,
    Subscribe,
    Unsubscribe,
)
from channels_bridge.shared.names import owned_channel, process_channel
from channels_bridge.testing.playbook import BOOT, Playbook, channel, leftovers

OTHER, THIRD = 0xB1, 0xB2  # bridges
P, Q, NOBODY = 0x50, 0x51, 0x59  # processes
OF_P = process_channel("specific", P, 1)
FOREIGN = owned_channel("consumer", OTHER, 9)
SAID = GroupSend("room", b"said", [], [], [])


def send(name: str, *route: int) -> ChannelSend:
    return ChannelSend(name, b"psst", 0, 0.0, list(route))


@pytest.fixture
def book() -> Playbook:
    """Give a bridge with a worker "a" for consumers (link 1) and other processes, "p" (link 2) and "q" (link 3)."""
    book = Playbook(journal_messages=2, capacity=1)
    book.worker("a", slots=100)
    book.says("a", Peers([BOOT]))
    for name, boot in (("p", P), ("q", Q)):
        book.worker(name, boot=boot, pools=())
        book.says(name, Peers([BOOT]))
    book.lines()
    return book


def socket(book: Playbook, *effects: LayerFrame) -> Connection:
    """Open a socket, whose first turn does this."""
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, *effects)
    book.lines()
    return conn


# -- a question has one answer ---------------------------------------------------------------------------------

CASES: dict[str, tuple[Frame, str]] = {
    "a consumer": (send(owned_channel("consumer", BOOT, 1)), "done"),
    "a client": (send(owned_channel("reply", BOOT, 1)), "done"),
    "a consumer that is full": (send(owned_channel("consumer", BOOT, 2)), "full"),
    "a consumer whose client has gone": (send(owned_channel("consumer", BOOT, 3)), "unknown"),
    "a client that has gone": (send(owned_channel("reply", BOOT, 3)), "unknown"),
    "a connection that was refused": (send(owned_channel("consumer", BOOT, 4)), "unknown"),
    "a connection that is no more": (send(owned_channel("consumer", BOOT, 5)), "unknown"),
    "another bridge's": (send(FOREIGN), "unknown"),
    "a process that is not there": (send(process_channel("x", NOBODY, 1)), "unknown"),
    "a named channel": (send("jobs"), "done"),
    "a named channel that is full": (send("full"), "full"),
    "a name of another kind": (send("what!ever"), "done"),
    "to add": (GroupAdd("room", owned_channel("consumer", BOOT, 1), []), "done"),
    "to add what is no more": (GroupAdd("room", owned_channel("consumer", BOOT, 5), []), "unknown"),
    "to add another bridge's": (GroupAdd("room", FOREIGN, []), "unknown"),
    "to add a named channel": (GroupAdd("room", "jobs", []), "unknown"),
    "to add of a process that is not there": (GroupAdd("room", process_channel("x", NOBODY, 1), []), "unknown"),
    "to discard": (GroupDiscard("room", owned_channel("consumer", BOOT, 1), []), "done"),
    "to discard what is no more": (GroupDiscard("room", owned_channel("consumer", BOOT, 5), []), "unknown"),
    "to discard a named channel": (GroupDiscard("room", "jobs", []), "unknown"),
    "a group": (GroupSend("room", b"psst", [], [BOOT], []), "done"),
    "a group without members": (GroupSend("nobody", b"psst", [], [BOOT], []), "done"),
    "to subscribe": (Subscribe("room", []), "done"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("asks", [True, False])
def test_who_asks_is_answered_once_and_who_does_not_is_not(book: Playbook, case: str, asks: bool) -> None:
    fine, full, leaving, over, gone = (socket(book) for _ in range(5))
    for _ in range(2 + GROUP_SHARE):
        book.says("a", send(channel(full)))
    book.event(leaving, "disconnect", last=True)
    book.core.refuse(over, "too-big")
    book.core.close(gone)
    book.says("q", send("full"))
    book.lines()
    frame, code = CASES[case]
    unknown = book.core.statistics.unknown
    assert isinstance(frame, GroupAdd | GroupDiscard | GroupSend | ChannelSend | Subscribe)
    book.says("p", frame._replace(route=[7] if asks else []))
    answers = [line for line in book.lines() if "ANSWER" in line]
    assert answers == ([f"p <- ANSWER [7] {code}"] if asks else [])
    assert book.core.statistics.unknown - unknown == (code == "unknown")
    assert fine.seq <= 2


@pytest.mark.parametrize("route", [[1, 2], [1, 2, 3, 4], [-1, -1, -1], [1, 99, BOOT], [1, 2, OTHER]])
def test_a_route_that_leads_nowhere_takes_nothing_down(book: Playbook, route: list[int]) -> None:
    """Such are in no frame of ours: not in relays, not in commits, not in answers to what was not asked."""
    one = socket(book)
    effects: list[LayerFrame] = [
        ChannelSend(channel(one, "reply"), b"hi", 0, 0.0, route), GroupAdd("room", channel(one), route),
        GroupDiscard("room", channel(one), route), ChannelSend(FOREIGN, b"", 0, 0.0, route),
    ]  # fmt: skip
    book.says("q", Relay(OTHER, 1, [BOOT], effects), Answer(route, ""))
    lines = [line for line in book.lines() if not line.startswith("p <- ANSWER")]
    assert lines == ["client 1 <- 'hi'", "q <- RELAYED b1/1"]
    book.event(one, "more")
    book.commit("a", one, 2, *effects)
    book.says("a", frames.Beat(1.0, 0.0, 0.0))
    assert "a <- BEAT 1000 echo 1" in book.lines()


# -- channels of processes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["", "full", "unknown"])
def test_what_is_for_a_processs_channel_goes_to_the_process_and_its_answer_back(book: Playbook, code: str) -> None:
    book.says("q", send(OF_P, 7))
    assert book.lines() == [f"p <- CHANNEL_SEND {OF_P} 'psst' by [7, 3, {BOOT}]"]
    book.says("p", Answer([7, 3, BOOT], code))
    assert book.lines() == [f"q <- ANSWER [7] {code or 'done'}"]
    book.says("p", Answer([7, 3, BOOT], code))
    assert book.lines() == []


def test_a_sender_says_how_much_the_channel_takes_and_for_how_long(book: Playbook) -> None:
    book.says("q", ChannelSend(OF_P, b"psst", 5, 1.5, []))
    assert book.lines() == [f"p <- CHANNEL_SEND {OF_P} 'psst' at most 5 for 1.5 s"]


@pytest.mark.parametrize("frame", [GroupAdd, GroupDiscard])
def test_memberships_of_a_processs_channel_are_its_own_affair(
    book: Playbook, frame: type[GroupAdd | GroupDiscard]
) -> None:
    kind = {GroupAdd: "GROUP_ADD", GroupDiscard: "GROUP_DISCARD"}[frame]
    book.says("q", frame("room", OF_P, []), frame("room", OF_P, [7]))
    assert book.lines() == [f"p <- {kind} room {OF_P}", f"p <- {kind} room {OF_P} by [7, 3, {BOOT}]"]
    assert len(book.core.layer.groups) == 0


def test_a_turn_reaches_processes_too(book: Playbook) -> None:
    socket(book, send(OF_P))
    one = book.open("connect", "websocket")
    book.lines()
    book.commit("a", one, 1, send(OF_P), GroupAdd("room", OF_P, []))
    assert book.lines() == [f"p <- CHANNEL_SEND {OF_P} 'psst'", f"p <- GROUP_ADD room {OF_P}"]


def test_a_process_that_is_lost_answers_unknown(book: Playbook) -> None:
    """Whatever it was asked and has not answered; else those would wait for what cannot come."""
    book.says("q", send(OF_P, 7), GroupAdd("room", OF_P, [8]), send(OF_P, 9))
    book.says("p", Answer([8, 3, BOOT], ""))
    book.lines()
    book.lost("p")
    assert book.lines() == ["forget p", "q <- ANSWER [7] unknown", "q <- ANSWER [9] unknown"]
    assert book.core.statistics.unknown == 2


def test_who_asked_and_is_lost_is_not_answered(book: Playbook) -> None:
    book.says("q", send(OF_P, 7))
    book.lost("q")
    book.worker("q", boot=Q, pools=())  # the same process, with a new link
    book.lines()
    book.says("p", Answer([7, 3, BOOT], ""))
    assert book.lines() == []


def test_only_who_was_asked_can_answer(book: Playbook) -> None:
    book.says("q", send(OF_P, 7))
    book.lines()
    book.says("a", Answer([7, 3, BOOT], ""))
    book.says("p", Answer([8, 3, BOOT], ""), Answer([], ""), Answer([7], ""))
    assert book.lines() == []
    book.says("p", Answer([7, 3, BOOT], ""))
    assert book.lines() == ["q <- ANSWER [7] done"]


# -- groups of processes ---------------------------------------------------------------------------------------


def test_a_group_reaches_the_processes_that_subscribed_without_route_and_told(book: Playbook) -> None:
    """The sender among them; what is excluded they leave out by themselves."""
    socket(book, GroupAdd("room", owned_channel("consumer", BOOT, 1), []))
    book.says("p", Subscribe("room", [1]), Subscribe("room", []))
    book.says("q", Subscribe("other", []))
    assert book.lines() == ["p <- ANSWER [1] done"]
    book.says("p", GroupSend("room", b"said", [OF_P], [BOOT, OTHER], [2]))
    assert book.lines() == [
        "a <- MESSAGE 1.1 #2 'said'", f"p <- GROUP_SEND room 'said' but {OF_P}", "p <- ANSWER [2] done",
    ]  # fmt: skip
    book.says("p", Unsubscribe("room"), Unsubscribe("room"), Unsubscribe("never"))
    book.says("q", SAID)
    assert book.lines() == ["a <- MESSAGE 1.1 #3 'said'"]


def test_a_turn_reaches_them_too(book: Playbook) -> None:
    book.says("p", Subscribe("room", []))
    one = book.open("connect", "websocket")
    book.lines()
    book.commit("a", one, 1, SAID)
    assert book.lines() == ["p <- GROUP_SEND room 'said'"]


@pytest.mark.parametrize("how", ["lost", "has another home"])
def test_who_is_lost_or_has_another_home_is_passed_on_no_more(book: Playbook, how: str) -> None:
    """Else it would have each message of the group twice: its next home passes it on, too."""
    book.says("p", Subscribe("room", []), Subscribe("hall", []))
    if how == "lost":
        book.lost("p")
    else:
        book.says("p", Peers([BOOT, OTHER]))
        assert len(book.core.layer.groups) == 2
        book.says("p", Peers([OTHER, BOOT]))
    book.lines()
    book.says("q", SAID)
    assert (book.lines(), leftovers(book.core)) == ([], [])


# -- named channels --------------------------------------------------------------------------------------------


def test_a_message_for_a_named_channel_goes_to_one_that_listens(book: Playbook) -> None:
    book.says("p", send("jobs", 1))
    book.says("q", send("jobs", 2))
    assert book.lines() == ["p <- ANSWER [1] done", "q <- ANSWER [2] full"]
    book.says("a", Listen("jobs", 2))
    assert book.lines() == ["a <- CHANNEL_SEND jobs 'psst'"]
    book.says("p", Listen("jobs", 1), send("jobs", 3), send("jobs"), send("jobs"))
    assert book.lines() == ["a <- CHANNEL_SEND jobs 'psst'", "p <- ANSWER [3] done", "p <- CHANNEL_SEND jobs 'psst'"]
    book.lost("a")
    book.says("p", Listen("jobs", 2))
    assert book.lines() == ["forget a", "p <- CHANNEL_SEND jobs 'psst'"]
    book.says("p", Listen("jobs", -1))
    assert leftovers(book.core) == []


def test_a_turn_sends_to_named_channels_too(book: Playbook) -> None:
    book.says("p", Listen("jobs", 5))
    one = book.open("connect", "websocket")
    book.lines()
    book.commit("a", one, 1, send("jobs"), GroupAdd("room", "jobs", []))
    assert (book.lines(), book.core.statistics.unknown) == (["p <- CHANNEL_SEND jobs 'psst'"], 1)


def test_what_nobody_takes_in_time_is_dropped(book: Playbook) -> None:
    book.says("p", ChannelSend("jobs", b"psst", 0, 1.0, []))
    book.pass_time(1.3, "a", "p", "q")
    assert (book.core.layer.background.ledger.expired, leftovers(book.core)) == (1, [])


# -- relays: ours ----------------------------------------------------------------------------------------------


@pytest.fixture
def three(book: Playbook) -> Playbook:
    """Give the bridge of ``book``, whose worker knows two others."""
    book.says("a", Peers([OTHER, BOOT, THIRD]))
    return book


def test_what_a_turn_does_to_other_bridges_is_one_relay_behind_what_it_does_here(three: Playbook) -> None:
    one = socket(three, GroupAdd("room", owned_channel("reply", BOOT, 1), []))
    three.event(one, "more")
    three.lines()
    three.commit("a", one, 2, send(FOREIGN), "text", SAID, send("jobs"), GroupDiscard("hall", FOREIGN, []))
    others = f"CHANNEL_SEND {FOREIGN} 'psst', GROUP_SEND room 'said', GROUP_DISCARD hall {FOREIGN}"
    relay = f"a <- RELAY b0/1 to [{OTHER}, {THIRD}]: {others}"
    assert three.lines() == ["client 1 <- 'text'", "client 1 <- 'said'", relay]
    assert len(three.core.layer.relays) == 1
    three.says("a", Relayed(OTHER, 1), Relayed(BOOT, 9))
    assert len(three.core.layer.relays) == 1
    three.says("a", Relayed(BOOT, 1))
    assert len(three.core.layer.relays) == 0


def test_what_is_for_here_only_or_for_nobody_is_not_relayed(three: Playbook) -> None:
    one = socket(three)
    three.event(one, "more")
    three.lines()
    unheard = owned_channel("consumer", 0xBB, 1)
    three.commit("a", one, 2, GroupAdd("room", channel(one), []), send(unheard), send(channel(one, "reply")))
    assert three.lines() == ["client 1 <- 'psst'"]
    assert three.core.statistics.unknown == 1


def test_a_worker_that_knows_no_other_bridge_relays_nothing(book: Playbook) -> None:
    socket(book, SAID, send(FOREIGN))
    assert (len(book.core.layer.relays), book.core.statistics.unknown) == (0, 1)


def test_a_commit_that_does_not_hold_relays_nothing(three: Playbook) -> None:
    one = three.open("connect", "websocket")
    three.lines()
    three.commit("a", one, 2, SAID)
    three.commit("a", one, 1, SAID, epoch=9)
    assert (three.lines(), len(three.core.layer.relays)) == ([], 0)


def test_a_relay_whose_worker_is_lost_goes_through_another_that_knows_a_target(three: Playbook) -> None:
    one = socket(three, SAID)
    three.event(one, "more")
    three.commit("a", one, 2, SAID)
    three.worker("b")
    three.says("b", Peers([THIRD]))
    three.lines()
    three.lost("a")
    text = f"to [{OTHER}, {THIRD}]: GROUP_SEND room 'said'"
    assert three.lines()[:3] == ["forget a", f"b <- RELAY b0/1 {text}", f"b <- RELAY b0/2 {text}"]
    three.says("b", Relayed(BOOT, 1), Relayed(BOOT, 2))
    three.core.close(one)
    assert leftovers(three.core) == []


def test_a_relay_that_nobody_can_pass_on_waits_and_is_given_up(three: Playbook) -> None:
    for _ in range(2):
        socket(three, SAID)
    three.lost("a")
    three.lines()
    three.pass_time(KEEP / 2, "p", "q")
    three.says("p", Peers([BOOT, OTHER]))
    assert [line[:12] for line in three.lines()] == ["p <- RELAY b", "p <- RELAY b"]
    three.says("p", Relayed(BOOT, 1))
    three.lost("p")
    three.pass_time(KEEP / 2 + 0.3, "q")
    assert (three.core.statistics.unrelayed, len(three.core.layer.relays)) == (1, 0)


# -- relays: other bridges' ------------------------------------------------------------------------------------


def test_a_relay_happens_once_and_is_answered_each_time(book: Playbook) -> None:
    socket(book, GroupAdd("room", owned_channel("reply", BOOT, 1), []))
    book.says("p", Subscribe("room", []))
    relay = Relay(OTHER, 4, [BOOT, THIRD], [SAID, send(owned_channel("reply", BOOT, 1))])
    book.says("a", relay)
    assert book.lines() == [
        "client 1 <- 'said'", "p <- GROUP_SEND room 'said'", "client 1 <- 'psst'", "a <- RELAYED b1/4",
    ]  # fmt: skip
    book.says("q", relay)
    assert book.lines() == ["q <- RELAYED b1/4"]
    book.says("q", relay._replace(number=3), relay._replace(origin=THIRD))
    assert [line for line in book.lines() if "client" in line] == ["client 1 <- 'said'", "client 1 <- 'psst'"] * 2


def test_what_of_a_relay_is_for_others_is_left_to_them(three: Playbook) -> None:
    """A relay is whole for each of its targets. It goes no further from here, neither by a worker nor by name."""
    one = socket(three)
    elsewhere = owned_channel("consumer", THIRD, 1)
    relay = Relay(OTHER, 1, [BOOT, THIRD], [send(elsewhere), GroupAdd("room", elsewhere, []), SAID])
    three.says("a", relay)
    assert (three.lines(), three.core.statistics.unknown) == (["a <- RELAYED b1/1"], 0)
    three.says("a", Relay(OTHER, 2, [BOOT], [GroupAdd("room", channel(one), []), SAID]))
    assert three.lines() == ["a <- MESSAGE 1.1 #2 'said'", "a <- RELAYED b1/2"]


def test_what_of_a_relay_is_for_one_that_is_gone_is_counted(book: Playbook) -> None:
    gone = owned_channel("consumer", BOOT, 99)
    book.says("a", Relay(OTHER, 1, [BOOT], [send(gone), GroupDiscard("room", gone, [])]))
    assert (book.lines(), book.core.statistics.unknown) == (["a <- RELAYED b1/1"], 2)


def test_frames_that_only_bridges_send_are_malformed(book: Playbook) -> None:
    book.says("p", frames.Listening(OTHER, ["jobs"]))
    assert (book.lines(), book.core.statistics.malformed) == ([], 1)
