"""Relays: handed on whole, and told of when all that were reached have them."""

from __future__ import annotations

from channels_bridge.shared import frames
from channels_bridge.worker.core.actions import LayerAction, Tell
from channels_bridge.worker.core.relays import REJOIN, Relays

NOW = 100.0
RELAY = frames.Relay(1, 7, [2, 3], [frames.GroupSend("g", b"x", [], [], [])])
RELAYED = frames.Relayed(1, 7)


class Bench:
    def __init__(self) -> None:
        self.told: list[tuple[int, object]] = []
        self.relays = Relays(self._take)

    def _take(self, action: LayerAction) -> None:
        assert isinstance(action, Tell)
        self.told.append((action.bridge, action.frame))

    def heard(self) -> list[tuple[int, object]]:
        told, self.told = self.told, []
        return told


def test_it_goes_to_those_that_are_linked_and_is_over_when_they_have_it() -> None:
    bench = Bench()
    bench.relays.begin(1, RELAY, [1, 2, 3], NOW)
    assert bench.heard() == [(2, RELAY), (3, RELAY)]
    bench.relays.arrived(2, RELAYED)
    bench.relays.arrived(2, RELAYED)
    bench.relays.arrived(5, frames.Relayed(5, 5))
    assert bench.heard() == []
    bench.relays.arrived(3, RELAYED)
    assert bench.heard() == [(1, RELAYED)]
    assert len(bench.relays) == 0


def test_with_nobody_to_hand_it_to_it_is_over_at_once() -> None:
    bench = Bench()
    bench.relays.begin(1, RELAY._replace(to=[1]), [1], NOW)
    assert bench.heard() == [(1, RELAYED)]


def test_a_bridge_that_is_not_linked_may_come_in_a_moment() -> None:
    bench = Bench()
    bench.relays.begin(1, RELAY, [1, 2], NOW)
    assert bench.heard() == [(2, RELAY)]
    bench.relays.gain(3)
    bench.relays.gain(4)
    assert bench.heard() == [(3, RELAY)]
    bench.relays.arrived(2, RELAYED)
    bench.relays.tick(NOW + REJOIN)  # it is there: nothing runs out
    assert bench.heard() == []
    bench.relays.arrived(3, RELAYED)
    assert bench.heard() == [(1, RELAYED)]


def test_a_bridge_whose_link_was_cut_is_given_it_again_when_it_is_back() -> None:
    bench = Bench()
    bench.relays.begin(1, RELAY, [1, 2, 3], NOW)
    bench.relays.arrived(3, RELAYED)
    bench.heard()
    bench.relays.lose(2, NOW)
    bench.relays.lose(3, NOW)  # it has it
    assert bench.heard() == []
    bench.relays.gain(2)
    assert bench.heard() == [(2, RELAY)]


def test_a_bridge_that_does_not_come_back_is_given_up() -> None:
    bench = Bench()
    bench.relays.begin(1, RELAY, [1, 2, 3], NOW)
    bench.relays.arrived(3, RELAYED)
    bench.relays.lose(2, NOW)
    bench.relays.tick(NOW + REJOIN / 2)
    bench.told.clear()
    bench.relays.tick(NOW + REJOIN)
    assert (bench.heard(), len(bench.relays)) == ([(1, RELAYED)], 0)


def test_a_lost_source_is_told_nothing() -> None:
    bench = Bench()
    bench.relays.begin(1, RELAY, [1, 2, 3], NOW)
    bench.heard()
    bench.relays.lose(1, NOW)
    bench.relays.arrived(2, RELAYED)
    assert (bench.heard(), len(bench.relays)) == ([], 0)


def test_a_relay_that_comes_again_goes_again() -> None:
    """Who has had it knows, and says so again."""
    bench = Bench()
    for _ in range(2):
        bench.relays.begin(1, RELAY._replace(to=[2]), [1, 2], NOW)
    assert bench.heard() == [(2, RELAY._replace(to=[2]))] * 2
    bench.relays.arrived(2, RELAYED)
    assert bench.heard() == [(1, RELAYED)]
