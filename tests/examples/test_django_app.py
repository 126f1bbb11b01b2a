"""The Django project does the same in uvicorn itself and in a worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from channels_bridge.testing.processes import ManagedProcess

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def url(either_way: Callable[[str], tuple[str, ManagedProcess]]) -> str:
    """Where it is served."""
    return either_way("examples.django_app.asgi:application")[0]


@pytest.fixture
def ws(url: str) -> str:
    return url.replace("http", "ws")


@pytest.fixture
def origin(url: str) -> Origin:
    return Origin(url)


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as client:
        yield client


def read(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=10.0))


def test_a_sync_view(client: httpx.Client, ws: str) -> None:
    page = client.get("/")
    assert f"{ws}/ws/reverse/" in page.text
    assert page.headers["x-frame-options"] == "DENY"


def test_a_session_and_a_body(client: httpx.Client) -> None:
    assert client.get("/visits/").json() == {"visits": 0, "body": 0}
    answers = [client.post("/visits/", content=b"x" * size).json() for size in (0, 10, 1_000_000)]
    assert answers == [{"visits": number, "body": size} for number, size in ((1, 0), (2, 10), (3, 1_000_000))]


def test_an_async_view_streams(client: httpx.Client) -> None:
    assert client.get("/count/1000/").text == "".join(f"{number}\n" for number in range(1, 1001))


def test_what_is_wrong_is_answered_by_django(client: httpx.Client) -> None:
    assert client.put("/visits/").status_code == 405
    assert client.get("/nowhere/").status_code == 404
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_a_group_of_the_in_memory_layer(ws: str, origin: Origin) -> None:
    room = f"{ws}/ws/room/lobby/"
    with (
        connect(room, origin=origin, subprotocols=[Subprotocol("json")]) as ada,
        connect(room, origin=origin) as grace,
    ):
        assert (ada.subprotocol, grace.subprotocol) == ("json", None)
        ada.send('{"text": "hello"}')
        assert read(ada) == read(grace) == {"text": "hello"}
        grace.close(4001, "enough")
        assert read(ada) == {"left": 4001}


def test_a_sync_consumer(ws: str, origin: Origin) -> None:
    with connect(f"{ws}/ws/reverse/", origin=origin) as socket:
        socket.send("hello")
        assert socket.recv() == "olleh"
        socket.send(b"\x00\x01")
        assert socket.recv() == b"\x01\x00"
        socket.send("refuse")
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "as you like")


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [
        ("/ws/reverse/", "http://evil.example", 403),  # it is none of ALLOWED_HOSTS
        ("/ws/nowhere/", "http://localhost", 500),  # URLRouter raises where there is no route
    ],
)
def test_a_handshake_that_is_refused(ws: str, path: str, origin: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(ws + path, origin=Origin(origin)):
        pass
    assert refused.value.response.status_code == status
