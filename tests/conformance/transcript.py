"""What a client and the application saw in one run, freed of what differs from run to run."""

from __future__ import annotations

import ast
import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .scenario import Scenario
from .sites import Site
from .tap import RUN
from .wires import Wire

CLIENT_LIMIT = 40.0  # seconds for a client's whole part
STARTED_WITHIN = 0.5  # seconds that a request which nobody waits for may need to reach the application
ENDED_WITHIN = 15.0  # seconds after its client for an application to end; daphne may cancel it after 10

Note = tuple[Any, ...]


@dataclass(slots=True)
class AppTranscript:
    """What one call of the application saw."""

    scope: dict[str, Any]
    notes: list[Note]
    ended: str


@dataclass(slots=True)
class Transcript:
    """What the client saw, and each call of the application in the order of the requests."""

    client: list[Note]
    apps: list[AppTranscript]

    def lines(self) -> list[str]:
        """Return the transcript as text, a line for each thing that can be compared by itself."""
        lines = [f"client: {note}" for note in self.client]
        for number, app in enumerate(self.apps, 1):
            lines += [f"app {number} scope: {key!r}: {value!r}" for key, value in sorted(app.scope.items())]
            lines += [f"app {number}: {note}" for note in app.notes]
            lines.append(f"app {number} ended: {app.ended}")
        return lines


async def take(scenario: Scenario, variant: int, site: Site) -> Transcript:
    """Play one variant of a scenario on a site, and return the transcript."""
    site.runs += 1
    run = f"{scenario.name()}~{variant}~{site.runs}"
    wire = Wire(site.server.port, site.kind, site.folder, run, scenario.variants[variant])
    try:
        async with asyncio.timeout(CLIENT_LIMIT):
            await scenario.client(wire)
    except TimeoutError:
        wire.note("the client gave up")
    apps = [await _app_transcript(site, f"{run}~{number}") for number in range(1, wire.requests + 1)]
    return Transcript(wire.notes, apps)


async def _app_transcript(site: Site, run: str) -> AppTranscript:
    if not await _appears(site.folder / f"{run}.started", STARTED_WITHIN):
        return AppTranscript({}, [], "never called")
    report = site.folder / f"{run}.report"
    if not await _appears(report, ENDED_WITHIN):
        return AppTranscript({}, [], "did not end")
    seen = ast.literal_eval(report.read_text())
    return AppTranscript(_scope(seen["scope"]), seen["notes"], seen["ended"])


async def _appears(file: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not file.exists():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.005)
    return True


def _scope(scope: dict[str, Any]) -> dict[str, Any]:
    """Replace ports, which differ, by their type, which must not; leave out what names the run.

    ``state`` is its scenario's business: what is in it is the lifespan's of the process that runs the app.
    """
    kept = {key: value for key, value in scope.items() if key != "state"}
    for key in ("client", "server"):
        if kept.get(key):
            host, port = kept[key]
            kept[key] = type(kept[key])((host, type(port).__name__))
    pairs = [pair for pair in scope["headers"] if pair[0] != RUN]
    kept["headers"] = pairs if isinstance(scope["headers"], list) else tuple(pairs)
    return kept
