"""A process's end of the channel layer: where calls go, what comes for its channels, links that come and go."""

from __future__ import annotations

import pytest

from channels_bridge.shared import frames
from channels_bridge.shared.frames import Frame, LayerFrame
from channels_bridge.shared.names import owned_channel, process_channel
from channels_bridge.worker.core.actions import LayerAction, Tell
from channels_bridge.worker.core.calls import CLOSED, DONE, FULL, TIMEOUT, UNKNOWN
from channels_bridge.worker.core.channels import Bounds, Channel, Parcel, Waiter
from channels_bridge.worker.core.exchange import SWEEP, Exchange

BOOT, NOW = 0xAA, 100.0
BOUNDS = Bounds(2, 60.0, 1000.0)
OWN, OTHERS = process_channel("specific", BOOT, 1), process_channel("specific", 0xBB, 1)
CONSUMER_OF_2, CONSUMER_OF_9 = owned_channel("consumer", 2, 5), owned_channel("consumer", 9, 5)
SEND = frames.ChannelSend("named", b"x", 0, 0.0, [])
GROUP = frames.GroupSend("g", b"x", [], [], [])
ROUTE = [4, 5, 6]


class Bench:
    """An exchange, linked with these bridges, and what it has decided."""

    def __init__(self, *bridges: int) -> None:
        self.told: list[tuple[int, Frame]] = []
        self.settled: list[Waiter] = []
        self.exchange = Exchange(BOOT, self._take)
        for bridge in bridges:
            self.exchange.up(bridge, NOW)
        self.told.clear()

    def _take(self, action: LayerAction) -> None:
        if isinstance(action, Tell):
            self.told.append((action.bridge, action.frame))
        else:
            self.settled += action.waiters

    def heard(self) -> list[tuple[int, Frame]]:
        told, self.told = self.told, []
        return told

    def call(self, frame: LayerFrame, timeout: float = 5.0) -> Waiter:
        waiter = Waiter()
        self.exchange.call(frame, waiter, NOW + timeout, NOW)
        return waiter

    def channel(self, name: str = OWN, *groups: str) -> Channel:
        channel = self.exchange.open(name, 1, BOUNDS)
        for group in groups:
            self.call(frames.GroupAdd(group, name, []))
            for bridge, frame in self.heard():
                if isinstance(frame, frames.Subscribe):
                    self.exchange.hear(bridge, frames.Answer(frame.route, DONE), NOW)
        return channel

    def receive(self, name: str = OWN, *, copied: bool = False) -> Waiter:
        waiter = Waiter()
        self.exchange.receive(name, waiter, NOW, copied=copied, bounds=BOUNDS)
        return waiter

    def hear(self, frame: Frame, bridge: int = 1, now: float = NOW) -> list[tuple[int, Frame]]:
        self.exchange.hear(bridge, frame, now)
        return self.heard()


# -- where calls go --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "target"), [("named", 1), (CONSUMER_OF_2, 2), (CONSUMER_OF_9, 1), (OTHERS, 1), ("odd!name", 1)]
)
def test_what_is_for_a_channel_goes_to_its_bridge_or_home(channel: str, target: int) -> None:
    bench = Bench(1, 2)
    waiter = bench.call(SEND._replace(channel=channel))
    assert bench.heard() == [(target, frames.ChannelSend(channel, b"x", 0, 0.0, [1]))]
    bench.hear(frames.Answer([1], FULL), target)
    assert (waiter.result, bench.settled) == (FULL, [waiter])


def test_a_groups_message_goes_to_all_bridges_and_says_who_is_told() -> None:
    bench = Bench(1, 2)
    waiter = bench.call(GROUP)
    frame = frames.GroupSend("g", b"x", [], [1, 2], [1])
    assert bench.heard() == [(1, frame), (2, frame)]
    bench.hear(frames.Answer([1], DONE), 1)
    assert waiter.result is None
    bench.hear(frames.Answer([1], DONE), 2)
    assert waiter.result == DONE


