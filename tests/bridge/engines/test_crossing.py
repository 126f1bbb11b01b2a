"""Bounded, in order, one wake per burst, from any number of threads."""

import threading

import pytest

from channels_bridge.bridge.engines.crossing import BURST, BURST_OCTETS, Crossing


class Wakes:
    """Counts them."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> None:
        self.number += 1


def opened(messages: int = 10, octets: int = 100) -> tuple[Crossing[int], Wakes]:
    crossing: Crossing[int] = Crossing(messages, octets)
    wakes = Wakes()
    crossing.open(wakes)
    return crossing, wakes


def test_what_is_put_is_taken_in_that_order() -> None:
    crossing, _ = opened()
    assert all(crossing.put(number, 1) for number in range(5))
    assert crossing.take() == [0, 1, 2, 3, 4]
    assert crossing.take() == []


def test_it_takes_nothing_before_it_is_opened_and_after_it_is_closed() -> None:
    crossing: Crossing[int] = Crossing()
    assert not crossing.is_open
    assert not crossing.put(1, 1)
    assert not crossing.put(1, 0)
    crossing, _ = opened()
    assert crossing.is_open
    crossing.put(1, 1)
    crossing.put(2, 0)
    assert crossing.close() == [1, 2]
    assert not crossing.is_open
    assert not crossing.put(3, 1)
    assert crossing.take() == []
    assert crossing.take_refused() == 0


def test_a_burst_wakes_once() -> None:
    crossing, wakes = opened()
    for number in range(5):
        crossing.put(number, 1)
    assert wakes.number == 1
    crossing.take()
    crossing.put(5, 1)
    assert wakes.number == 1  # who takes has not seen it empty, and comes again
    assert crossing.take() == [5]
    assert crossing.take() == []
    crossing.put(6, 1)
    assert wakes.number == 2


def test_opened_again_it_wakes_again() -> None:
    crossing, _ = opened()
    crossing.put(1, 1)
    crossing.close()
    wakes = Wakes()
    crossing.open(wakes)
    crossing.put(2, 1)
    assert wakes.number == 1


@pytest.mark.parametrize(("messages", "octets", "size", "room"), [(3, 100, 1, 3), (10, 100, 40, 2), (10, 100, 100, 1)])
def test_it_is_bounded_in_number_and_bytes(messages: int, octets: int, size: int, room: int) -> None:
    crossing, _ = opened(messages, octets)
    assert [crossing.put(number, size) for number in range(room + 2)] == [True] * room + [False] * 2
    assert crossing.take_refused() == 2
    assert crossing.take_refused() == 0
    assert crossing.put(9, 0)  # a notice
    assert crossing.take() == [*range(room), 9]
    assert crossing.put(10, size)


def test_nobody_takes_all_at_once() -> None:
    crossing: Crossing[int] = Crossing()
    crossing.open(Wakes())
    for number in range(BURST + 1):
        crossing.put(number, 1)
    assert crossing.take() == list(range(BURST))
    assert crossing.take() == [BURST]
    for number in range(3):
        crossing.put(number, BURST_OCTETS // 2 + 1)
    assert crossing.take() == [0, 1]
    assert crossing.take() == [2]


def test_a_loop_that_has_ended_is_not_woken() -> None:
    crossing: Crossing[int] = Crossing()

    def wake() -> None:
        raise RuntimeError("the loop has ended")

    crossing.open(wake)
    assert crossing.put(1, 1)


def test_nothing_is_lost_between_threads() -> None:
    crossing: Crossing[tuple[int, int]] = Crossing(messages=100_000)
    awake = threading.Event()
    crossing.open(awake.set)
    taken: list[tuple[int, int]] = []

    def put(name: int) -> None:
        for number in range(2000):
            assert crossing.put((name, number), 1)

    def take() -> None:
        while len(taken) < 8000:
            assert awake.wait(10.0), len(taken)
            awake.clear()
            while items := crossing.take():
                taken.extend(items)

    threads = [threading.Thread(target=take), *(threading.Thread(target=put, args=[name]) for name in range(4))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in range(4):
        assert [number for other, number in taken if other == name] == list(range(2000))
