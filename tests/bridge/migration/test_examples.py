"""``channels-bridge migrate`` on the example projects: each line of each, as it was read over by hand.

What is expected is the own output of channels-bridge migrate examples/channels1/NAME --json, one finding a line.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from channels_bridge.bridge.migration.scanning import scan

ROOT = Path(__file__).resolve().parent.parent.parent.parent
EXPECTED = Path(__file__).resolve().parent / "expected"
PROJECTS = ("multichat", "liveblog", "databinding", "documentation")


@pytest.mark.parametrize("name", PROJECTS)
def test_line_by_line(name: str) -> None:
    report = scan(ROOT / "examples" / "channels1" / name)
    expected = [json.loads(line) for line in (EXPECTED / f"{name}.jsonl").read_text().splitlines()]
    assert [asdict(finding) for finding in report.findings] == expected


@pytest.mark.parametrize("name", PROJECTS)
def test_with_shims_nothing_needs_a_change(name: str) -> None:
    """As they are seen to run unmodified, by other tests."""
    report = scan(ROOT / "examples" / "channels1" / name, shims=True)
    assert [finding for finding in report.findings if finding.verdict == "change"] == []


def test_every_project_is_looked_at() -> None:
    there = {folder.name for folder in (ROOT / "examples" / "channels1").iterdir() if (folder / "manage.py").exists()}
    assert there == {*PROJECTS}
