"""The commands of a Channels 1 project, unmodified: each as a process, with real clients.

The project is not in the working directory, so each program has to find it by what the command has told it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import ManagedProcess, free_port
from halves import directory

pytestmark = pytest.mark.system

PATIENCE = 20.0  # seconds; a worker of a project with Django needs about one to start

FILES = {
    "manage.py": """
        import os, sys
        from django.core.management import execute_from_command_line

        if __name__ == "__main__":
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
            execute_from_command_line(sys.argv)
    """,
    "site_settings.py": """
        import os

        HERE = os.path.dirname(os.path.abspath(__file__))
        SECRET_KEY = "only for tests"
        DEBUG = True
        USE_TZ = True
        ROOT_URLCONF = "site_urls"
        STATIC_URL = "/static/"
        INSTALLED_APPS = ["django.contrib.staticfiles", "channels", "channels.delay"]
        STATICFILES_DIRS = [os.path.join(HERE, "files")]
        TEMPLATES = [{
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [os.path.join(HERE, "templates")],
        }]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(HERE, "db.sqlite3")}}
        CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "asgi_redis.RedisChannelLayer",
                "CONFIG": {"hosts": [("localhost", 6379)]},
                "ROUTING": "site_routing.channel_routing",
            },
        }
    """,
    "site_urls.py": """
        import itertools
        import time

        from channels import Channel
        from django.http import StreamingHttpResponse
        from django.shortcuts import render
        from django.urls import path

        def endless(request):
            return StreamingHttpResponse(parts(float(request.GET["pause"])))

        def parts(pause):
            try:
                for number in itertools.count():
                    time.sleep(pause)
                    yield "%s\\n" % number
            finally:
                print("no more parts", flush=True)

        def later(request):
            Channel("later").send({"to": request.reply_channel.name, "said": request.POST["say"]})
            raise request.ResponseLater()

        urlpatterns = [
            path("page", lambda request: render(request, "page.txt")),
            path("endless", endless),
            path("later", later),
        ]
    """,
    "site_routing.py": """
        from channels import route

        channel_routing = [
            route("websocket.receive", "site_consumers.receive"),
            route("reminder", "site_consumers.remind"),
            route("later", "site_consumers.answer"),
        ]
    """,
    "site_consumers.py": """
        import os
        from channels import Channel
        from channels.handler import AsgiHandler
        from django.http import HttpResponse

        def receive(message):
            text = message["text"]
            if text.startswith("remind"):
                delayed = {"channel": "reminder", "content": {"to": message.reply_channel.name}}
                Channel("asgi.delay").send(delayed)  # a bad one: it has no delay
                Channel("asgi.delay").send({"delay": 300, **delayed})
            else:
                message.reply_channel.send({"text": "old %s %s" % (text, os.getpid())})

        def answer(message):
            for reply in AsgiHandler.encode_response(HttpResponse("later: " + message["said"], status=202)):
                Channel(message["to"]).send(reply)

        def remind(message):
            Channel(message["to"]).send({"text": "reminded by %s" % os.getpid()})
    """,
    "files/a.txt": "a static file",
    "templates/page.txt": "the old page",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(dedent(text))
    run(tmp_path, "migrate", "--verbosity=0")
    return tmp_path


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def command(project: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "channels_bridge.worker.legacy", str(project / "manage.py"), *arguments]


def run(project: Path, *arguments: str, url: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "CHANNELS_BRIDGE_URL": url}
    return subprocess.run(command(project, *arguments), env=env, capture_output=True, text=True, check=False)


class Site:
    """The commands of one project, and a port. ``url``: where its bridge is."""

    def __init__(self, project: Path, stack: ExitStack) -> None:
        self.project = project
        self.url = stack.enter_context(directory())
        self._address = f"127.0.0.1:{free_port()}"
        self._stack = stack

    def start(self, *arguments: str) -> ManagedProcess:
        process = ManagedProcess(command(self.project, *arguments), env={"CHANNELS_BRIDGE_URL": self.url})
        return self._stack.enter_context(process)

    def server(self, *arguments: str) -> ManagedProcess:
        """Start ``runserver``, and return when it listens."""
        process = self.start("runserver", self._address, *arguments)
        process.wait_for_log("^Serving ", PATIENCE)
        return process

    @property
    def http(self) -> str:
        return f"http://{self._address}"

    def get(self, path: str) -> str:
        return httpx.get(f"{self.http}{path}", timeout=PATIENCE).text

    def connect(self) -> ClientConnection:
        return self._stack.enter_context(connect(f"ws://{self._address}/", open_timeout=PATIENCE))


def ask(socket: ClientConnection, text: str) -> str:
    socket.send(text)
    return str(socket.recv(timeout=PATIENCE))


def test_browsers_stay_connected_while_code_is_edited(project: Path, stack: ExitStack) -> None:
    site = Site(project, stack)
    server = site.server()
    assert site.get("/page") == "the old page"
    assert site.get("/static/a.txt") == "a static file"
    (project / "templates/page.txt").write_text("the new page")
    assert site.get("/page") == "the new page"

    socket = site.connect()
    match = re.fullmatch(r"old 1 (\d+)", ask(socket, "1"))
    assert match is not None
    server.wait_for_log("reloading on changes in", PATIENCE)
    consumers = project / "site_consumers.py"
    consumers.write_text(consumers.read_text().replace("old", "new"))
    answer, deadline = "old", time.monotonic() + PATIENCE
    while answer.startswith("old") and time.monotonic() < deadline:
        answer = ask(socket, "2")
        time.sleep(0.05)
    assert re.fullmatch(r"new 2 (\d+)", answer)
    assert match[1] not in answer, "another process has answered on the same socket"

    processes = server.tree()
    server.sigterm()
    assert server.wait() == 0
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []


def test_another_consumer_answers_for_a_view(project: Path, stack: ExitStack) -> None:
    site = Site(project, stack)
    site.server("--noreload", "--nothreading")
    answer = httpx.post(f"{site.http}/later", data={"say": "hello"}, timeout=PATIENCE)
    assert (answer.status_code, answer.text) == (202, "later: hello")


@pytest.mark.parametrize("pause", [0, 0.01])
def test_a_response_without_an_end_ends_with_its_client(pause: float, project: Path, stack: ExitStack) -> None:
    site = Site(project, stack)
    server = site.server("--noreload", "--nothreading")
    for _ in range(2):
        with httpx.stream("GET", f"{site.http}/endless?pause={pause}", timeout=PATIENCE) as response:
            lines = response.iter_lines()
            assert [next(lines) for _ in range(3)] == ["0", "1", "2"]
        assert site.get("/page") == "the old page", "the only thread is free again"
    assert server.log.count("no more parts") == 2


def test_a_server_that_is_only_that_with_pools_of_workers(project: Path, stack: ExitStack) -> None:
    site = Site(project, stack)
    server = site.server("--noworker")
    sockets = site.start("runworker", "--only-channels=websocket.*", "--only-channels=http.*", "--threads=2")
    others = site.start("runworker", "--exclude-channels=websocket.*", "--exclude-channels=http.*")
    delays = site.start("rundelay", "--sleep=0.1")

    socket = site.connect()
    assert ask(socket, "1") == f"old 1 {sockets.pid}", "the command's process is the worker's"
    assert ask(socket, "remind me") == f"reminded by {others.pid}"
    delays.wait_for_log("it has no delay", PATIENCE)

    stopped = ((sockets, signal.SIGTERM), (others, signal.SIGINT), (delays, signal.SIGTERM), (server, signal.SIGINT))
    for process, number in stopped:
        process.signal(number)
        assert process.wait() == 0, process.log


def test_what_was_delayed_outlives_the_delay_server(project: Path, stack: ExitStack) -> None:
    site = Site(project, stack)
    site.server("--noreload")
    delays = site.start("rundelay", "--sleep=3600")
    socket = site.connect()
    socket.send("remind me")
    delays.wait_for_log("it has no delay", PATIENCE)
    delays.signal(signal.SIGINT)
    assert delays.wait() == 0
    site.start("rundelay", "--sleep=0.1")
    assert str(socket.recv(timeout=PATIENCE)).startswith("reminded")


def test_commands_that_cannot_serve_anybody(project: Path) -> None:
    settings = project / "site_settings.py"
    settings.write_text(settings.read_text().replace("asgi_redis.Redis", "asgiref.inmemory."))
    for arguments in (("runworker",), ("rundelay",), ("runworker", "--layer=unknown")):
        done = run(project, *arguments)
        assert done.returncode == 1
        assert re.fullmatch(r"CommandError: .*\n", done.stderr), "it says what to do, without a traceback"


def test_a_worker_whose_routing_is_wrong(project: Path) -> None:
    (project / "site_consumers.py").unlink()
    done = run(project, "runworker", "--skip-checks", url="ipc:///nowhere/at/all/")
    assert done.returncode == 3, "so supervisors do not start it again and again"
    assert "site_consumers" in done.stderr
