"""Real processes for tests: protocol servers and workers on loopback, each ended by its own pid.

Every process here is a context manager. It runs in a session and a working directory of its own (so that
``import bridge`` cannot work by accident of the current directory), its output goes to ``log``, and leaving
the ``with`` ends it and whatever it started::

    with (
        ServerProcess("uvicorn", "asgi:application", pythonpath=[tmp_path]) as server,
        WorkerProcess("app:application", url, pythonpath=[tmp_path]),
    ):
        httpx.get(server.url)
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
PORTS = range(20000, 32768)  # below what Linux gives to clients: no connection of ours can sit on one
POLL = 0.02  # seconds; starting a server takes some hundred milliseconds
GRACE = 10.0  # seconds from SIGTERM to SIGKILL in stop(); servers with nothing to finish need 0.3
_UNFIT = b"\0\r\n\r\n"  # no server takes this for HTTP; each answers 400 by itself, without asking the app

# A test run that dies without unwinding (SIGKILL, a hung test's _exit) must not leave servers behind: Linux
# tells the child. The signal is bound to the thread that forked, hence only used from the main one.
_DIE_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execvp(sys.argv[1], sys.argv[1:])"


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on, below the range of client ports."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port
    raise RuntimeError(f"no free port among 200 between {PORTS[0]} and {PORTS[-1]}")


class ProcessFailedError(Exception):
    """A process ended, or did not get ready, when it should not; the message carries its log."""


class ManagedProcess:
    """One command as a child process, with its log, its memory and its end.

    ``command`` is what runs, ``env`` is added to this process's environment, ``pythonpath`` goes in front of
    PYTHONPATH. Enter it (or call ``start()``) to run it; ``stop()`` or leaving ends it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        pythonpath: Sequence[str | Path] = (),
    ) -> None:
        self.command = list(command)
        paths = [*map(str, pythonpath), os.environ.get("PYTHONPATH", "")]
        joined = os.pathsep.join(path for path in paths if path)
        self.env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": joined, **(env or {})}
        self._popen: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._last_log = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Run the command, return when it is ready; raise ``ProcessFailedError`` if it ends or gets stuck."""
        if self._popen is not None:
            raise RuntimeError("already started")
        self._folder = tempfile.TemporaryDirectory(prefix="channels-bridge-process-")
        command = self.command
        if sys.platform == "linux" and threading.current_thread() is threading.main_thread():
            command = [sys.executable, "-c", _DIE_WITH_PARENT, *command]
        with self._log_file().open("wb") as log:
            self._popen = subprocess.Popen(
                command,
                env=self.env,
                cwd=self._folder.name,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait_ready()
        except BaseException:
            self.stop(grace=0.0)
            raise

    def wait_ready(self) -> None:
        """Return when the process is of use. Here: at once; servers wait until they answer."""

    def stop(self, grace: float = GRACE) -> None:
        """End the process: SIGTERM, after ``grace`` seconds SIGKILL; then what it started and left behind."""
        if self._popen is None:
            return
        if self.alive:
            self.sigterm()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(grace)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)  # the session is ours alone: start_new_session
        self._popen.wait()
        self._last_log = self.log
        self._popen = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def popen(self) -> subprocess.Popen[bytes]:
        """The child process; raise ``RuntimeError`` when it was not started or has been stopped."""
        if self._popen is None:
            raise RuntimeError("not running: start() it first")
        return self._popen

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.popen.pid

    @property
    def alive(self) -> bool:
        """True while the process runs; its children do not count."""
        return self._popen is not None and self._popen.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the process itself, not to its children."""
        self.popen.send_signal(number)

    def sigterm(self) -> None:
        """Ask the process to end; call ``wait()`` next."""
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL the process itself and wait for its end. Its children may live on until ``stop()``."""
        self.popen.kill()
        self.popen.wait()

    def wait(self, timeout: float = GRACE) -> int:
        """Return the exit status, negative for a signal; raise ``ProcessFailedError`` after the timeout."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.failure(f"still runs after {timeout} s") from None

    @property
    def log(self) -> str:
        """What the process and its children wrote to stdout and stderr so far; kept after the end."""
        if self._folder is None:
            return self._last_log
        return self._log_file().read_text(errors="replace")

    def wait_for_log(self, pattern: str, timeout: float = 10.0) -> re.Match[str]:
        """Return the first match of the pattern in ``log``; raise ``ProcessFailedError`` if none comes."""
        deadline = time.monotonic() + timeout
        while True:
            ended = not self.alive  # asked first: what it wrote before its end is then complete
            if match := re.search(pattern, self.log, re.MULTILINE):
                return match
            if ended or time.monotonic() > deadline:
                raise self.failure(f"never logged {pattern!r}")
            time.sleep(POLL)

    def tree(self) -> list[int]:
        """Return the pids of the process and all its descendants."""
        import psutil

        process = psutil.Process(self.pid)
        return [self.pid, *(child.pid for child in process.children(recursive=True))]

    def rss(self) -> int:
        """Return the resident memory, in bytes, of the process and all its descendants together."""
        import psutil

        total = 0
        for pid in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += int(psutil.Process(pid).memory_info().rss)
        return total

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, that the process and its living descendants have used."""
        import psutil

        total = 0.0
        for pid in self.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = psutil.Process(pid).cpu_times()
                total += float(times.user) + float(times.system)
        return total

    def failure(self, what: str) -> ProcessFailedError:
        """Return (not raise) an error that says what went wrong, with the command and the log."""
        status = self._popen.poll() if self._popen is not None else None
        state = "running" if status is None else f"ended with {status}"
        return ProcessFailedError(f"{' '.join(self.command)} ({state}) {what}; its log:\n{self.log}")

    def _log_file(self) -> Path:
        if self._folder is None:
            raise RuntimeError("not running: start() it first")
        return Path(self._folder.name) / "log"


@dataclass(frozen=True, slots=True)
class ServerKind:
    """How a protocol server is run, and what it can do that others cannot."""

    name: str
    arguments: tuple[str, ...]  # of python -m; "{port}" and "{app}" are filled in
    root_path: str  # the option that sets scope["root_path"]
    lifespan: bool = True
    http2: bool = False  # in clear text, with prior knowledge


_UVICORN = ("uvicorn", "--host", HOST, "--port", "{port}", "--no-access-log", "{app}")
_HYPERCORN = ("hypercorn", "--bind", f"{HOST}:{{port}}", "{app}")  # without a child process trio ignores SIGTERM
_DAPHNE = ("daphne", "--bind", HOST, "--port", "{port}", "--access-log", os.devnull, "{app}")
_GRANIAN = ("granian", "--host", HOST, "--port", "{port}", "--interface", "asgi", "{app}")

SERVERS: Mapping[str, ServerKind] = {
    kind.name: kind
    for kind in (
        ServerKind("uvicorn", (*_UVICORN, "--loop", "uvloop", "--http", "httptools"), "--root-path"),
        ServerKind(
            "uvicorn-h11",
            (*_UVICORN, "--loop", "asyncio", "--http", "h11", "--ws", "wsproto"),
            "--root-path",
        ),
        ServerKind("hypercorn-asyncio", (*_HYPERCORN, "-k", "asyncio"), "--root-path", http2=True),
        ServerKind("hypercorn-trio", (*_HYPERCORN, "-k", "trio"), "--root-path", http2=True),
        ServerKind("daphne", _DAPHNE, "--root-path", lifespan=False),
        ServerKind("granian", _GRANIAN, "--url-path-prefix", http2=True),
    )
}


class ServerProcess(ManagedProcess):
    """A protocol server of ``SERVERS`` that runs ``app`` (``module:attribute``) on a free loopback port.

    ``args`` are further arguments of the server's command. It is ready when it answers HTTP; for that the app
    is not asked, so a bridge without a worker is ready too.
    """

    def __init__(
        self,
        kind: str,
        app: str,
        *,
        env: Mapping[str, str] | None = None,
        pythonpath: Sequence[str | Path] = (),
        args: Sequence[str] = (),
        port: int | None = None,
        ready_timeout: float = 30.0,
    ) -> None:
        self.kind = SERVERS[kind]
        self.port = port or free_port()
        self.ready_timeout = ready_timeout
        arguments = [part.format(port=self.port, app=app) for part in self.kind.arguments]
        super().__init__([sys.executable, "-m", *arguments, *args], env=env, pythonpath=pythonpath)

    @property
    def url(self) -> str:
        """The base URL, with no slash at its end."""
        return f"http://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The base URL for WebSockets, with no slash at its end."""
        return f"ws://{HOST}:{self.port}"

    def wait_ready(self) -> None:
        """Return when the server answers; raise ``ProcessFailedError`` when it ends or stays silent."""
        deadline = time.monotonic() + self.ready_timeout
        while not self._answers():
            if not self.alive:
                raise self.failure("ended before it answered")
            if time.monotonic() > deadline:
                raise self.failure(f"gave no answer in {self.ready_timeout} s")
            time.sleep(POLL)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 5.0) as connection:
            connection.sendall(_UNFIT)
            return connection.recv(1) != b""
        return False


class WorkerProcess(ManagedProcess):
    """``channels-worker APP -b URL …``: hosts ``app`` for the bridges at ``url``.

    It connects by itself, whether the bridge is there yet or not, and requests wait for it, so it counts as
    ready at once; ``wait_for_log()`` waits for more.
    """

    def __init__(
        self,
        app: str,
        url: str,
        *,
        env: Mapping[str, str] | None = None,
        pythonpath: Sequence[str | Path] = (),
        args: Sequence[str] = (),
    ) -> None:
        command = [sys.executable, "-m", "channels_bridge.worker", app, "-b", url, *args]
        super().__init__(command, env=env, pythonpath=pythonpath)
