"""What stands beside Channels 1."""

from __future__ import annotations

from channels_bridge.bridge.migration.channels1 import MODULES
from channels_bridge.bridge.migration.others import (
    AROUND,
    FORMER,
    LATER_BACKENDS,
    LATER_MODULES,
    LATER_NAMES,
    LAYER,
    MAPPED,
)


def test_nothing_is_of_channels_1_and_of_later_ones() -> None:
    early = set(MODULES) | {f"{module}.{name}" for module, names in MODULES.items() for name in names}
    assert early & ({*LATER_MODULES} | LATER_NAMES) == set()
    assert {*FORMER} & {*LATER_BACKENDS} == set()


def test_each_tells_in_a_sentence_what_to_do() -> None:
    assert MAPPED.verdict == "differs"
    for rule in (MAPPED, LAYER, *AROUND.values()):
        assert rule.text.endswith(".")
        assert len(rule.text) <= 120
