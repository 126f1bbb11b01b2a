"""One bridge, seen by a worker: a session alone with what it decides, and several back to back with a bridge's core."""

import pytest

from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.shared.frames import Frame
from channels_bridge.shared.transitions import Session as State
from channels_bridge.testing.pair import Client, Pair, echo
from channels_bridge.worker.core.actions import Action, Hear, Log, Over, Reconnect, Send, Start, Up, Wake
from channels_bridge.worker.core.mailbox import Mailbox
from channels_bridge.worker.core.session import REFUSED_DELAY, Session

HELLO = frames.Hello("worker", 1, "w", ["default"], True, 4, 0)
WELCOME = frames.Welcome(link_epoch=3, boot=0xB0, lease=8.0, beat=1.0, max_message_bytes=99, turn_bytes=999)
OVER = Over(WELCOME.boot)


class Alone:
    """A session and what it has decided."""

    def __init__(self, *, ready: bool = True, failures: int = 0) -> None:
        self.actions: list[Action] = []
        self.logs: list[Log] = []
        self.session = Session(HELLO, Config(), self._take, failures)
        if ready:
            self.session.connected(100.0)
            self.session.receive(3, [WELCOME])
            self.decided()

    def _take(self, action: Action) -> None:
        if isinstance(action, Log):
            self.logs.append(action)
        else:
            self.actions.append(action)

    def decided(self) -> list[Action]:
        actions, self.actions = self.actions, []
        return actions

    def hears(self, *received: Frame, link_epoch: int = 3) -> list[Action]:
        self.session.receive(link_epoch, received)
        return self.decided()

    def adopt(self, conn: int = 7, epoch: int = 1, *events: bytes) -> Mailbox:
        self.hears(frames.Adopt(conn, epoch, b"scope", 1, 100, 1, b"", list(events)))
        return self.session.mailboxes[conn]


def state(session: Session) -> State:
    return session.state


# -- greeting --------------------------------------------------------------------------------------------------


def test_it_greets_when_connected_and_is_ready_when_welcome() -> None:
    alone = Alone(ready=False)
    session = alone.session
    assert (state(session), session.ready, session.may_act(0.0)) == (State.CONNECTING, False, False)
    session.connected(100.0)
    assert alone.decided() == [Send(HELLO)]
    assert (state(session), session.ready) == (State.GREETING, False)
    assert alone.hears(WELCOME) == [Up(WELCOME.boot)]
    assert (state(session), session.link_epoch, session.boot, session.max_message_bytes) == (State.READY, 3, 0xB0, 99)


def test_a_bridge_that_does_not_answer_is_tried_again_later_and_later() -> None:
    waits: list[float] = []
    for failures in range(7):
        alone = Alone(ready=False, failures=failures)
        alone.session.connected(100.0)
        alone.decided()
        alone.session.tick(104.9, 0.0)
        assert alone.decided() == []
        alone.session.tick(105.0, 0.0)
        [again] = alone.decided()
        assert isinstance(again, Reconnect)
        waits.append(again.delay)
        assert alone.session.failures == failures + 1
        assert alone.logs == []  # nothing was lost, and node.py says that it waits
    assert waits == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]


def test_a_refusal_is_told_and_taken_seriously() -> None:
    alone = Alone(ready=False)
    alone.session.connected(100.0)
    alone.decided()
    assert alone.hears(frames.Refuse("version", "install the same release on both")) == [Reconnect(REFUSED_DELAY)]
    assert alone.logs[0].level == "error"
    assert "install the same release on both; next try in 30 s" in alone.logs[0].text


def test_after_a_session_that_worked_the_next_try_comes_soon() -> None:
    alone = Alone(ready=False, failures=6)
    alone.session.connected(100.0)
    alone.session.receive(3, [WELCOME])
    alone.decided()
    alone.session.lost("cut")
    assert alone.decided() == [OVER, Reconnect(0.1)]
    assert alone.session.failures == 0


