"""The bridged half: through the bridge a client and an application see what they see without it."""

from __future__ import annotations

import asyncio
import difflib
import time

import pytest

from .cases import CASES, case_name, skip_if_impossible
from .conftest import Pair
from .differences import levelled
from .scenario import Scenario
from .scenarios import SCENARIOS
from .sites import bridged_site
from .transcript import take
from .wires import Wire

pytestmark = pytest.mark.system


@pytest.mark.parametrize(("scenario", "variant"), CASES)
def test_transcripts_are_equal(pair: Pair, scenario: Scenario, variant: int) -> None:
    skip_if_impossible(pair.kind, scenario, variant)
    direct = pair.transcript(scenario, variant, bridged=False)
    bridged = pair.transcript(scenario, variant, bridged=True)
    expected, seen = levelled(case_name(pair.kind, scenario, variant), direct, bridged)
    difference = difflib.unified_diff(expected, seen, "expected", "seen", lineterm="", n=2)
    assert seen == expected, "\n".join(difference)


# What ends a whole server, or stops a part of it that all applications need, when an application does it there.
DEADLY = {
    "hypercorn-trio": [("malformed_handshake", "text as header"), ("subprotocol_not_offered", "")],
    "daphne": [
        ("exception_after_start", "chunked"),
        ("malformed", "start twice"),
        ("malformed", "no status"),
        ("malformed", "text as body"),
        ("subprotocol_not_offered", ""),
    ],
}


@pytest.mark.parametrize(("kind", "name", "variant"), [(kind, *case) for kind in DEADLY for case in DEADLY[kind]])
def test_the_server_survives_what_ends_it_without_the_bridge(kind: str, name: str, variant: str) -> None:
    with bridged_site(kind) as site:
        scenario = SCENARIOS[name]
        asyncio.run(take(scenario, scenario.variants.index(variant), site))
        time.sleep(1.1)  # daphne looks once a second for what to choke on
        assert site.server.alive, site.logs
        after = asyncio.run(take(SCENARIOS["exception_before_response"], 0, site))
        assert after.client[0][:3] == ("response", b"1.1", 500), site.logs


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
