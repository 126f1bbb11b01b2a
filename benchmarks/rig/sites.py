"""What is disrupted: ours, and its peers, each on a port, with what the disruptions do to its processes.

Each is tended by the script, which is to call :meth:`Site.tend` often: who has ended is replaced at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil

from channels_bridge.testing.processes import HOST, ManagedProcess, ServerProcess, WorkerProcess, free_port

from .measure import ROOT
from .redis_server import RedisServer
from .sockets import begin, complete

WORKERS = 2
SPARE = 20  # connections that our bridge takes beyond the clients: newcomers after these are refused
LIMIT = "100M"  # memory of a worker of ours; it has 45 MiB when it begins
DRAIN = 5.0  # seconds that a worker may take to end; uvicorn and daphne close at once
READY = 20.0  # seconds for a new process to be of use; it takes a quarter of one
TEND = 0.02  # seconds between looks
_THAW = "import os, sys; sys.stdin.read(); os.path.exists('/proc/' + sys.argv[1]) and os.kill(int(sys.argv[1]), 18)"
QUIET = ("--log-level", "warning")


class Site(ABC):
    """A server on ``port``, and the processes behind it that are disrupted."""

    name = ""
    port = 0

    @abstractmethod
    def __init__(self, folder: Path, kind: str, sockets: int) -> None:
        """Prepare it. ``folder``: for Unix sockets; ``kind`` (of SERVERS): what the bridge runs in; for so many."""

    @abstractmethod
    def up(self) -> contextlib.AbstractContextManager[None]:
        """Start all, end all."""

    @abstractmethod
    def pids(self) -> list[int]:
        """Give the processes that run the application."""

    @abstractmethod
    def roll(self) -> None:
        """Replace each of them in peace, as a deploy does."""

    @abstractmethod
    def recycle(self) -> None:
        """Have one end in peace, as one does that has grown too large."""

    @abstractmethod
    def ready(self) -> bool:
        """Say whether all are there."""

    def tend(self) -> None:
        """Replace who has ended; who does that by itself inherits this."""
        return

    def refusals(self) -> int:
        """Give how many handshakes it says it has refused; who does not count them inherits this."""
        return 0

    def wait_empty(self) -> None:
        """Return when nobody is connected; who has no bound on connections inherits this."""
        return

    def kill(self) -> None:
        """SIGKILL one of those that run."""
        if pids := self.pids():
            send(random.choice(pids), signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL all that run."""
        for pid in self.pids():
            send(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def one_frozen(self) -> Generator[None]:
        """SIGSTOP one, and SIGCONT it in the end; if we are killed too, as it could not end otherwise."""
        pid = self.pids()[0]
        thaws = [sys.executable, "-c", _THAW, str(pid)]
        with subprocess.Popen(thaws, stdin=subprocess.PIPE, start_new_session=True):  # leaving closes its stdin
            send(pid, signal.SIGSTOP)
            yield

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.tend()
            time.sleep(min(TEND, left))

    def wait_ready(self) -> None:
        """Return when all are there; raise ``TimeoutError`` if they do not come."""
        end = time.monotonic() + READY
        while not self.ready():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} has not all its processes in {READY} s\n{self.logs()}")
            self.wait(TEND)

    def wait_replaced(self, before: set[int]) -> None:
        """Return when others are there, and none of those is left."""
        end = time.monotonic() + READY
        while not (self.ready() and before.isdisjoint(self.pids())) and time.monotonic() < end:
            self.wait(TEND)

    @abstractmethod
    def logs(self) -> str:
        """Give what all processes said."""


def children(pid: int, word: str) -> list[int]:
    """Give the living children of a process whose command has this word in it."""
    found: list[int] = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE and any(word in part for part in child.cmdline()):
                found.append(child.pid)
    return found


