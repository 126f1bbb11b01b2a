"""Run the load, take medians, print tables and the line of JSON: what every script here does alike."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent  # on PYTHONPATH, for children that are run as `python -m benchmarks.rig...`
LOAD_TIMEOUT = 120.0  # seconds; the longest run of a script here is far below


class LoadFailedError(Exception):
    """A run did not come to its end; the message says what the load generator said."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. Seconds, but for ``rate``: messages a second. ``cpu``: of each process, per message."""

    rate: float
    p50: float
    p90: float
    p99: float
    cpu: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A claim: ``figure`` of ``case`` is at least (``least``) or at most ``bound``."""

    case: str
    figure: str
    bound: float
    least: bool

    def verdict(self, value: float) -> tuple[str, ...]:
        """Give a row of the table of claims."""
        held = value >= self.bound if self.least else value <= self.bound
        sign = ">=" if self.least else "<="
        return (f"{self.case} {self.figure}", f"{sign} {self.bound:.3g}", f"{value:.2f}", "met" if held else "MISSED")


def load(url: str, pids: Sequence[int], **options: float) -> Sample:
    """Run load.py against ``url`` with these options (``warm_up=1`` is ``--warm-up 1``)."""
    arguments = [f"--{name.replace('_', '-')}={value:g}" for name, value in options.items()]
    arguments.append(f"--pids={','.join(map(str, pids))}")
    command = [sys.executable, str(FOLDER / "load.py"), url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_TIMEOUT, check=False)
    if done.returncode:
        raise LoadFailedError(f"{url} {' '.join(arguments)}: {done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    count = int(said["messages"])
    if not count:
        raise LoadFailedError(f"{url} {' '.join(arguments)}: no answer in all the time")
    cpu = tuple(seconds / count for seconds in said["cpu"])
    return Sample(said["rate"], said["p50"], said["p90"], said["p99"], cpu)


def median(values: Iterable[float]) -> float:
    """Give the median."""
    return statistics.median(values)


def machine() -> str:
    """Say on what this runs."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = names[0].partition(": ")[2] if names else platform.machine()
    return f"{len(os.sched_getaffinity(0))} x {model}, {platform.system()} {platform.release()}"


def versions(*distributions: str) -> dict[str, str]:
    """Give the versions of Python and of these distributions."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in distributions}}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Align cells: the first column to the left, the others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def claims(targets: Iterable[Target], cases: Mapping[str, Mapping[str, float]]) -> str:
    """Give the table of what was aimed at beside what was measured; cases that were not run are left out."""
    rows = [target.verdict(cases[target.case][target.figure]) for target in targets if target.case in cases]
    return table(("claim", "target", "measured", ""), rows) if rows else ""


def as_json(script: str, of: Mapping[str, str], cases: Mapping[str, Mapping[str, float]]) -> str:
    """Give the one line that other programs read."""
    rounded = {case: {name: float(f"{value:.4g}") for name, value in f.items()} for case, f in cases.items()}
    return json.dumps({"script": script, "machine": machine(), "versions": of, "cases": rounded})
