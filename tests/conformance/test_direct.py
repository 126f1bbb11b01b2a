"""The direct half: what servers do without the bridge is the measure, so it has to be the same each time.

It is told apart from what the bridge does, and from a scenario that does not test what it says, by being
taken twice (CHANNELS_BRIDGE_CONFORMANCE_ROUNDS says how often).
"""

from __future__ import annotations

import os

import pytest

from .cases import CASES, skip_if_impossible
from .conftest import Pair
from .scenario import Scenario

ROUNDS = int(os.environ.get("CHANNELS_BRIDGE_CONFORMANCE_ROUNDS", "1"))

pytestmark = pytest.mark.system


@pytest.mark.parametrize(("scenario", "variant"), CASES)
def test_direct_transcripts_are_steady(pair: Pair, scenario: Scenario, variant: int) -> None:
    skip_if_impossible(pair.kind, scenario, variant)
    first = pair.transcript(scenario, variant, bridged=False).lines()
    assert first, "nothing was seen at all"
    assert "client: ('the client gave up',)" not in first
    assert not any(line.endswith("ended: did not end") for line in first)
    for _ in range(ROUNDS - 1):
        assert pair.again(scenario, variant).lines() == first
