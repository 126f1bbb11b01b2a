"""How long it takes until thousands of idle sockets are with another worker, and what their clients notice: nothing.

    python benchmarks/adoption.py [--quick] [--json] [--sockets N] [--rounds N] [--server KIND]

One bridge in one server process, two workers, so many sockets of a resumable consumer, half of them with each. Then one
worker ends, and at the same moment a group that all are in is told something: each client is to get the next number of
its own consumer's count, once. Cases:

peace     neither ends: what the broadcast alone takes
killed    by SIGKILL
drained   by SIGTERM

``all_s``: seconds from the end of the worker until the last of all clients has its answer. A client that is closed,
gets nothing, or a wrong number, ends the run with an error. Each case has workers and sockets of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # for `python benchmarks/adoption.py`, from anywhere

from benchmarks.rig import measure  # noqa: E402
from benchmarks.rig.channel_layers import GROUP  # noqa: E402
from benchmarks.rig.dialogue import Dialogue  # noqa: E402
from benchmarks.rig.resting_consumer import said  # noqa: E402
from benchmarks.rig.sockets import allow_files, begin, text_frame  # noqa: E402

from channels_bridge import SyncChannelLayer  # noqa: E402
from channels_bridge.testing.processes import HOST, SERVERS, ServerProcess, WorkerProcess  # noqa: E402

PARTS = ("uvicorn", "uvloop", "websockets", "pyzmq", "msgpack", "channels-bridge")
CASES = ("peace", "killed", "drained")
TARGETS = (measure.Target("killed", "all_s", 5.0, least=False), measure.Target("drained", "all_s", 5.0, least=False))
TIMEOUT = 60.0  # seconds for a worker to be there

Figures = dict[str, float]


def start_workers(url: str) -> list[WorkerProcess]:
    """Start two, and wait until both serve."""
    workers = [
        WorkerProcess("benchmarks.rig.resting_consumer:Resting", url, pythonpath=[measure.ROOT]) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.wait_for_log("connected to the bridge", TIMEOUT)
    return workers


def measure_case(case: str, server: ServerProcess, url: str, sockets: int) -> Figures:
    """Open the sockets, end one worker, see that all clients are served."""
    workers = start_workers(url)
    layer = SyncChannelLayer(url)
    try:
        with Dialogue("benchmarks.rig.sockets") as clients:
            clients.ask(host=HOST, port=server.port, path="/", count=sockets)
            told = [tell_all(layer, clients, sockets, count=1)]  # all are there, and in the group
            begun = time.monotonic()
            if case == "killed":
                workers[0].kill()
            elif case == "drained":
                workers[0].sigterm()
            told.append(tell_all(layer, clients, sockets, count=2))
            ended = time.monotonic()
            tell_all(layer, clients, sockets, count=3)  # and they stay where they are
        return {"all_s": ended - begun, "before_s": told[0], "sockets": sockets}
    finally:
        layer.close()
        for worker in workers:
            worker.stop()


def tell_all(layer: SyncChannelLayer, clients: Dialogue, sockets: int, count: int) -> float:
    """Tell the group, and wait until each client has the number that follows; seconds."""
    text = said(count)
    begun = time.monotonic()
    layer.send_group(GROUP, {"type": "tick"})
    clients.ask(expect=sockets * len(text_frame(text, masked=False)), each=text)
    return time.monotonic() - begun


def run(cases: Sequence[str], kind: str, sockets: int, rounds: int) -> dict[str, Figures]:
    """Measure each case so often; give the medians."""
    measured: dict[str, list[Figures]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        url = f"ipc://{folder}/"
        env = {"CHANNELS_BRIDGE_URL": url}
        quiet = ("--log-level", "warning", "--ws-ping-interval", "3600") if kind == "uvicorn" else ()
        with ServerProcess(
            kind, "benchmarks.rig.bridged_app:application", env=env, pythonpath=[measure.ROOT], args=quiet
        ) as server:
            begin(HOST, server.port, "/").close()  # where a server has no lifespan, the bridge begins now
            for number in range(rounds):
                for case in cases:
                    measured[case].append(measure_case(case, server, url, sockets))
                print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return {case: {name: measure.median(f[name] for f in all_) for name in all_[0]} for case, all_ in measured.items()}


def report(figures: dict[str, Figures]) -> str:
    """Give the table, and the claims beside what was measured."""
    rows = [
        (case, f"{of['sockets']:.0f}", f"{of['before_s']:.2f}", f"{of['all_s']:.2f}") for case, of in figures.items()
    ]
    table = measure.table(("a worker is", "sockets", "all told before s", "all told after s"), rows)
    return f"{table}\n\n{measure.claims(TARGETS, figures)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less than a minute: 2000 sockets, once")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--sockets", type=int, help="in all (10000)")
    parser.add_argument("--rounds", type=int, help="3")
    parser.add_argument("--server", choices=sorted(SERVERS), default="uvicorn")
    options = parser.parse_args()
    sockets = options.sockets or (2000 if options.quick else 10_000)
    allow_files(sockets)  # the server inherits it
    figures = run(CASES, options.server, sockets, options.rounds or (1 if options.quick else 3))
    print(report(figures))
    if options.json:
        print(measure.as_json("adoption", measure.versions(*PARTS), figures))


if __name__ == "__main__":
    main()