def test_calls_wait_for_a_link_and_not_for_ever() -> None:
    bench = Bench()
    late, patient = bench.call(SEND, timeout=1.0), bench.call(GROUP)
    bench.exchange.tick(NOW + 1.0)
    assert (late.result, patient.result) == (TIMEOUT, None)
    bench.exchange.up(7, NOW + 2.0)
    assert bench.heard() == [(7, frames.Peers([7])), (7, frames.GroupSend("g", b"x", [], [7], [2]))]


def test_what_is_called_first_waits_for_all_links_that_are_about_to_come_up() -> None:
    bench = Bench()
    bench.exchange.expect(3, NOW + 0.25)
    bench.call(GROUP)
    bench.exchange.up(1, NOW)
    bench.exchange.up(2, NOW)
    bench.call(SEND)
    bench.exchange.tell(SEND, NOW)  # nobody waits for that
    assert [type(frame) for _, frame in bench.heard()] == [frames.Peers] * 3 + [frames.ChannelSend]
    bench.exchange.up(3, NOW)
    group, send = GROUP._replace(told=[1, 2, 3], route=[1]), SEND._replace(route=[2])
    assert bench.heard()[3:] == [(1, group), (2, group), (3, group), (1, send)]
    bench.call(SEND)
    assert len(bench.heard()) == 1


def test_links_that_do_not_come_up_are_not_waited_for_long() -> None:
    bench = Bench()
    bench.exchange.expect(3, NOW + 0.25)
    bench.call(SEND)
    bench.exchange.up(1, NOW)
    bench.exchange.tick(NOW + 0.2)
    assert [type(frame) for _, frame in bench.heard()] == [frames.Peers]
    bench.exchange.tick(NOW + 0.25)
    assert [type(frame) for _, frame in bench.heard()] == [frames.ChannelSend]


def test_who_waits_for_a_link_only_is_told_of_it_or_that_there_is_none() -> None:
    bench = Bench()
    impatient, patient, late = Waiter(), Waiter(), Waiter()
    bench.exchange.greet(impatient, NOW + 1.0, NOW)
    bench.exchange.greet(patient, NOW + 2.0, NOW)
    bench.exchange.tick(NOW + 1.0)
    assert (impatient.result, patient.result) == (TIMEOUT, None)
    bench.exchange.up(1, NOW + 1.5)
    bench.exchange.greet(late, NOW + 3.0, NOW + 2.0)
    assert patient.result == late.result == DONE
    assert [type(frame) for _, frame in bench.heard()] == [frames.Peers]


def test_a_call_that_is_only_told_leaves_nothing_behind() -> None:
    bench = Bench(1)
    bench.exchange.tell(GROUP, NOW)
    assert len(bench.heard()) == 1
    bench.exchange.tick(NOW)
    assert len(bench.exchange.calls) == 0


def test_a_call_that_was_given_up_is_forgotten() -> None:
    bench = Bench(1)
    waiter = bench.call(SEND)
    bench.exchange.leave(waiter, NOW)
    bench.hear(frames.Answer([1], DONE))
    assert bench.settled == []
    bench.exchange.leave(Waiter(), NOW)  # of nothing


# -- own channels ----------------------------------------------------------------------------------------------


def test_to_a_channel_of_ones_own_no_frame_is_sent() -> None:
    bench = Bench()
    assert bench.call(SEND._replace(channel=OWN)).result == UNKNOWN
    bench.channel()
    codes = [bench.call(SEND._replace(channel=OWN, event=b"%d" % n)).result for n in range(3)]
    assert codes == [DONE, DONE, FULL]
    assert [bench.receive().result, bench.receive().result] == [b"0", b"1"]
    assert bench.exchange.statistics.unknown == bench.exchange.statistics.full == 1


