"""The sending process: sends at a pace, or as soon as all have the message before.

    python -m benchmarks.rig.publisher ours ipc:///run/bench/ /tmp/pipe CHANNEL GROUP --pids RECEIVER,BROKER

Asked by lines of JSON (dialogue.py): ``target`` (channel, named, group), ``rate`` (messages a second; 0: without
pauses), ``window`` (messages under way) and ``seconds``. Answers with what was measured, CPU being that of this
process and of ``--pids``, in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from .channel_layers import ARRIVAL, LAYERS, NAMED, TEXT, run
from .load import cpu_seconds

PATIENCE = 10.0  # seconds after which a message counts as lost
WARM_UP = 0.2  # of a run's seconds; before them, and not counted

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Arrivals:
    """What the receiving process tells: how many have arrived, and how long it took."""

    def __init__(self, pipe: str) -> None:
        self.count = 0
        self.ended = False  # the receiving process has
        self.latencies: list[float] = []  # seconds
        self._pipe = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pipe, self._read)

    def _read(self) -> None:
        said = os.read(self._pipe, 1024 * ARRIVAL.size)
        if not said:
            asyncio.get_running_loop().remove_reader(self._pipe)
            self.ended = True
        for _, latency in ARRIVAL.iter_unpack(said):
            self.count += 1
            self.latencies.append(latency / 1e9)
        self._more.set()

    async def until(self, count: int) -> None:
        """Wait until so many have arrived; raise if that takes too long, or cannot be any more."""
        while self.count < count:
            if self.ended:
                raise ConnectionError("the receiving process has ended")
            self._more.clear()
            async with asyncio.timeout(PATIENCE):
                await self._more.wait()


class Publisher:
    """Sends, and knows how many are under way."""

    def __init__(self, sends: dict[str, Send], pids: list[int], arrivals: Arrivals) -> None:
        self._sends = sends
        self._pids = [os.getpid(), *pids]
        self._arrivals = arrivals
        self._sent = 0

    async def measure(self, target: str, rate: float, window: int, seconds: float) -> dict[str, Any]:
        """Run once; give messages, seconds, latencies and CPU seconds."""
        await self._run(target, rate, window, WARM_UP * seconds)
        self._arrivals.latencies.clear()
        before, begun = self._cpu(), time.perf_counter()
        await self._run(target, rate, window, seconds)
        took = time.perf_counter() - begun
        cpu = [after - since for after, since in zip(self._cpu(), before, strict=True)]
        latencies = sorted(self._arrivals.latencies)
        count = len(latencies)
        p50, p99 = (latencies[min(count - 1, int(q * count))] for q in (0.5, 0.99))
        return {"messages": count, "seconds": took, "p50": p50, "p99": p99, "cpu": cpu}

    def _cpu(self) -> list[float]:
        return [cpu_seconds(pid) for pid in self._pids]

    async def _run(self, target: str, rate: float, window: int, seconds: float) -> None:
        send, pause = self._sends[target], 1 / rate if rate else 0.0
        due = time.perf_counter()
        end = due + seconds
        while time.perf_counter() < end:
            if pause:
                due = max(due + pause, time.perf_counter())  # what is late by more than a pause is not made up for
                await asyncio.sleep(due - time.perf_counter())
            await self._arrivals.until(self._sent - window + 1)
            self._sent += 1
            await send({"type": "bench.message", "text": TEXT, "number": self._sent, "at": time.monotonic_ns()})
        await self._arrivals.until(self._sent)


async def main(options: argparse.Namespace) -> None:
    layer = LAYERS[options.layer](options.url)
    sends: dict[str, Send] = {
        "channel": lambda message: layer.send(options.channel, message),
        "named": lambda message: layer.send(NAMED, message),
        "group": lambda message: layer.group_send(options.group, message),
    }
    publisher = Publisher(sends, options.pids, Arrivals(options.pipe))
    questions = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    while line := await questions.readline():
        print(json.dumps(await publisher.measure(**json.loads(line))), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("layer", choices=LAYERS)
    parser.add_argument("url")
    parser.add_argument("pipe")
    parser.add_argument("channel", help="of the receiving process")
    parser.add_argument("group")
    parser.add_argument("--pids", type=lambda s: [int(pid) for pid in s.split(",")], default=[])
    parser.add_argument("--loop", default="uvloop")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = parse()
    run(main(chosen), chosen.loop)