# -- beats and the lease ---------------------------------------------------------------------------------------


def test_it_beats_once_a_second_and_says_how_old_its_oldest_turn_is() -> None:
    alone = Alone()
    alone.session.tick(100.9, 0.0)
    assert alone.decided() == []
    alone.session.tick(101.0, 2.5)
    assert alone.decided() == [Send(frames.Beat(101.0, 0.0, 2.5))]
    alone.session.tick(101.9, 0.0)
    assert alone.decided() == []


def test_in_a_hurry_it_beats_at_the_next_tick_and_knows_when_that_was_answered() -> None:
    alone = Alone()
    alone.session.tick(101.0, 0.0)
    assert alone.decided() == [Send(frames.Beat(101.0, 0.0, 0.0))]
    alone.session.hurry()
    alone.session.tick(101.1, 0.0)
    alone.session.tick(101.2, 0.0)
    assert alone.decided() == [Send(frames.Beat(101.1, 0.0, 0.0))]
    alone.hears(frames.Beat(5.0, 101.0, 0.0))
    assert alone.session.acknowledged == 101.0
    alone.hears(frames.Beat(5.0, 101.1, 0.0))
    assert alone.session.acknowledged == 101.1


def test_the_lease_counts_from_the_sending_of_the_last_beat_that_was_answered() -> None:
    """Hello is the first, welcome its answer; when the answer came is of no matter."""
    alone = Alone()
    session = alone.session
    assert session.may_act(107.9)
    alone.hears(frames.Beat(1.0, 101.0, 0.0))
    assert session.may_act(108.9)
    alone.hears(frames.Beat(1.0, 100.5, 0.0))  # an older answer takes nothing back
    alone.hears(frames.Beat(1.0, 0.0, 0.0))  # the bridge's probe answers nothing
    assert session.may_act(108.9)
    assert not session.may_act(109.0)
    alone.hears(frames.Beat(1.0, 102.0, 0.0))
    assert not session.may_act(109.0)  # a lapse is for good: what was not sent meanwhile would be missing


def test_no_other_traffic_extends_the_lease() -> None:
    """It may have been sent before the bridge gave us up."""
    alone = Alone()
    box = alone.adopt(7, 1, b"connect")
    alone.hears(frames.Message(7, 1, 2, 1, b"x"), frames.Credit(7, 1, 500))
    assert len(box.queue) == 2
    assert not alone.session.may_act(108.0)


def test_when_the_lease_runs_out_the_session_is_over_with_all_that_it_hosts() -> None:
    alone = Alone()
    box = alone.adopt()
    alone.session.tick(107.9, 0.0)
    alone.decided()
    alone.session.tick(108.0, 0.0)
    assert alone.decided() == [OVER, Wake(box), Reconnect(0.1)]
    assert (box.over, state(alone.session), alone.session.mailboxes) == ("lost", State.FENCED, {})
    assert alone.logs[-1] == Log("warning", "lost the bridge (no beat was answered for 8 s), with 1 connections")
    alone.session.tick(200.0, 0.0)
    assert alone.decided() == []


def test_the_bridges_times_hold_for_both() -> None:
    alone = Alone(ready=False)
    alone.session.connected(100.0)
    alone.session.receive(3, [WELCOME._replace(lease=4.0, beat=0.5)])
    alone.decided()
    alone.session.tick(100.5, 0.0)
    assert alone.decided() == [Send(frames.Beat(100.5, 0.0, 0.0))]
    assert alone.session.may_act(103.9)
    assert not alone.session.may_act(104.0)


# -- connections -----------------------------------------------------------------------------------------------