def test_what_a_bridge_passes_on_is_answered() -> None:
    bench = Bench(1)
    bench.channel()
    waiter = bench.receive()
    send = frames.ChannelSend(OWN, b"x", 0, 0.0, ROUTE)
    assert bench.hear(send) == [(1, frames.Answer(ROUTE, DONE))]
    assert waiter.result == b"x"
    assert bench.settled[-1] is waiter
    assert bench.hear(send._replace(capacity=1)) == [(1, frames.Answer(ROUTE, DONE))]
    assert bench.hear(send._replace(capacity=1)) == [(1, frames.Answer(ROUTE, FULL))]
    assert bench.hear(send._replace(channel=OTHERS)) == [(1, frames.Answer(ROUTE, UNKNOWN))]
    assert bench.hear(send._replace(route=[])) == []


def test_a_receiver_that_leaves_loses_no_message() -> None:
    bench = Bench(1)
    bench.channel()
    leaves, stays = bench.receive(), bench.receive()
    bench.hear(frames.ChannelSend(OWN, b"x", 0, 0.0, []))
    bench.exchange.leave(leaves, NOW)
    assert (stays.result, bench.settled[-1]) == (b"x", stays)
    bench.exchange.leave(stays, NOW)
    assert bench.receive().result == b"x"


def test_a_channel_ends_with_its_name() -> None:
    bench = Bench(1)
    bench.channel(OWN, "g")
    bench.exchange.leave(bench.receive(), NOW)
    bench.exchange.close(OWN, NOW)
    bench.exchange.close(OWN, NOW)
    assert bench.heard() == [(1, frames.Unsubscribe("g"))]
    assert bench.exchange.channels == {}


def test_a_channel_that_is_used_by_a_copy_of_its_name_lingers() -> None:
    bench = Bench(1)
    bench.channel()
    bench.exchange.use(OWN, NOW, copied=True, bounds=BOUNDS)
    bench.exchange.close(OWN, NOW)
    bench.exchange.tick(NOW + BOUNDS.linger - 1.0)
    assert OWN in bench.exchange.channels
    bench.exchange.tick(NOW + BOUNDS.linger)
    assert bench.exchange.channels == {}


def test_a_channel_that_has_ended_begins_again_when_somebody_receives_on_it() -> None:
    bench = Bench(1)
    waiter = bench.receive(copied=True)
    bench.hear(frames.ChannelSend(OWN, b"x", 0, 0.0, []))
    assert waiter.result == b"x"


def test_what_waits_too_long_goes_with_the_sweep() -> None:
    bench = Bench(1)
    channel = bench.channel()
    bench.exchange.tick(NOW)
    bench.hear(frames.ChannelSend(OWN, b"x", 0, 0.1, []))
    bench.exchange.tick(NOW + SWEEP / 2)
    assert len(channel.queue) == 1  # nobody looks so often
    bench.exchange.tick(NOW + SWEEP)
    assert (len(channel.queue), bench.exchange.statistics.expired) == (0, 1)


def test_flush_empties_channels_and_ends_memberships() -> None:
    bench = Bench(1)
    channel = bench.channel(OWN, "g")
    copied = process_channel("specific", BOOT, 2)
    bench.exchange.use(copied, NOW, copied=True, bounds=BOUNDS)
    bench.call(SEND._replace(channel=OWN))
    bench.exchange.flush()
    assert bench.heard() == [(1, frames.Unsubscribe("g"))]
    assert bench.exchange.channels == {OWN: channel}
    assert not channel.queue
    waiter = bench.receive()
    bench.exchange.flush()
    bench.call(SEND._replace(channel=OWN))
    assert waiter.result == b"x"


def test_the_end_of_a_layer_is_that_of_its_channels() -> None:
    bench = Bench(1)
    theirs = process_channel("specific", BOOT, 2)
    bench.channel(OWN, "g")
    bench.exchange.open(theirs, 2, BOUNDS)
    waits, stays = bench.receive(OWN), bench.receive(theirs)
    bench.exchange.end(1)
    assert (waits.result, stays.result, list(bench.exchange.channels)) == (CLOSED, None, [theirs])
    listening, asking = bench.receive("named"), bench.call(SEND)
    bench.exchange.end()
    assert {waiter.result for waiter in (stays, listening, asking)} == {CLOSED}


