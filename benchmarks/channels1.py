"""What Channels 1 code costs here: an echo and a view through its routing, behind uvicorn with two workers.

    python benchmarks/channels1.py [--quick] [--json] [--case NAME ...] [--rounds N] [--seconds S] [--old PYTHON]
    python benchmarks/channels1.py --profile bridge|worker [--case NAME]

The peer is the stack that such projects ran on: daphne 1, Redis, two runworkers, with Channels 1. It needs an
interpreter that has them (CPython 3.6; pip install channels==1.1.8 asgi_redis==1.4.3 daphne==1.4.2 Django==1.11.29),
given with --old or $CHANNELS1_PYTHON. Both sides run the same project (rig/channels1_site), are up at the same time,
and are measured one after the other in each round. Without it, the peer's figures are those that were measured once
(OLD, below), on another machine: the ratios then say how we compare to that.

CPU is user and system time of all processes of a side, Redis among them, per message. The table gives medians.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pstats
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # for `python benchmarks/channels1.py`, from anywhere

from benchmarks.rig import measure  # noqa: E402
from benchmarks.rig.redis_server import RedisServer  # noqa: E402

from channels_bridge.testing.processes import (  # noqa: E402
    HOST,
    ManagedProcess,
    ServerProcess,
    WorkerProcess,
    free_port,
)

PARTS = ("uvicorn", "uvloop", "httptools", "Django", "pyzmq", "channels-bridge")
SITE = measure.FOLDER / "channels1_site"
FIGURES = ("rate", "p50", "p99", "cpu")
WORKERS = 2
WARM_UP = 0.3  # seconds of each run that do not count
READY = 30.0  # seconds for a site to answer
TOP = 30  # functions of a profile

# The peer's figures without a peer: messages a second, microseconds. Measured on two cores shared with other work:
# CPython 3.6.15, Django 1.11.29, daphne 1.4.2, two runworkers, asgi_redis 1.4.3.
OLD = {
    "ws-1": {"rate": 19.0, "p50": 52_500.0, "p99": 56_500.0, "cpu": 8000.0},
    "ws-50": {"rate": 706.0, "p50": 65_000.0, "p99": 119_000.0, "cpu": 2400.0},
    "ws-50-ordered": {"rate": 48.0, "p50": 1_000_000.0, "p99": 2_000_000.0, "cpu": 20_000.0},
    "http-50": {"rate": 453.0, "p50": 110_000.0, "p99": 155_000.0, "cpu": 2750.0},
}


@dataclass(frozen=True, slots=True)
class Case:
    """One load, in a closed loop."""

    name: str
    scheme: str
    connections: int
    path: str = "/"


CASES = (
    Case("ws-1", "ws", 1),
    Case("ws-50", "ws", 50),
    Case("ws-50-ordered", "ws", 50, "/ordered/"),
    Case("http-50", "http", 50),
)

TARGETS = (
    measure.Target("ws-1", "ours_p50", 2000.0, least=False),
    measure.Target("ws-50", "ours_cpu", 2400.0 / 5, least=False),
    measure.Target("ws-50", "per_cpu_ratio", 5.0, least=True),
    measure.Target("ordered", "rate_ratio", 0.95, least=True),
    measure.Target("ordered", "cpu_ratio", 1.05, least=False),
)


class Ours:
    """uvicorn with the bridge, and two workers."""

    def __init__(self, folder: Path, database: Path, profiled: str = "") -> None:
        url = f"ipc://{folder}/"
        env = {"CHANNELS_BRIDGE_URL": url, "BENCH_DATABASE": str(database)}
        quiet = ("--log-level", "warning")
        args = ("--interface", "channels1", "--log-level", "info")
        self.server = ServerProcess(
            "uvicorn", "bridged_app:application", env=env, pythonpath=[measure.FOLDER], args=quiet
        )
        self.workers = [
            WorkerProcess("asgi:channel_layer", url, env=env, pythonpath=[SITE], args=args) for _ in range(WORKERS)
        ]
        self.statistics = folder / "profile"
        if profiled:
            process: ManagedProcess = self.server if profiled == "bridge" else self.workers[0]
            process.command[1:1] = ["-m", "cProfile", "-o", str(self.statistics)]

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def pids(self) -> list[int]:
        return [self.server.pid, *(worker.pid for worker in self.workers)]

    @contextlib.contextmanager
    def up(self) -> Generator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.server)
            for worker in self.workers:
                stack.enter_context(worker)
            for worker in self.workers:
                worker.wait_for_log("connected to the bridge", timeout=READY)
            yield


class Old:
    """daphne 1, Redis and two runworkers, of another interpreter."""

    def __init__(self, python: str, database: Path) -> None:
        self.port = free_port()
        self.redis = RedisServer()
        env = {
            "BENCH_DATABASE": str(database), "BENCH_REDIS": self.redis.url, "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": str(SITE), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        daphne = [str(Path(python).parent / "daphne"), "-b", HOST, "-p", str(self.port), "asgi:channel_layer"]
        runworker = [python, "-m", "django", "runworker", "-v", "0"]
        self._env = {**os.environ, **env}
        self.processes = [Quiet(command, env=env) for command in (daphne, *[runworker] * WORKERS)]
        migrate = [python, "-m", "django", "migrate", "--run-syncdb", "-v", "0"]
        subprocess.run(migrate, env=self._env, check=True, cwd=SITE)

    @property
    def pids(self) -> list[int]:
        return [self.redis.pid, *(process.pid for process in self.processes)]

    @contextlib.contextmanager
    def up(self) -> Generator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.redis)
            for process in self.processes:
                stack.enter_context(process)
            _wait_for_answer(self.port)
            yield


class Quiet(ManagedProcess):
    """A process that is as good as ready; the site's first answer says more."""

    def wait_ready(self) -> None:
        """Return at once."""


