"""Overload is an answer, at once or after a wait that has an end, and it is counted: on every server."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import ServerProcess, WorkerProcess
from halves import directory
from system_status import refused

pytestmark = pytest.mark.system

HERE = Path(__file__).parent
SERVERS = ("uvicorn", "hypercorn-asyncio", "hypercorn-trio", "daphne", "granian")
PATIENCE = 15.0  # seconds


class Site:
    """A server, its bridge with tight limits, and a worker with one slot."""

    def __init__(self, kind: str, stack: ExitStack) -> None:
        self.url = stack.enter_context(directory())
        self._stack = stack
        env = {"CHANNELS_BRIDGE_URL": self.url}
        app = "overload_app:application"
        self.server = stack.enter_context(ServerProcess(kind, app, env=env, pythonpath=[HERE]))
        worker = WorkerProcess("overload_app:consumers", self.url, pythonpath=[HERE], args=["--max-inflight=1"])
        stack.enter_context(worker)
        deadline = time.monotonic() + PATIENCE
        while self.get().text != "hello":  # the worker is not linked yet: a refusal, too
            assert time.monotonic() < deadline, worker.log
        self._before = refused(self.url)

    def refused(self) -> Counter[str]:
        """Count what was refused since we began, by outcome."""
        return refused(self.url) - self._before

    def get(self) -> httpx.Response:
        return httpx.get(self.server.url + "/", timeout=PATIENCE)

    def open(self, path: str = "/busy") -> ClientConnection:
        return self._stack.enter_context(connect(self.server.ws_url + path, open_timeout=PATIENCE))

    def refusal(self, path: str = "/busy") -> str:
        """Open one more, and give the status or the close code that it is refused with."""
        try:
            return close_of(self.open(path))
        except InvalidStatus as error:
            return f"{error.response.status_code}, after {error.response.headers['Retry-After']} s"


def close_of(one: ClientConnection) -> str:
    with pytest.raises(ConnectionClosed) as closed:
        one.recv(timeout=PATIENCE)
    frame = closed.value.rcvd
    assert frame is not None
    return f"{frame.code} {frame.reason}".strip()


def expected(kind: str) -> str:
    """Give the refusal as the server can say it: daphne has no denial responses, no reasons, and few codes."""
    return "4013" if kind == "daphne" else "503, after 2 s"


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(kind: str) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(kind, stack)


def test_beyond_so_many_connections_each_is_refused_and_counted(kind: str, site: Site) -> None:
    for _ in range(6):
        site.open()
    assert site.refusal() == expected(kind)
    answer = site.get()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert site.refused() == {"overload": 2}


@pytest.mark.parametrize("kind", ["uvicorn", "daphne"], indirect=True)
def test_while_a_worker_is_busy_requests_wait_a_while_and_are_refused(site: Site) -> None:
    busy = site.open()
    busy.send("1.5")
    time.sleep(0.1)
    begun = time.monotonic()
    first = site.get()  # waits for the slot as long as a request may
    assert (first.status_code, time.monotonic() - begun >= 0.7) == (503, True)
    assert busy.recv(timeout=PATIENCE) == "1.5"
    assert site.get().text == "hello"


@pytest.mark.parametrize("kind", ["uvicorn", "daphne"], indirect=True)
def test_an_open_socket_whose_messages_get_no_slot_is_closed(kind: str, site: Site) -> None:
    patient, busy = site.open(), site.open()
    busy.send("2.5")
    time.sleep(0.1)
    patient.send("0")
    assert close_of(patient) == ("4013" if kind == "daphne" else "1013 overload")
    assert site.refused() == {"overload": 1}


@pytest.mark.parametrize("kind", ["uvicorn", "hypercorn-trio"], indirect=True)
def test_a_client_that_reads_nothing_is_closed(site: Site) -> None:
    """With daphne and granian, whose send() does not wait for the client, nobody can see that it reads nothing."""
    with socket.create_connection(("127.0.0.1", site.server.port)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        handshake = (
            "GET /flood HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "",
        )  # fmt: skip
        raw.sendall("\r\n".join(handshake).encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 101")
        raw.sendall(b"\x81\x82\0\0\0\0go")
        deadline = time.monotonic() + PATIENCE
        while site.refused() != {"slow": 1}:
            assert time.monotonic() < deadline
            time.sleep(0.2)
