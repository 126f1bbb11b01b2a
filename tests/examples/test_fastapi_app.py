"""The FastAPI application does the same in uvicorn itself and in a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from channels_bridge.testing.processes import POLL, ManagedProcess

pytestmark = pytest.mark.system
Site = tuple[str, ManagedProcess]


@pytest.fixture(scope="module")
def site(either_way: Callable[[str], Site]) -> Site:
    """Where it is served, and by what."""
    return either_way("examples.fastapi_app.main:app")


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site[0]) as client:
        yield client


def test_the_lifespan_has_given_its_state(client: httpx.Client) -> None:
    first, second = client.get("/").json(), client.get("/").json()
    assert first == second
    assert first["notes"] == f"{client.base_url}/notes"


def test_a_note_is_made_and_its_words_counted_in_the_background(client: httpx.Client) -> None:
    made = client.post("/notes", json={"text": "the quick brown fox"})
    assert made.status_code == 201
    path = f"/notes/{made.json()['id']}"
    assert client.get(path).json()["text"] == "the quick brown fox"
    assert counted(client, path) == 4


def counted(client: httpx.Client, path: str) -> int:
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        note: dict[str, Any] = client.get(path).json()
        if note["words"] is not None:
            return int(note["words"])
        time.sleep(POLL)
    raise TimeoutError("the background task has not run")


def test_what_is_wrong_is_answered_by_fastapi(client: httpx.Client) -> None:
    assert client.post("/notes", json={}).status_code == 422
    assert client.get("/notes/1000").json() == {"detail": "there is no note 1000"}
    assert client.put("/notes").status_code == 405
    assert client.get("/openapi.json").json()["info"]["title"] == "Notes"


def test_an_upload_is_read_in_pieces(client: httpx.Client) -> None:
    pieces = [bytes([number]) * 70_000 for number in range(50)]
    answer = client.post("/digest", content=iter(pieces)).json()
    assert answer == {"sha256": sha256(b"".join(pieces)).hexdigest(), "length": 3_500_000}


def test_events_come_as_they_happen(client: httpx.Client) -> None:
    """The stream is without end: read as a whole it would never be here."""
    with client.stream("GET", "/ticks", params={"count": 10**9, "seconds": 0.01}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        data: list[str] = []
        for line in response.iter_lines():
            data += [line] if line.startswith("data") else []
            if len(data) == 3:
                break
    assert data == ['data: {"tick": 0}', 'data: {"tick": 1}', 'data: {"tick": 2}']


def test_a_stream_that_ends(client: httpx.Client) -> None:
    assert client.get("/ticks", params={"count": 3, "seconds": 0}).text.count("\n\n") == 3


def test_the_socket(site: Site) -> None:
    with connect(site[0].replace("http", "ws") + "/shout") as socket:
        socket.send("hello")
        assert socket.recv() == "HELLO"
        socket.send("bye")
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "bye")


def test_the_lifespan_ends_with_the_process(site: Site) -> None:
    """The last test here: it ends the process."""
    _, process = site
    assert "Notes begins" in process.log
    process.sigterm()
    process.wait_for_log("Notes ends")
    process.wait()
