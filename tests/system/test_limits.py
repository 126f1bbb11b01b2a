"""Handlers that take too long, with real processes: what their clients get, and that everybody else goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from channels_bridge import SyncChannelLayer
from channels_bridge.testing.processes import ServerProcess, WorkerProcess
from halves import directory

pytestmark = pytest.mark.system

PATIENCE = 20.0  # seconds for an answer on a busy machine

BRIDGE = """
from channels_bridge import Bridge
application = Bridge()
"""

APP = """
import os, time
import anyio
from channels_bridge import AsyncConsumer, Router, SoftTimeLimitExceeded, SyncConsumer

class Async(AsyncConsumer):
    async def websocket_connect(self, message):
        self.told = 0

    async def websocket_receive(self, message):
        said = message["text"]
        if said == "wait":
            try:
                await anyio.sleep(3600)
            finally:
                print("tidied up", flush=True)
        if said == "deaf":
            with anyio.CancelScope(shield=True):
                await anyio.sleep(3600)
        if said == "burn":
            while True:
                pass
        if said == "burn once" and first():
            while True:
                pass
        await self.send({"type": "websocket.send", "text": f"{said} {os.getpid()}"})

    async def http_request(self, message):
        await anyio.sleep(3600)

class Resumable(Async):
    resumable = True

class Patient(Async):
    soft_time_limit = time_limit = 0

class Short(Async):
    time_limit = 0.3

class Sync(SyncConsumer):
    def websocket_receive(self, message):
        said = message["text"]
        if said == "spin":
            spin()
        if said == "catch":
            try:
                spin()
            except SoftTimeLimitExceeded:
                said = "caught"
        if said == "sleep":
            time.sleep(3600)
        self.send({"type": "websocket.send", "text": f"{said} {os.getpid()}"})

def spin():
    while True:
        time.sleep(0.001)

