"""Crossing from one thread into the loop of another: in order, one call for a burst, and nobody is left behind."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from channels_bridge.worker.crossing import Crossing, ThreadTicket, Ticket, landing
from fake_endpoint import FakeLoop
from played_server import eventually

pytestmark = pytest.mark.anyio


class CountingLoop(FakeLoop):
    """Counts the calls into it; raises, as loops do, once it has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.ended = False

    def from_thread(self, function: Any) -> None:
        if self.ended:
            raise RuntimeError("closed")
        self.calls += 1
        self.call_soon(function)


def elsewhere(function: Any) -> None:
    """Call it in another thread."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def crossing(got: list[int]) -> tuple[Crossing[int], CountingLoop]:
    loop = CountingLoop()
    made: Crossing[int] = Crossing(got.append)
    typed: Any = loop
    made.open(typed)
    loop.turn()
    return made, loop


def test_a_burst_costs_one_call() -> None:
    got: list[int] = []
    made, loop = crossing(got)
    elsewhere(lambda: [made.put(number) for number in range(1000)])
    assert loop.calls == 1
    loop.turn()
    assert got == list(range(1000))
    elsewhere(lambda: made.put(1000))
    assert loop.calls == 2


def test_what_is_put_before_there_is_a_loop_waits_for_it() -> None:
    got: list[int] = []
    made: Crossing[int] = Crossing(got.append)
    made.put(1)
    assert bool(made)
    loop: Any = FakeLoop()
    made.open(loop)
    loop.turn()
    assert got == [1]
    assert not made


def test_what_was_emptied_without_a_loop_gets_none() -> None:
    got: list[int] = []
    made: Crossing[int] = Crossing(got.append)
    made.put(1)
    made.empty()
    assert got == [1]
    assert not made.put(2)


def test_what_is_put_while_it_is_emptied_comes_next() -> None:
    got: list[int] = []
    loop = FakeLoop()

    def take(number: int) -> None:
        got.append(number)
        if number == 1:
            made.put(2)  # a finalizer, say

    made: Crossing[int] = Crossing(take)
    typed: Any = loop
    made.put(1)
    made.open(typed)
    loop.turn()
    assert got == [1]
    loop.turn()
    assert got == [1, 2]


def test_an_error_stops_nothing_behind_it(caplog: pytest.LogCaptureFixture) -> None:
    got: list[int] = []

    def take(number: int) -> None:
        got.append(1 // number)

    loop: Any = FakeLoop()
    made: Crossing[int] = Crossing(take)
    made.put(0)
    made.put(1)
    made.open(loop)
    loop.turn()
    assert got == [1]
    assert "an error in the channel layer" in caplog.text


def test_a_loop_that_has_ended_is_said_each_time() -> None:
    made, loop = crossing([])
    loop.ended = True
    refused: list[bool] = []
    elsewhere(lambda: refused.extend([made.put(1), made.put(2)]))
    assert refused == [False, False]


async def test_a_task_is_woken_from_its_own_thread_and_from_others() -> None:
    assert landing() is landing()
    for here in (True, False):
        ticket = Ticket(landing())
        ticket.result = b"x"
        if here:
            ticket.settle()
        else:
            elsewhere(ticket.settle)
        with anyio.fail_after(5.0):
            await ticket.promise
        assert ticket.promise.done()


async def test_a_task_that_was_cancelled_is_not_woken() -> None:
    ticket = Ticket(landing())
    with anyio.move_on_after(0.0):
        await ticket.promise
    ticket.result = b"x"
    assert ticket.settle()
    other = Ticket(landing())
    other.settle()
    await other.promise  # behind the first one


def test_each_loop_has_its_own_landing() -> None:
    async def here() -> Any:
        return landing()

    first, second = anyio.run(here), anyio.run(here)
    assert first is not second
    assert not Ticket(first).settle()  # its loop has ended


async def test_a_thread_waits_without_a_loop() -> None:
    ticket = ThreadTicket()
    assert ticket.wait(0.001) is None
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(ticket.wait(None)))
    thread.start()
    ticket.result = b"x"
    assert ticket.settle()
    await eventually(lambda: got == [b"x"])
    thread.join()


def test_a_thread_waits_no_longer_than_it_says() -> None:
    began = time.monotonic()
    assert ThreadTicket().wait(0.02) is None
    assert 0.02 <= time.monotonic() - began < 5.0
