"""What a broadcast to many idle clients costs: the bridge with reply channels, and the same server without a bridge.

    python benchmarks/fanout.py [--quick] [--json] [--sockets N] [--rounds N] [--broadcasts N] [--publisher WHO]

``bridge`` is uvicorn with the bridge: each client's reply channel is in a group, and one message is sent to the
group, by a SyncChannelLayer of this process (``--publisher layer``) or by a consumer's turn (``consumer``).
``direct`` is the same uvicorn with an application that holds the sockets and awaits send() for one after the other.
The clients are in a process of their own which counts bytes (rig/sockets.py). A broadcast begins when all have had
the one before. CPU is that of the server's process (all threads) per delivery; delay is from before the send until
the last client has it. A ratio is ours over direct within one round; the table gives the medians of the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # for `python benchmarks/fanout.py`, from anywhere

from benchmarks.rig import measure  # noqa: E402
from benchmarks.rig.channel_layers import GROUP  # noqa: E402
from benchmarks.rig.dialogue import Dialogue  # noqa: E402
from benchmarks.rig.load import cpu_seconds  # noqa: E402
from benchmarks.rig.sockets import allow_files, begin, complete, text_frame  # noqa: E402

from channels_bridge import SyncChannelLayer  # noqa: E402
from channels_bridge.testing.processes import HOST, ManagedProcess, ServerProcess, WorkerProcess  # noqa: E402

PARTS = ("uvicorn", "uvloop", "httptools", "websockets", "pyzmq", "msgpack", "channels-bridge")
TEXT = "x" * 64
FRAME = text_frame(TEXT, masked=False)  # as it reaches a client
SETTLE = 0.2  # seconds in which a server may do what it puts off; its CPU counts
WARM_UP = 2  # broadcasts that do not count
PAUSE = 0.05  # seconds between broadcasts: clients and servers share two cores, and end with the one before

TARGETS = (measure.Target("broadcast", "cpu_ratio", 1.3, least=False),)

Figures = dict[str, float]
Publish = Callable[[], None]


class Side:
    """A server with its clients, and a way to publish."""

    def __init__(self, server: ServerProcess, others: Sequence[ManagedProcess], clients: Dialogue, count: int) -> None:
        self.count = count
        self._server = server
        self._others = others  # behind the server: their CPU is told apart
        self._clients = clients
        clients.ask(host=HOST, port=server.port, path="/", count=count)

    @contextlib.contextmanager
    def publisher_socket(self) -> Generator[Publish]:
        """Give what publishes by a client of its own."""
        with complete(begin(HOST, self._server.port, "/publish")) as connection:
            yield lambda: connection.sendall(text_frame(TEXT, masked=True))

    def measure(self, publish: Publish, broadcasts: int) -> Figures:
        """Publish and wait, again and again; microseconds of CPU per delivery, milliseconds of delay."""
        for _ in range(WARM_UP):
            self._broadcast(publish)
        before = self._cpu()
        delays = sorted(self._broadcast(publish) for _ in range(broadcasts))
        time.sleep(SETTLE)
        server, others = ((now - then) / broadcasts / self.count for now, then in zip(self._cpu(), before, strict=True))
        middle, last = delays[len(delays) // 2], delays[-1]
        return {"cpu": server * 1e6, "worker_cpu": others * 1e6, "delay": middle * 1e3, "delay_max": last * 1e3}

    def _cpu(self) -> tuple[float, float]:
        return cpu_seconds(self._server.pid), sum(cpu_seconds(other.pid) for other in self._others)

    def _broadcast(self, publish: Publish) -> float:
        begun = time.monotonic_ns()
        publish()
        ended: int = self._clients.ask(expect=self.count * len(FRAME))["at"]
        time.sleep(PAUSE)
        return (ended - begun) / 1e9


@contextlib.contextmanager
def sides(folder: Path, sockets: int, publisher: str) -> Generator[dict[str, tuple[Side, Publish]]]:
    """Start both sides, end them."""
    url, rig = f"ipc://{folder}/", [measure.ROOT]
    options = ("--log-level", "warning", "--ws-ping-interval", "3600")
    env = {"CHANNELS_BRIDGE_URL": url}
    with contextlib.ExitStack() as stack:
        direct_server = ServerProcess("uvicorn", "benchmarks.rig.holder_app:application", pythonpath=rig, args=options)
        bridge_server = ServerProcess(
            "uvicorn", "benchmarks.rig.bridged_app:application", env=env, pythonpath=rig, args=options
        )
        app, worker_options = "benchmarks.rig.reply_consumer:Listener", ("--loop", "uvloop")
        worker = WorkerProcess(app, url, pythonpath=rig, args=worker_options)
        for process in (direct_server, bridge_server, worker):
            stack.enter_context(process)
        worker.wait_for_log("connected to the bridge", timeout=30.0)
        clients = [stack.enter_context(Dialogue("benchmarks.rig.sockets")) for _ in range(2)]
        direct = Side(direct_server, (), clients[0], sockets)
        bridge = Side(bridge_server, (worker,), clients[1], sockets)
        by_socket = stack.enter_context(direct.publisher_socket())
        publish = stack.enter_context(by_layer(url) if publisher == "layer" else bridge.publisher_socket())
        yield {"direct": (direct, by_socket), "bridge": (bridge, publish)}


@contextlib.contextmanager
def by_layer(url: str) -> Generator[Publish]:
    """Give what publishes by a channel layer of this process."""
    layer = SyncChannelLayer(url)
    yield lambda: layer.send_group(GROUP, {"type": "websocket.send", "text": TEXT})
    layer.close()


def run(sockets: int, rounds: int, broadcasts: int, publisher: str) -> Figures:
    """Measure both; return the medians."""
    measured: list[Figures] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder, sides(Path(folder), sockets, publisher) as both:
            order = ("bridge", "direct") if number % 2 else ("direct", "bridge")
            figures = {name: both[name][0].measure(both[name][1], broadcasts) for name in order}
            direct, ours = figures["direct"], figures["bridge"]
            measured.append(
                {f"{side}_{name}": value for side, of in figures.items() for name, value in of.items()}
                | {f"{name}_ratio": ours[name] / direct[name] for name in ("cpu", "delay", "delay_max")}
                | {"total_cpu_ratio": (ours["cpu"] + ours["worker_cpu"]) / direct["cpu"], "sockets": sockets}
            )
        print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return {name: measure.median(figures[name] for figures in measured) for name in measured[0]}


def report(figures: Figures) -> str:
    """Give the table, and the target beside what was measured."""
    head = ("to each socket", "CPU us", "worker", "last has it after ms", "longest ms")
    names = ("cpu", "worker_cpu", "delay", "delay_max")
    rows = [(side, *(f"{figures[f'{side}_{name}']:.2f}" for name in names)) for side in ("direct", "bridge")]
    rows.append(("ratio", f"{figures['cpu_ratio']:.2f}", "", f"{figures['delay_ratio']:.2f}", ""))
    return f"{measure.table(head, rows)}\n\n{measure.claims(TARGETS, {'broadcast': figures})}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less than a minute: 2000 sockets")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--sockets", type=int, help="on each side (10000)")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--broadcasts", type=int, help="in each round (20)")
    parser.add_argument("--publisher", choices=("layer", "consumer"), default="layer")
    return parser.parse_args()


def main() -> None:
    options = parse()
    sockets = options.sockets or (2000 if options.quick else 10_000)
    allow_files(sockets)  # the servers inherit it
    rounds, broadcasts = options.rounds or (3 if options.quick else 5), options.broadcasts or 20
    figures = run(sockets, rounds, broadcasts, options.publisher)
    print(report(figures))
    if options.json:
        print(measure.as_json("fanout", measure.versions(*PARTS), {"broadcast": figures}))


if __name__ == "__main__":
    main()
