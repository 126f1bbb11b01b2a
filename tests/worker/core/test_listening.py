"""Listening on named channels: credit for what is wanted, over all links, and never more than came plus that."""

from __future__ import annotations

from channels_bridge.shared.frames import Listen
from channels_bridge.worker.core.actions import LayerAction, Tell
from channels_bridge.worker.core.channels import Bounds, Statistics, Waiter
from channels_bridge.worker.core.listening import IDLE, Listener, Listening

BOUNDS = Bounds(10, 60.0, 0.0)
NOW = 100.0


class Bench:
    def __init__(self, *bridges: int) -> None:
        self.bridges = list(bridges)
        self.told: list[tuple[int, object]] = []
        self.statistics = Statistics()
        self.listening = Listening(self._take, self.statistics, self.bridges)

    def _take(self, action: LayerAction) -> None:
        assert isinstance(action, Tell)
        self.told.append((action.bridge, action.frame))

    def heard(self) -> list[tuple[int, object]]:
        told, self.told = self.told, []
        return told

    def want(self, count: int = 1, name: str = "jobs") -> Listener:
        listener = self.listening.listener(name, BOUNDS)
        for _ in range(count):
            listener.take(Waiter(), NOW)
        self.listening.update(listener, NOW)
        return listener

    def come(self, bridge: int, name: str = "jobs") -> None:
        listener = self.listening.came(bridge, name, BOUNDS)
        listener.offer(b"x", NOW)
        self.listening.update(listener, NOW)


def test_credit_is_what_came_plus_what_is_wanted() -> None:
    bench = Bench(1)
    bench.want()
    assert bench.heard() == [(1, Listen("jobs", 1))]
    bench.come(1)
    assert bench.heard() == []  # the credit is used up, and the next receive comes soon
    bench.want(2)
    assert bench.heard() == [(1, Listen("jobs", 3))]
    bench.come(1)
    bench.want()
    assert bench.heard() == [(1, Listen("jobs", 4))]


def test_what_is_wanted_is_shared_out_among_the_links() -> None:
    bench = Bench(1, 2)
    bench.want(5)
    assert bench.heard() == [(1, Listen("jobs", 2)), (2, Listen("jobs", 2))]


def test_one_receiver_asks_all_and_takes_back_what_it_does_not_need() -> None:
    bench = Bench(1, 2)
    bench.want()
    assert bench.heard() == [(1, Listen("jobs", 1)), (2, Listen("jobs", 1))]
    bench.come(1)
    assert bench.heard() == [(2, Listen("jobs", -1))]
    bench.want()
    assert bench.heard() == [(1, Listen("jobs", 2)), (2, Listen("jobs", 1))]


def test_what_came_too_late_is_for_the_next_receiver() -> None:
    bench = Bench(1, 2)
    listener = bench.want()
    bench.come(1)
    bench.come(2)
    bench.heard()
    assert [content for _, content in listener.queue] == [b"x"]
    waiter = Waiter()
    assert listener.take(waiter, NOW)
    assert waiter.result == b"x"


def test_a_receiver_that_leaves_takes_its_credit_back() -> None:
    bench = Bench(1)
    listener = bench.want(2)
    bench.heard()
    listener.leave(listener.waiters[0], NOW)
    bench.listening.update(listener, NOW)
    assert bench.heard() == []  # totals only grow: the one who stays may be given two
    listener.leave(listener.waiters[0], NOW)
    bench.listening.update(listener, NOW)
    assert bench.heard() == [(1, Listen("jobs", -1))]


def test_a_new_link_is_listened_on_and_a_lost_one_forgotten() -> None:
    bench = Bench(1)
    bench.want(4)
    bench.heard()
    bench.bridges.append(2)
    bench.listening.gain(NOW)
    assert bench.heard() == [(2, Listen("jobs", 2))]
    bench.bridges.remove(1)
    bench.listening.lose(1, NOW)
    assert bench.heard() == [(2, Listen("jobs", 4))]


def test_who_does_not_come_back_listens_no_more() -> None:
    bench = Bench(1)
    bench.want()
    bench.come(1)
    bench.heard()
    bench.listening.tick(NOW + IDLE / 2)
    assert bench.heard() == []
    bench.listening.tick(NOW + IDLE)
    assert bench.heard() == [(1, Listen("jobs", -1))]
    assert len(bench.listening) == 0
    bench.want()
    assert bench.heard() == [(1, Listen("jobs", 1))]  # both sides count anew


def test_without_a_link_nothing_is_said_and_nothing_kept() -> None:
    bench = Bench()
    listener = bench.want()
    assert bench.heard() == []
    listener.leave(listener.waiters[0], NOW)
    bench.listening.tick(NOW + IDLE)
    assert bench.listening.listeners == []


def test_what_nobody_fetches_expires() -> None:
    bench = Bench(1)
    bench.come(1)
    bench.listening.tick(NOW + 60.0)
    assert bench.statistics.expired == 1
    assert len(bench.listening) == 0


def test_what_nobody_comes_for_goes_back_for_other_processes() -> None:
    """One receiver asks both bridges, and both have something: here nobody wants the second."""
    bench = Bench(1, 2)
    listener = bench.want()
    bench.come(1)
    bench.come(2)
    bench.heard()
    assert len(listener.queue) == 1
    assert bench.listening.tick(NOW + IDLE / 2) == []
    assert bench.listening.tick(NOW + IDLE) == [("jobs", b"x", BOUNDS.expiry - IDLE)]
    assert bench.heard() == [(1, Listen("jobs", -1))]  # the other has heard it before its message came
    assert len(bench.listening) == 0
    assert bench.listening.tick(NOW + IDLE) == []


def test_what_is_for_a_receiver_that_waits_does_not_go_back() -> None:
    bench = Bench(1)
    bench.want(2)
    bench.come(1)
    assert bench.listening.tick(NOW + 2 * IDLE) == []
