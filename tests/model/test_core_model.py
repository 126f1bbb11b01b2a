"""A bridge's core and workers' sessions under any sequence of events and faults that Hypothesis can think of.

Frames are delivered one at a time and pass through the real codec; time passes when a rule says so. What holds after
every step is listed in ``machine``; that these checks find what they are for is shown in ``test_mutants``.

The sequences follow from the code: whoever runs the same code runs the same ones, so that no change fails for what
another has broken, and each change has others. $CHANNELS_BRIDGE_TEST_SEED gives others to the same code, and
$CHANNELS_BRIDGE_TEST_SCALE multiplies the steps: 100 for a night.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from model.machine import Machine

PARTS = max(1, int(10 * float(os.environ.get("CHANNELS_BRIDGE_TEST_SCALE", "1"))))
STEPS = 10_000  # of each part; each is a test of its own, so that one that fails has the time to be made shorter
ROOT = Path(__file__).resolve().parent.parent.parent
MODELLED = ("bridge/core", "worker/core", "shared", "tests/model", "tests/kit")
ROUND = settings(
    max_examples=150,
    stateful_step_count=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def first_seed() -> int:
    """Make a number of what is modelled, unless one was given."""
    if given := os.environ.get("CHANNELS_BRIDGE_TEST_SEED"):
        return int(given)
    digest = hashlib.sha256()
    for folder in MODELLED:
        for file in sorted((ROOT / folder).glob("*.py")):
            digest.update(file.read_bytes())
    return int.from_bytes(digest.digest()[:4])


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_that_happens_breaks_a_promise(part: int) -> None:
    """Round after round, until there were so many steps: how many a round has is Hypothesis's."""
    first, before = first_seed() + part, Machine.total
    for round_ in range(100):
        number = first + PARTS * round_
        try:
            run_state_machine_as_test(seed(number)(Machine), settings=ROUND)
        except BaseException as error:
            error.add_note(f"CHANNELS_BRIDGE_TEST_SEED={number} shows it again, in part 0")
            raise
        if Machine.total - before >= STEPS:
            break
    assert Machine.total - before >= STEPS
