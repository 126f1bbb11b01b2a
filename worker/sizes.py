"""Bytes on the command line: a number, or one with k, M or G behind it, which are powers of 1024."""

from __future__ import annotations

import re

import click

from ..shared.config import KIB, MIB

_UNITS = {"": 1, "k": KIB, "m": MIB, "g": 1024 * MIB}
_SIZE = re.compile(r"(\d+) *([kmg]?)(?:i?b)?", re.IGNORECASE)


def size(given: str | int) -> int:
    """Give the bytes of ``300M``, ``300 MiB`` or ``314572800``, all the same; ``click.BadParameter`` for no size."""
    match = _SIZE.fullmatch(str(given).strip())
    if match is None:
        raise click.BadParameter(f"{given!r} is no size; 300M is one, in bytes with k, M or G")
    return int(match[1]) * _UNITS[match[2].lower()]
