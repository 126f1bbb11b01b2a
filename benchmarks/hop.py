"""What the hop costs: an application served by uvicorn, and the same one behind the bridge with one worker.

    python benchmarks/hop.py [--quick] [--json] [--case NAME ...] [--rounds N] [--seconds S] [--ws KIND]
    python benchmarks/hop.py --profile bridge|worker|direct [--case NAME]

Both sides are up at the same time, on uvloop and httptools, the bridge on ``ipc://``; each round measures each
case on one side and then, at once, on the other. A ratio is ours over direct within one round; the table gives
the medians of the rounds. The load comes from a process of its own (rig/load.py). CPU is user and system time
of all threads of the server, or of server and worker together, per message. On a busy machine rates and
latencies wander, CPU much less: judge by that first.
"""

from __future__ import annotations

import argparse
import contextlib
import pstats
import signal
import sys
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # for `python benchmarks/hop.py`, from anywhere

from benchmarks.rig import measure  # noqa: E402

from channels_bridge.testing.processes import ManagedProcess, ServerProcess, WorkerProcess  # noqa: E402

PARTS = ("uvicorn", "uvloop", "httptools", "websockets", "pyzmq", "msgpack", "channels-bridge")
FIGURES = ("rate", "p50", "p99", "cpu")
WARM_UP = 0.3  # seconds of each run that do not count
TOP = 30  # functions of a profile


@dataclass(frozen=True, slots=True)
class Case:
    """One load. ``rate``: messages a second in all; 0: each connection sends as soon as it has its answer."""

    name: str
    scheme: str
    connections: int
    size: int = 64
    rate: int = 0


CASES = (
    Case("ws-1", "ws", 1),
    Case("ws-50", "ws", 50),
    Case("ws-500", "ws", 500),
    Case("ws-50-64k", "ws", 50, size=65536),
    Case("ws-50-paced", "ws", 50, rate=1000),
    Case("http-32", "http", 32),
)

TARGETS = (
    measure.Target("ws-50", "cpu_ratio", 1.9, least=False),
    measure.Target("http-32", "cpu_ratio", 2.3, least=False),
    measure.Target("ws-50", "rate_ratio", 0.6, least=True),
    measure.Target("http-32", "rate_ratio", 0.4, least=True),
)