def test_an_adopted_connection_is_hosted_and_its_messages_wake_its_host() -> None:
    alone = Alone()
    [start] = alone.hears(frames.Adopt(7, 1, b"scope", 1, 100, 1, b"", [b"connect"]))
    box = alone.session.mailboxes[7]
    assert start == Start(box)
    assert alone.hears(frames.Message(7, 1, 2, 1, b"x"), frames.Message(7, 1, 3, 1, b"y")) == [Wake(box), Wake(box)]
    assert [message.event for message in box.queue] == [b"connect", b"x", b"y"]


@pytest.mark.parametrize(
    "frame",
    [
        frames.Message(8, 1, 1, 1, b""), frames.Message(7, 1, 2, 1, b""), frames.Message(7, 2, 1, 1, b""),
        frames.Message(7, 3, 1, 1, b""), frames.Credit(8, 2, 999), frames.Credit(7, 1, 999),
        frames.Cancel(7, 1, "closed"), frames.Cancel(8, 2, "closed"),
        frames.FanOut(b"", [8, 1, 1]), frames.FanOut(b"", [7, 2, 2]), frames.FanOut(b"", [7, 1, 1]),
        frames.Adopt(7, 1, b"", 1, 1, 1, b"", []),
        frames.Adopt(7, 2, b"", 1, 1, 1, b"", []),
    ],
)  # fmt: skip
def test_what_is_not_of_the_present_epoch_or_not_next_is_fenced(frame: Frame) -> None:
    alone = Alone()
    box = alone.adopt(7, 2)
    box.next_seq = 1 if not isinstance(frame, frames.Message) or frame.epoch != 2 else 5
    assert alone.hears(frame) == []
    assert alone.session.fenced == 1
    assert (alone.session.mailboxes, box.over, box.allowed, list(box.queue)) == ({7: box}, "", 100, [])


@pytest.mark.parametrize("frame", [frames.Message(7, 1, 1, 1, b""), frames.Adopt(9, 1, b"", 1, 1, 1, b"", [])])
def test_what_is_of_another_link_epoch_is_fenced(frame: Frame) -> None:
    alone = Alone()
    box = alone.adopt()
    assert alone.hears(frame, link_epoch=2) == []
    assert (alone.session.fenced, list(box.queue), list(alone.session.mailboxes)) == (1, [], [7])


def test_a_connection_that_comes_back_replaces_what_we_had_of_it() -> None:
    alone = Alone()
    old = alone.adopt(7, 1)
    decided = alone.hears(frames.Adopt(7, 3, b"scope", 5, 100, 2, b"", []))
    new = alone.session.mailboxes[7]
    assert decided == [Wake(old), Start(new)]
    assert (old.over, new.over, new.epoch, new.next_seq) == ("lost", "", 3, 5)


def test_credit_wakes_whoever_waits_for_it() -> None:
    alone = Alone()
    box = alone.adopt()
    assert alone.hears(frames.Credit(7, 1, 500)) == [Wake(box)]
    assert box.allowed == 500


def test_a_message_for_many_is_one_for_each() -> None:
    alone = Alone()
    one, two = alone.adopt(7), alone.adopt(8, 3)
    assert alone.hears(frames.FanOut(b"x", [7, 1, 1, 9, 1, 1, 8, 3, 1])) == [Wake(one), Wake(two)]
    assert list(one.queue) == [frames.Message(7, 1, 1, 1, b"x")]
    assert list(two.queue) == [frames.Message(8, 3, 1, 1, b"x")]
    assert alone.session.fenced == 1


LAYER = [
    frames.GroupSend("g", b"", [], [], []), frames.ChannelSend("c", b"", 0, 0.0, []), frames.GroupAdd("g", "c", []),
    frames.GroupDiscard("g", "c", []), frames.Answer([1], ""), frames.Relay(1, 1, [2], []), frames.Relayed(1, 1),
]  # fmt: skip


@pytest.mark.parametrize("frame", LAYER, ids=lambda frame: type(frame).__name__)
def test_frames_of_the_channel_layer_are_for_the_exchange(frame: Frame) -> None:
    alone = Alone()
    assert alone.hears(frame) == [Hear(WELCOME.boot, frame)]
    assert alone.hears(frame, link_epoch=2) == []
    alone.session.lost("cut")
    alone.decided()
    assert alone.hears(frame) == []
    assert alone.session.fenced == 2


