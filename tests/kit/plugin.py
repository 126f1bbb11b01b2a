"""What pytest finds by its entry point: the fixture ``faults``. It loads nothing until a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from channels_bridge.testing.faults import Faults


@pytest.fixture
def faults() -> Faults:
    """Sites with a bridge and workers in the test's own event loop, and faults at every step: see docs/testing.md."""
    from channels_bridge.testing.faults import Faults

    return Faults()
