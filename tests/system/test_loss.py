"""What a worker's end, a bridge's end and a frozen worker do to clients: each with real processes and real signals.

Sockets of lost workers are closed with 1011 within a second; what nobody has read moves; what had begun is cut and
never ended as if it were whole; nobody else notices. A worker that is drained finishes what it does.
"""

from __future__ import annotations

import contextlib
import json
import signal
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import POLL, ServerProcess, WorkerProcess

pytestmark = pytest.mark.system

SOON = 1.0  # seconds within which a killed worker's sockets are closed
QUICK = {"beat": 0.2, "suspect": 0.5, "lease": 0.8, "verdict": 1.2}  # seconds; for workers that freeze

BRIDGE = """
import dataclasses, json, os
from channels_bridge import Bridge, Config

bridge = Bridge(config=Config(**json.loads(os.environ["LOSS_CONFIG"])))

async def application(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/statistics":
        body = json.dumps(dataclasses.asdict(bridge.start().link.core.statistics)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    else:
        await bridge(scope, receive, send)
"""

APPS = """
import asyncio, os
from channels_bridge import AsyncConsumer

PID = str(os.getpid())

def first_to(what):
    "Say whether no other process did this before."
    try:
        os.close(os.open(os.path.join(os.path.dirname(__file__), what), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    print(f"{what} in {PID}", flush=True)
    return True

async def answer(send, more=False):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": PID.encode(), "more_body": more})

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{PID} {event['text']}"})
        print(f"told {event['code']}", flush=True)
    elif scope["type"] == "http":
        if scope["path"] == "/hang" and first_to("hang"):
            await asyncio.sleep(3600)
        if scope["path"] == "/nap" and first_to("nap"):
            await asyncio.sleep(1.0)
        await answer(send, more=scope["path"] == "/begin")
        if scope["path"] == "/begin":
            await asyncio.sleep(3600)

class Consumer(AsyncConsumer):
    async def websocket_connect(self, message):
        await self.channel_layer.group_add("all", self.consumer_channel)

    async def websocket_receive(self, message):
        if message["text"] == "nap":
            print("napping", flush=True)
            await asyncio.sleep(0.3)
            await self.channel_layer.send_group("all", {"type": "said", "text": "from a dream"})
        elif message["text"] == "all":
            await self.channel_layer.send_group("all", {"type": "said", "text": "awake"})
        await self.send({"type": "websocket.send", "text": f"{PID} {message['text']}"})

    async def said(self, message):
        await self.send({"type": "websocket.send", "text": message["text"]})

    async def websocket_disconnect(self, message):
        print(f"told {message['code']}", flush=True)

    async def http_request(self, message):
        await answer(self.send)
"""


class Site:
    """A directory with both modules in it; servers and workers that use them, all ended with the site."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.url = f"ipc://{folder}/run/"
        (folder / "loss_bridge.py").write_text(BRIDGE)
        (folder / "loss_apps.py").write_text(APPS)

    def server(self, **config: float) -> ServerProcess:
        env = {"CHANNELS_BRIDGE_URL": self.url, "LOSS_CONFIG": json.dumps(config)}
        server = ServerProcess("uvicorn", "loss_bridge:application", env=env, pythonpath=[self._folder])
        return self._stack.enter_context(server)

    def worker(self, app: str, *args: str) -> WorkerProcess:
        """Start a worker; return when it is linked with its bridge."""
        worker = WorkerProcess(f"loss_apps:{app}", self.url, pythonpath=[self._folder], args=args)
        self._stack.enter_context(worker)
        worker.wait_for_log("connected to the bridge")
        return worker


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="cb-") as name, ExitStack() as stack:
        yield Site(Path(name), stack)


class Socket:
    """A WebSocket and the process that hosts it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.pid = int(self.ask("who"))

    def ask(self, text: str) -> str:
        """Say something; give the process that answers."""
        self.connection.send(text)
        answer = self.connection.recv(timeout=10.0)
        assert isinstance(answer, str)
        pid, _, said = answer.partition(" ")
        assert said == text
        return pid

    def closed(self, timeout: float) -> tuple[int, str]:
        """Wait for the close frame; give its code and reason."""
        with pytest.raises(ConnectionClosed) as caught:
            self.connection.recv(timeout=timeout)
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code, caught.value.rcvd.reason


@contextlib.contextmanager
def sockets(server: ServerProcess, count: int) -> Generator[list[Socket], None, None]:
    with ExitStack() as stack:
        yield [Socket(stack.enter_context(connect(f"{server.ws_url}/"))) for _ in range(count)]


class Request(threading.Thread):
    """A request that is made in the background."""

    def __init__(self, method: str, url: str) -> None:
        super().__init__(daemon=True)
        self._method, self._url = method, url
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            with httpx.stream(self._method, self._url, timeout=30.0) as response:
                self.outcome = (response.status_code, response.read().decode())
        except httpx.HTTPError as error:
            self.outcome = error

    def wait(self) -> Any:
        self.join(30.0)
        return self.outcome


