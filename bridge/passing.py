"""Options of ``serve`` that are those of ``channels-worker``, by the same names, and only passed on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

SECONDS = ("soft_time_limit", "time_limit")
COUNTS = ("max_turns_per_child", "max_turns_jitter")
FLAGS = ("reload", "django_shims")
HELP = {
    "soft_time_limit": "For a turn: then its handler is told to end.",
    "time_limit": "For a turn: then it is given up.",
    "max_memory_per_child": "Replace a worker process that has more; with k, M or G behind the number.",
    "max_turns_per_child": "Replace a worker process after N turns.",
    "max_turns_jitter": "Up to N turns more, at random for each process.",
    "reload": "Replace worker processes when a *.py file changes.",
    "django_shims": "For code of the time of Channels 1: bring back django.utils.six and its like.",
    "reload_dirs": "Where to look for changes.  [default: --app-dir]",
}


def takes_limits(command: Command) -> Command:
    """Give a command the options about time limits, recycling, reloading and Channels 1, left out by default."""
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    kinds: dict[str, dict[str, Any]] = {
        **{name: {"type": click.FloatRange(0), "metavar": "SECONDS"} for name in SECONDS},
        "max_memory_per_child": {"metavar": "BYTES"},
        **{name: {"type": click.IntRange(0), "metavar": "N"} for name in COUNTS},
        **{name: {"is_flag": True} for name in FLAGS},
        "reload_dirs": {"multiple": True, "type": folder},
    }
    for name, kind in reversed(kinds.items()):
        command = click.option(_flag(name), name, help=HELP[name], **kind)(command)
    return command


def limits_given(options: dict[str, Any]) -> list[str]:
    """Give those that are set, as ``channels-worker`` takes them."""
    given = [f"{_flag(name)}={options[name]}" for name in (*SECONDS, "max_memory_per_child", *COUNTS) if options[name]]
    given += [f"{_flag('reload_dirs')}={folder}" for folder in options["reload_dirs"]]
    return [*given, *(_flag(name) for name in FLAGS if options[name])]


def _flag(name: str) -> str:
    return "--" + (name if name in FLAGS else name.removesuffix("s")).replace("_", "-")
