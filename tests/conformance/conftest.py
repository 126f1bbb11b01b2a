"""One server at a time, once direct and once with the bridge, each started when it is first asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from .scenario import Scenario
from .scenarios import SCENARIOS
from .sites import Site, bridged_site, direct_site
from .transcript import Transcript, take

Key = tuple[str, int]  # a scenario's name, and the number of its variant
SERVED = ("uvicorn", "hypercorn-asyncio", "hypercorn-trio", "daphne", "granian")
AT_ONCE = 8  # most of a scenario's time is waiting; and connections side by side must not mix


class Pair:
    """The two sites of a server, and what was seen on them.

    The first look at a site plays all cases that were selected, several at a time.
    """

    def __init__(self, kind: str, cases: set[Key], exits: contextlib.ExitStack) -> None:
        self.kind = kind
        self._cases = cases
        self._exits = exits
        self._sites: dict[bool, Site] = {}
        self._seen: dict[bool, dict[Key, Transcript | BaseException]] = {}

    def site(self, bridged: bool) -> Site:
        """Return one of the two sites; it runs from now to the end of this server's tests."""
        if bridged not in self._sites:
            open_site = bridged_site if bridged else direct_site
            self._sites[bridged] = self._exits.enter_context(open_site(self.kind))
        return self._sites[bridged]

    def transcript(self, scenario: Scenario, variant: int, *, bridged: bool) -> Transcript:
        """Return what was seen of one case."""
        if bridged not in self._seen:
            self._seen[bridged] = asyncio.run(self._play_all(self.site(bridged)))
        seen = self._seen[bridged][scenario.name(), variant]
        if isinstance(seen, BaseException):
            raise seen
        return seen

    def again(self, scenario: Scenario, variant: int) -> Transcript:
        """Play a case once more, direct and by itself."""
        return asyncio.run(take(scenario, variant, self.site(bridged=False)))

    async def _play_all(self, site: Site) -> dict[Key, Transcript | BaseException]:
        free = asyncio.Semaphore(AT_ONCE)

        async def play(name: str, variant: int) -> Transcript:
            async with free:
                return await take(SCENARIOS[name], variant, site)

        cases = sorted(self._cases)
        return dict(
            zip(cases, await asyncio.gather(*(play(*case) for case in cases), return_exceptions=True), strict=True)
        )


def selected_cases(session: pytest.Session, kind: str) -> set[Key]:
    """Return the cases that tests of this run will ask for on a server that can play them."""
    cases: set[Key] = set()
    for item in session.items:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        scenario, variant = params.get("scenario"), params.get("variant")
        if params.get("pair") != kind or not isinstance(scenario, Scenario) or not isinstance(variant, int):
            continue
        if not scenario.impossible(kind, scenario.variants[variant]):
            cases.add((scenario.name(), variant))
    return cases


@pytest.fixture(scope="session", params=SERVED)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """The two sites of one server."""
    with contextlib.ExitStack() as exits:
        yield Pair(request.param, selected_cases(request.session, request.param), exits)
