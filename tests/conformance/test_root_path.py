"""A server that is told its root path: what it makes of it reaches the application as it is."""

from __future__ import annotations

import asyncio

import pytest

from channels_bridge.testing.processes import SERVERS

from .conftest import SERVED
from .differences import levelled
from .scenarios import SCENARIOS
from .sites import Site, bridged_site, direct_site
from .transcript import Transcript, take

pytestmark = pytest.mark.system

PLAYED = [("target", 3), ("target", 13), ("websocket_scope", 1)]


@pytest.mark.parametrize("kind", SERVED)
def test_the_root_path_arrives(kind: str) -> None:
    option = (SERVERS[kind].root_path, "/mounted")
    with direct_site(kind, option) as direct, bridged_site(kind, option) as bridged:
        for name, variant in PLAYED:
            expected, seen = levelled(kind, *(play(name, variant, site) for site in (direct, bridged)))
            assert any("'root_path': '/mounted'" in line for line in expected)
            assert seen == expected


def play(name: str, variant: int, site: Site) -> Transcript:
    return asyncio.run(take(SCENARIOS[name], variant, site))