def of(site_workers: list[WorkerProcess], pid: int) -> tuple[WorkerProcess, WorkerProcess]:
    """Give the worker with this process id, and another one."""
    mine = next(worker for worker in site_workers if worker.pid == pid)
    return mine, next(worker for worker in site_workers if worker is not mine)


# -- killed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["app", "Consumer"])
def test_a_killed_workers_sockets_are_closed_and_nobody_else_notices(site: Site, app: str) -> None:
    server = site.server()
    workers = [site.worker(app) for _ in range(2)]
    with sockets(server, 6) as opened:
        victim, survivor = of(workers, opened[0].pid)
        lost = [socket for socket in opened if socket.pid == victim.pid]
        kept = [socket for socket in opened if socket.pid == survivor.pid]
        assert len(lost) == len(kept) == 3
        victim.kill()
        killed = time.monotonic()
        for socket in lost:
            assert socket.closed(SOON) == (1011, "worker-lost")
        assert time.monotonic() - killed < SOON
        for socket in kept:
            assert int(socket.ask("still here")) == survivor.pid
        assert int(httpx.get(f"{server.url}/").text) == survivor.pid
        with sockets(server, 2) as more:
            assert {socket.pid for socket in more} == {survivor.pid}


def test_a_get_that_nobody_has_read_moves_to_another_worker(site: Site) -> None:
    server = site.server()
    workers = [site.worker("app") for _ in range(2)]
    request = Request("GET", f"{server.url}/hang")
    victim, survivor = of(workers, wait_for_first(workers, "hang"))
    victim.kill()
    assert request.wait() == (200, str(survivor.pid))


def test_a_post_is_not_run_again(site: Site) -> None:
    server = site.server()
    workers = [site.worker("app") for _ in range(2)]
    request = Request("POST", f"{server.url}/hang")
    victim, _ = of(workers, wait_for_first(workers, "hang"))
    victim.kill()
    assert request.wait() == (502, "The worker was lost.\n")


def test_a_response_that_began_is_cut_and_not_ended_as_if_whole(site: Site) -> None:
    server = site.server()
    worker = site.worker("app")
    with httpx.stream("GET", f"{server.url}/begin", timeout=3.0) as response:
        assert response.status_code == 200
        parts = response.iter_raw()
        assert int(next(parts)) == worker.pid
        worker.kill()
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            next(parts)


def test_without_any_worker_left_requests_wait_and_are_told_503(site: Site) -> None:
    server = site.server(http_queue=0.5)
    worker = site.worker("app")
    worker.kill()
    began = time.monotonic()
    response = httpx.get(f"{server.url}/")
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert 0.4 < time.monotonic() - began < 3.0
    request = Request("GET", f"{server.url}/")
    replacement = site.worker("app")
    assert request.wait() in ((200, str(replacement.pid)), (503, "No worker is up. Please try again.\n"))
    assert int(httpx.get(f"{server.url}/").text) == replacement.pid


def wait_for_first(workers: list[WorkerProcess], what: str) -> int:
    """Return the process that was the first to do something."""
    deadline = time.monotonic() + 10.0
    while True:
        for worker in workers:
            if f"{what} in {worker.pid}" in worker.log:
                return worker.pid
        assert time.monotonic() < deadline
        time.sleep(POLL)


# -- drained ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["app", "Consumer"])
def test_a_drained_worker_finishes_and_its_idle_sockets_get_1012_when_its_time_is_over(site: Site, app: str) -> None:
    server = site.server()
    worker = site.worker(app, "--drain-timeout", "2")
    with sockets(server, 1) as [socket]:
        request = Request("GET", f"{server.url}/nap")
        if app == "app":
            wait_for_first([worker], "nap")
        successor = site.worker(app)
        worker.sigterm()
        asked = time.monotonic()
        worker.wait_for_log("have up to 2 s to end")
        assert request.wait() == (200, str(worker.pid))
        assert int(socket.ask("still here")) == worker.pid
        for _ in range(3):
            assert int(httpx.get(f"{server.url}/").text) == successor.pid
        assert socket.closed(10.0) == (1012, "drain")
        assert 1.9 < time.monotonic() - asked < 4.0
        assert worker.wait() == 0
        worker.wait_for_log("told 1006")
        assert int(httpx.get(f"{server.url}/").text) == successor.pid


def test_a_worker_with_nothing_to_do_ends_at_once(site: Site) -> None:
    server = site.server()
    worker = site.worker("app", "--drain-timeout", "60")
    httpx.get(f"{server.url}/")
    worker.sigterm()
    assert worker.wait(5.0) == 0


