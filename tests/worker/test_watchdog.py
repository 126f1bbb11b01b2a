"""The thread that ends a process whose loop stands still, with an end that is noted here and not done."""

from __future__ import annotations

import faulthandler
import logging
import math
import threading

import pytest

from channels_bridge.worker import watchdog as watchdog_module
from channels_bridge.worker.watchdog import EXIT_STUCK, LOOK, Stall, Watchdog


def test_a_loop_that_moves_has_no_stall() -> None:
    stall = Stall(0.0)
    assert [stall.look(0.1 * n, moves=n) for n in range(1, 5)] == [0.0] * 4


def test_a_loop_that_stands_still_has_a_stall_that_grows_until_it_moves() -> None:
    stall = Stall(0.0)
    assert stall.look(0.1, moves=7) == 0.0
    assert [round(stall.look(0.1 + 0.1 * n, moves=7), 3) for n in range(1, 4)] == [0.1, 0.2, 0.3]
    assert stall.look(0.5, moves=8) == 0.0


def test_time_that_the_process_itself_was_frozen_hardly_counts() -> None:
    stall = Stall(0.0)
    stall.look(0.1, moves=1)
    assert stall.look(3600.0, moves=1) == 2 * LOOK


class Yard:
    """A watchdog whose process ends only on paper."""

    def __init__(self, culprit: str | None) -> None:
        self.codes: list[int] = []
        self.asked: list[float] = []
        self.over = threading.Event()
        self._culprit = culprit
        self.dog = Watchdog(self._overdue, self._end)

    def _overdue(self, seconds: float) -> str | None:
        self.asked.append(seconds)
        if len(self.asked) == 3 and self._culprit is None:
            self.over.set()
        return self._culprit

    def _end(self, code: int) -> None:
        self.codes.append(code)
        self.over.set()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog_module, "LOOK", 0.005)
    monkeypatch.setattr(logging, "shutdown", lambda: None)


@pytest.mark.usefixtures("quick")
def test_a_loop_that_stands_still_ends_the_process_with_a_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps: list[bool] = []

    def dump(file: object, *, all_threads: bool) -> None:
        assert file is not None
        dumps.append(all_threads)

    monkeypatch.setattr(faulthandler, "dump_traceback", dump)
    yard = Yard("websocket.receive of Burner (connection 1)")
    yard.dog.watch(0.02)
    assert yard.over.wait(10.0)
    assert yard.codes == [EXIT_STUCK]
    assert yard.asked[0] >= 0.02
    assert dumps == [True]
    assert "s in websocket.receive of Burner (connection 1): this process ends" in caplog.text


@pytest.mark.usefixtures("quick")
def test_where_nobody_is_to_blame_it_goes_on() -> None:
    yard = Yard(None)
    yard.dog.watch(0.01)
    assert yard.over.wait(10.0)
    yard.dog.stop()
    assert yard.codes == []


@pytest.mark.usefixtures("quick")
def test_it_sleeps_until_there_is_something_to_watch_and_ends_when_told() -> None:
    yard = Yard("x")
    assert yard.dog.patience == math.inf
    assert yard.dog._thread is None
    yard.dog.watch(60.0)
    yard.dog.moved()
    yard.dog.stop()
    thread = yard.dog._thread
    assert thread is not None
    thread.join(10.0)
    assert not thread.is_alive()
    assert yard.asked == []
