"""Relays alone: kept until they have arrived, given to another worker, told apart from those that were had."""

from __future__ import annotations

import pytest

from channels_bridge.bridge.core.actions import Action, Send
from channels_bridge.bridge.core.pool import Worker
from channels_bridge.bridge.core.relays import KEEP, MOST, ORIGINS, REMEMBERED, Relays
from channels_bridge.bridge.core.statistics import Statistics
from channels_bridge.shared.frames import GroupSend, Hello, Relay

OWN, OTHER, THIRD = 0xB0, 0xB1, 0xB2
NOW = 1000.0


class Bench:
    """The relays of a bridge, and who was given which."""

    def __init__(self) -> None:
        self.statistics = Statistics()
        self._given: list[str] = []
        self.relays = Relays(OWN, self._take, self.statistics)

    def _take(self, action: Action) -> None:
        assert isinstance(action, Send)
        assert isinstance(action.frame, Relay)
        assert (action.link_epoch, action.frame.origin) == (7, OWN)
        self._given.append(f"{action.peer.decode()} #{action.frame.number}")

    @property
    def given(self) -> list[str]:
        given, self._given = self._given, []
        return given

    def send(self, worker: Worker, *to: int, now: float = NOW) -> None:
        self.relays.send(worker, list(to), [GroupSend("room", b"said", [], [], [])], now)


def worker(name: str, *peers: int) -> Worker:
    made = Worker(name.encode(), 7, Hello("worker", ord(name), name, [], False, 0, 0), NOW)
    made.peers = list(peers)
    return made


@pytest.fixture
def bench() -> Bench:
    return Bench()


# -- ours ------------------------------------------------------------------------------------------------------


def test_a_relay_is_held_until_it_has_arrived(bench: Bench) -> None:
    a = worker("a", OWN, OTHER)
    bench.send(a, OTHER)
    bench.send(a, OTHER)
    assert (bench.given, len(bench.relays)) == (["a #1", "a #2"], 2)
    bench.relays.arrived(2)
    bench.relays.arrived(2)
    bench.relays.arrived(99)
    assert len(bench.relays) == 1
    bench.relays.arrived(1)
    assert (len(bench.relays), bench.statistics.unrelayed) == (0, 0)


def test_what_a_lost_worker_had_under_way_goes_to_one_that_knows_a_target_in_order(bench: Bench) -> None:
    a, b, c, d = worker("a", OWN, OTHER), worker("b", OWN), worker("c", OWN, THIRD, OTHER), worker("d", OWN, OTHER)
    bench.send(a, OTHER)
    bench.send(d, OTHER)
    bench.send(a, OTHER)
    assert bench.given == ["a #1", "d #2", "a #3"]
    bench.relays.lose(a, [a, b, c, d])
    assert bench.given == ["c #1", "c #3"]


def test_with_nobody_to_pass_it_on_it_waits_for_one_that_can(bench: Bench) -> None:
    a = worker("a", OWN, OTHER)
    bench.send(a, OTHER)
    bench.send(a, THIRD)
    bench.relays.lose(a, [])
    assert bench.given == ["a #1", "a #2"]
    bench.relays.offer(worker("b", OWN))
    assert bench.given == []
    c = worker("c", THIRD)
    bench.relays.offer(c)
    bench.relays.offer(c)
    assert bench.given == ["c #2"]
    bench.relays.offer(worker("d", OTHER, THIRD))
    assert bench.given == ["d #1"]


def test_what_nobody_can_pass_on_is_given_up_after_a_while(bench: Bench) -> None:
    a = worker("a", OWN, OTHER)
    bench.send(a, OTHER)
    bench.send(a, OTHER, now=NOW + 1.0)
    bench.relays.lose(a, [])
    bench.relays.expire(NOW + KEEP - 0.1)
    assert (len(bench.relays), bench.statistics.unrelayed) == (2, 0)
    bench.relays.expire(NOW + KEEP)
    assert (len(bench.relays), bench.statistics.unrelayed) == (1, 1)
    bench.relays.expire(NOW + KEEP + 1.0)
    assert (len(bench.relays), bench.statistics.unrelayed) == (0, 2)


def test_no_more_than_so_many_are_held_and_the_oldest_goes(bench: Bench) -> None:
    a = worker("a", OWN, OTHER)
    for _ in range(MOST + 2):
        bench.send(a, OTHER)
    assert (len(bench.relays), bench.statistics.unrelayed) == (MOST, 2)
    bench.relays.arrived(1)
    bench.relays.arrived(3)
    assert len(bench.relays) == MOST - 1


# -- other bridges' --------------------------------------------------------------------------------------------


def test_a_relay_is_new_once_in_whatever_order_they_come(bench: Bench) -> None:
    had = [(OTHER, 2), (OTHER, 1), (OTHER, 2), (THIRD, 2), (OTHER, 1), (THIRD, 2)]
    assert [bench.relays.is_new(*relay) for relay in had] == [True, True, False, True, False, False]


def test_as_many_numbers_are_remembered_as_can_be_under_way(bench: Bench) -> None:
    """What is older than that, its origin has given up."""
    assert REMEMBERED >= MOST
    for number in range(REMEMBERED):
        assert bench.relays.is_new(OTHER, number)
    assert not bench.relays.is_new(OTHER, 0)
    assert bench.relays.is_new(OTHER, REMEMBERED)
    assert not bench.relays.is_new(OTHER, 1)
    assert bench.relays.is_new(OTHER, 0)


def test_the_origin_that_was_silent_for_longest_is_forgotten(bench: Bench) -> None:
    for origin in range(ORIGINS):
        bench.relays.is_new(origin, 1)
    assert not bench.relays.is_new(0, 1)
    assert bench.relays.is_new(ORIGINS, 1)
    assert not bench.relays.is_new(0, 1)
    assert bench.relays.is_new(1, 1)
