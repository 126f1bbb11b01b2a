"""Programs in a process of their own, where ``channels`` may be Channels 1."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent
ALIASES = "from channels_bridge.worker.legacy import aliases\naliases.install(django_shims={})\n"


def run(program: str, *arguments: str, code: int = 0, cwd: Path | None = None, **variables: str) -> str:
    """Run a program, with warnings as errors; give what it has printed, on both streams."""
    return python("-c", textwrap.dedent(program), *arguments, code=code, cwd=cwd, **variables)


def run_aliased(program: str, *, django_shims: bool = False, code: int = 0, **variables: str) -> str:
    """Run a program with the aliases, and with the settings of the tests' project."""
    environment: dict[str, Any] = {"DJANGO_SETTINGS_MODULE": "channels1_project.settings", **variables}
    return run(ALIASES.format(django_shims) + textwrap.dedent(program), code=code, **environment)


def on_path(folder: Path) -> str:
    """Give a PYTHONPATH with this folder first; behind it what is there now: another Django, perhaps."""
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


def python(*arguments: str, code: int = 0, cwd: Path | None = None, **variables: str) -> str:
    """Run Python with these arguments. What is no ``code`` of exit fails the test."""
    environment = {**os.environ, "PYTHONPATH": on_path(TESTS), **variables}
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr
