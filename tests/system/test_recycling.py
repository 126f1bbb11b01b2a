"""Worker processes are replaced under messages, and clients notice nothing: recycled, reloaded, more, fewer.

Each client numbers its messages; the consumer counts them and answers with number and count. So a message that is
lost, handled twice with effect, or out of order shows at once, and a socket that is closed as well.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import HOST, ManagedProcess, ServerProcess, WorkerProcess, free_port
from halves import directory
from pids import wait_gone
from talking import PATIENCE, Talk

pytestmark = pytest.mark.system

CLIENTS = 6

BRIDGE = """
from channels_bridge import Bridge
application = Bridge()
"""

APP = """
import os
from channels_bridge import AsyncConsumer

RELEASE = "one"
ballast = []

class Counter(AsyncConsumer):
    resumable = True

    async def websocket_connect(self, message):
        self.count = 0

    async def websocket_receive(self, message):
        self.count += 1
        if message["text"] == "eat":
            ballast.append(bytearray(os.urandom(1024)) * (96 * 1024))
        await self.send({"type": "websocket.send", "text": f"{message['text']} {self.count} {os.getpid()} {RELEASE}"})

    async def http_request(self, message):
        await self.send({"type": "http.response.start", "status": 200, "headers": []})
        await self.send({"type": "http.response.body", "body": f"{os.getpid()} {RELEASE}".encode()})

