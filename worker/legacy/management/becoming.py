"""A management command becomes one of this project's commands: the same process, with another program in it.

So whoever has started it, a supervisor or a terminal, goes on with the id and the signals that it knows.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from django.conf import settings
from django.core.management.base import CommandError

from .. import shims
from ..loading import LAYER

APP = "channels_bridge.worker.legacy.asgi:channel_layers"  # of whatever project; $CHANNELS_BRIDGE_LAYER says which
LEVELS = ("warning", "info", "debug", "debug")  # --verbosity -> --log-level


def become(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Go on as ``python -m module``."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)  # noqa: S606


def environment(alias: str) -> dict[str, str]:
    """Give the variables by which a new program finds these settings, this code and this layer.

    Raises ``CommandError`` for settings that are in no module.
    """
    name: str | None = settings.SETTINGS_MODULE or os.environ.get("DJANGO_SETTINGS_MODULE")
    if not name:
        raise CommandError(
            "the worker is a program of its own: it needs a settings module (DJANGO_SETTINGS_MODULE), and cannot do"
            " with settings.configure()"
        )
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    folders = [*filter(None, before), *own_folders()]
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": name,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(folders)),
        LAYER: alias,
    }


def own_folders() -> list[str]:
    """Give those folders of ``sys.path`` that a new interpreter would not have by itself."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    interpreters = [Path(sysconfig.get_path(name)) for name in names] + [Path(site.getusersitepackages())]
    folders = [Path(entry).resolve() for entry in sys.path]
    return [
        str(folder)
        for folder in dict.fromkeys(folders)
        if folder.is_dir() and not any(folder.is_relative_to(Path(one).resolve()) for one in interpreters)
    ]


def project_options() -> list[str]:
    """Give the options that each of our programs takes, so that it hosts this project."""
    return ["--interface=channels1", *(["--django-shims"] if shims.working() else [])]


def level(verbosity: int) -> str:
    """Give what ``-v`` means for a log."""
    return LEVELS[min(verbosity, len(LEVELS) - 1)]
