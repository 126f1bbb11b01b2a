"""Groups of own channels: the home knows which there are, and a new home is told."""

from __future__ import annotations

from itertools import count

from channels_bridge.shared import frames
from channels_bridge.worker.core.actions import LayerAction, Tell
from channels_bridge.worker.core.channels import Bounds, Channel, Statistics
from channels_bridge.worker.core.groups import Groups, Passed

NOW, LINGER = 100.0, 1000.0
ASKER, OTHER = Passed(1, [5, 6, 7]), Passed(1, [8, 9, 10])


class Bench:
    def __init__(self, home: int | None = 1) -> None:
        self.told: list[tuple[int, object]] = []
        self.groups = Groups(self._take, count(1).__next__)
        self.groups.move(home)

    def _take(self, action: LayerAction) -> None:
        assert isinstance(action, Tell)
        self.told.append((action.bridge, action.frame))

    def heard(self) -> list[tuple[int, object]]:
        told, self.told = self.told, []
        return told

    def names(self, group: str = "g", exclude: tuple[str, ...] = (), now: float = NOW) -> list[str]:
        return [channel.name for channel in self.groups.members(group, exclude, now)]


def channel(name: str) -> Channel:
    return Channel(name, 1, Bounds(10, 60.0, LINGER), Statistics())


def test_the_first_member_waits_for_our_home_and_the_next_ones_with_it() -> None:
    bench = Bench()
    assert not bench.groups.add("g", channel("a"), NOW, ASKER)
    assert bench.heard() == [(1, frames.Subscribe("g", [1]))]
    assert not bench.groups.add("g", channel("b"), NOW, OTHER)
    assert bench.heard() == []
    assert bench.groups.confirmed(2, 1) == bench.groups.confirmed(1, 9) == []
    assert bench.groups.confirmed(1, 1) == [ASKER, OTHER]
    assert bench.groups.add("g", channel("c"), NOW, ASKER)
    assert bench.names() == ["a", "b", "c"]
    assert bench.names(exclude=("b", "x")) == ["a", "c"]
    assert bench.names("other") == []


def test_the_last_member_takes_the_subscription_with_it() -> None:
    bench = Bench()
    a, b = channel("a"), channel("b")
    bench.groups.add("g", a, NOW, ASKER)
    bench.groups.add("g", b, NOW, OTHER)
    bench.heard()
    assert bench.groups.discard("g", a) == []
    assert bench.groups.discard("g", a) == bench.groups.discard("none", a) == []
    assert bench.heard() == []
    assert bench.groups.discard("g", b) == [ASKER, OTHER]  # nobody will answer them any more
    assert bench.heard() == [(1, frames.Unsubscribe("g"))]
    assert len(bench.groups) == 0
    assert bench.groups.confirmed(1, 1) == []


def test_a_channel_that_ends_leaves_all_groups() -> None:
    bench = Bench()
    one = channel("a")
    for group in ("g", "h"):
        bench.groups.add(group, one, NOW, ASKER)
    bench.groups.drop(one)
    assert len(bench.groups) == 0
    assert one.groups == set()


def test_another_home_is_told_of_all_groups_and_asked_again() -> None:
    bench = Bench()
    bench.groups.add("g", channel("a"), NOW, ASKER)
    bench.groups.confirmed(1, 1)
    bench.groups.add("h", channel("b"), NOW, OTHER)
    bench.heard()
    bench.groups.move(2)
    assert bench.heard() == [(2, frames.Subscribe("g", [1])), (2, frames.Subscribe("h", [2]))]
    assert not bench.groups.add("g", channel("c"), NOW, ASKER)
    assert bench.groups.confirmed(1, 2) == []  # of the old one
    assert bench.groups.confirmed(2, 2) == [OTHER]
    assert bench.groups.confirmed(2, 1) == [ASKER]


def test_without_a_home_it_waits_for_one() -> None:
    bench = Bench(None)
    one = channel("a")
    assert not bench.groups.add("g", one, NOW, ASKER)
    assert bench.heard() == []
    bench.groups.move(3)
    assert bench.heard() == [(3, frames.Subscribe("g", [1]))]
    bench.groups.move(None)
    assert bench.groups.discard("g", one) == [ASKER]
    assert bench.heard() == []


def test_memberships_end_with_time_unless_they_are_renewed() -> None:
    bench = Bench()
    old, renewed = channel("old"), channel("renewed")
    for one in (old, renewed):
        bench.groups.add("g", one, NOW, ASKER)
    bench.groups.add("g", renewed, NOW + 10.0, ASKER)
    assert bench.names(now=NOW + LINGER - 1) == ["old", "renewed"]
    assert bench.names(now=NOW + LINGER) == ["renewed"]
    bench.heard()
    assert bench.names(now=NOW + LINGER + 10.0) == []
    assert bench.heard() == [(1, frames.Unsubscribe("g"))]
    assert "g" not in bench.groups


def test_an_early_end_does_not_shorten_the_others() -> None:
    bench = Bench()
    brief = Channel("brief", 1, Bounds(10, 60.0, 1.0), Statistics())
    bench.groups.add("g", channel("long"), NOW, ASKER)
    bench.groups.add("g", brief, NOW, ASKER)
    assert bench.names(now=NOW + 1.0) == ["long"]
    assert bench.names(now=NOW + LINGER - 1.0) == ["long"]
