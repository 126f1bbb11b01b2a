"""``channels-bridge serve`` as its users run it: one command, and nothing is left of it in the end."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from channels_bridge import SyncChannelLayer
from channels_bridge.bridge.serve import bridge_address
from channels_bridge.shared.errors import ConfigurationError
from channels_bridge.testing.processes import POLL, ManagedProcess, free_port
from pids import alive, wait_gone

APP = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep({"/slow": 30.0, "/brief": 0.5}.get(scope["path"], 0.0))
        words = (os.getpid(), scope["path"], scope["root_path"], os.environ.get("SAID", ""))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": " ".join(map(str, words)).encode()})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})

def make():
    return app
"""


class Serve(ManagedProcess):
    """``channels-bridge serve`` of the app above, with its files in a directory that the test can look into."""

    def __init__(self, folder: Path, *args: str, app: str = "served:app", env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.runtime = folder / "run"
        self.runtime.mkdir(mode=0o700)
        (folder / "served.py").write_text(APP)
        command = [sys.executable, "-m", "channels_bridge.bridge", "serve", app, "--port", "0", *args]
        super().__init__(command, pythonpath=[folder], env={"XDG_RUNTIME_DIR": str(self.runtime), **(env or {})})

    def wait_ready(self) -> None:
        """Return when it says that it serves, or has ended."""
        deadline = time.monotonic() + 20.0
        while self.alive and not re.search(r"^Serving ", self.log, re.MULTILINE):
            assert time.monotonic() < deadline, self.log
            time.sleep(POLL)

    @property
    def address(self) -> str:
        return self.wait_for_log(r"^Serving \S+ on http://(\S+) ")[1]

    def get(self, path: str = "/", timeout: float = 10.0) -> list[str]:
        answer = httpx.get(f"http://{self.address}{path}", timeout=timeout)
        assert answer.status_code == 200
        return answer.text.split(" ")

    def files(self) -> Sequence[Path]:
        return list(self.runtime.iterdir())

    def assert_nothing_left(self, pids: list[int]) -> None:
        assert self.files() == []
        assert [pid for pid in pids if alive(pid)] == []


class Impatient(Serve):
    """Is told to reload as soon as it has started anything."""

    def wait_ready(self) -> None:
        while len(self.tree()) < 2:
            assert self.alive, self.log
        for _ in range(10):
            self.signal(signal.SIGHUP)
            time.sleep(POLL)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:  # tmp_path can be too long for a Unix socket
        yield Path(name)


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_command_serves_and_one_signal_ends_all(folder: Path, number: int) -> None:
    with Serve(folder, "--workers", "2") as serve:
        assert re.search(
            r"^Serving served:app on http://127\.0\.0\.1:\d+ \(2 workers\); Ctrl-C stops all$", serve.log, re.MULTILINE
        )
        assert serve.get("/path")[1] == "/path"
        with connect(f"ws://{serve.address}/") as client:
            for message in ("text", b"\0\xff", "x" * 100_000):
                client.send(message)
                assert client.recv(timeout=10) == message
            [directory] = serve.files()
            assert directory.stat().st_mode & 0o777 == 0o700
            pids = serve.tree()
            assert len(pids) == 4  # serve, a supervisor, two workers
            serve.signal(number)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert serve.wait() == 0
        serve.assert_nothing_left(pids)
        assert "Traceback" not in serve.log
        assert " ERROR " not in serve.log


@pytest.mark.system
def test_options_arrive(folder: Path) -> None:
    (folder / "env").write_text("SAID=hello\n")
    options = ["--factory", "--root-path", "/mounted", "--env-file", str(folder / "env"), "--no-access-log"]
    with Serve(folder, *options, app="served:make") as serve:
        assert serve.get("/a")[1:] == ["/mounted/a", "/mounted", "hello"]
        assert "GET" not in serve.log
        assert "(1 worker)" in serve.log


@pytest.mark.system
def test_requests_and_sockets_are_logged_but_not_what_uvicorn_says_of_itself(folder: Path) -> None:
    with Serve(folder) as serve:
        serve.get("/a-path")
        with connect(f"ws://{serve.address}/a-socket") as client:
            client.send("x")
            client.recv(timeout=10)
        assert '"GET /a-path HTTP/1.1" 200' in serve.log
        assert '"WebSocket /a-socket" [accepted]' in serve.log
        assert "Uvicorn running" not in serve.log
        assert "Started server process" not in serve.log


@pytest.mark.system
def test_a_message_as_long_as_allowed_passes_and_a_longer_one_does_not(folder: Path) -> None:
    with Serve(folder, "--ws-max-size", "1000") as serve, connect(f"ws://{serve.address}/") as client:
        client.send("x" * 1000)
        assert client.recv(timeout=10) == "x" * 1000
        client.send("x" * 1001)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.system
def test_a_pool_has_processes_of_its_own(folder: Path) -> None:
    with Serve(folder, "--pool", "cpu=1", "--route", "/cpu/=cpu") as serve:
        assert "(1 worker, 1 for cpu)" in serve.log
        default, cpu = {serve.get("/")[0] for _ in range(3)}, {serve.get("/cpu/x")[0] for _ in range(3)}
        assert len(default) == len(cpu) == 1
        assert default != cpu
        pids = serve.tree()
        assert len(pids) == 5
        serve.signal(signal.SIGINT)
        assert serve.wait() == 0
        serve.assert_nothing_left(pids)


SHOUTING = """
import os
from channels_bridge import AsyncConsumer, Router, SyncConsumer

class Web(AsyncConsumer):
    async def http_request(self, message):
        answer = await self.channel_layer.request("shout", {"type": "shout", "text": "from the web"})
        await self.send({"type": "http.response.start", "status": 200, "headers": []})
        body = f"{os.getpid()} {answer['pid']} {answer['text']}".encode()
        await self.send({"type": "http.response.body", "body": body})

class Shout(SyncConsumer):
    def shout(self, message):
        self.send({"type": "shouted", "text": message["text"].upper(), "pid": os.getpid()})

app = Router({"/": Web, "shout": Shout, "whisper": Shout})
"""


@pytest.mark.system
def test_named_channels_have_processes_of_their_own(folder: Path) -> None:
    (folder / "shouting.py").write_text(SHOUTING)
    url = f"ipc://{folder}/bridge/"
    args = ["--channels", "shout,whisper=2", "--bridge", url]
    with Serve(folder, *args, app="shouting:app") as serve:
        assert "(1 worker, 2 for shout,whisper)" in serve.log
        web, background, *words = serve.get()
        assert words == ["FROM", "THE", "WEB"]
        assert web != background
        layer = SyncChannelLayer(url)  # a script, at the address that was said
        asked = {layer.request("whisper", {"type": "shout", "text": "script"}, timeout=10.0)["pid"] for _ in range(8)}
        assert web not in map(str, asked)
        assert 1 <= len(asked) <= 2
        layer.close()
        pids = serve.tree()
        assert len(pids) == 6  # serve, two supervisors, three workers
        serve.signal(signal.SIGINT)
        assert serve.wait() == 0
        serve.assert_nothing_left(pids)
        assert "Traceback" not in serve.log


@pytest.mark.system
def test_a_channel_without_a_route_ends_all(folder: Path) -> None:
    (folder / "shouting.py").write_text(SHOUTING)
    with Serve(folder, "--channels", "nowhere", app="shouting:app") as serve:
        assert serve.wait() == 78
        assert "--channels nowhere: shouting:app has no route for it" in serve.log
        assert "the workers of channels nowhere have ended, so all ends: a setting is wrong" in serve.log


@pytest.mark.system
def test_a_unix_socket_instead_of_a_port(folder: Path) -> None:
    path = folder / "http.sock"
    with Serve(folder, "--uds", str(path)) as serve:
        assert f"Serving served:app on unix:{path} (1 worker)" in serve.log
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://any/x").status_code == 200
        serve.signal(signal.SIGINT)
        assert serve.wait() == 0
    assert not path.exists()


@pytest.mark.system
def test_a_port_that_is_taken_is_said_before_anything_is_started(folder: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), Serve(folder, "--port", str(port)) as serve:
        assert serve.wait() == 1
        assert serve.log == f"Error: cannot listen on 127.0.0.1, port {port}: Address already in use\n"
        assert serve.files() == []


@pytest.mark.system
@pytest.mark.parametrize(
    ("app", "args", "message"),
    [
        ("nowhere:app", [], "cannot import 'nowhere'"),
        ("served:app", ["--interface", "consumer"], "looks like asgi3, but --interface says consumer"),
    ],
)
def test_an_app_that_cannot_start_ends_all_with_3(folder: Path, app: str, args: list[str], message: str) -> None:
    with Serve(folder, *args, app=app) as serve:
        assert serve.wait() == 3
        assert message in serve.log
        assert "the workers of pool default have ended, so all ends: the app cannot start" in serve.log
        assert serve.files() == []


@pytest.mark.system
def test_a_worker_that_is_killed_is_replaced(folder: Path) -> None:
    with Serve(folder) as serve:
        first = int(serve.get()[0])
        os.kill(first, signal.SIGKILL)
        wait_gone([first])
        assert int(serve.get()[0]) != first


@pytest.mark.system
def test_hup_replaces_the_workers_and_leaves_the_server(folder: Path) -> None:
    with Serve(folder, "--pool", "cpu=1", "--route", "/cpu/=cpu") as serve:
        address, old = serve.address, [int(serve.get(path)[0]) for path in ("/", "/cpu/")]
        serve.signal(signal.SIGHUP)
        serve.wait_for_log(r"(serves: \d+ is told to stop[^^]*){2}")
        wait_gone(old)
        assert serve.alive
        assert serve.address == address
        assert {int(serve.get(path)[0]) for path in ("/", "/cpu/")}.isdisjoint(old)
        assert "reloading: passed on to the supervisors of the workers" in serve.log
        serve.signal(signal.SIGINT)
        assert serve.wait() == 0


@pytest.mark.system
def test_hup_at_the_very_start_ends_nothing(folder: Path) -> None:
    """A supervisor that is not there yet, as an interpreter takes its time, does not die of what is passed on."""
    with Impatient(folder) as serve:
        super(Impatient, serve).wait_ready()
        assert serve.get("/path")[1] == "/path"
        serve.signal(signal.SIGINT)
        assert serve.wait() == 0


@pytest.mark.system
def test_a_terminal_that_is_closed_ends_all(folder: Path) -> None:
    terminal, stdin = pty.openpty()
    (folder / "served.py").write_text(APP)
    command = [sys.executable, "-m", "channels_bridge.bridge", "serve", "served:app", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    with subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        os.close(stdin)
        assert process.stdout is not None
        try:
            assert any(line.startswith("Serving ") for line in process.stdout)
            os.close(terminal)
            process.send_signal(signal.SIGHUP)
            assert any(line.rstrip().endswith("stopping") for line in process.stdout)
            process.stdout.read()
            assert process.wait(20.0) == 0
        finally:
            process.kill()


@pytest.mark.system
def test_a_supervisor_that_is_killed_ends_all(folder: Path) -> None:
    with Serve(folder) as serve:
        serve.get()
        pids = serve.tree()
        os.kill(pids[1], signal.SIGKILL)
        assert serve.wait() == 1
        assert "so all ends: their supervisor was killed by SIGKILL" in serve.log
        assert serve.files() == []
        wait_gone(pids)


@pytest.mark.system
def test_when_serve_is_killed_the_workers_end_by_themselves(folder: Path) -> None:
    with Serve(folder, "--workers", "2") as serve:
        serve.get()
        pids = serve.tree()
        serve.kill()
        wait_gone(pids)


@pytest.mark.system
def test_a_second_ctrl_c_does_not_wait(folder: Path) -> None:
    with Serve(folder) as serve:
        pid = int(serve.get()[0])
        with socket.create_connection(tuple(serve.address.split(":"))) as client:  # type: ignore[arg-type]
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.3)
            pids = serve.tree()
            began = time.monotonic()
            serve.signal(signal.SIGINT)
            serve.wait_for_log("stopping$")
            time.sleep(0.3)
            assert serve.alive
            assert alive(pid)
            serve.signal(signal.SIGINT)
            assert serve.wait(20.0) == 0
            assert time.monotonic() - began < 15.0
            serve.assert_nothing_left(pids)


@pytest.mark.system
def test_requests_in_progress_are_finished(folder: Path) -> None:
    with Serve(folder) as serve:
        serve.get()
        with socket.create_connection(tuple(serve.address.split(":"))) as client:  # type: ignore[arg-type]
            client.sendall(b"GET /brief HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            time.sleep(0.2)
            serve.signal(signal.SIGTERM)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert b" /brief " in answer
        assert serve.wait() == 0


@pytest.mark.system
def test_requests_in_progress_are_cut_after_the_drain_timeout(folder: Path) -> None:
    with Serve(folder, "--drain-timeout", "1") as serve:
        serve.get()
        with socket.create_connection(tuple(serve.address.split(":"))) as client:  # type: ignore[arg-type]
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.3)
            pids = serve.tree()
            serve.signal(signal.SIGTERM)
            assert serve.wait(20.0) == 0
            serve.assert_nothing_left(pids)


def test_the_private_directory_is_private_and_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    with bridge_address(None) as url:
        path = Path(url.removeprefix("ipc://"))
        assert path.parent == folder
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "bridge-0.lock").touch()
    assert list(folder.iterdir()) == []


def test_an_address_that_was_given_is_left_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    with bridge_address("ipc:///run/chat/") as url:
        assert url == "ipc:///run/chat/"
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("runtime", ["/nowhere", "long"])
def test_it_is_made_elsewhere_if_it_has_to_be(folder: Path, monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    if runtime == "long":
        runtime = str(folder / ("x" * 100))
        Path(runtime).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    with bridge_address(None) as url:
        assert Path(url.removeprefix("ipc://")).parent == Path(tempfile.gettempdir())
    if runtime.startswith(str(folder)):
        assert list(Path(runtime).iterdir()) == []


def test_without_any_place_the_error_says_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(prefix: str, dir: str) -> str:
        raise OSError(28, "No space left on device", f"{dir}/{prefix}")

    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with (
        pytest.raises(ConfigurationError, match=r"no place for the sockets.*No space left on device"),
        bridge_address(None),
    ):
        pass
