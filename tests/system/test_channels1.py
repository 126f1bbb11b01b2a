"""Channels 1 routing behind a real server: what ended its workers, who takes which message, what outlives what."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import ServerProcess, WorkerProcess
from halves import directory

pytestmark = pytest.mark.system

PROJECT = Path(__file__).parent / "channels1_site"
PATIENCE = 20.0  # seconds for what takes milliseconds
BRIDGE = "from channels_bridge import Bridge, Config\napplication = Bridge(config=Config(handshake=0.5))\n"


class Site:
    """A server with its bridge, and workers with the project."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (folder / "channels1_bridge.py").write_text(BRIDGE)
        self._stack = stack
        self.clients = ExitStack()  # closed first, while there are workers that can be told
        self.url = stack.enter_context(directory())
        self.env = {"CHANNELS_BRIDGE_URL": self.url}
        bridge = "channels1_bridge:application"
        self.server = stack.enter_context(ServerProcess("uvicorn", bridge, env=self.env, pythonpath=[folder]))

    def worker(self, *args: str) -> WorkerProcess:
        """Start one, and return when the bridge has it."""
        options = ("--interface", "channels1", *args)
        app = "asgi:channel_layer"
        worker = self._stack.enter_context(WorkerProcess(app, self.url, pythonpath=[PROJECT], args=options))
        worker.wait_for_log("connected to the bridge", timeout=PATIENCE)
        return worker

    def open(self, path: str = "/") -> ClientConnection:
        """Connect a client."""
        return self.clients.enter_context(connect(self.server.ws_url + path, open_timeout=PATIENCE))

    def get(self, path: str) -> str:
        """Ask a view."""
        return httpx.get(self.server.url + path, timeout=PATIENCE).text


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        site = Site(tmp_path, stack)
        with site.clients:
            yield site


def ask(client: ClientConnection, text: str) -> str:
    client.send(text)
    return str(client.recv(timeout=PATIENCE))


def test_no_message_ends_a_worker(site: Site) -> None:
    """What did: a filter on what is no text, a denial or a close in the wrong place, a full channel."""
    worker = site.worker()
    client = site.open()
    for command in ("deny", "unknown", "flood 2000", "number", "unsendable", "close 3003"):
        other = site.open()
        other.send(command)
        if command == "close 3003":
            with pytest.raises(ConnectionClosed) as closed:
                other.recv(timeout=PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 3003
        elif command in ("number", "flood 2000", "unsendable"):
            assert other.recv(timeout=PATIENCE) == {"n": "numbered", "f": "flooded", "u": "before"}[command[0]]
        if command == "unsendable":
            assert other.recv(timeout=PATIENCE) == "behind"
        if command != "close 3003":
            assert ask(other, "echo still").split()[0] == "still"
    assert ask(client, "echo here") == f"here 1 {worker.pid}"
    assert worker.alive


def test_what_waits_for_a_busy_worker_goes_to_one_that_is_free(site: Site) -> None:
    site.worker()
    busy, quick = site.open(), site.open()
    busy.send("slow 3")
    time.sleep(0.2)  # it runs, and the other's next message waits behind it
    quick.send("echo a")
    other = site.worker()
    began = time.monotonic()
    assert quick.recv(timeout=PATIENCE) == f"a 1 {other.pid}"
    assert time.monotonic() - began < 2.0
    assert str(busy.recv(timeout=PATIENCE)).startswith("slept")


def test_sockets_outlive_all_workers_and_what_was_sent_meanwhile_is_answered(site: Site) -> None:
    first = site.worker()
    client, other = site.open(), site.open()
    assert ask(client, "echo a") == f"a 1 {first.pid}"
    first.signal(signal.SIGKILL)
    first.wait()
    client.send("echo b")
    client.send("echo c")
    second = site.worker()
    assert [client.recv(timeout=PATIENCE) for _ in range(2)] == [f"b 2 {second.pid}", f"c 3 {second.pid}"]
    third = site.worker()
    second.signal(signal.SIGTERM)
    assert second.wait() == 0, second.log
    assert ask(client, "echo d") == f"d 4 {third.pid}"
    assert site.get("/announce/") == "done"  # it is in its group still
    assert client.recv(timeout=PATIENCE) == other.recv(timeout=PATIENCE) == "announced"


def test_a_turn_whose_worker_is_killed_runs_again_and_is_seen_once(site: Site) -> None:
    first = site.worker()
    client = site.open()
    client.send("slow 1")
    time.sleep(0.3)
    first.signal(signal.SIGKILL)
    second = site.worker()
    assert client.recv(timeout=PATIENCE) == f"slept {second.pid}"
    assert ask(client, "echo a") == f"a 2 {second.pid}"


def test_channels_make_pools(site: Site) -> None:
    views = site.worker("--only-channels", "http.*")
    sockets = site.worker("--only-channels", "websocket.*", "--exclude-channels", "websocket.receive")
    receivers = site.worker("--only-channels", "websocket.receive")
    client = site.open()
    assert site.get("/who/") == str(views.pid)
    assert ask(client, "echo a") == f"a 1 {receivers.pid}"
    client.send("task now")
    tasks = site.worker("--only-channels", "tasks")
    assert client.recv(timeout=PATIENCE) == f"did now {tasks.pid}"
    assert ask(client, "task later") == f"did later {tasks.pid}"
    assert sockets.alive


def test_messages_that_are_not_ordered_do_not_wait_for_one_another(site: Site) -> None:
    site.worker()
    site.worker()
    loose = site.open("/loose/")
    loose.send("slow 2")
    time.sleep(0.2)
    assert ask(loose, "echo a").startswith("a 2 ")
    assert str(loose.recv(timeout=PATIENCE)).startswith("slept")


@pytest.mark.parametrize(("path", "status"), [("/denied/", 403), ("/silent/", 504), ("/misspelt/", 504)])
def test_who_is_not_let_in(site: Site, path: str, status: int) -> None:
    site.worker()
    with pytest.raises(InvalidStatus) as refused:
        site.open(path)
    assert refused.value.response.status_code == status


def test_a_close_without_a_code_is_1000(site: Site) -> None:
    site.worker()
    client = site.open()
    client.send("close")
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000


def test_a_response_that_raises_in_the_middle_is_not_taken_for_a_whole_one(site: Site) -> None:
    worker = site.worker()
    with pytest.raises(httpx.RemoteProtocolError):
        site.get("/broken/")
    assert site.get("/who/") == str(worker.pid)


SCRIPT = """
import django, sys
from channels_bridge.worker.legacy.aliases import install
install()
django.setup()
from channels import Group
Group("all").send({"text": "from a script"})
"""


def test_a_script_reaches_a_group(site: Site) -> None:
    site.worker()
    client = site.open()
    env = {**site.env, "DJANGO_SETTINGS_MODULE": "settings", "PATH": ""}
    subprocess.run([sys.executable, "-c", SCRIPT], env=env, cwd=PROJECT, check=True, timeout=PATIENCE)
    assert client.recv(timeout=PATIENCE) == "from a script"
