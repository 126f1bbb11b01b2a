"""Connections that wait for a moment before they are placed again."""

from __future__ import annotations

from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.holding import HOLD, Holding
from channels_bridge.bridge.core.pool import Pool

NOW = 100.0


def connections(count: int) -> list[Connection]:
    return [Connection(number, "http", Pool("default"), b"", True, None) for number in range(count)]


def test_each_waits_for_its_moment_in_the_order_in_which_it_came() -> None:
    one, two, three = connections(3)
    holding = Holding()
    holding.hold(one, NOW)
    holding.hold(two, NOW)
    holding.hold(three, NOW + HOLD)
    assert list(holding.due(NOW + HOLD / 2)) == []
    assert list(holding.due(NOW + HOLD)) == [one, two]
    assert holding.held == [three]


def test_who_has_ended_meanwhile_is_forgotten() -> None:
    one, two = connections(2)
    holding = Holding()
    holding.hold(one, NOW)
    holding.hold(two, NOW)
    one.finished = True
    assert holding.held == [two]
    assert list(holding.due(NOW + HOLD)) == [two]
    assert holding.held == []
