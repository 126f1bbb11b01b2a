"""Fail when a source file is tested less than its floor: `coverage_floor.py [coverage.json]`.

The figure is coverage's own for a run with branches: of all statements and all branches, how many were taken.
One figure for the whole project would let a fat tested file hide a small untested one.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDERS = ("bridge", "worker", "shared")

FLOOR = 85.0
"""Percent, for every file that FLOORS does not name."""

FLOORS: dict[str, float] = {}
"""File (from the root) -> percent. A lower floor than FLOOR needs its reason beside it."""


def shortfalls(report: dict[str, Any], files: list[str]) -> list[str]:
    """Tell which files fall short.

    `report` is what `coverage json` wrote, `files` are the source files there are, as paths from the root.
    A file that the report does not have was never measured, and counts as 0 %.
    """
    measured = {name: entry["summary"]["percent_covered"] for name, entry in report["files"].items()}
    rows = [(name, measured.get(name, 0.0), FLOORS.get(name, FLOOR)) for name in files]
    return [f"{name}: {got:.1f} %, floor {floor:.0f} %" for name, got, floor in rows if got < floor]


def main(path: str = "coverage.json") -> int:
    """Print what falls short; the exit code says whether anything did."""
    report = json.loads((ROOT / path).read_text())
    files = sorted(str(f.relative_to(ROOT)) for folder in FOLDERS for f in (ROOT / folder).rglob("*.py"))
    short = shortfalls(report, files)
    short += [f"{name}: has a floor but is gone" for name in FLOORS if name not in files]
    print("\n".join(short) or f"coverage: all {len(files)} source files reach their floor")
    print(f"coverage: {report['totals']['percent_covered']:.1f} % in all")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
