"""Resumable consumers whose session was lost: told nothing while their bridge may live, and the end when it is gone."""

from __future__ import annotations

from channels_bridge.shared.frames import Adopt
from channels_bridge.worker.core.actions import Action, Wake
from channels_bridge.worker.core.mailbox import Mailbox
from channels_bridge.worker.core.orphans import Orphans

HERE, OTHER = 0xB0, 0xB1


class Bench:
    """Two orphans of one bridge."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.orphans = Orphans(self.actions.append, patience=12.0)
        self.boxes = [Mailbox(Adopt(conn, 1, b"scope", 1, 100, 1, b"", [])) for conn in (1, 2)]
        for box in self.boxes:
            self.orphans.add(HERE, box)

    def told(self) -> list[Mailbox]:
        """Give the mailboxes that were woken since the last call."""
        actions, self.actions[:] = list(self.actions), []
        return [action.mailbox for action in actions if isinstance(action, Wake)]

    def over(self) -> set[str]:
        return {box.over for box in self.boxes}


def test_an_orphan_may_do_nothing_more_and_whoever_waits_in_it_goes_on() -> None:
    bench = Bench()
    assert bench.told() == bench.boxes
    assert (bench.over(), len(bench.orphans)) == ({"moved"}, 2)


def test_the_same_bridge_has_moved_them_so_they_are_forgotten() -> None:
    bench = Bench()
    bench.told()
    bench.orphans.met(HERE)
    bench.orphans.tick(100.0)
    bench.orphans.tick(200.0)
    assert (bench.told(), bench.over(), len(bench.orphans)) == ([], {"moved"}, 0)


def test_another_bridge_in_its_place_means_that_it_is_gone() -> None:
    bench = Bench()
    bench.told()
    bench.orphans.met(OTHER)
    assert (bench.told(), bench.over(), len(bench.orphans)) == (bench.boxes, {"lost"}, 0)


def test_silence_for_long_enough_means_so_too_counted_from_the_first_tick() -> None:
    bench = Bench()
    bench.told()
    bench.orphans.tick(100.0)
    bench.orphans.tick(111.9)
    assert (bench.told(), bench.over()) == ([], {"moved"})
    bench.orphans.tick(112.0)
    assert (bench.told(), bench.over()) == (bench.boxes, {"lost"})
    bench.orphans.tick(300.0)
    assert bench.told() == []


def test_those_who_come_later_have_their_own_time() -> None:
    bench = Bench()
    bench.orphans.tick(100.0)
    bench.orphans.drop()
    bench.orphans.add(HERE, bench.boxes[0])
    bench.told()
    bench.orphans.tick(112.0)
    bench.orphans.tick(123.9)
    assert bench.told() == []
    bench.orphans.tick(124.0)
    assert bench.told() == [bench.boxes[0]]


def test_without_orphans_nothing_is_decided() -> None:
    bench = Bench()
    bench.orphans.drop()
    bench.told()
    bench.orphans.end()
    bench.orphans.met(OTHER)
    bench.orphans.tick(500.0)
    assert bench.told() == []
