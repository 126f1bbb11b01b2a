"""Every variant of every scenario, as parameters for tests."""

from __future__ import annotations

import pytest

from .scenario import Scenario
from .scenarios import SCENARIOS

CASES = [
    pytest.param(scenario, number, id=f"{name}-{variant[:30]}" if variant else name)
    for name, scenario in SCENARIOS.items()
    for number, variant in enumerate(scenario.variants)
]


def case_name(server: str, scenario: Scenario, variant: int) -> str:
    """Return the name by which ``differences`` knows a case."""
    return f"{server}/{scenario.name()}/{scenario.variants[variant]}"


def skip_if_impossible(server: str, scenario: Scenario, variant: int) -> None:
    """Skip the test if the server cannot play the variant, and say why."""
    reason = scenario.impossible(server, scenario.variants[variant])
    if reason:
        pytest.skip(f"{server}: {reason}")