def _wait_for_answer(port: int) -> None:
    """Wait until a view answers: server, layer and a worker are up."""
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 5.0) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if b" 200 " in connection.recv(64):
                return
        time.sleep(0.1)
    raise SystemExit(f"what listens on port {port} gives no answer")


def measured(case: Case, side: Ours | Old, seconds: float) -> dict[str, float]:
    """Run one case on one side; times in microseconds."""
    url = f"{case.scheme}://{HOST}:{side.port}{case.path}"
    sample = measure.load(url, side.pids, connections=case.connections, size=64, seconds=seconds, warm_up=WARM_UP)
    cpu = sum(sample.cpu) * 1e6
    return {"rate": sample.rate, "p50": sample.p50 * 1e6, "p99": sample.p99 * 1e6, "cpu": cpu}


def run(cases: Sequence[Case], rounds: int, seconds: float, python: str | None) -> dict[str, dict[str, float]]:
    """Measure all; give the medians of each case."""
    found: dict[str, list[dict[str, float]]] = {case.name: [] for case in cases}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            database = folder / "database"
            with contextlib.ExitStack() as stack:
                old = None if python is None else Old(python, database)
                ours = Ours(folder, database)
                stack.enter_context(ours.up())
                if old is not None:
                    stack.enter_context(old.up())
                for case in cases if number % 2 else reversed(cases):  # the first of a new site is the slowest
                    sides = [ours, old] if number % 2 else [old, ours]
                    figures = {type(side): measured(case, side, seconds) for side in sides if side is not None}
                    found[case.name].append(_compared(figures[Ours], figures.get(Old) or OLD[case.name]))
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    medians = {case: _medians(rows) for case, rows in found.items()}
    return {**medians, **_ordered(medians)}


def _compared(ours: dict[str, float], old: dict[str, float]) -> dict[str, float]:
    return {
        **{f"ours_{name}": ours[name] for name in FIGURES},
        **{f"old_{name}": old[name] for name in FIGURES},
        **{f"{name}_ratio": ours[name] / old[name] for name in FIGURES},
        "per_cpu_ratio": old["cpu"] / ours["cpu"],  # messages per CPU second: ours over the old stack's
    }


def _medians(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: measure.median(row[name] for row in rows) for name in rows[0]}


def _ordered(cases: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Compare the ordered echo with the other, both ours."""
    if not {"ws-50", "ws-50-ordered"} <= cases.keys():
        return {}
    ordered, plain = cases["ws-50-ordered"], cases["ws-50"]
    return {"ordered": {f"{name}_ratio": ordered[f"ours_{name}"] / plain[f"ours_{name}"] for name in FIGURES}}


def report(cases: dict[str, dict[str, float]], python: str | None) -> str:
    """Give the table, and the targets beside what was measured."""
    head = (
        "case",
        "rate x",
        "p50 x",
        "per CPU s x",
        "ours/s",
        "p50 us",
        "p99 us",
        "CPU us",
        "old/s",
        "p50 us",
        "CPU us",
    )
    ours, old = ("ours_rate", "ours_p50", "ours_p99", "ours_cpu"), ("old_rate", "old_p50", "old_cpu")
    rows = [
        (name, *(f"{f[key]:.2f}" for key in ("rate_ratio", "p50_ratio", "per_cpu_ratio")),
         *(f"{f[key]:.0f}" for key in (*ours, *old)))
        for name, f in cases.items() if name != "ordered"
    ]  # fmt: skip
    peer = "measured in this run" if python else "as measured once, elsewhere (--old PYTHON measures it here)"
    return f"{measure.table(head, rows)}\nold stack: {peer}\n\n{measure.claims(TARGETS, cases)}"


def profile(process: str, case: Case, seconds: float) -> None:
    """Print in which functions a process spends its time. cProfile makes calls dearer than they are."""
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(Path(folder), Path(folder) / "database", process)
        with ours.up():
            rate = measured(case, ours, seconds)["rate"]
            profiled: ManagedProcess = ours.server if process == "bridge" else ours.workers[0]
            profiled.signal(signal.SIGINT)
            profiled.wait()
        print(f"{case.name}, {process}, {rate:.0f} messages/s under cProfile")
        pstats.Stats(str(ours.statistics)).strip_dirs().sort_stats("tottime").print_stats(TOP)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each run")
    parser.add_argument("--old", metavar="PYTHON", default=os.environ.get("CHANNELS1_PYTHON"))
    parser.add_argument("--profile", choices=("bridge", "worker"))
    return parser.parse_args()


def main() -> None:
    options = parse()
    cases = [case for case in CASES if options.case is None or case.name in options.case]
    rounds = options.rounds or (2 if options.quick else 5)
    seconds: float = options.seconds or (1.0 if options.quick else 2.5)
    if options.profile:
        profile(options.profile, cases[0], max(seconds, 3.0))
        return
    found = run(cases, rounds, seconds, options.old)
    print(report(found, options.old))
    if options.json:
        print(measure.as_json("channels1", measure.versions(*PARTS), found))


if __name__ == "__main__":
    main()
