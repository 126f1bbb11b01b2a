"""When a process has done its share. The memory is a number that the test sets."""

from typing import Any

import pytest

from channels_bridge.shared.config import MIB
from channels_bridge.shared.errors import ConfigurationError
from channels_bridge.worker import recycling
from channels_bridge.worker.recycling import LOOK, Recycling, resident
from channels_bridge.worker.settings import Settings


def settings(**given: int) -> Settings:
    return Settings(app="x:app", urls=(), **given)  # type: ignore[arg-type]


def after(turns: int, **given: Any) -> str:
    made = Recycling(settings(**given))
    for _ in range(turns):
        made.count()
    return made.due(0.0)


def test_without_a_bound_nothing_is_ever_due() -> None:
    def never() -> int:
        raise AssertionError("the memory is of no interest")

    made = Recycling(settings(), never)
    for _ in range(1000):
        made.count()
    assert made.due(1e9) == ""


def test_after_its_turns_a_process_is_due() -> None:
    assert after(2, max_turns_per_child=3) == ""
    assert after(3, max_turns_per_child=3) == "it has had 3 turns, its share"


def test_jitter_adds_turns_and_takes_none_away() -> None:
    budgets = {Recycling(settings(max_turns_per_child=10, max_turns_jitter=5))._most_turns for _ in range(200)}
    assert budgets == {10, 11, 12, 13, 14, 15}


def test_jitter_alone_is_no_bound() -> None:
    assert after(1000, max_turns_jitter=5) == ""


def test_the_memory_is_looked_at_now_and_then() -> None:
    looks: list[int] = []

    def measure() -> int:
        looks.append(1)
        return len(looks) * 60 * MIB

    made = Recycling(settings(max_memory_per_child=130 * MIB), measure)
    assert made.due(10.0) == ""
    assert made.due(10.0 + LOOK / 2) == ""
    assert len(looks) == 2  # the first as it was made
    assert made.due(10.0 + LOOK) == "it has 180 MiB of memory, more than 130"


def test_what_is_resident_is_measured_in_bytes() -> None:
    before = resident()
    ballast = bytearray(b"x" * (64 * MIB))
    assert 60 * MIB < resident() - before < 140 * MIB
    assert len(ballast) == 64 * MIB


def test_a_system_that_does_not_say_is_an_error_at_the_start(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recycling, "STATM", tmp_path / "statm")
    with pytest.raises(ConfigurationError, match="max_memory_per_child: the memory of a process is not known here"):
        Recycling(settings(max_memory_per_child=1))