def test_a_client_that_is_gone_leaves_the_connection_to_end_by_itself() -> None:
    """Its disconnect follows in order; only sending is over."""
    alone = Alone()
    box = alone.adopt()
    assert alone.hears(frames.Cancel(7, 1, "gone")) == [Wake(box)]
    assert (box.over, alone.session.mailboxes) == ("gone", {7: box})
    assert alone.hears(frames.Message(7, 1, 1, 1, b"disconnect")) == [Wake(box)]
    assert alone.hears(frames.Cancel(7, 1, "closed")) == [Wake(box)]
    assert (box.over, alone.session.mailboxes) == ("closed", {})


def test_a_cancelled_connection_is_over() -> None:
    alone = Alone()
    box = alone.adopt()
    assert alone.hears(frames.Cancel(7, 1, "closed")) == [Wake(box)]
    assert (box.over, alone.session.mailboxes) == ("closed", {})
    assert alone.hears(frames.Message(7, 1, 1, 1, b"late")) == []
    assert alone.session.fenced == 1


def test_a_connection_that_ended_here_is_forgotten_but_not_one_that_took_its_place() -> None:
    alone = Alone()
    old = alone.adopt(7, 1)
    new = alone.adopt(7, 2)
    alone.session.forget(old)
    assert alone.session.mailboxes == {7: new}
    alone.session.forget(new)
    alone.session.forget(new)
    assert alone.session.mailboxes == {}


# -- ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "why"), [(frames.Reset("who?"), "reset: who?"), (frames.Goodbye("stopped"), "it stops: stopped")]
)
def test_a_bridge_may_end_the_session(frame: Frame, why: str) -> None:
    alone = Alone()
    box = alone.adopt()
    assert alone.hears(frame, link_epoch=0) == [OVER, Wake(box), Reconnect(0.1)]
    assert alone.logs[-1].text == f"lost the bridge ({why}), with 1 connections"
    assert not alone.session.may_act(100.0)


def test_what_follows_the_end_is_fenced() -> None:
    alone = Alone()
    alone.adopt()
    decided = alone.hears(
        frames.Reset(""), frames.Message(7, 1, 1, 1, b""), frames.Adopt(9, 1, b"", 1, 1, 1, b"", []), frames.Reset("")
    )
    assert [type(action) for action in decided] == [Over, Wake, Reconnect]
    assert (alone.session.fenced, alone.session.mailboxes) == (2, {})


def test_a_session_ends_once() -> None:
    alone = Alone()
    alone.session.lost("cut")
    alone.decided()
    alone.session.lost("cut")
    alone.session.close("stopped")
    alone.session.drain()
    assert alone.decided() == []
    assert state(alone.session) is State.FENCED


@pytest.mark.parametrize("frame", [WELCOME, HELLO, frames.Drain(), frames.Output(1, 1, 0, [], "", "")])
def test_what_has_no_place_is_counted_and_changes_nothing(frame: Frame) -> None:
    alone = Alone()
    assert alone.hears(frame) == []
    assert (alone.session.fenced, state(alone.session), alone.session.link_epoch) == (1, State.READY, 3)


def test_leaving_says_goodbye_and_ends_what_is_hosted() -> None:
    alone = Alone()
    box = alone.adopt()
    alone.session.close("stopped")
    assert alone.decided() == [Send(frames.Goodbye("stopped")), OVER, Wake(box)]
    assert (box.over, state(alone.session)) == ("lost", State.CLOSED)
    alone.session.lost("cut")
    assert alone.decided() == []


def test_leaving_before_the_welcome_says_nothing() -> None:
    alone = Alone(ready=False)
    alone.session.close("stopped")
    assert (alone.decided(), state(alone.session)) == ([], State.CLOSED)


