"""One slow party costs neither memory nor its neighbours' time.

A gigabyte goes up to an application that reads slowly, a gigabyte comes down to a client that reads slowly, 200
sockets flood a consumer that takes half a second for each message. In each case the resident memory of the bridge
process and of the worker process, looked at ten times a second, may grow by less than 64 MiB over what it was when
idle; and the echo of another connection, hosted by the same worker, may not take twice as long as when idle.

About that latency: the slow party is slow for ``SLOW_PHASE`` seconds. This is when queues are full, and when the
latency is judged, by its median over the phase; the p90 is printed beside it. Then it goes on as fast as it can, so
that the test ends: then client, bridge and worker compete for the processors, which on 2 of them costs everyone
time, with a bridge and without. Memory is judged over all of it. Medians of a fraction of a millisecond wander on
a machine with other work. Hence "idle" is measured before and after, and the slower of the two counts; and hence
``FLOOR``: a median below it is well whatever the idle one was.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from channels_bridge.testing.processes import ManagedProcess, ServerProcess, WorkerProcess
from system.hosted_apps import BLOCK, BLOCKS, SLOW_PHASE

pytestmark = pytest.mark.system

HERE = Path(__file__).resolve().parent
LOAD = HERE.parent.parent / "benchmarks" / "rig" / "load.py"
HOSTED = ("hosted_apps:application", "hosted_apps:consumers")
# Slots enough for a turn of every socket: what is tried here is memory, not the waiting for a slot.
WORKER = ("--loop", "uvloop", "--max-inflight", "1000", "--drain-timeout", "0")
MIB = 1024 * 1024
GROWTH = 64 * MIB
FLOODERS = 200
FLOOD = 12.0  # seconds; it takes the server's own buffers some seconds to fill
IDLE = 3.0  # seconds over which the idle latency is taken
RATE = 50  # echoes a second: one every 20 ms
SETTLE = 1.0  # seconds after which all buffers are full
SLOWER = 2.0
FLOOR = 0.0015  # seconds
SAMPLE = 0.1  # seconds between two looks at the memory


class Memory:
    """Watches the resident memory of processes; ``growth``: name -> the most bytes beyond the first look."""

    def __init__(self, **processes: ManagedProcess) -> None:
        self._processes = {name: psutil.Process(process.pid) for name, process in processes.items()}
        self._first = self._look()
        self.growth = dict.fromkeys(processes, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> dict[str, int]:
        return {name: int(process.memory_info().rss) for name, process in self._processes.items()}

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE):
            for name, rss in self._look().items():
                self.growth[name] = max(self.growth[name], rss - self._first[name])


@dataclass
class Site:
    """A bridge and a worker, with what was measured while they were idle."""

    server: ServerProcess
    worker: WorkerProcess
    idle: dict[str, float] = field(default_factory=dict[str, float])

    def start_probe(self, seconds: float, warm_up: float = 0.5) -> subprocess.Popen[str]:
        """Begin to measure the echo; see :func:`finish`."""
        options = [f"--rate={RATE}", f"--seconds={seconds}", f"--warm-up={warm_up}"]
        command = [sys.executable, str(LOAD), f"{self.server.ws_url}/echo/", *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def measure(self) -> dict[str, float]:
        """Measure the echo now."""
        with self.start_probe(IDLE) as probe:
            return finish(probe)

    @contextmanager
    def judged(self, case: str) -> Generator[None]:
        """Judge memory over the block, latency over the slow phase with which it begins."""
        with (
            Memory(bridge=self.server, worker=self.worker) as memory,
            self.start_probe(SLOW_PHASE - SETTLE, SETTLE) as probe,
        ):
            yield
            busy = finish(probe)
        idle = max(self.idle, self.measure(), key=lambda figures: figures["p50"])
        growth = {name: f"{size / MIB:.1f} MiB" for name, size in memory.growth.items()}
        phases = (("idle", idle), ("busy", busy))
        times = {f"{q} {phase}": f"{f[q] * 1e3:.2f} ms" for q in ("p50", "p90") for phase, f in phases}
        sys.stdout.write(f"{case}: growth {growth}, {times}\n")
        assert max(memory.growth.values()) < GROWTH, growth
        assert busy["p50"] < max(SLOWER * idle["p50"], FLOOR), times


def finish(probe: subprocess.Popen[str]) -> dict[str, float]:
    out, _ = probe.communicate(timeout=60.0)
    assert probe.returncode == 0
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    return figures


@contextmanager
def site(app: str, folder: Path) -> Generator[Site]:
    url = f"ipc://{folder / 'bridges'}/"
    server = ServerProcess("uvicorn", "bridge_app:application", env={"CHANNELS_BRIDGE_URL": url}, pythonpath=[HERE])
    worker = WorkerProcess(app, url, pythonpath=[HERE], args=WORKER)
    with server, worker:
        worker.wait_for_log("connected to the bridge")
        made = Site(server, worker)
        made.idle = made.measure()
        yield made


@pytest.mark.parametrize("app", HOSTED)
def test_an_upload_to_a_slow_reader(app: str, tmp_path: Path) -> None:
    with site(app, tmp_path) as here, here.judged("upload"):
        connection = http.client.HTTPConnection("127.0.0.1", here.server.port, timeout=60)
        headers = {"content-length": str(len(BLOCK) * BLOCKS)}
        connection.request("POST", "/upload/", body=(BLOCK for _ in range(BLOCKS)), headers=headers)
        answer = connection.getresponse().read()
        connection.close()
        assert answer == b"%d %d" % (len(BLOCK) * BLOCKS, crc_of_all())


@pytest.mark.parametrize("app", HOSTED)
def test_a_download_to_a_slow_reader(app: str, tmp_path: Path) -> None:
    with site(app, tmp_path) as here, here.judged("download"):
        with socket.create_connection(("127.0.0.1", here.server.port), timeout=60) as client:
            client.sendall(b"GET /download/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            crc, length = read_slowly_at_first(client.recv)
        assert (length, crc) == (len(BLOCK) * BLOCKS, crc_of_all())


def read_slowly_at_first(read: Callable[[int], bytes]) -> tuple[int, int]:
    """Read a response to its end; return CRC-32 and length of its body."""
    fast = time.monotonic() + SLOW_PHASE
    head = b""
    while b"\r\n\r\n" not in head:
        head += read(65536)
    body = head.partition(b"\r\n\r\n")[2]
    crc, length = zlib.crc32(body), len(body)
    while data := read(65536):
        crc, length = zlib.crc32(data, crc), length + len(data)
        if time.monotonic() < fast:
            time.sleep(0.02)
    return crc, length


def crc_of_all() -> int:
    crc = 0
    for _ in range(BLOCKS):
        crc = zlib.crc32(BLOCK, crc)
    return crc


@pytest.mark.parametrize("app", HOSTED)
def test_a_flood_to_a_slow_consumer(app: str, tmp_path: Path) -> None:
    with site(app, tmp_path) as here, here.judged("flood"):
        url = f"{here.server.ws_url}/slow/"
        command = [sys.executable, str(HERE / "flood.py"), url, str(FLOODERS), str(FLOOD)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > FLOODERS * 16 * 1024, "nothing to speak of was sent"
