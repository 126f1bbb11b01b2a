"""The bridged half: through the bridge a client and an application see what they see without it."""

from __future__ import annotations

import asyncio
import time

import pytest

from .cases import CASES, case_name, skip_if_impossible
from .conftest import Pair
from .differences import levelled
from .scenario import Scenario
from .wires import Wire

pytestmark = pytest.mark.system


@pytest.mark.parametrize(("scenario", "variant"), CASES)
def test_transcripts_are_equal(pair: Pair, scenario: Scenario, variant: int) -> None:
    skip_if_impossible(pair.kind, scenario, variant)
    direct = pair.transcript(scenario, variant, bridged=False)
    bridged = pair.transcript(scenario, variant, bridged=True)
    expected, seen = levelled(case_name(pair.kind, scenario, variant), direct, bridged)
    assert seen == expected


def test_pings_are_answered_while_the_application_is_busy(pair: Pair) -> None:
    """Without the bridge the pong waits for the application; that is what the bridge is for."""
    wire = asyncio.run(_ping_a_busy_application(pair))
    assert [note[0] for note in wire.notes] == ["informational", "pong", "text", "close"]


async def _ping_a_busy_application(pair: Pair) -> Wire:
    site = pair.site(bridged=True)
    site.runs += 1
    wire = Wire(site.server.port, site.kind, site.folder, f"blocks_the_loop~0~{site.runs}", "")
    async with wire.websocket() as websocket:
        assert await websocket.open()
        await websocket.text("be busy")
        assert await wire.wait("busy")
        began = time.monotonic()
        await websocket.ping(b"busy?")
        await websocket.next()
        assert time.monotonic() - began < 0.5, "the pong waited for the application"
        await websocket.next()
        await websocket.close_with(1000)
    return wire