# -- resumable consumers ---------------------------------------------------------------------------------------


def keeper(alone: Alone, conn: int = 7) -> Mailbox:
    """Adopt a connection whose consumer is resumable."""
    box = alone.adopt(conn)
    box.resumable = True
    return box


def again(alone: Alone, boot: int = WELCOME.boot) -> list[Action]:
    """Go on with the session that follows, and greet the bridge that is there now."""
    alone.session = alone.session.next()
    alone.session.connected(110.0)
    alone.decided()
    return alone.hears(WELCOME._replace(link_epoch=4, boot=boot), link_epoch=4)


def test_what_moves_is_over_without_a_word() -> None:
    alone = Alone()
    box = keeper(alone)
    assert alone.hears(frames.Cancel(7, 1, "moved")) == [Wake(box)]
    assert (box.over, alone.session.mailboxes, len(alone.session.orphans)) == ("moved", {}, 0)


@pytest.mark.parametrize("how", ["cut", "reset", "lease"])
def test_a_resumable_consumer_outlives_the_session_and_is_kept_aside(how: str) -> None:
    alone = Alone()
    plain, box = alone.adopt(6), keeper(alone)
    if how == "cut":
        alone.session.lost("cut")
    elif how == "reset":
        alone.hears(frames.Reset("who?"))
    else:
        alone.session.tick(108.0, 0.0)
    assert (plain.over, box.over, len(alone.session.orphans), alone.session.mailboxes) == ("lost", "moved", 1, {})


def test_it_is_forgotten_when_the_same_bridge_is_back() -> None:
    alone = Alone()
    box = keeper(alone)
    alone.session.lost("cut")
    alone.decided()
    assert again(alone) == [Up(WELCOME.boot)]
    assert (box.over, len(alone.session.orphans)) == ("moved", 0)


def test_it_is_told_the_end_when_another_bridge_is_there() -> None:
    alone = Alone()
    box = keeper(alone)
    alone.session.lost("cut")
    alone.decided()
    assert again(alone, boot=0xB9) == [Wake(box), Up(0xB9)]
    assert box.over == "lost"


def test_it_is_told_the_end_when_no_bridge_is_there_for_long_enough() -> None:
    alone = Alone()
    box = keeper(alone)
    alone.session.lost("cut")
    alone.decided()
    alone.session.tick(101.0, 0.0)
    alone.session = alone.session.next()
    alone.session.tick(112.9, 0.0)  # the verdict's 10 seconds and two more, from the first tick on
    assert (alone.decided(), box.over) == ([], "moved")
    alone.session.tick(113.0, 0.0)
    assert (alone.decided(), box.over) == ([Wake(box)], "lost")


def test_a_bridge_that_stops_takes_them_along_and_those_kept_aside_before() -> None:
    alone = Alone()
    older = keeper(alone)
    alone.session.lost("cut")
    alone.session = alone.session.next()
    alone.session.connected(110.0)
    alone.decided()
    alone.hears(frames.Goodbye("stopped"), link_epoch=0)
    assert older.over == "lost"
    alone = Alone()
    box = keeper(alone)
    assert alone.hears(frames.Goodbye("stopped")) == [OVER, Wake(box), Reconnect(0.1)]
    assert (box.over, len(alone.session.orphans)) == ("lost", 0)


def test_a_worker_that_leaves_tells_them_nothing_as_others_get_them() -> None:
    alone = Alone()
    older = keeper(alone, 6)
    alone.session.lost("cut")
    again_ = alone.session.next()
    again_.close("stopped")
    assert (older.over, len(again_.orphans)) == ("moved", 0)
    alone = Alone()
    plain, box = alone.adopt(6), keeper(alone)
    alone.session.close("stopped")
    assert (plain.over, box.over, alone.session.mailboxes) == ("lost", "moved", {})


