"""The lifespan of an application: the worker plays it, once, whether the server has one for the bridge or not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from channels_bridge.testing.processes import SERVERS

from .conftest import SERVED
from .scenarios import SCENARIOS
from .sites import Site, bridged_site, direct_site
from .transcript import take

pytestmark = pytest.mark.system


def events(folder: Path) -> list[str]:
    return sorted(file.name.rsplit(".", 2)[0] for file in folder.glob("lifespan.*"))


def answer_once(site: Site) -> None:
    asyncio.run(take(SCENARIOS["method"], 0, site))


@pytest.mark.parametrize("kind", [kind for kind in SERVED if SERVERS[kind].lifespan])
def test_servers_play_the_lifespan(kind: str) -> None:
    with direct_site(kind) as site:
        answer_once(site)
        site.server.sigterm()
        site.server.wait()
        assert events(site.folder) == ["lifespan.shutdown", "lifespan.startup"]


@pytest.mark.parametrize("kind", ["uvicorn", "hypercorn-trio", "daphne"])
def test_the_worker_plays_it_whatever_the_server_does(kind: str) -> None:
    with bridged_site(kind) as site:
        answer_once(site)
        assert site.worker is not None
        site.server.sigterm()
        site.server.wait()
        assert events(site.folder) == ["lifespan.startup"]
        site.worker.sigterm()
        site.worker.wait()
        assert events(site.folder) == ["lifespan.shutdown", "lifespan.startup"]
