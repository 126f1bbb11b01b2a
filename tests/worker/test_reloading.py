"""Files change, and somebody is told: with real files, as nothing else has their events."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels_bridge.worker.reloading import Watch, _hang_up

pytestmark = pytest.mark.system


class Told:
    """A watch over a folder, and how often it has called for a reload."""

    def __init__(self, folder: Path) -> None:
        self.times = threading.Semaphore(0)
        self.watch = Watch([folder], self.times.release)

    def within(self, seconds: float) -> bool:
        return self.times.acquire(timeout=seconds)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    """Begin once the watch sees what happens: the system takes a moment."""
    told = Told(tmp_path)
    told.watch.start()
    for attempt in range(100):
        (tmp_path / "first.py").write_text(f"number = {attempt}\n")
        if told.within(0.2):
            break
    while told.within(0.5):
        pass
    yield told
    told.watch.stop()


def test_a_change_of_code_is_told_of_below_too(told: Told, tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text("x = 1\n")
    assert told.within(10.0)
    (tmp_path / "package").mkdir()
    while not told.within(0.3):
        (tmp_path / "package" / "module.py").write_text("x = 2\n")


def test_other_files_are_not(told: Told, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "first.py").write_text("x")
    assert not told.within(0.5)


def test_a_reload_is_a_signal_to_this_process() -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: caught.append(number))
    try:
        _hang_up()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert caught == [signal.SIGHUP]