def test_one_that_comes_back_to_us_takes_the_place_of_what_we_had_in_silence() -> None:
    alone = Alone()
    old = keeper(alone)
    alone.hears(frames.Adopt(7, 3, b"scope", 5, 100, 1, b"state", []))
    new = alone.session.mailboxes[7]
    assert (old.over, new.over, new.state, new.next_seq) == ("moved", "", b"state", 5)


def test_the_next_session_goes_on_where_this_one_ended() -> None:
    alone = Alone()
    alone.session.drain()
    alone.session.failures = 3
    following = alone.session.next()
    assert (state(following), following.failures, following.draining) == (State.CONNECTING, 3, True)
    assert following.orphans is alone.session.orphans


# -- draining --------------------------------------------------------------------------------------------------


def test_draining_asks_for_no_new_connections_and_goes_on() -> None:
    alone = Alone()
    box = alone.adopt()
    alone.session.drain()
    assert alone.decided() == [Send(frames.Drain())]
    assert (state(alone.session), alone.session.ready) == (State.DRAINING, True)
    assert alone.hears(frames.Message(7, 1, 1, 1, b"x")) == [Wake(box)]
    assert alone.session.may_act(107.0)


def test_draining_before_the_welcome_is_not_forgotten() -> None:
    """A bridge that comes up while the worker drains must not place connections on it."""
    alone = Alone(ready=False)
    alone.session.connected(100.0)
    alone.session.drain()
    assert alone.decided() == [Send(HELLO)]
    assert alone.hears(WELCOME) == [Send(frames.Drain()), Up(WELCOME.boot)]
    assert state(alone.session) is State.DRAINING


# -- back to back with a bridge --------------------------------------------------------------------------------


def texts(client: Client) -> list[bytes]:
    client.take(len(client.queue))
    return client.got


@pytest.mark.parametrize("slots", [0, 4])
def test_messages_go_there_and_answers_come_back(slots: int) -> None:
    pair = Pair()
    pair.worker(slots=slots, wake=echo)
    clients = [pair.open(b"hello"), pair.open(b"hello")]
    pair.settle()
    for number in range(100):
        for client in clients:
            client.send(b"%d" % number)
        pair.settle()
    for client in clients:
        assert texts(client) == [b"hello", *(b"%d" % number for number in range(100))]
        assert client.conn.journal_bytes == 0


def test_a_worker_that_beats_keeps_its_lease_and_its_link() -> None:
    pair = Pair()
    worker = pair.worker()
    pair.settle()
    for _ in range(60):
        pair.pass_time(1.0)
        assert worker.may_act
        assert list(pair.core.supervisor.links) == [worker.cable.peer]


def test_a_frozen_worker_stops_before_its_connections_are_given_away() -> None:
    """Thawed one tick before the verdict it may do nothing any more; thawed after it, it says hello again."""
    pair = Pair()
    frozen = pair.worker(slots=4)
    client = pair.open(b"hello", kind="http")
    pair.settle()
    frozen.frozen = True
    other = pair.worker(slots=4, wake=echo)
    pair.settle()
    lapses = pair.now + pair.config.lease
    while client.conn.epoch == 1:
        pair.pass_time(pair.config.tick)
    assert pair.now - lapses > 1.5  # of the 2 s between lease and verdict
    assert texts(client) == [b"hello"]
    assert client.conn.owner is pair.core.supervisor.links[other.cable.peer]
    frozen.frozen = False
    pair.pass_time(1.0)
    assert frozen.session.ready
    assert frozen.sockets == 2
    assert pair.core.statistics.fenced == 0