def test_a_second_term_is_cold(site: Site) -> None:
    server = site.server()
    worker = site.worker("app", "--drain-timeout", "60")
    with sockets(server, 1) as [socket]:
        worker.sigterm()
        worker.wait_for_log("have up to 60 s to end")
        assert int(socket.ask("still here")) == worker.pid
        worker.sigterm()
        assert socket.closed(5.0) == (1012, "drain")
        assert worker.wait(5.0) == 0


# -- the bridge ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["app", "Consumer"])
def test_when_the_bridge_is_killed_its_consumers_are_told_and_the_next_one_is_served(site: Site, app: str) -> None:
    server = site.server()
    worker = site.worker(app)
    with sockets(server, 1):
        server.kill()
        worker.wait_for_log("told 1006")
    again = site.server()
    assert int(httpx.get(f"{again.url}/").text) == worker.pid
    with sockets(again, 1) as [socket]:
        assert socket.pid == worker.pid
    assert "Traceback" not in worker.log


def test_of_two_bridges_the_other_goes_on(site: Site) -> None:
    one, two = site.server(), site.server()
    worker = site.worker("Consumer")
    worker.wait_for_log(r"(connected to the bridge[\s\S]*){2}")
    with sockets(one, 1), sockets(two, 1) as [socket]:
        one.kill()
        worker.wait_for_log("told 1006")
        assert int(socket.ask("still here")) == worker.pid
        assert worker.log.count("told 1006") == 1


# -- frozen ----------------------------------------------------------------------------------------------------


def statistics(server: ServerProcess) -> dict[str, int]:
    counters: dict[str, int] = httpx.get(f"{server.url}/statistics").json()
    return counters


@contextlib.contextmanager
def frozen(worker: WorkerProcess) -> Generator[None, None, None]:
    worker.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.signal(signal.SIGCONT)


@pytest.mark.parametrize("app", ["app", "Consumer"])
def test_a_worker_that_is_frozen_for_long_is_given_up_and_starts_over(site: Site, app: str) -> None:
    server = site.server(**QUICK)
    worker = site.worker(app)
    with sockets(server, 1) as [socket]:
        with frozen(worker):
            began = time.monotonic()
            assert socket.closed(5.0) == (1011, "worker-lost")
            assert QUICK["verdict"] - QUICK["beat"] < time.monotonic() - began < 3.0
        worker.wait_for_log(r"lost the bridge[\s\S]*connected to the bridge")
        worker.wait_for_log("told 1006")
    assert int(httpx.get(f"{server.url}/").text) == worker.pid
    with sockets(server, 1) as [socket]:
        assert socket.pid == worker.pid
    assert statistics(server)["lost_workers"] == 1


def test_a_worker_that_is_frozen_for_a_moment_goes_on(site: Site) -> None:
    server = site.server(**QUICK)
    worker = site.worker("Consumer")
    with sockets(server, 1) as [socket]:
        with frozen(worker):
            socket.connection.send("all")
            time.sleep(QUICK["beat"])
        heard = {socket.connection.recv(timeout=10.0), socket.connection.recv(timeout=10.0)}
        assert heard == {"awake", f"{worker.pid} all"}
        assert "lost the bridge" not in worker.log


def test_nothing_of_a_frozen_workers_turn_happens_when_it_wakes(site: Site) -> None:
    server = site.server(**QUICK)
    sleeper = site.worker("Consumer")
    with sockets(server, 1) as [lost]:
        assert lost.pid == sleeper.pid
        witness_host = site.worker("Consumer")
        with sockets(server, 1) as [witness]:
            assert witness.pid == witness_host.pid
            lost.connection.send("nap")
            sleeper.wait_for_log("napping")
            with frozen(sleeper):
                assert lost.closed(5.0) == (1011, "worker-lost")
            sleeper.wait_for_log(r"lost the bridge[\s\S]*connected to the bridge")
            time.sleep(0.5)  # what should not come had the time to
            witness.connection.send("all")
            heard = {witness.connection.recv(timeout=10.0), witness.connection.recv(timeout=10.0)}
            assert heard == {"awake", f"{witness.pid} all"}


def test_a_request_that_moved_away_from_a_frozen_worker_is_answered_once(site: Site) -> None:
    """It wakes before the answer of the other one is complete, and has an answer of its own ready."""
    server = site.server(**QUICK)
    workers = [site.worker("app") for _ in range(2)]
    request = Request("GET", f"{server.url}/nap")
    sleeper, other = of(workers, wait_for_first(workers, "nap"))
    with frozen(sleeper):
        assert request.wait() == (200, str(other.pid))
    sleeper.wait_for_log(r"lost the bridge[\s\S]*connected to the bridge")
    assert {int(httpx.get(f"{server.url}/").text) for _ in range(4)} <= {sleeper.pid, other.pid}