# -- groups ----------------------------------------------------------------------------------------------------


def test_a_membership_is_there_when_our_home_knows_of_it() -> None:
    bench = Bench(1, 2)
    bench.exchange.open(OWN, 1, BOUNDS)
    waiter = bench.call(frames.GroupAdd("g", OWN, []))
    [(home, subscribe)] = bench.heard()
    assert home == 1
    assert isinstance(subscribe, frames.Subscribe)
    assert waiter.result is None
    bench.hear(frames.Answer(subscribe.route, DONE))
    assert waiter.result == DONE
    assert bench.call(frames.GroupAdd("g", OWN, [])).result == DONE
    assert bench.call(frames.GroupDiscard("g", OWN, [])).result == DONE
    assert bench.heard() == [(1, frames.Unsubscribe("g"))]


def test_who_waited_for_a_membership_that_ended_is_told() -> None:
    bench = Bench(1)
    bench.exchange.open(OWN, 1, BOUNDS)
    waiter = bench.call(frames.GroupAdd("g", OWN, []))
    bench.call(frames.GroupDiscard("g", OWN, []))
    assert waiter.result == DONE


def test_memberships_that_others_give() -> None:
    bench = Bench(1, 2)
    add, discard = frames.GroupAdd("g", OWN, ROUTE), frames.GroupDiscard("g", OWN, ROUTE)
    assert bench.hear(add) == [(1, frames.Answer(ROUTE, UNKNOWN))]
    assert bench.hear(discard) == [(1, frames.Answer(ROUTE, UNKNOWN))]
    bench.exchange.open(OWN, 1, BOUNDS)
    [(home, subscribe)] = bench.hear(add, 2)
    assert isinstance(subscribe, frames.Subscribe)
    assert bench.hear(frames.Answer(subscribe.route, DONE), home) == [(2, frames.Answer(ROUTE, DONE))]
    assert bench.hear(add) == [(1, frames.Answer(ROUTE, DONE))]
    assert bench.hear(discard) == [(1, frames.Unsubscribe("g")), (1, frames.Answer(ROUTE, DONE))]


def test_a_groups_message_is_for_all_its_channels_but_those_excluded() -> None:
    bench = Bench(1)
    names = [process_channel("specific", BOOT, number) for number in range(1, 5)]
    channels = [bench.channel(name, "g") for name in names]
    waiter = bench.receive(names[0])
    bench.hear(frames.GroupSend("g", b"x", [names[1]], [], []))
    assert isinstance(waiter.result, Parcel)
    assert waiter.result.event == b"x"
    assert [len(channel.queue) for channel in channels] == [0, 0, 1, 1]
    assert channels[2].queue[0][1] is channels[3].queue[0][1] is waiter.result


def test_a_full_member_misses_it_and_is_counted() -> None:
    bench = Bench(1)
    bench.channel(OWN, "g")
    for _ in range(3):
        bench.hear(GROUP)
    assert bench.exchange.statistics.full == 1


def test_another_bridge_than_home_has_nothing_to_say_to_our_groups() -> None:
    bench = Bench(1, 2)
    channel = bench.channel(OWN, "g")
    bench.hear(GROUP, 2)
    assert (len(channel.queue), bench.exchange.statistics.stray) == (0, 1)


# -- named channels --------------------------------------------------------------------------------------------


def test_a_message_of_a_named_channel_is_for_who_waits() -> None:
    bench = Bench(1)
    waiter = bench.receive("named")
    assert bench.heard() == [(1, frames.Listen("named", 1))]
    assert bench.hear(SEND) == []
    assert waiter.result == b"x"
    bench.hear(SEND)  # more than was wanted
    assert bench.receive("named").result == b"x"


def test_who_leaves_listens_no_more() -> None:
    bench = Bench(1)
    waiter = bench.receive("named")
    bench.heard()
    bench.exchange.leave(waiter, NOW)
    assert bench.heard() == [(1, frames.Listen("named", -1))]