class Sides:
    """The processes: ``direct`` is uvicorn, ``bridge`` is uvicorn and ``worker``."""

    def __init__(self, folder: Path, ws: str, profiled: str = "") -> None:
        options = ("--log-level", "warning", "--ws", ws)
        url = f"ipc://{folder}/"
        env = {"CHANNELS_BRIDGE_URL": url}
        rig = [measure.FOLDER]
        self.direct = ServerProcess("uvicorn", "echo_app:application", pythonpath=rig, args=options)
        self.bridge = ServerProcess("uvicorn", "bridged_app:application", env=env, pythonpath=rig, args=options)
        self.worker = WorkerProcess("echo_app:application", url, pythonpath=rig, args=("--loop", "uvloop"))
        self.statistics = folder / "profile"
        if profiled:
            process: ManagedProcess = getattr(self, profiled)
            process.command[1:1] = ["-m", "cProfile", "-o", str(self.statistics)]

    @contextlib.contextmanager
    def up(self) -> Generator[None]:
        """Start all, end all."""
        with self.direct, self.bridge, self.worker:
            self.worker.wait_for_log("connected to the bridge", timeout=30.0)
            yield

    def measure(self, case: Case, direct: bool, seconds: float) -> measure.Sample:
        """Run one case on one side."""
        server = self.direct if direct else self.bridge
        pids = [server.pid] if direct else [server.pid, self.worker.pid]
        return measure.load(
            f"{case.scheme}://127.0.0.1:{server.port}/", pids, connections=case.connections, size=case.size,
            rate=case.rate, seconds=seconds, warm_up=WARM_UP,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """One case in one round."""

    direct: measure.Sample
    ours: measure.Sample

    def figures(self) -> dict[str, float]:
        """Give figures and ratios; times in microseconds."""
        direct, ours = _figures(self.direct), _figures(self.ours)
        return {
            **{f"direct_{name}": direct[name] for name in FIGURES},
            **{f"bridge_{name}": ours[name] for name in FIGURES},
            "bridge_process_cpu": self.ours.cpu[0] * 1e6,
            "worker_process_cpu": self.ours.cpu[1] * 1e6,
            **{f"{name}_ratio": ours[name] / direct[name] for name in FIGURES},
        }


def _figures(sample: measure.Sample) -> dict[str, float]:
    return {
        "rate": sample.rate, "p50": sample.p50 * 1e6, "p99": sample.p99 * 1e6, "cpu": sum(sample.cpu) * 1e6,
    }  # fmt: skip


def run(cases: Sequence[Case], rounds: int, seconds: float, ws: str) -> dict[str, dict[str, float]]:
    """Measure all; return the medians of each case."""
    pairs: dict[str, list[dict[str, float]]] = {case.name: [] for case in cases}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            sides = Sides(Path(folder), ws)
            with sides.up():  # anew in each round: where memory lies and how dicts are seeded has its part in speed
                for case in cases:
                    order = (True, False) if number % 2 else (False, True)
                    samples = {direct: sides.measure(case, direct, seconds) for direct in order}
                    pairs[case.name].append(Pair(samples[True], samples[False]).figures())
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return {name: _medians(figures) for name, figures in pairs.items()}


def _medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    medians = {name: measure.median(figures[name] for figures in rounds) for name in rounds[0]}
    cpu = [figures["cpu_ratio"] for figures in rounds]
    return {**medians, "cpu_ratio_low": min(cpu), "cpu_ratio_high": max(cpu)}


def report(cases: dict[str, dict[str, float]]) -> str:
    """Give the table, and the targets beside what was measured."""
    head = ("case", "rate x", "p50 x", "p99 x", "CPU x", "(low-high)", "direct/s", "ours/s", "p50 us", "ours",
            "CPU us", "bridge", "worker")  # fmt: skip
    rows = [
        (
            name, *(f"{f[f'{figure}_ratio']:.2f}" for figure in FIGURES),
            f"({f['cpu_ratio_low']:.2f}-{f['cpu_ratio_high']:.2f})",
            *(f"{f[key]:.0f}" for key in ("direct_rate", "bridge_rate", "direct_p50", "bridge_p50")),
            *(f"{f[key]:.1f}" for key in ("direct_cpu", "bridge_process_cpu", "worker_process_cpu")),
        )
        for name, f in cases.items()
    ]  # fmt: skip
    return f"{measure.table(head, rows)}\n\n{measure.claims(TARGETS, cases)}"


def profile(process: str, case: Case, seconds: float, ws: str) -> None:
    """Print in which functions a process spends its time. cProfile makes calls dearer than they are."""
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(Path(folder), ws, process)
        with sides.up():
            sample = sides.measure(case, process == "direct", seconds)
            profiled: ManagedProcess = getattr(sides, process)
            profiled.signal(signal.SIGINT)  # after SIGTERM uvicorn dies of it, and cProfile with it
            profiled.wait()
        print(f"{case.name}, {process}, {sample.rate:.0f} messages/s under cProfile")
        pstats.Stats(str(sides.statistics)).strip_dirs().sort_stats("tottime").print_stats(TOP)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each run")
    parser.add_argument("--ws", default="auto", help="uvicorn's --ws, on both sides")
    parser.add_argument("--profile", choices=("bridge", "worker", "direct"))
    return parser.parse_args()


def main() -> None:
    options = parse()
    cases = [case for case in CASES if options.case is None or case.name in options.case]
    rounds = options.rounds or (3 if options.quick else 7)
    seconds: float = options.seconds or (0.7 if options.quick else 2.5)
    if options.profile:
        profile(options.profile, cases[0], max(seconds, 3.0), options.ws)
        return
    measured = run(cases, rounds, seconds, options.ws)
    print(report(measured))
    if options.json:
        print(measure.as_json("hop", measure.versions(*PARTS), measured))


if __name__ == "__main__":
    main()
