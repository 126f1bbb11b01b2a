"""A child process that is asked: a line of JSON to its stdin, a line of JSON from its stdout."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import Any, Self

from .measure import ROOT

PATIENCE = 5.0  # seconds that a child may take to end, once its stdin is closed


class ChildFailedError(Exception):
    """The child ended instead of answering; what it had to say stands on stderr."""


class Dialogue:
    """``python -m MODULE ARGUMENTS``. It ends when its stdin does, so it cannot outlive us."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        self._env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
        self._popen: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._popen = subprocess.Popen(self._command, env=self._env, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        return self

    def __exit__(self, *_: object) -> None:
        popen = self.popen
        for pipe in (popen.stdin, popen.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()

    @property
    def popen(self) -> subprocess.Popen[str]:
        """The process, while it is entered."""
        if self._popen is None:
            raise RuntimeError("not running: enter it first")
        return self._popen

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.popen.pid

    def ask(self, **question: Any) -> dict[str, Any]:
        """Return what the child answers; raise ``ChildFailedError`` if it ends instead."""
        popen = self.popen
        if popen.stdin is None or popen.stdout is None:
            raise RuntimeError("cannot happen: both were asked for")
        with contextlib.suppress(BrokenPipeError):
            popen.stdin.write(json.dumps(question) + "\n")
        line = popen.stdout.readline()
        if not line:
            raise ChildFailedError(f"{' '.join(self._command)} ended with {popen.wait()} at {question}")
        answer: dict[str, Any] = json.loads(line)
        return answer
