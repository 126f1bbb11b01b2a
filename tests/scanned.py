"""Small Channels 1 projects, and what ``channels-bridge migrate`` finds in them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from channels_bridge.bridge.migration.findings import Finding
from channels_bridge.bridge.migration.judging import is_known
from channels_bridge.bridge.migration.modules import Module, read
from channels_bridge.bridge.migration.project import Project
from channels_bridge.bridge.migration.scanning import parts, scan


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files, name -> source, into a folder named ``site``, and give that."""
    top = folder / "site"
    top.mkdir(exist_ok=True)
    for name, source in files.items():
        file = top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))
    return top


def scanned(folder: Path, files: Mapping[str, str] | str, shims: bool = False) -> tuple[Finding, ...]:
    """Write a project, or a single file of one, and give what is found in it."""
    top = write(folder, {"a.py": files} if isinstance(files, str) else files)
    return scan(top, shims).findings


def told(findings: tuple[Finding, ...]) -> list[tuple[int, str, str]]:
    """Give line, name and verdict of each finding."""
    return [(finding.line, finding.name, finding.verdict) for finding in findings]


def names(findings: tuple[Finding, ...]) -> list[tuple[int, int, str]]:
    """Give line, column and name of each finding."""
    return [(finding.line, finding.column, finding.name) for finding in findings]


def project(folder: Path, files: Mapping[str, str]) -> tuple[Project, dict[str, Module]]:
    """Write and read a project: it, and its modules by their files."""
    top = write(folder, files)
    modules = {name: read(top / name, name, parts(top / name, top)) for name in files}
    return Project(modules.values(), is_known), modules
