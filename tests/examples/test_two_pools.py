"""What burns CPU has workers of its own; the sockets beside it do not wait."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from channels_bridge.testing.processes import ManagedProcess, ServerProcess, WorkerProcess

pytestmark = pytest.mark.system
APP = "examples.two_pools.app:application"
ROOT = Path(__file__).resolve().parent.parent.parent
TIMES = 20  # questions on the socket while pictures are drawn, which takes seconds
CONNECTED = "connected to the bridge"


@pytest.fixture(scope="module", params=["serve", "own server"])
def url(request: pytest.FixtureRequest, serve: Callable[..., tuple[str, ManagedProcess]]) -> Iterator[str]:
    """Run it in both ways that the example names."""
    if request.param == "serve":
        yield serve(APP, "--pool", "cpu=2", "--route", "/render/=cpu", workers=3)[0]
        return
    with ExitStack() as exits:
        sockets = exits.enter_context(tempfile.TemporaryDirectory(prefix="cb-"))
        bridges = f"ipc://{sockets}/"
        env = {"CHANNELS_BRIDGE_URL": bridges}
        server = ServerProcess("uvicorn", "examples.two_pools.asgi:application", env=env, pythonpath=[ROOT])
        quick = WorkerProcess(APP, bridges, pythonpath=[ROOT])
        cpu = WorkerProcess(APP, bridges, pythonpath=[ROOT], args=["-Q", "cpu", "-c", "2", "--threads", "1"])
        for process in (server, quick, cpu):
            exits.enter_context(process)
        quick.wait_for_log(CONNECTED)
        cpu.wait_for_log(rf"(?s){CONNECTED}.*{CONNECTED}")
        yield server.url


def test_a_picture(url: str) -> None:
    answer = httpx.get(f"{url}/render/32/")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    assert struct.unpack(">II", answer.content[16:24]) == (32, 32)


def test_sockets_do_not_wait_for_pictures(url: str) -> None:
    """Two pictures are drawn, in two processes; meanwhile a third answers a socket, again and again."""
    with (
        ThreadPoolExecutor(2) as threads,
        connect(url.replace("http", "ws") + "/quick/") as socket,
    ):
        pictures = [threads.submit(httpx.get, f"{url}/render/600/", timeout=60.0) for _ in range(2)]
        socket.send("0")
        answers = [str(socket.recv())]
        for number in range(1, TIMES):
            socket.send(str(number))
            answers.append(str(socket.recv()))
        assert not any(picture.done() for picture in pictures), "the sockets had to wait"
        drawn_by = {picture.result().headers["x-worker"] for picture in pictures}
    said_by = {answer.split()[0] for answer in answers}
    assert [answer.split()[1] for answer in answers] == [str(number) for number in range(TIMES)]
    assert len(said_by) == 1
    assert len(drawn_by) == 2
    assert not said_by & drawn_by


def test_the_page_names_paths_that_are_there(url: str) -> None:
    page = httpx.get(url).text
    assert re.findall(r'"(/\w+/|\w+/)', page) == ["quick/", "/render/"]
