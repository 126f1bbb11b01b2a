"""The place of one process: who starts when, and what becomes of whom. Real processes, the time is the test's."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from channels_bridge.shared.children import Word
from channels_bridge.worker.slots import AGAIN, PATIENCE, RECYCLED, SHORT_LIFE, Change, Slot

pytestmark = pytest.mark.system

CHILD = """
import os, sys
word, fd = sys.argv[1], int(sys.argv[-1])
if word.isdecimal():
    sys.exit(int(word))
os.write(fd, word.encode())
os.read(fd, 1)
"""
NOW = 1000.0


class Place:
    """A slot whose processes say the words that they are started with, or end with that exit code."""

    def __init__(self) -> None:
        self.slot = Slot([])

    def start(self, word: str) -> None:
        self.slot._command = [sys.executable, "-S", "-c", CHILD, word]
        self.slot.fill(NOW)

    def look_until(self, wanted: Callable[[Change], bool], now: float = NOW) -> Change:
        deadline = time.monotonic() + 10.0
        while not wanted(change := self.slot.look(now)):
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.005)
        return change


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    for child in place.slot.children:
        child.kill()
        while child.poll() is None:
            time.sleep(0.005)


def test_a_new_place_is_filled_at_once_and_only_once(place: Place) -> None:
    assert (place.slot.due, place.slot.children, place.slot.serves) == (0.0, [], False)
    place.start("s")
    [child] = place.slot.children
    place.slot.fill(NOW)
    assert place.slot.children == [child]
    assert place.slot.wakes_at == child.started + PATIENCE
    place.look_until(lambda change: place.slot.serves)
    assert place.slot.wakes_at == math.inf


def test_a_successor_takes_the_place_once_it_serves(place: Place) -> None:
    place.start("s")
    old = place.slot.child
    place.look_until(lambda _: place.slot.serves)
    place.slot.replace(NOW)
    assert place.slot.wakes_at == NOW
    place.start("s")
    assert place.slot.is_changing
    place.slot.replace(NOW)
    successor = place.slot.successor
    assert place.slot.children == [old, successor]
    assert successor is not None
    assert place.slot.wakes_at == successor.started + PATIENCE
    now = successor.started
    assert place.look_until(lambda change: change.relieved is not None, now) == Change(relieved=old)
    assert (place.slot.child, place.slot.successor, place.slot.is_changing) == (successor, None, False)
    assert old is not None
    while old.poll() is None:  # it was told to stop
        time.sleep(0.005)


def test_a_successor_that_fails_leaves_the_old_one(place: Place) -> None:
    place.start("s")
    old = place.slot.child
    place.slot.replace(NOW)
    place.start("3")
    assert place.slot.successor is not None
    started = place.slot.successor.started
    assert place.look_until(lambda change: change.failed is not None, started) == Change(failed=3)
    assert (place.slot.children, place.slot.due) == ([old], math.inf)


def test_who_wants_to_be_replaced_is_tried_again_later_each_time(place: Place) -> None:
    place.start("s")
    place.look_until(lambda _: place.slot.serves)
    child = place.slot.child
    assert child is not None
    child.said.add(Word.RETIRING)
    place.slot.look(NOW + SHORT_LIFE)
    assert place.slot.due == NOW + SHORT_LIFE
    assert child.said == {Word.SERVING, Word.RETIRING}
    for pause in (AGAIN[0], 2 * AGAIN[0]):
        place.slot.due = NOW
        place.start("3")
        assert place.slot.successor is not None
        started = place.slot.successor.started
        place.look_until(lambda change: change.failed == 3, started)
        assert place.slot.due == started + pause


def test_one_after_the_other_that_wants_to_be_replaced_as_it_serves_has_to_wait(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """More memory than it may have is what an application needs: no loop of processes that only start."""
    place.start("sr")
    pauses: list[float] = []
    for _ in range(3):
        place.look_until(lambda _: place.slot.due < math.inf)
        pauses.append(place.slot.due - NOW)
        assert not place.slot.is_changing  # a reload goes on with the next, and takes this one at its turn
        place.slot.replace(NOW)
        place.start("sr")
        relieved = place.look_until(lambda change: change.relieved is not None).relieved
        while relieved is not None and relieved.poll() is None:
            time.sleep(0.005)
    assert pauses == [AGAIN[0], 2 * AGAIN[0], 4 * AGAIN[0]]
    assert "wants to be replaced as soon as it serves: its successor starts in 1 s" in caplog.text
    place.look_until(lambda _: place.slot.due < math.inf)
    place.slot.due = math.inf
    place.slot.look(NOW + SHORT_LIFE)
    assert place.slot.due == NOW + SHORT_LIFE
    assert place.slot._short_lives == 0


def test_whoever_has_the_place_and_never_serves_is_killed(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """The first one, or a successor whose predecessor has died meanwhile."""
    place.start("x")
    assert place.slot.child is not None
    late = place.slot.child.started + PATIENCE + 0.1
    place.slot.look(late)
    assert place.slot.wakes_at > late  # its end is news; nobody asks for it again and again
    place.look_until(lambda _: place.slot.child is None, late)
    assert place.slot.due == late
    assert caplog.text.count("killing it") == 1


def test_a_successor_that_never_serves_is_killed(place: Place) -> None:
    place.start("s")
    place.slot.replace(NOW)
    place.start("x")
    assert place.slot.successor is not None
    late = place.slot.successor.started + PATIENCE + 0.1
    assert place.look_until(lambda change: change.failed is not None, late) == Change(failed=-9)


def test_a_child_that_ends_is_replaced_at_once_or_with_growing_delays(place: Place) -> None:
    place.start("1")
    assert place.slot.child is not None
    late = place.slot.child.started + 60.0
    assert place.look_until(lambda change: change.ended is not None, late) == Change(ended=1)
    assert place.slot.due == late
    delays: list[float] = []
    for _ in range(3):
        place.slot.due = 0.0
        place.start("1")
        assert place.slot.child is not None
        soon = place.slot.child.started + 0.5
        place.look_until(lambda change: change.ended == 1, soon)
        delays.append(round(place.slot.due - soon, 3))
    assert delays == [0.1, 0.2, 0.4]


def test_a_child_that_has_served_is_replaced_at_once_however_soon_it_ends(place: Place) -> None:
    """Somebody has killed it, or a message: those who talk with it wait."""
    place.start("s")
    child = place.slot.child
    assert child is not None
    place.look_until(lambda _: place.slot.serves)
    child.kill()
    soon = child.started + 0.5
    place.look_until(lambda change: change.ended == -9, soon)
    assert place.slot.due == soon


def test_a_child_that_dies_leaves_its_place_to_its_successor(place: Place) -> None:
    place.start("s")
    old = place.slot.child
    place.slot.replace(NOW)
    place.start("x")
    successor = place.slot.successor
    assert old is not None
    assert successor is not None
    old.kill()
    now = successor.started
    place.look_until(lambda change: place.slot.child is successor, now)
    assert place.slot.children == [successor]


def test_an_end_that_was_asked_for_is_no_error(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.start(str(RECYCLED))
    place.look_until(lambda change: change.ended == RECYCLED)
    place.slot.due = 0.0
    place.start("5")
    place.look_until(lambda change: change.ended == 5)
    assert [record.levelname for record in caplog.records if "exited" in record.message] == ["ERROR"]


def test_what_cannot_be_started_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    slot = Slot(["/nowhere/at/all"])
    slot.fill(NOW)
    assert slot.children == []
    assert slot.due == NOW + 0.1
    assert slot.look(NOW) == Change()
    assert "a worker process cannot be started" in caplog.text
