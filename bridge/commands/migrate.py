"""``channels-bridge migrate``: what of a Channels 1 project runs as it is, and what has to be changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from ..migration.findings import Finding, Report
from ..migration.scanning import scan
from .output import NOTHING, print_json, show, table

COLUMNS = ("line", "column", "found", "verdict", "what is to be known")


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("-j", "--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--django-shims",
    is_flag=True,
    help="It will be started with --django-shims.",
)
def migrate(path: Path, as_json: bool, django_shims: bool) -> None:
    """Tell what becomes of the Channels 1 code in PATH, a file or a folder, line by line.

    Each finding runs (as it is), differs (it runs, with the difference that is told), or needs a change (that is told).
    Code is read and never run. Exit code 1: something needs a change; 2: there is no such path.
    """
    report = scan(path, django_shims)
    if as_json:
        print_json(as_object(report))
    else:
        show(*parts(report))
    if report.counts["change"]:
        raise click.exceptions.Exit(NOTHING)


def as_object(report: Report) -> dict[str, Any]:
    """Give what ``--json`` prints."""
    return {
        "path": report.path,
        "files": report.files,
        "templates": report.templates,
        "findings": [asdict(finding) for finding in report.findings],
        "counts": report.counts,
    }


def parts(report: Report) -> Iterator[Any]:
    """Give a table of each file, and the sum of all."""
    for file, findings in groupby(report.findings, key=lambda finding: finding.file):
        yield table(file, COLUMNS, [_row(finding) for finding in findings])
    yield summary(report)


def summary(report: Report) -> str:
    """Say in one line what was read, and what came of it."""
    counts = report.counts
    read = f"{_number(report.files, 'Python file')}, {_number(report.templates, 'template')}"
    if not report.findings:
        return f"{read}: nothing of Channels 1 was found"
    return f"{read}: {counts['runs']} run as they are, {counts['differs']} differ, {counts['change']} need a change"


def _row(finding: Finding) -> tuple[object, ...]:
    return finding.line, finding.column, finding.name, finding.verdict, finding.text


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
