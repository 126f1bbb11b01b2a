"""Calls: over when every bridge has answered or is lost, or at the deadline."""

from __future__ import annotations

from channels_bridge.shared import frames
from channels_bridge.worker.core.actions import LayerAction, Settle
from channels_bridge.worker.core.calls import CLOSED, DONE, FULL, TIMEOUT, UNKNOWN, Call, Calls
from channels_bridge.worker.core.channels import Waiter

SEND = frames.ChannelSend("named", b"x", 0, 0.0, [])
GROUP = frames.GroupSend("g", b"x", [], [], [])


class Bench:
    def __init__(self) -> None:
        self.settled: list[object] = []
        self.calls = Calls(self._take)

    def _take(self, action: LayerAction) -> None:
        assert isinstance(action, Settle)
        self.settled += [waiter.result for waiter in action.waiters]

    def call(self, frame: frames.LayerFrame = SEND, *bridges: int, deadline: float = 10.0) -> Call:
        call = self.calls.make(frame, Waiter(), deadline)
        call.owed.update(bridges)
        return call


def test_a_call_is_over_when_the_last_bridge_has_answered() -> None:
    bench = Bench()
    call = bench.call(GROUP, 1, 2)
    bench.calls.answered(1, call.number, DONE)
    bench.calls.answered(1, call.number, DONE)
    assert bench.settled == []
    bench.calls.answered(2, call.number, DONE)
    assert bench.settled == [DONE]
    assert not bench.calls.is_open(call)
    bench.calls.answered(2, call.number, FULL)
    assert (bench.settled, len(bench.calls)) == ([DONE], 0)


def test_what_went_wrong_at_one_bridge_is_said() -> None:
    bench = Bench()
    call = bench.call(GROUP, 1, 2)
    bench.calls.answered(1, call.number, FULL)
    bench.calls.answered(2, call.number, DONE)
    assert bench.settled == [FULL]


def test_answers_of_strangers_and_to_nothing_are_nothing() -> None:
    bench = Bench()
    call = bench.call(SEND, 1)
    bench.calls.answered(2, call.number, FULL)
    bench.calls.answered(1, 999, FULL)
    assert bench.settled == []
    assert bench.calls.is_open(call)


def test_a_lost_bridge_answers_for_nobody() -> None:
    """A message to a channel may not have arrived; a group's is at most once at those that are there."""
    bench = Bench()
    bench.call(SEND, 1)
    group = bench.call(GROUP, 1, 2)
    bench.calls.lose(1)
    assert bench.settled == [UNKNOWN]
    bench.calls.answered(2, group.number, DONE)
    assert bench.settled == [UNKNOWN, DONE]


def test_at_the_deadline_a_call_is_over() -> None:
    bench = Bench()
    bench.call(SEND, 1, deadline=5.0)
    later = bench.call(SEND, 1, deadline=6.0)
    bench.calls.expire(5.0)
    assert bench.settled == [TIMEOUT]
    assert bench.calls.is_open(later)


def test_what_waits_for_a_link_is_given_out_once_and_in_order() -> None:
    bench = Bench()
    calls = [bench.call() for _ in range(3)]
    for call in calls:
        bench.calls.hold(call)
    bench.calls.forget(calls[1])
    assert list(bench.calls.held()) == [calls[0], calls[2]]
    assert list(bench.calls.held()) == []
    bench.calls.hold(calls[0])
    bench.calls.finish(calls[0], DONE)
    assert list(bench.calls.held()) == []


def test_nobody_is_told_of_a_call_that_was_given_up() -> None:
    bench = Bench()
    call = bench.call(SEND, 1)
    bench.calls.forget(call)
    bench.calls.answered(1, call.number, DONE)
    bench.calls.finish(call, DONE)
    assert bench.settled == []


def test_all_can_be_ended() -> None:
    bench = Bench()
    bench.call(SEND, 1)
    bench.call(GROUP)
    bench.calls.finish_all(CLOSED)
    assert bench.settled == [CLOSED, CLOSED]
