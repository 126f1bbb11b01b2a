"""The channel layer between two processes of one machine: ours, and both of channels_redis with a redis-server.

    python benchmarks/layer.py [--quick] [--json] [--case NAME ...] [--layer NAME ...] [--rounds N] [--seconds S]

One process receives (rig/members.py), one sends (rig/publisher.py), a bridge or a redis-server stands between.
``ours`` is ChannelLayer in both, ``worker`` is ours with a worker whose consumers receive. Group cases have 1000
members; latency is that of the last of them, rates are deliveries. CPU is user and system time of all threads of a
process, per message or delivery. Each round measures each case on all layers, one after the other; a ratio is ours
over the peer's within one round, and the table gives the medians of the rounds. A run ends with an error if
anything is lost, doubled or out of order.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # for `python benchmarks/layer.py`, from anywhere

from benchmarks.rig import measure  # noqa: E402
from benchmarks.rig.dialogue import ChildFailedError, Dialogue  # noqa: E402
from benchmarks.rig.redis_server import RedisServer  # noqa: E402

from channels_bridge.testing.processes import HOST, ManagedProcess, ServerProcess, WorkerProcess  # noqa: E402

PARTS = ("channels-bridge", "channels_redis", "redis", "pyzmq", "msgpack", "uvicorn", "uvloop")
OURS = ("ours", "worker")
PEERS = ("pubsub", "core")
FIGURES = ("rate", "p50", "p99", "receiver_cpu", "sender_cpu", "broker_cpu")
MEMBERS = 1000
START_TIMEOUT = 60.0  # seconds; a thousand memberships take one or two

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """One load. ``rate``: messages a second; 0: as soon as fewer than ``window`` are under way."""

    name: str
    target: str  # a channel of the receiving process, a named channel, or the group
    rate: float = 0.0
    window: int = 1

    @property
    def deliveries(self) -> int:
        """Deliveries of one message."""
        return MEMBERS if self.target == "group" else 1


CASES = (
    Case("channel-paced", "channel", rate=200),
    Case("channel-closed", "channel"),
    Case("named-closed", "named"),
    Case("group-paced", "group", rate=20),
    Case("group-closed", "group"),
    Case("group-burst", "group", window=20),  # core drops what is more than 100 behind
)

TARGETS = (
    *(measure.Target(case, "p50_pubsub_ratio", 1.0, least=False) for case in ("channel-paced", "channel-closed")),
    *(measure.Target(case, "p50_core_ratio", 1 / 3, least=False) for case in ("channel-paced", "channel-closed")),
    measure.Target("group-paced", "p99_pubsub_ratio", 0.5, least=False),
    *(measure.Target(case, "rate_pubsub_ratio", 3.0, least=True) for case in ("group-closed", "group-burst")),
    *(measure.Target(case, "rate_core_ratio", 20.0, least=True) for case in ("group-closed", "group-burst")),
)


class Machine:
    """All processes of one round: brokers, and for each layer one that receives and one that sends."""

    def __init__(self, folder: Path, loop: str) -> None:
        self._folder = folder
        self._loop = loop
        self._stack = contextlib.ExitStack()
        self._receivers: dict[str, ManagedProcess] = {}
        self._publishers: dict[str, Dialogue] = {}
        self._url = f"ipc://{folder}/"
        rig, options = [measure.ROOT], ("--log-level", "warning", "--ws-ping-interval", "3600", "--loop", loop)
        env = {"CHANNELS_BRIDGE_URL": self._url}
        self._redis = RedisServer()
        self._bridge = ServerProcess(
            "uvicorn", "benchmarks.rig.bridged_app:application", env=env, pythonpath=rig, args=options
        )

    @contextlib.contextmanager
    def up(self, layers: Sequence[str]) -> Generator[None]:
        """Start all that these layers need, end it."""
        with self._stack as stack:
            for broker in (self._redis, self._bridge):
                stack.enter_context(broker)
            for layer in layers:
                pipe = self._folder / f"{layer}.pipe"
                os.mkfifo(pipe)
                receiver = self._worker(pipe) if layer == "worker" else self._members(layer, pipe)
                self._receivers[layer] = receiver
                channel = receiver.wait_for_log(r"channel=(\S+)", START_TIMEOUT)[1]
                self._publishers[layer] = stack.enter_context(self._publisher(layer, pipe, channel, receiver.pid))
            yield

    def _members(self, layer: str, pipe: Path) -> ManagedProcess:
        url = self._url if layer in OURS else self._redis.url
        command = [sys.executable, "-m", "benchmarks.rig.members", layer, url, str(pipe), layer]
        options = ["--members", str(MEMBERS), "--loop", self._loop]
        return self._stack.enter_context(ManagedProcess([*command, *options], pythonpath=[measure.ROOT]))

    def _worker(self, pipe: Path) -> ManagedProcess:
        env = {"BENCH_PIPE": str(pipe), "BENCH_GROUP": "worker", "BENCH_MEMBERS": str(MEMBERS)}
        app, args = "benchmarks.rig.member_consumer:Member", ("--loop", self._loop)
        worker = WorkerProcess(app, self._url, env=env, pythonpath=[measure.ROOT], args=args)
        self._stack.enter_context(worker)
        clients = self._stack.enter_context(Dialogue("benchmarks.rig.sockets"))
        clients.ask(host=HOST, port=self._bridge.port, path="/member", count=MEMBERS)
        clients.ask(host=HOST, port=self._bridge.port, path="/single", count=1)
        return worker

    def _publisher(self, layer: str, pipe: Path, channel: str, receiver: int) -> Dialogue:
        kind, url, broker = (
            ("ours", self._url, self._bridge) if layer in OURS else (layer, self._redis.url, self._redis)
        )
        options = ("--pids", f"{receiver},{broker.pid}", "--loop", self._loop)
        return Dialogue("benchmarks.rig.publisher", kind, url, str(pipe), channel, layer, *options)

    def measure(self, layer: str, case: Case, seconds: float) -> Figures:
        """Run a case on a layer; give its figures, times in microseconds."""
        question = {"target": case.target, "rate": case.rate, "window": case.window, "seconds": seconds}
        try:
            said = self._publishers[layer].ask(**question)
        except ChildFailedError as error:
            raise self._receivers[layer].failure(f"receives {layer}: {error}") from error
        deliveries = said["messages"] * case.deliveries
        sender, receiver, broker = (seconds / deliveries * 1e6 for seconds in said["cpu"])
        latencies = {name: said[name] * 1e6 for name in ("p50", "p99")}
        cpu = {"receiver_cpu": receiver, "sender_cpu": sender, "broker_cpu": broker}
        return {"rate": deliveries / said["seconds"], **latencies, **cpu}


def run(cases: Sequence[Case], layers: Sequence[str], rounds: int, seconds: float, loop: str) -> dict[str, Figures]:
    """Measure all; return the medians of each case."""
    measured: dict[str, list[Figures]] = {case.name: [] for case in cases}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            machine = Machine(Path(folder), loop)
            with machine.up(layers):  # anew in each round: where memory lies and how dicts are seeded has its part
                for case in cases:
                    order = layers[::-1] if number % 2 else layers
                    by_layer = {layer: machine.measure(layer, case, seconds) for layer in order if _has(layer, case)}
                    measured[case.name].append(_flat(by_layer))
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return {name: _medians(figures) for name, figures in measured.items()}


def _has(layer: str, case: Case) -> bool:
    return not (layer == "worker" and case.target == "named")  # there is nothing that listens


def _flat(by_layer: Mapping[str, Figures]) -> Figures:
    """Give <layer>_<figure>, and ratios: <figure>_<peer>_ratio for ours, worker_<figure>_<peer>_ratio."""
    flat = {f"{layer}_{name}": figures[name] for layer, figures in by_layer.items() for name in FIGURES}
    for layer, prefix in (("ours", ""), ("worker", "worker_")):
        for peer in PEERS:
            if layer in by_layer and peer in by_layer:
                ours, theirs = by_layer[layer], by_layer[peer]
                flat |= {f"{prefix}{name}_{peer}_ratio": ours[name] / theirs[name] for name in FIGURES}
    return flat


def _medians(rounds: Sequence[Figures]) -> Figures:
    return {name: measure.median(figures[name] for figures in rounds) for name in rounds[0]}


def report(cases: Mapping[str, Figures], layers: Sequence[str]) -> str:
    """Give the table, and the targets beside what was measured."""
    head = ("case", "layer", "rate/s", "p50 us", "p99 us", "CPU us: receiver", "sender", "broker")
    rows = [
        (name, layer, *(f"{f[f'{layer}_{figure}']:.{0 if figure in FIGURES[:3] else 2}f}" for figure in FIGURES))
        for name, f in cases.items()
        for layer in layers
        if f"{layer}_rate" in f
    ]
    comparable = [t for t in TARGETS if t.figure in cases.get(t.case, {})]
    return f"{measure.table(head, rows)}\n\n{measure.claims(comparable, cases)}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--layer", action="append", choices=[*OURS, *PEERS])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each run")
    parser.add_argument("--loop", default="uvloop", choices=("uvloop", "asyncio"), help="of every process")
    return parser.parse_args()


def main() -> None:
    options = parse()
    cases = [case for case in CASES if options.case is None or case.name in options.case]
    layers = [layer for layer in (*OURS, *PEERS) if options.layer is None or layer in options.layer]
    rounds = options.rounds or (2 if options.quick else 7)
    measured = run(cases, layers, rounds, options.seconds or (0.5 if options.quick else 2.5), options.loop)
    print(report(measured, layers))
    if options.json:
        print(measure.as_json("layer", measure.versions(*PARTS), measured))


if __name__ == "__main__":
    main()
