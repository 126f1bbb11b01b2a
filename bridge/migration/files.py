"""Which files are read: Python and templates below a folder, but not what others wrote and was put there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PYTHON = ".py"
TEMPLATES = (".html", ".djhtml")
NOT_OURS = frozenset(
    {"__pycache__", "node_modules", "bower_components", "site-packages", "dist-packages", "__pypackages__"}
)


def find(path: Path) -> Iterator[Path]:
    """Give the files to be read, each once, sorted by their names; a file that is named itself, whatever its ending."""
    if not path.is_dir():
        yield path
    else:
        yield from _below(path, set())


def is_template(file: Path) -> bool:
    """Say whether this is one for Django's template language."""
    return file.suffix in TEMPLATES


def _below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Give what is below. ``seen``: folders that were entered, by device and inode, as links may lead in circles."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    place = (status.st_dev, status.st_ino)
    if place in seen:
        return
    seen.add(place)
    for entry in entries:
        inner = folder / entry.name
        if inner.is_dir():
            if not _is_foreign(inner):
                yield from _below(inner, seen)
        elif inner.suffix in (PYTHON, *TEMPLATES) and inner.is_file():
            yield inner


def _is_foreign(folder: Path) -> bool:
    """Tell folders of tools, packages and virtual environments, old ones without ``pyvenv.cfg`` included."""
    if folder.name.startswith(".") or folder.name in NOT_OURS:
        return True
    return any((folder / mark).is_file() for mark in ("pyvenv.cfg", "bin/activate", "Scripts/activate"))