def send(pid: int, number: int) -> None:
    """Send a signal to a process of ours, if it still is."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Ours(Site):
    """A server with the bridge, and ``channels-worker -c 2``, whose supervisor replaces its processes by itself."""

    name = "ours"

    def __init__(self, folder: Path, kind: str, sockets: int) -> None:
        self._url = url = f"ipc://{folder}/"
        env = {"CHANNELS_BRIDGE_URL": url, "BENCH_CONNECTIONS": str(sockets + SPARE)}
        app, args = "benchmarks.rig.bridged_app:application", QUIET if kind.startswith("uvicorn") else ()
        self._server = ServerProcess(kind, app, env=env, pythonpath=[ROOT], args=args)
        self.port = self._server.port
        options = (
            "-c",
            str(WORKERS),
            "--loop",
            "uvloop",
            "--drain-timeout",
            str(DRAIN),
            "--max-memory-per-child",
            LIMIT,
        )
        consumer = "benchmarks.rig.counting_consumer:Counter"
        self._workers = WorkerProcess(consumer, url, pythonpath=[ROOT], args=options)

    @contextlib.contextmanager
    def up(self) -> Generator[None]:
        with self._server, self._workers:
            complete(begin(HOST, self.port, "/")).close()  # daphne calls no lifespan: this begins the bridge
            self.wait_ready()
            yield

    def pids(self) -> list[int]:
        return children(self._workers.pid, "channels_bridge.worker")

    def ready(self) -> bool:
        serving = set(map(int, re.findall(r"\[(\d+)\] \S+: \S+: connected to the bridge", self._workers.log)))
        return len(serving.intersection(self.pids())) >= WORKERS

    def roll(self) -> None:
        before = set(self.pids())
        self._workers.signal(signal.SIGHUP)
        self.wait_replaced(before)

    def recycle(self) -> None:
        """Do nothing: its supervisor replaces who has grown too large."""

    def refusals(self) -> int:
        return sum(ledger["refused"].get("overload", 0) for ledger in self._status()["ledgers"])

    def wait_empty(self) -> None:
        while any(pool["connections"] for pool in self._status()["pools"]):
            self.wait(TEND)

    def _status(self) -> dict[str, Any]:
        said = subprocess.run(
            [sys.executable, "-m", "channels_bridge.bridge", "status", "-j", "-b", self._url],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        [status] = json.loads(said.stdout)["bridges"]
        return dict(status)

    def logs(self) -> str:
        return f"{self._workers.log}-- the server:\n{self._server.log}"


def ended(process: ManagedProcess) -> str:
    """Clear a process away that has ended; give how, and what it said."""
    how = f"-- {process.pid} ended with {process.wait()}:\n"
    process.stop()
    return how + process.log


class Uvicorn(Site):
    """``uvicorn --workers 2``, which replaces its processes by itself."""

    name = "uvicorn"

    def __init__(self, folder: Path, kind: str, sockets: int) -> None:
        args = (*QUIET, "--workers", str(WORKERS))
        self._server = ServerProcess("uvicorn", "benchmarks.rig.counting_app:application", pythonpath=[ROOT], args=args)
        self.port = self._server.port

    @contextlib.contextmanager
    def up(self) -> Generator[None]:
        with self._server:
            self.wait_ready()
            yield

    def pids(self) -> list[int]:
        return children(self._server.pid, "spawn_main")

    def ready(self) -> bool:
        return len(self.pids()) == WORKERS

    def roll(self) -> None:
        before = set(self.pids())
        self._server.signal(signal.SIGHUP)
        self.wait_replaced(before)

    def recycle(self) -> None:
        if pids := self.pids():
            send(random.choice(pids), signal.SIGTERM)

    def logs(self) -> str:
        return self._server.log


class Daphne(Site):
    """Daphne with Channels 4 and a redis-server: one process, that the script restarts."""

    name = "daphne"

    def __init__(self, folder: Path, kind: str, sockets: int) -> None:
        self.port = free_port()
        self._redis = RedisServer()
        env = {"BENCH_REDIS": self._redis.url}
        self._server = ServerProcess(
            "daphne", "benchmarks.rig.counting_channels:application", env=env, pythonpath=[ROOT], port=self.port
        )
        self._past = ""

    @contextlib.contextmanager
    def up(self) -> Generator[None]:
        with self._redis, self._server:
            yield

    def pids(self) -> list[int]:
        return [self._server.pid] if self._server.alive else []

    def ready(self) -> bool:
        return self._server.alive

    def tend(self) -> None:
        if not self._server.alive:
            self._past += ended(self._server)
            self._server.start()  # returns when it answers: so it is not killed before it is of use

    def roll(self) -> None:
        self._server.sigterm()
        self._server.wait()
        self.tend()

    def recycle(self) -> None:
        self._server.sigterm()

    def logs(self) -> str:
        return f"{self._past}{self._server.log}"


SITES = (Ours, Uvicorn, Daphne)