def test_a_turn_that_was_running_while_its_worker_was_given_up_has_no_effect() -> None:
    """A false verdict: the worker lives, and has not heard of it. Its commit is fenced, the other one's counts."""
    pair = Pair()
    slow, quick = pair.worker(slots=1), pair.worker(slots=1, wake=echo)
    pair.settle()
    client = pair.open(b"hello", kind="http")
    pair.settle()
    host = slow.hosts[client.conn.id, 1]
    assert host.take() == b"hello"
    pair.core.lost(slow.cable.peer, pair.now)
    host.commit(b"from the dead")
    pair.pass_time(0.1)
    assert texts(client) == [b"hello"]
    assert quick.hosts[client.conn.id, 2].handled == [(1, b"hello")]
    assert (host.mailbox.over, pair.core.statistics.fenced) == ("lost", 1)


def test_what_arrives_twice_counts_once() -> None:
    pair = Pair()
    worker = pair.worker(slots=1)
    pair.settle()
    client = pair.open(b"hello")
    pair.settle()
    host = worker.hosts[client.conn.id, 1]
    host.take()
    host.commit(b"once")
    worker.cable.up.append(worker.cable.up[-1])
    pair.settle()
    assert texts(client) == [b"once"]
    client.send(b"more")
    worker.cable.down.append(worker.cable.down[-1])
    pair.settle()
    assert [message.event for message in host.mailbox.queue] == [b"more"]
    assert (pair.core.statistics.fenced, worker.session.fenced) == (1, 1)


def test_a_message_that_was_lost_leaves_no_gap() -> None:
    """Nothing loses one; if something did, what follows would be refused rather than handled out of order."""
    pair = Pair()
    worker = pair.worker(slots=0)
    pair.settle()
    client = pair.open(b"hello")
    pair.settle()
    client.send(b"lost")
    worker.cable.down.clear()
    client.send(b"next")
    pair.settle()
    assert [message.event for message in worker.hosts[client.conn.id, 1].mailbox.queue] == [b"hello"]
    assert worker.session.fenced == 1


def test_a_bridge_that_does_not_know_a_worker_makes_it_start_over() -> None:
    pair = Pair()
    worker = pair.worker()
    pair.settle()
    pair.core.lost(worker.cable.peer, pair.now)
    pair.pass_time(2.0)
    assert (worker.sockets, worker.session.ready) == (2, True)
    assert list(pair.core.supervisor.links) == [worker.cable.peer]


def test_credit_bounds_what_is_under_way_to_a_client() -> None:
    pair = Pair(Config(window_bytes=1000))
    worker = pair.worker()
    pair.settle()
    client = pair.open(b"hello")
    pair.settle()
    host = worker.hosts[client.conn.id, 1]
    sent = 0
    for _ in range(50):
        while host.send(b"x" * 400):
            sent += 400
        pair.settle()
        client.take()
        pair.settle()
    assert client.conn.buffered <= 64 * 1024 + 400
    client.take(10**6)
    pair.settle()
    assert host.mailbox.may_send
    assert sum(map(len, client.got)) == sent


def test_the_last_words_come_before_the_end() -> None:
    pair = Pair()
    worker = pair.worker()
    client = pair.open(b"request", kind="http")
    pair.settle()
    host = worker.hosts[client.conn.id, 1]
    host.take()
    host.send(b"start")
    host.end(b"body")
    pair.settle()
    assert (texts(client), client.outcome) == ([b"start", b"body"], "returned")
    assert worker.session.mailboxes == {}


def test_a_deploy_of_all_workers_loses_no_request() -> None:
    """Each drains, finishes what it has and leaves, while new ones come."""
    pair = Pair()
    clients: list[Client] = []
    for _ in range(5):
        worker = pair.worker(slots=2, wake=echo)
        pair.settle()
        for other in pair.workers[:-1]:
            if other.alive:
                other.drain()
        clients += [pair.open(b"request", kind="http") for _ in range(4)]
        pair.settle()
        for other in pair.workers[:-1]:
            if other.alive:
                other.goodbye()
        pair.settle()
        assert list(pair.core.supervisor.links) == [worker.cable.peer]
        for client in clients:
            client.close()
        pair.settle()
    assert [texts(client) for client in clients] == [[b"request"]] * 20