def test_what_comes_for_who_listens_no_more_goes_back() -> None:
    bench = Bench(1)
    waiter = bench.receive("named")
    bench.hear(SEND)
    bench.exchange.leave(waiter, NOW)
    bench.heard()
    bench.exchange.give_back("named", NOW)
    assert [frame[:2] for _, frame in bench.heard()] == [("named", -1), ("named", b"x")]
    assert [frame[:2] for _, frame in bench.hear(SEND)] == [("named", b"x")]


# -- links -----------------------------------------------------------------------------------------------------


def test_every_bridge_is_told_of_all_home_first() -> None:
    bench = Bench()
    bench.exchange.up(1, NOW)
    bench.exchange.up(2, NOW)
    assert bench.heard() == [
        (1, frames.Peers([1])),
        (1, frames.Peers([1, 2])),
        (2, frames.Peers([1, 2])),
    ]
    bench.exchange.over(1, NOW)
    bench.exchange.up(1, NOW)
    assert bench.heard() == [(2, frames.Peers([2])), (2, frames.Peers([2, 1])), (1, frames.Peers([2, 1]))]
    bench.exchange.over(9, NOW)
    assert bench.heard() == []


def test_a_lost_home_is_followed_by_the_next_with_all_that_it_had() -> None:
    bench = Bench(1, 2)
    bench.channel(OWN, "g")
    asked, sent = bench.call(frames.GroupAdd("h", OWN, [])), bench.call(SEND)
    listening = bench.receive("jobs")
    bench.heard()
    bench.exchange.over(1, NOW)
    told = bench.heard()
    assert [bridge for bridge, _ in told] == [2] * len(told)
    assert told[0] == (2, frames.Peers([2]))
    subscribes = [frame for _, frame in told if isinstance(frame, frames.Subscribe)]
    assert [frame.group for frame in subscribes] == ["g", "h"]
    assert (asked.result, sent.result, listening.result) == (None, UNKNOWN, None)
    bench.hear(frames.Answer(subscribes[1].route, DONE), 2)
    assert asked.result == DONE


def test_without_any_link_memberships_wait_for_one() -> None:
    bench = Bench(1)
    bench.channel(OWN, "g")
    bench.exchange.over(1, NOW)
    bench.heard()
    bench.exchange.up(2, NOW)
    assert frames.Subscribe in [type(frame) for _, frame in bench.heard()]


def test_a_relay_waits_for_a_link_that_comes_back() -> None:
    bench = Bench(1, 2)
    relay = frames.Relay(1, 7, [2, 3], [GROUP])
    assert bench.hear(relay) == [(2, relay)]
    bench.exchange.over(2, NOW)
    bench.exchange.up(2, NOW + 0.1)
    assert (2, relay) in bench.heard()
    bench.hear(frames.Relayed(1, 7), 2)
    bench.exchange.tick(NOW + 10.0)
    assert bench.heard() == [(1, frames.Relayed(1, 7))]


def test_relays_are_handed_on() -> None:
    bench = Bench(1, 2)
    relay = frames.Relay(1, 7, [2], [GROUP])
    assert bench.hear(relay) == [(2, relay)]
    assert bench.hear(frames.Relayed(1, 7), 2) == [(1, frames.Relayed(1, 7))]


@pytest.mark.parametrize("frame", [frames.Subscribe("g", []), frames.Listen("c", 1), frames.Drain()])
def test_what_no_bridge_sends_is_counted_and_nothing_else(frame: Frame) -> None:
    bench = Bench(1)
    assert bench.hear(frame) == []
    assert bench.exchange.statistics.stray == 1


def test_what_a_lost_bridge_has_said_is_counted_and_nothing_else() -> None:
    bench = Bench(1)
    assert bench.hear(SEND, 2) == []
    assert bench.exchange.statistics.stray == 1


def test_an_answer_to_nobody_is_nothing() -> None:
    bench = Bench(1)
    assert bench.hear(frames.Answer([], DONE)) == []
    assert bench.settled == []
