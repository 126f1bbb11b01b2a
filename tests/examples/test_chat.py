"""The chat: over two workers, over two bridges, with async and with sync consumers."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import ManagedProcess, ServerProcess, WorkerProcess

pytestmark = pytest.mark.system
APPS = ("examples.chat.app:application", "examples.chat.sync_app:application")
ROOT = Path(__file__).resolve().parent.parent.parent


def hear(socket: ClientConnection) -> dict[str, Any]:
    """Return the next message that this person is sent."""
    message: dict[str, Any] = json.loads(socket.recv(timeout=10.0))
    return message


def note(text: str) -> dict[str, Any]:
    return {"text": text, "user": "", "own": False}


def said(user: str, text: str, own: bool = False) -> dict[str, Any]:
    return {"text": text, "user": user, "own": own}


# -- one command -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=APPS)
def url(request: pytest.FixtureRequest, serve: Callable[..., tuple[str, ManagedProcess]]) -> str:
    """Where the chat is served by two workers."""
    return serve(request.param, "--workers", "2", workers=2)[0]


@pytest.fixture
def ws(url: str) -> str:
    return url.replace("http", "ws")


def test_a_conversation(ws: str) -> None:
    with connect(f"{ws}/chat/room/foobar/?name=Ada") as ada:
        assert hear(ada) == {"text": "Welcome to foobar, Ada"}
        with connect(f"{ws}/chat/room/foobar/?name=Grace%20H") as grace:
            assert hear(grace) == {"text": "Welcome to foobar, Grace H"}
            assert hear(ada) == note("Grace H has joined")
            ada.send("grüße 😀")
            assert hear(ada) == said("Ada", "grüße 😀", own=True)
            assert hear(grace) == said("Ada", "grüße 😀")
        assert hear(ada) == note("Grace H has left")


def test_what_is_said_stays_in_the_room(ws: str) -> None:
    with connect(f"{ws}/chat/room/here/") as here, connect(f"{ws}/chat/room/there/") as there:
        assert [hear(socket)["text"] for socket in (here, there)] == [
            "Welcome to here, Somebody",
            "Welcome to there, Somebody",
        ]
        here.send("psst")
        there.send("hello")
        assert hear(there)["text"] == "hello"
        assert hear(here)["text"] == "psst"


def test_what_is_no_text_is_not_repeated(ws: str) -> None:
    with connect(f"{ws}/chat/room/foo/") as socket:
        hear(socket)
        socket.send(b"bytes")
        socket.send("")
        socket.send("text")
        assert hear(socket)["text"] == "text"


def test_the_page_is_there_for_rooms_that_can_be(url: str) -> None:
    lobby, room = httpx.get(url), httpx.get(f"{url}/room/foo/")
    assert lobby.headers["content-type"] == "text/html; charset=utf-8"
    assert lobby.text == room.text
    assert httpx.head(url).content == b""
    assert httpx.get(f"{url}/room/no%20room/").status_code == 404
    assert httpx.post(f"{url}/room/no%20room/", content=b"x" * 300_000).status_code == 404


def test_a_room_that_cannot_be_refuses_its_sockets(ws: str) -> None:
    for path in ("/chat/room/no%20room/", "/chat/room/", "/room/foo/"):
        with pytest.raises(InvalidStatus) as refused, connect(ws + path):
            pass
        assert refused.value.response.status_code == 403


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = (ROOT / "examples/chat/page.html").read_text()
    assert re.findall(r"""(?:src|href|url)\s*[=(]\s*["'](?!/|data:|#)""", page) == []


# -- a server of one's own -------------------------------------------------------------------------------------


@pytest.fixture
def ports() -> Iterator[list[str]]:
    """Two servers with a bridge each, a worker with the async chat and one with the sync: all one chat."""
    with tempfile.TemporaryDirectory(prefix="cb-") as sockets, ExitStack() as exits:
        bridges = f"ipc://{sockets}/"
        env = {"CHANNELS_BRIDGE_URL": bridges}
        asgi = "examples.chat.asgi:application"
        servers = [ServerProcess("uvicorn", asgi, env=env, pythonpath=[ROOT]) for _ in range(2)]
        workers = [WorkerProcess(app, bridges, pythonpath=[ROOT]) for app in APPS]
        for process in (*servers, *workers):
            exits.enter_context(process)
        for worker in workers:
            worker.wait_for_log(r"(?s)connected to the bridge.*connected to the bridge")
        yield [server.ws_url for server in servers]


def test_one_room_over_two_bridges_and_two_workers(ports: list[str]) -> None:
    """Four people at each server, so that each worker has some of each; everybody hears everybody once."""
    names = [f"p{number}" for number in range(8)]
    with ExitStack() as exits:
        people: list[ClientConnection] = []
        for number, name in enumerate(names):
            url = f"{ports[number % 2]}/chat/room/foo/?name={name}"
            people.append(exits.enter_context(connect(url)))
            assert hear(people[-1])["text"].startswith("Welcome")
            for earlier in people[:-1]:
                assert hear(earlier) == note(f"{name} has joined")
        for name, person in zip(names, people, strict=True):
            person.send(f"I am {name}")
            for other in people:
                assert hear(other) == said(name, f"I am {name}", own=other is person)
        people[0].close()
        for other in people[1:]:
            assert hear(other) == note("p0 has left")


@pytest.mark.parametrize("app", APPS)
def test_everybody_leaves_at_once(app: str) -> None:
    """While each is told that others have left. Nothing is left of them: the worker has nothing to wait for."""
    with tempfile.TemporaryDirectory(prefix="cb-") as sockets:
        bridges = f"ipc://{sockets}/"
        env = {"CHANNELS_BRIDGE_URL": bridges}
        with (
            ServerProcess("uvicorn", "examples.chat.asgi:application", env=env, pythonpath=[ROOT]) as server,
            WorkerProcess(app, bridges, pythonpath=[ROOT]) as worker,
        ):
            with ExitStack() as exits:
                for number in range(8):
                    url = f"{server.ws_url}/chat/room/foo/?name=p{number}"
                    hear(exits.enter_context(connect(url, max_queue=None)))
            try:
                worker.sigterm()
                assert worker.wait(5.0) == 0
            finally:
                worker.kill()
