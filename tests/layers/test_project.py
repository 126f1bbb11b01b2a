"""A Django project on Channels 4, unmodified: its sockets, views, commands and background reach each other.

Wherever its processes run: uvicorn with the project in it, the bridge in another server; uvicorn with the project and
a bridge side by side; workers behind a bridge. Each with two processes of the project, and ``manage.py runworker``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket

from channels_bridge.testing.processes import ManagedProcess, ServerProcess, WorkerProcess
from halves import directory
from layers.seats import TESTS

pytestmark = pytest.mark.system

MANAGE = TESTS / "layers" / "project" / "manage.py"
PROJECT = "layers.project.asgi:application"
BESIDE = "layers.project.beside_bridge:application"
BRIDGE = "bridge_app:application"


class Running:
    """The project, in several processes."""

    def __init__(self, kind: str, url: str, stack: ExitStack) -> None:
        self._stack = stack
        self.environment = {"CHANNELS_BRIDGE_URL": url}
        self.processes: list[ManagedProcess] = []
        start = {"apart": self._apart, "beside": self._beside, "behind": self._behind}[kind]
        self.servers = start(url)
        command = [sys.executable, str(MANAGE), "runworker", "thumbnails"]
        self.background = self._start(ManagedProcess(command, **self._where))  # what comes before it listens waits

    @property
    def _where(self) -> dict[str, Any]:
        return {"env": self.environment, "pythonpath": [TESTS, TESTS / "system"]}

    def _start(self, process: Any) -> Any:
        self.processes.append(process)
        return self._stack.enter_context(process)

    def _server(self, app: str) -> ServerProcess:
        server: ServerProcess = self._start(ServerProcess("uvicorn", app, **self._where))
        return server

    def _apart(self, url: str) -> list[ServerProcess]:
        """The bridge has a server to itself; the project is its client."""
        self._server(BRIDGE)
        return [self._server(PROJECT), self._server(PROJECT)]

    def _beside(self, url: str) -> list[ServerProcess]:
        """Each server has the project and a bridge."""
        return [self._server(BESIDE), self._server(BESIDE)]

    def _behind(self, url: str) -> list[ServerProcess]:
        """The bridge has the sockets, two workers have the project."""
        server = self._server(BRIDGE)
        for _ in range(2):
            worker = self._start(WorkerProcess(PROJECT, url, **self._where))
            worker.wait_for_log("connected to the bridge")
        return [server, server]

    def manage(self, *arguments: str) -> None:
        """Run a management command to its end."""
        process = ManagedProcess([sys.executable, str(MANAGE), *arguments], **self._where)
        with process:
            assert process.wait(20.0) == 0, process.log
        assert process.log == ""


@pytest.fixture(scope="module", params=["apart", "beside", "behind"])
def project(request: pytest.FixtureRequest) -> Iterator[Running]:
    with ExitStack() as stack, directory() as url:
        running = Running(request.param, url, stack)
        yield running
        logs = [process.log for process in running.processes]
        assert [log for log in logs if "Traceback" in log or "ERROR" in log or "Exception" in log] == []


class Person:
    """A WebSocket in a room."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.pid = self.hear()["pid"]  # of the process that has the consumer

    def say(self, text: str) -> None:
        self.connection.send(text)

    def hear(self) -> Any:
        return json.loads(self.connection.recv(timeout=10.0))

    def leave(self) -> None:
        self.connection.close()


@pytest.fixture
def join(project: Running) -> Iterator[Any]:
    with ExitStack() as stack:

        def join(path: str, server: int = 0) -> Person:
            url = f"{project.servers[server].ws_url}{path}"
            return Person(stack.enter_context(connect_websocket(url)))

        yield join


def text(text: str) -> dict[str, str]:
    return {"text": text}


def test_sockets_of_all_processes_hear_each_other(join: Any) -> None:
    """With async and with sync consumers."""
    people = [join(path, server) for path in ("/chat/lobby/", "/sync/lobby/") for server in (0, 1)]
    assert len({person.pid for person in people}) == 2
    for number, person in enumerate(people):
        person.say(f"hello {number}")
        assert [other.hear() for other in people] == [text(f"hello {number}")] * 4
    people[0].leave()
    assert [other.hear() for other in people[1:]] == [text("left 1000")] * 3
    people[3].say("still here")
    assert [other.hear() for other in people[1:]] == [text("still here")] * 3


def test_rooms_are_apart(join: Any) -> None:
    here, there = join("/chat/here/"), join("/chat/there/", 1)
    here.say("psst")
    there.say("hello")
    assert (here.hear(), there.hear()) == (text("psst"), text("hello"))


def test_many_messages_keep_their_order(join: Any) -> None:
    people = [join("/chat/busy/", 0), join("/chat/busy/", 1)]
    for number in range(100):
        people[0].say(str(number))
        if number % 10 == 9:  # a layer's channels hold 100 messages
            for person in people:
                assert [person.hear() for _ in range(10)] == [text(str(n)) for n in range(number - 9, number + 1)]


@pytest.mark.parametrize("view", ["announce", "announce-sync", "announce-async"])
def test_views_speak_in_rooms(project: Running, join: Any, view: str) -> None:
    people = [join(f"/chat/{view}/", 0), join(f"/sync/{view}/", 1)]  # those of the test before may still be leaving
    for server in project.servers:
        assert httpx.get(f"{server.url}/{view}/{view}/", params={"text": view}).status_code == 200
        assert [person.hear() for person in people] == [text(view)] * 2


def test_the_background_works_for_consumers(join: Any) -> None:
    people = [join("/chat/pictures/", 0), join("/chat/pictures/", 1)]
    for number, person in enumerate(people):
        person.say(f"thumbnail duck{number}")
    assert [person.hear() for person in people] == [{"thumbnail": "small duck0"}, {"thumbnail": "small duck1"}]


def test_a_view_waits_for_the_background(project: Running) -> None:
    for server in project.servers:
        for number in range(3):
            answer = httpx.get(f"{server.url}/thumbnail/duck{number}/", timeout=10.0).json()
            expected = {"type": "thumbnail.ready", "thumbnail": f"small duck{number}", "pid": project.background.pid}
            assert answer == expected


def test_a_command_speaks_in_rooms(project: Running, join: Any) -> None:
    people = [join("/chat/ops/", 0), join("/chat/ops/", 1)]
    project.manage("announce", "ops", "deploying")
    assert [person.hear() for person in people] == [text("deploying")] * 2
