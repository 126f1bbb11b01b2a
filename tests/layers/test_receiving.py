"""Receivers: that come and go, that are many, that are cancelled. No message is lost by that, none comes twice."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from typing import Any

import pytest

from layers.cases import awaited, bridged, few
from layers.seats import RemoteSeat, Seat

STOP = {"type": "stop"}


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"type": "heard", "n": number} for number in range(count)]


def numbers(messages: list[dict[str, Any]]) -> list[int]:
    return [message["n"] for message in messages]


@awaited
@pytest.mark.parametrize("kind", ["own", "named"])
def test_a_cancelled_receive_leaves_the_next_message(near: Seat, far: Seat, name: str, kind: str) -> None:
    channel = near.new_channel() if kind == "own" else name
    for number in range(5):
        assert near.do("cancelled", "receive", channel)
        far.send(channel, {"type": "heard", "n": number})
        assert near.receive(channel)["n"] == number


@awaited
@pytest.mark.parametrize("kind", ["own", "named"])
def test_receives_that_are_cancelled_all_the_time_lose_nothing(near: Seat, far: Seat, name: str, kind: str) -> None:
    channel = near.new_channel() if kind == "own" else name
    received = near.start("take_interrupted", channel, 200)
    sent = far.start("each", "send", *[(channel, message) for message in numbered(200)])
    assert numbers(received.result(10)) == list(range(200))
    sent.result(10)


@awaited
def test_a_message_that_nobody_waits_for_any_more_is_for_the_next(near: Seat, far: Seat, name: str) -> None:
    """The bridge has given it to a process whose receiver was cancelled; another process may have it, or that one."""
    assert near.do("cancelled", "receive", name)
    far.send(name, {"type": "heard", "n": 1})
    assert near.receive(name)["n"] == 1
    assert near.do("cancelled", "receive", name)
    near.send(name, {"type": "heard", "n": 2})
    assert far.receive(name)["n"] == 2


@bridged  # the in-memory layer forgets receivers that wait together
def test_each_message_of_a_named_channel_goes_to_one_receiver(near: Seat, far: Seat, name: str) -> None:
    receivers = [seat.start("take", name, 50) for seat in (near, far) for _ in range(3)]
    for future in [seat.start("each", "send", *[(name, m) for m in numbered(150)]) for seat in (near, far)]:
        future.result(10)
    received = [number for future in receivers for number in numbers(future.result(10))]
    assert sorted(received) == sorted([*range(150), *range(150)])


@bridged
def test_each_message_of_an_own_channel_goes_to_one_receiver(near: Seat, far: Seat) -> None:
    channel = near.new_channel()
    receivers = [near.start("take", channel, 50) for _ in range(3)]
    far.do("each", "send", *[(channel, message) for message in numbered(150)])
    received = [number for future in receivers for number in numbers(future.result(10))]
    assert sorted(received) == list(range(150))


@bridged
def test_two_processes_share_fairly(near: Seat, far: Seat, name: str) -> None:
    """Whoever is ready takes one; none starves, and none is given a heap that the other could have had."""
    receivers = [seat.start("take_until_stop", name) for seat in (near, far)]
    far.do("each", "send", *[(name, message) for message in [*numbered(200), STOP, STOP]])
    shares = [numbers(future.result(10)) for future in receivers]
    assert sorted([*shares[0], *shares[1]]) == list(range(200))
    assert min(map(len, shares)) >= 50, [len(share) for share in shares]


@few
def test_what_a_process_had_is_given_to_nobody_again(near: Seat, far: Seat, site: Any, name: str) -> None:
    """At most once: what was handed out is not handed out again; what was not, waits for the next."""
    ended = RemoteSeat(site.urls)
    received = ended.start("take", name, 3)
    near.do("each", "send", *[(name, message) for message in numbered(3)])
    assert numbers(received.result(10)) == [0, 1, 2]
    ended.kill()
    near.send(name, {"type": "heard", "n": 3})
    assert far.receive(name)["n"] == 3


@few
def test_a_listener_that_died_does_not_swallow_what_comes(near: Seat, far: Seat, site: Any, name: str) -> None:
    """What was on its way to it is lost, at most one for each of its receivers, and nothing else."""
    ended = RemoteSeat(site.urls)
    waiting = [ended.start("receive", name) for _ in range(3)]
    ended.send(name, {"type": "heard", "n": "it listens"})
    wait(waiting, 10, FIRST_COMPLETED)
    ended.kill()
    received = far.start("take_until_stop", name)
    near.do("each", "send", *[(name, message) for message in numbered(20)])
    near.send(name, STOP)
    got = numbers(received.result(10))
    assert got == sorted(got)
    assert len(got) >= 18