async def plain(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{os.getpid()} {RELEASE}".encode()})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"{event['text']} 0 {os.getpid()} {RELEASE}"})
"""


class Site:
    """A server with its bridge, and workers that come and go."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (folder / "recycling_bridge.py").write_text(BRIDGE)
        self.app = folder / "recycling_app.py"
        self.app.write_text(APP)
        self._folder, self._stack = folder, stack
        self._url = stack.enter_context(directory())
        env = {"CHANNELS_BRIDGE_URL": self._url}
        bridge = "recycling_bridge:application"
        self.server = stack.enter_context(ServerProcess("uvicorn", bridge, env=env, pythonpath=[folder]))

    def worker(self, *args: str, app: str = "Counter") -> WorkerProcess:
        given = (f"--app-dir={self._folder}", "--drain-timeout=5", *args)
        worker = WorkerProcess(f"recycling_app:{app}", self._url, args=given)
        self._stack.enter_context(worker)
        worker.wait_for_log("connected to the bridge")
        return worker

    def connect(self) -> ClientConnection:
        return self._stack.enter_context(connect(self.server.ws_url))

    def talk(self, count: int = CLIENTS) -> Talk:
        return Talk([self.connect() for _ in range(count)], pause=0.002)

    def release(self, name: str) -> None:
        """Change the code, in one step as a deployment does."""
        new = self.app.with_suffix(".new")
        new.write_text(APP.replace('"one"', f'"{name}"'))
        new.replace(self.app)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


# -- recycled --------------------------------------------------------------------------------------------------


def test_processes_end_after_their_turns_and_nobody_notices(site: Site) -> None:
    worker = site.worker("--max-turns-per-child", "150", "--max-turns-jitter", "50")
    assert len(worker.tree()) >= 2  # a supervisor, without having been asked for
    talk = site.talk()
    talk.until(lambda: len(talk.pids) >= 4)
    talk.end()
    assert "turns, its share" in worker.log
    assert "exited with 75" in worker.log


def test_a_process_that_grows_is_replaced_and_nobody_notices(site: Site) -> None:
    worker = site.worker("--max-memory-per-child", "130M")
    eater = site.connect()
    talk = site.talk()
    talk.go_on(50)
    [old] = talk.pids
    eater.send("eat")
    assert "eat 1 " in str(eater.recv(timeout=PATIENCE))
    talk.until(lambda: len(talk.pids) == 2)
    talk.end()
    eater.send("hello")
    assert str(eater.recv(timeout=PATIENCE)).startswith("hello 2 ")
    wait_gone([old])
    assert "MiB of memory, more than 130" in worker.log


def test_an_asgi_application_is_recycled_by_its_connections(site: Site) -> None:
    """Every request is answered, as the next process is there before the last one drains."""
    site.worker("--max-turns-per-child", "20", app="plain")
    pids: set[str] = set()
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(base_url=site.server.url, timeout=PATIENCE) as client:
        while len(pids) < 3:
            answer = client.get("/")
            assert answer.status_code == 200
            pids.add(answer.text.split()[0])
            assert time.monotonic() < deadline


# -- reloaded --------------------------------------------------------------------------------------------------


def test_hup_brings_the_new_release_and_nobody_notices(site: Site) -> None:
    worker = site.worker("-c", "2")
    worker.wait_for_log(r"(connected to the bridge[^^]*){2}")
    talk = site.talk()
    talk.go_on(50)
    old = worker.tree()[1:]
    site.release("two")
    worker.signal(signal.SIGHUP)
    worker.wait_for_log(r"(serves: \d+ is told to stop[^^]*){2}", PATIENCE)
    wait_gone(old)
    talk.extras.clear()
    talk.until(lambda: "two" in talk.extras)
    talk.end()
    assert talk.extras == {"two"}
    assert len(worker.tree()) == 3


def test_sockets_that_cannot_move_may_end_by_themselves_while_the_new_release_serves(site: Site) -> None:
    worker = site.worker("--supervise", app="plain")
    socket = site.connect()
    socket.send("a")
    before = str(socket.recv(timeout=PATIENCE)).split()
    site.release("two")
    worker.signal(signal.SIGHUP)
    worker.wait_for_log("is told to stop")
    deadline = time.monotonic() + PATIENCE
    while httpx.get(site.server.url, timeout=PATIENCE).text.split()[1] != "two":
        assert time.monotonic() < deadline
    socket.send("b")
    assert str(socket.recv(timeout=PATIENCE)).split()[2:] == before[2:]
    socket.close()
    wait_gone([int(before[2])])


def test_a_release_that_cannot_start_leaves_the_old_one_serving(site: Site) -> None:
    worker = site.worker("--supervise")
    talk = site.talk()
    talk.go_on(50)
    site.app.write_text("raise RuntimeError('a bad day')\n")
    worker.signal(signal.SIGHUP)
    worker.wait_for_log("the app cannot start: the 1 worker processes that run are kept")
    talk.go_on(50)
    assert len(talk.pids) == 1
    site.release("two")
    worker.signal(signal.SIGHUP)
    talk.until(lambda: "two" in talk.extras)
    talk.end()
    assert "a bad day" in worker.log


def test_reload_follows_the_files(site: Site) -> None:
    worker = site.worker("--reload")
    worker.wait_for_log("reloading on changes in")
    talk = site.talk()
    talk.go_on(50)
    deadline = time.monotonic() + PATIENCE
    while "changed: recycling_app.py" not in worker.log:  # the watch needs a moment to begin
        assert time.monotonic() < deadline
        site.release("two")
        time.sleep(0.5)
    talk.until(lambda: "two" in talk.extras)
    talk.end()


def test_serve_reloads_too(site: Site, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "channels_bridge.bridge", "serve", "recycling_app:Counter", f"--port={port}"]
    with ManagedProcess([*command, "--reload", f"--app-dir={tmp_path}", "--drain-timeout=5"]) as serving:
        serving.wait_for_log("Serving .* on http://")
        serving.wait_for_log("connected to the bridge")
        url = f"http://{HOST}:{port}/"
        assert httpx.get(url, timeout=PATIENCE).text.split()[1] == "one"
        deadline = time.monotonic() + PATIENCE
        while httpx.get(url, timeout=PATIENCE).text.split()[1] != "two":
            assert time.monotonic() < deadline
            site.release("two")
            time.sleep(0.5)
        serving.sigterm()
        assert serving.wait(PATIENCE) == 0


# -- more and fewer --------------------------------------------------------------------------------------------


def test_ttin_and_ttou_change_their_number_and_nobody_notices(site: Site) -> None:
    worker = site.worker("--supervise")
    talk = site.talk()
    talk.go_on(50)
    worker.signal(signal.SIGTTIN)
    worker.wait_for_log(r"(connected to the bridge[^^]*){2}")
    assert len(worker.tree()) == 3
    more = site.talk()
    more.go_on(50)
    newcomers = more.pids - talk.pids
    assert len(newcomers) == 1
    worker.signal(signal.SIGTTOU)
    worker.wait_for_log("one worker process less: 1")
    wait_gone(list(newcomers))
    for each in (talk, more):
        each.go_on(100)
        each.end()
