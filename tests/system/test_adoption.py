"""Nobody notices the end of a worker whose consumers are resumable: real servers, processes, signals and clients.

Each client numbers its messages; the consumer counts them and answers with number and count. So a message that is
lost, handled twice with effect, or out of order shows at once, and a socket that is closed as well.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import connect

from channels_bridge.testing.processes import ServerProcess, WorkerProcess
from halves import directory
from talking import PATIENCE, Talk

pytestmark = pytest.mark.system

CLIENTS = 8
QUICK = {"beat": 0.2, "suspect": 0.5, "lease": 0.8, "verdict": 1.2}  # seconds; for workers that freeze

BRIDGE = """
import json, os
from channels_bridge import Bridge, Config

application = Bridge(config=Config(**json.loads(os.environ["BRIDGE_CONFIG"])))
"""

APP = """
import os
from channels_bridge import AsyncConsumer, SyncConsumer

class Counter(AsyncConsumer):
    resumable = True

    async def websocket_connect(self, message):
        self.count = 0
        await self.channel_layer.group_add("all", self.consumer_channel)

    async def websocket_receive(self, message):
        self.count += 1
        await self.send({"type": "websocket.send", "text": f"{message['text']} {self.count} {os.getpid()}"})

    async def websocket_disconnect(self, message):
        await self.channel_layer.group_discard("all", self.consumer_channel)

class Slow(SyncConsumer):
    resumable = True

    def websocket_connect(self, message):
        self.count = 0

    def websocket_receive(self, message):
        import time
        time.sleep(0.02)
        self.count += 1
        self.send({"type": "websocket.send", "text": f"{message['text']} {self.count} {os.getpid()}"})
"""


class Site:
    """A server with its bridge, and workers that tests may kill. ``config``: of the bridge."""

    def __init__(self, folder: Path, stack: ExitStack, server: str, app: str, config: dict[str, float]) -> None:
        (folder / "adoption_bridge.py").write_text(BRIDGE)
        (folder / "adoption_app.py").write_text(APP)
        self._stack, self._app, self._folder = stack, app, folder
        self._url = stack.enter_context(directory())
        env = {"CHANNELS_BRIDGE_URL": self._url, "BRIDGE_CONFIG": json.dumps(config)}
        bridge = "adoption_bridge:application"
        self.server = stack.enter_context(ServerProcess(server, bridge, env=env, pythonpath=[folder]))
        self.workers = [self._start(), self._start()]

    def worker(self) -> WorkerProcess:
        """Start one more, and return when it is linked with the bridge."""
        worker = self._start()
        worker.wait_for_log("connected to the bridge")
        return worker

    def _start(self) -> WorkerProcess:
        """Start one. daphne has no lifespan: there the bridge begins with the first connection."""
        worker = WorkerProcess(f"adoption_app:{self._app}", self._url, pythonpath=[self._folder])
        self._stack.enter_context(worker)
        return worker

    def talk(self, count: int = CLIENTS) -> Talk:
        """Open so many sockets that exchange messages all the time."""
        return Talk([self._stack.enter_context(connect(self.server.ws_url)) for _ in range(count)])


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn-asyncio", "daphne"])
def test_workers_are_killed_one_after_the_other(server: str, tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, server, "Counter", {})
    talk = site.talk()
    for number in range(6):
        talk.go_on(50)
        site.workers[number % 2].kill()
        talk.go_on(50)
        site.workers[number % 2] = site.worker()
    talk.end()
    assert len(talk.pids) > 2


@pytest.mark.parametrize("app", ["Counter", "Slow"])
def test_workers_are_rolled(app: str, tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, "uvicorn", app, {})
    talk = site.talk()
    for number in range(4):
        talk.go_on(30)
        new = site.worker()
        old, site.workers[number % 2] = site.workers[number % 2], new
        old.sigterm()
        assert old.wait() == 0
    talk.go_on(30)
    talk.end()


def test_all_workers_are_killed_at_once(tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, "uvicorn", "Slow", {})
    talk = site.talk()
    talk.go_on(30)
    for worker in site.workers:
        worker.kill()
    time.sleep(0.5)
    site.workers = [site.worker(), site.worker()]
    talk.go_on(30)
    talk.end()


def test_a_frozen_worker_comes_back_too_late(tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, "uvicorn", "Counter", QUICK)
    talk = site.talk()
    talk.go_on(50)
    frozen = site.workers[0]
    frozen.signal(signal.SIGSTOP)
    try:
        time.sleep(QUICK["verdict"] + 1.0)
        talk.go_on(100)
    finally:
        frozen.signal(signal.SIGCONT)
    time.sleep(0.5)
    talk.go_on(100)
    talk.end()


def test_a_thousand_idle_sockets_move(tmp_path: Path, stack: ExitStack) -> None:
    """They are told nothing, and each goes on where it was."""
    site = Site(tmp_path, stack, "uvicorn", "Counter", {})
    sockets = [stack.enter_context(connect(site.server.ws_url, ping_interval=None)) for _ in range(200)]
    for socket in sockets:
        socket.send("1")
        assert str(socket.recv(timeout=PATIENCE)).startswith("1 1 ")
    site.workers[0].kill()
    for socket in sockets:
        socket.send("2")
    for socket in sockets:
        assert str(socket.recv(timeout=PATIENCE)).startswith("2 2 ")
