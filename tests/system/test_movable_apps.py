"""Nobody notices the end of a worker whose ASGI applications save: real servers, processes, signals and clients.

Each client numbers its messages; the application counts them and answers with number and count. So a message that is
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
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from channels_bridge.testing.processes import ServerProcess, WorkerProcess
from halves import directory
from talking import PATIENCE, Talk

pytestmark = pytest.mark.system

CLIENTS = 6
AHEAD = 4  # messages that a client sends before it reads an answer: some wait in the worker that is killed
QUICK = {"beat": 0.2, "suspect": 0.5, "lease": 0.8, "verdict": 1.2}  # seconds; for workers that freeze

BRIDGE = """
import json, os
from channels_bridge import Bridge, Config

application = Bridge(config=Config(**json.loads(os.environ["BRIDGE_CONFIG"])))
"""

APPS = """
import asyncio, os
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

PID = os.getpid()

async def raw(scope, receive, send):
    if scope["type"] != "websocket":
        return
    offer = scope["extensions"]["bridge.resume"]
    count = (offer["state"] or {"count": 0})["count"]
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    await send({"type": "bridge.resume.save", "state": {"count": count}})
    while (event := await receive())["type"] == "websocket.receive":
        count += 1
        await send({"type": "websocket.send", "text": f"{event['text']} {count} {PID}"})
        await asyncio.sleep(0.005)
        await send({"type": "bridge.resume.save", "state": {"count": count}})

fast = FastAPI()

@fast.websocket("/")
async def socket(websocket: WebSocket) -> None:
    offer = websocket.scope["extensions"]["bridge.resume"]
    count = offer["state"] or 0
    await websocket.accept()
    await offer["save"](count)
    async for text in websocket.iter_text():
        count += 1
        await websocket.send_text(f"{text} {count} {PID}")
        await asyncio.sleep(0.005)
        await offer["save"](count)

async def plain(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    count = 0
    while (event := await receive())["type"] == "websocket.receive":
        count += 1
        await send({"type": "websocket.send", "text": f"{event['text']} {count} {PID}"})
"""


class Site:
    """A server with its bridge, and workers that tests may kill. ``config``: of the bridge."""

    def __init__(self, folder: Path, stack: ExitStack, server: str, app: str, config: dict[str, float]) -> None:
        (folder / "movable_bridge.py").write_text(BRIDGE)
        (folder / "movable_apps.py").write_text(APPS)
        self._stack, self._app, self._folder = stack, app, folder
        self._url = stack.enter_context(directory())
        env = {"CHANNELS_BRIDGE_URL": self._url, "BRIDGE_CONFIG": json.dumps(config)}
        self.server = stack.enter_context(
            ServerProcess(server, "movable_bridge:application", env=env, pythonpath=[folder])
        )
        self.workers = [self._start(), self._start()]

    def worker(self) -> WorkerProcess:
        """Start one more, and return when it is linked with the bridge."""
        worker = self._start()
        worker.wait_for_log("connected to the bridge")
        return worker

    def _start(self) -> WorkerProcess:
        """Start one. daphne has no lifespan: there the bridge begins with the first connection."""
        worker = WorkerProcess(f"movable_apps:{self._app}", self._url, pythonpath=[self._folder])
        return self._stack.enter_context(worker)

    def talk(self) -> Talk:
        """Open sockets that exchange messages all the time."""
        return Talk([self._stack.enter_context(connect(self.server.ws_url)) for _ in range(CLIENTS)], ahead=AHEAD)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("app", ["raw", "fast"])
@pytest.mark.parametrize("server", ["uvicorn", "hypercorn-asyncio", "daphne"])
def test_workers_are_killed_one_after_the_other(server: str, app: str, tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, server, app, {})
    talk = site.talk()
    for number in range(4):
        talk.go_on(50)
        site.workers[number % 2].kill()
        talk.go_on(50)
        site.workers[number % 2] = site.worker()
    talk.end()
    assert len(talk.pids) > 2


@pytest.mark.parametrize("app", ["raw", "fast"])
def test_workers_are_rolled(app: str, tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, "uvicorn", app, {})
    talk = site.talk()
    for number in range(4):
        talk.go_on(50)
        new = site.worker()
        old, site.workers[number % 2] = site.workers[number % 2], new
        old.sigterm()
        assert old.wait() == 0
        assert "Exception" not in old.log
        assert "Traceback" not in old.log
    talk.go_on(50)
    talk.end()


@pytest.mark.parametrize("app", ["raw", "fast"])
def test_a_frozen_worker_comes_back_too_late(app: str, tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, "uvicorn", app, QUICK)
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
    assert "Exception" not in frozen.log


@pytest.mark.parametrize("app", ["raw", "fast"])
def test_sockets_that_say_nothing_move(app: str, tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, "uvicorn", app, {})
    sockets = [stack.enter_context(connect(site.server.ws_url)) for _ in range(30)]
    for number, worker in enumerate([*site.workers, None], 1):
        for socket in sockets:
            socket.send(str(number))
        for socket in sockets:
            assert str(socket.recv(timeout=PATIENCE)).startswith(f"{number} {number} ")
        if worker is not None:
            site.worker()
            worker.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, 1011), (signal.SIGTERM, 1012)])
def test_an_application_that_does_not_save_ends_as_ever(
    number: int, code: int, tmp_path: Path, stack: ExitStack
) -> None:
    site = Site(tmp_path, stack, "uvicorn", "plain", {})
    socket = stack.enter_context(connect(site.server.ws_url))
    socket.send("1")
    pid = str(socket.recv(timeout=PATIENCE)).split()[2]
    [worker] = [worker for worker in site.workers if str(worker.pid) == pid]
    worker.signal(number)
    if number == signal.SIGTERM:
        worker.wait_for_log("stopping: 1 connections")
        worker.signal(number)  # it waits no longer for a socket that nobody closes
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code
