"""The model finds every mutant, soon: else it would not find the mistake that it stands for either."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from model.machine import Machine
from model.mutants import MUTANTS

SEED = 1
EXAMPLES = 1500  # of up to 100 steps; most mutants are found within 50, the best hidden one within 500
QUICK = settings(
    max_examples=EXAMPLES,
    stateful_step_count=100,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=False,
)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_model_finds(name: str) -> None:
    with MUTANTS[name](), pytest.raises(AssertionError):
        run_state_machine_as_test(seed(SEED)(Machine), settings=QUICK)
