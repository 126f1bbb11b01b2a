"""What is told of a line: what was found there, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Verdict = Literal["runs", "differs", "change"]
VERDICTS: tuple[Verdict, ...] = ("runs", "differs", "change")


class Rule(NamedTuple):
    """What becomes of a name."""

    verdict: Verdict
    text: str = ""  # one sentence: what differs, or what to write instead; empty where it runs as it is


RUNS = Rule("runs")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing found at one place. They sort by file, line and column."""

    file: str  # relative to the path that was asked about, with slashes
    line: int  # from 1
    column: int  # from 1, in characters
    name: str  # the name in Channels 1, in full
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found under a path."""

    path: str
    files: int  # Python files that were read
    templates: int
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[Verdict, int]:
        """Findings of each verdict."""
        return count(self.findings)


def count(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """Count the findings of each verdict."""
    counts: dict[Verdict, int] = dict.fromkeys(VERDICTS, 0)
    for finding in findings:
        counts[finding.verdict] += 1
    return counts