def first():
    try:
        os.close(os.open(os.path.join(os.path.dirname(__file__), "burnt"), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

app = Router({"/async": Async, "/resumable": Resumable, "/patient": Patient, "/short": Short, "/sync": Sync})

def task(message):
    print(f"task {message['what']} in {os.getpid()}", flush=True)
    if message["what"] == "spin":
        spin()
"""


class Site:
    """A server with its bridge, and workers with limits."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (folder / "limits_bridge.py").write_text(BRIDGE)
        (folder / "limits_app.py").write_text(APP)
        self._folder, self._stack = folder, stack
        self.url = stack.enter_context(directory())
        env = {"CHANNELS_BRIDGE_URL": self.url}
        bridge = "limits_bridge:application"
        self.server = stack.enter_context(ServerProcess("uvicorn", bridge, env=env, pythonpath=[folder]))

    def worker(self, *args: str, app: str = "app") -> WorkerProcess:
        worker = WorkerProcess(f"limits_app:{app}", self.url, pythonpath=[self._folder], args=args)
        self._stack.enter_context(worker)
        worker.wait_for_log("connected to the bridge")
        return worker

    def connect(self, path: str) -> ClientConnection:
        return self._stack.enter_context(connect(self.server.ws_url + path))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


def ask(socket: ClientConnection, said: str) -> tuple[str, int]:
    """Say something; give what is answered, and the process that did."""
    socket.send(said)
    answer, _, pid = str(socket.recv(timeout=PATIENCE)).rpartition(" ")
    return answer, int(pid)


def closed(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=PATIENCE)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


# -- soft ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize(("path", "said"), [("/async", "wait"), ("/resumable", "wait"), ("/sync", "spin")])
def test_a_handler_that_takes_too_long_is_told_and_its_client_hears_timeout(
    site: Site, loop: str, path: str, said: str
) -> None:
    worker = site.worker("--soft-time-limit", "0.3", "--loop", loop)
    slow, other = site.connect(path), site.connect(path)
    began = time.monotonic()
    slow.send(said)
    assert ask(other, "hello") == ("hello", worker.pid)
    assert closed(slow) == (1011, "timeout")
    assert time.monotonic() - began >= 0.3
    assert ask(other, "hello") == ("hello", worker.pid)
    assert "its soft time limit: telling it to end" in worker.log
    assert "websocket.receive of " in worker.log
    if said == "wait":
        worker.wait_for_log("tidied up")


def test_a_sync_handler_that_catches_it_has_ended_in_order(site: Site) -> None:
    worker = site.worker("--soft-time-limit", "0.2", "--threads", "1")
    socket = site.connect("/sync")
    for _ in range(3):
        assert ask(socket, "catch") == ("caught", worker.pid)
        assert ask(socket, "hello") == ("hello", worker.pid)


def test_a_request_that_takes_too_long_is_answered_with_504(site: Site) -> None:
    site.worker("--soft-time-limit", "0.2")
    answer = httpx.get(f"{site.server.url}/async", timeout=PATIENCE)
    assert (answer.status_code, answer.text) == (504, "It took too long.\n")


def test_a_consumer_may_say_that_it_has_no_limits(site: Site) -> None:
    worker = site.worker("--soft-time-limit", "0.2", "--time-limit", "0.4", "--supervise")
    patient, bound = site.connect("/patient"), site.connect("/async")
    patient.send("wait")
    bound.send("wait")
    assert closed(bound) == (1011, "timeout")
    with pytest.raises(TimeoutError):
        patient.recv(timeout=1.0)
    assert worker.log.count("its soft time limit") == 1


# -- hard ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "said"), [("/async", "deaf"), ("/sync", "sleep")])
def test_a_handler_that_cannot_be_ended_has_its_process_replaced(
    site: Site, path: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client hears of it at once, its slot is free, and resumable connections beside it notice nothing.

    Not measured by coverage: while an exception waits for a thread that is in C, CPython 3.11 does nothing else in
    threads that are traced.
    """
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    worker = site.worker("--time-limit", "0.3", "--threads", "1", "--drain-timeout", "5")
    stuck, beside = site.connect(path), site.connect("/resumable")
    _, old = ask(beside, "hello")
    stuck.send(said)
    assert closed(stuck) == (1011, "timeout")
    fresh = site.connect(path)
    assert ask(fresh, "hello")[0] == "hello"
    deadline = time.monotonic() + PATIENCE
    while (new := ask(beside, "hello")[1]) == old:
        assert time.monotonic() < deadline, "it was not replaced"
    assert new != old
    worker.wait_for_log(f"{old} exited with 75", PATIENCE)
    assert "does not end" in worker.log


def test_without_a_supervisor_the_process_ends_for_others_to_restart(site: Site) -> None:
    worker = site.worker()
    assert worker.tree() == [worker.pid]
    short, beside = site.connect("/short"), site.connect("/async")
    ask(beside, "hello")
    short.send("deaf")
    assert closed(short) == (1011, "timeout")
    worker.wait_for_log("this process ends, to be started anew: websocket.receive of Short")
    assert ask(beside, "still here") == ("still here", worker.pid)
    beside.close()
    assert worker.wait() == 75
    assert "1 handlers are stuck" in worker.log


# -- the loop itself -------------------------------------------------------------------------------------------


def test_a_handler_that_holds_up_the_loop_ends_its_process(site: Site) -> None:
    worker = site.worker("--time-limit", "0.5")
    burning = site.connect("/async")
    _, old = ask(burning, "hello")
    burning.send("burn")
    assert closed(burning) == (1011, "worker-lost")
    worker.wait_for_log(f"worker process {old} exited with 70")
    assert "the event loop stands still for" in worker.log
    assert "websocket.receive of Async (connection 1): this process ends" in worker.log
    assert 'limits_app.py", line' in worker.log  # where, by faulthandler
    assert ask(site.connect("/async"), "hello")[1] != old


def test_of_a_resumable_consumer_the_message_is_tried_once_more(site: Site) -> None:
    site.worker("--time-limit", "0.5")
    socket = site.connect("/resumable")
    _, old = ask(socket, "hello")
    answer, new = ask(socket, "burn once")
    assert answer == "burn once"
    assert new != old


def test_a_message_that_burns_two_workers_is_set_aside(site: Site) -> None:
    site.worker("--time-limit", "0.5", "-c", "2")
    socket, other = site.connect("/resumable"), site.connect("/resumable")
    ask(socket, "hello")
    socket.send("burn")
    assert closed(socket) == (1011, "poison")
    assert ask(other, "hello")[0] == "hello"


# -- background ------------------------------------------------------------------------------------------------


def test_background_messages_have_limits_too(site: Site) -> None:
    worker = site.worker("--channels", "jobs", "--soft-time-limit", "0.2", "--max-inflight", "1", app="task")
    layer = SyncChannelLayer(site.url)
    try:
        for what in ("spin", "next"):
            layer.send("jobs", {"type": "job", "what": what})
        worker.wait_for_log("task next")
    finally:
        layer.close()
    assert "channel jobs of task has run for" in worker.log
    assert "SoftTimeLimitExceeded" in worker.log
