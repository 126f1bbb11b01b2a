"""Requests over channels: ask, be answered, or be told in time that nobody did."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from channels_bridge import ChannelFull
from layers.cases import bridged, few, made
from layers.seats import Seat


def question(number: int = 0) -> dict[str, Any]:
    return {"type": "question", "n": number}


def answered(number: int = 0) -> dict[str, Any]:
    return {"type": "answer", "to": question(number)}


@bridged
def test_a_named_channel_answers(near: Seat, far: Seat, name: str) -> None:
    answering = far.start("answer", name, 2)
    assert near.do("request", name, question(1)) == answered(1)
    assert near.do("request", name, question(2), timeout=5.0) == answered(2)
    assert answering.result(10) == [True, True]


@bridged
def test_it_answers_others(near: Seat, far: Seat, name: str) -> None:
    for number in (1, 2):  # one at a time: in a turn, an answer goes out when the turn commits
        answering = near.start("answer", name, 1)
        assert far.do("request", name, question(number)) == answered(number)
        assert answering.result(10) == [True]


@bridged
def test_an_own_channel_answers(near: Seat, far: Seat) -> None:
    channel = far.new_channel("server")
    answering = far.start("answer", channel, 1)
    assert near.do("request", channel, question()) == answered()
    answering.result(10)
    channel = near.new_channel("server")
    answering = near.start("answer", channel, 1)
    assert far.do("request", channel, question()) == answered()
    answering.result(10)


@bridged
def test_who_only_sends_wants_no_reply(near: Seat, far: Seat, name: str) -> None:
    answering = far.start("answer", name, 2)
    near.send(name, question())
    assert near.do("request", name, question(1)) == answered(1)
    assert answering.result(10) == [False, True]


@bridged
def test_answers_find_their_requests(near: Seat, far: Seat, name: str) -> None:
    answering = [far.start("answer", name, 10) for _ in range(2)]
    requests = [near.start("request", name, question(number)) for number in range(20)]
    assert [future.result(10) for future in requests] == [answered(number) for number in range(20)]
    for future in answering:
        future.result(10)


@few
def test_nobody_answers_in_time(near: Seat, far: Seat, name: str) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=name):
        near.do("request", name, question(1), timeout=0.1)
    assert 0.1 <= time.monotonic() - began < 2.0
    answering = far.start("answer", name, 1)  # what nobody waits for any more is answered by nobody
    assert near.do("request", name, question(2)) == answered(2)
    assert answering.result(10) == [True]


@few
def test_an_answer_that_comes_too_late(near: Seat, far: Seat, name: str) -> None:
    """It is for nobody, and above all not for the next request."""
    answering = far.start("answer", name, 2, delay=0.1)
    with pytest.raises(TimeoutError, match=name):
        near.do("request", name, question(1), timeout=0.05)
    assert near.do("request", name, question(2)) == answered(2)
    assert answering.result(10) == [True, True]


@made(memory=False)
def test_a_full_channel_says_so(make: Callable[..., Seat], name: str) -> None:
    layer = make(capacity=1)
    layer.send(name, question())
    with pytest.raises(ChannelFull, match=name):
        layer.do("request", name, question(), timeout=5.0)
