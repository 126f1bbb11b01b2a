"""Bad input gets a clear answer: who is wrong is told so, at once where it can be, and nobody else suffers."""

from __future__ import annotations

import random
import re
import socket
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import zmq
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import PROTOCOL
from channels_bridge.testing.processes import ManagedProcess, ServerProcess, WorkerProcess, free_port
from system import faulty_apps

pytestmark = pytest.mark.system

HERE = Path(__file__).resolve().parent
EXIT_USAGE = 2  # click
EXIT_APP = 3
EXIT_CONFIG = 78
HELLO = frames.Hello("worker", 1, "stranger:1", ["default"], False, 0, 0)


def bridge(url: str, app: str = "bridge_app:application") -> ServerProcess:
    env = {"CHANNELS_BRIDGE_URL": url}
    return ServerProcess("uvicorn", app, env=env, pythonpath=[HERE], ready_timeout=15.0)


def worker(app: str, url: str, *args: str, pythonpath: Path = HERE) -> WorkerProcess:
    return WorkerProcess(app, url, args=args, pythonpath=[pythonpath])


def run(process: ManagedProcess) -> tuple[int, str]:
    """Run it to its end; return exit code and log."""
    with process:
        code = process.wait(20.0)
    return code, process.log


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"ipc://{tmp_path / 'bridges'}/"


# -- what a worker is given ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "source", "says"),
    [
        ("nowhere_to_be_found:app", "", r"there is no module 'nowhere_to_be_found' in .+--app-dir"),
        ("module:nothing", "", r"module 'module' has no attribute 'nothing'"),
        ("module", "", r"APP is module:attribute, .+ not 'module'"),
        (
            "module:app",
            "import nowhere_to_be_found",
            r"module\.py\", line 1[\s\S]+No module named 'nowhere_to_be_found'",
        ),
        ("module:app", "app = 1 / 0", r"module\.py\", line 1[\s\S]+ZeroDivisionError"),
        ("module:app", "def app(:", r"module\.py\", line 1[\s\S]+SyntaxError"),
        ("module:app", "app = 'application'", r"module:app is not callable: it is a str"),
        ("module:app", "def app(one, two): ...", r"cannot tell what module:app is: .+--interface"),
    ],
)
def test_an_app_that_cannot_be_loaded(app: str, source: str, says: str, url: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(source)
    code, log = run(worker(app, url, pythonpath=tmp_path))
    assert code == EXIT_APP
    assert re.search(f"the application cannot start: .*{says}" if "line" not in says else says, log), log


@pytest.mark.parametrize(
    ("interface", "code", "says"),
    [
        ("asgi2", EXIT_APP, "hosted_apps:echo looks like asgi3, but --interface says asgi2"),
        ("consumer", EXIT_APP, "hosted_apps:echo looks like asgi3, but --interface says consumer"),
        ("wsgi", EXIT_USAGE, "'wsgi' is not one of 'auto', 'asgi3', 'asgi2', 'consumer'"),
    ],
)
def test_a_wrong_interface(interface: str, code: int, says: str, url: str) -> None:
    ended, log = run(worker("hosted_apps:echo", url, "--interface", interface))
    assert (ended, says in log) == (code, True), log


def test_a_supervisor_gives_up_on_an_app_that_cannot_be_loaded(url: str) -> None:
    code, log = run(worker("nowhere_to_be_found:app", url, "--processes", "2"))
    assert code == EXIT_APP
    assert log.count("there is no module") <= 2, "it was tried again, and could only fail"


# -- addresses -------------------------------------------------------------------------------------------------


def refused_bridge(url: str) -> str:
    """Return the log of a server that could not start with the bridge at this address."""
    code, log = run(Unready(bridge(url)))
    assert code != 0
    return log


class Unready(ManagedProcess):
    """A server that is not expected to become ready."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__(server.command, env=server.env)


def test_a_tcp_address_that_is_taken() -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        log = refused_bridge(f"tcp://127.0.0.1:{port}")
    assert re.search(rf"tcp://127\.0\.0\.1:{port}: no port is free; give a range, tcp://host:first-last", log), log
    assert "Address already in use" in log
    assert "Traceback" not in log


def test_a_range_of_ports_goes_on_with_the_next() -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with bridge(f"tcp://127.0.0.1:{port}-{port + 9}") as server:
            assert server.alive


def test_a_path_too_long_for_a_unix_socket(tmp_path: Path) -> None:
    url = f"ipc://{tmp_path / ('x' * 120)}/"
    says = r"the path is too long for a Unix socket by \d+ bytes"
    assert re.search(says, refused_bridge(url))
    code, log = run(worker("hosted_apps:echo", url))
    assert code == EXIT_USAGE
    assert re.search(f"--bridge: .*{says}", log), log


def test_a_directory_that_others_may_enter(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "bridges"
    folder.mkdir()
    folder.chmod(0o755)
    says = rf"others may enter it \(mode 0755\); make it private: chmod 700 {folder}"
    log = refused_bridge(url)
    assert re.search(says, log), log
    assert "Traceback" not in log
    code, log = run(worker("hosted_apps:echo", url))
    assert code == EXIT_CONFIG
    assert re.search(says, log), log


def test_a_directory_that_turns_out_to_be_open_to_others(url: str, tmp_path: Path) -> None:
    """The worker was there first, and waits for the directory; it may not connect to what strangers can put there."""
    with worker("hosted_apps:echo", url) as early:
        early.wait_for_log("no bridge at")
        (tmp_path / "bridges").mkdir(mode=0o755)
        (tmp_path / "bridges").chmod(0o755)
        early.wait_for_log("others may enter it")
        (tmp_path / "bridges").chmod(0o700)
        with bridge(url) as server:
            early.wait_for_log("connected to the bridge")
            assert_echoes(server)


def test_the_directory_and_its_sockets_are_private(url: str, tmp_path: Path) -> None:
    with bridge(url):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "bridges").iterdir()}
        assert stat.S_IMODE((tmp_path / "bridges").stat().st_mode) == 0o700
        assert set(modes.values()) == {0o600}, modes


# -- a half that is missing ------------------------------------------------------------------------------------


def assert_echoes(server: ServerProcess) -> None:
    with connect(f"{server.ws_url}/echo/") as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"


def test_no_worker_is_up(url: str) -> None:
    with bridge(url, "bridge_app:impatient") as server:
        begun = time.monotonic()
        answer = httpx.get(server.url, timeout=10)
        assert 0.5 <= time.monotonic() - begun < 3
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        with pytest.raises(InvalidStatus) as refused, connect(server.ws_url):
            pass
        assert refused.value.response.status_code == 503
        assert int(refused.value.response.headers["retry-after"]) > 0


def test_a_worker_of_another_pool_is_no_worker(url: str) -> None:
    with bridge(url, "bridge_app:impatient") as server, worker("hosted_apps:echo", url, "-Q", "other") as other:
        other.wait_for_log("connected to the bridge")
        assert httpx.get(server.url, timeout=10).status_code == 503


def test_a_worker_that_is_started_first_waits_and_says_so(url: str) -> None:
    with worker("hosted_apps:echo", url) as early:
        early.wait_for_log(rf"no bridge at {re.escape(url)} yet; waiting")
        with bridge(url) as server:
            assert_echoes(server)


def test_a_request_waits_for_a_worker_that_is_about_to_come(url: str) -> None:
    with bridge(url) as server, worker("hosted_apps:echo", url):
        assert_echoes(server)


# -- peers that speak otherwise --------------------------------------------------------------------------------


@contextmanager
def dealer(folder: Path) -> Generator[zmq.Socket[bytes]]:
    """A peer of the only bridge of the directory."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.setsockopt(zmq.LINGER, 0)
        peer.setsockopt(zmq.RCVTIMEO, 5000)
        peer.connect(f"ipc://{folder}/bridge-0.sock")
        yield peer


def ask(peer: zmq.Socket[bytes], message: list[bytes]) -> list[frames.Frame]:
    peer.send_multipart(message)
    return wire.Inbox(wire.MAX_FRAME).decode(peer.recv_multipart())[1]


def test_a_worker_of_another_protocol_version_is_refused(url: str, tmp_path: Path) -> None:
    other = wire.HEADER.pack(wire.MAGIC, PROTOCOL + 1, 0) + b"\x91\x91\x01"
    with bridge(url) as server, dealer(tmp_path / "bridges") as peer:
        (answer,) = ask(peer, [other])
        assert isinstance(answer, frames.Refuse)
        assert answer.code == "version"
        assert f"speaks protocol version {PROTOCOL}, not {PROTOCOL + 1}" in answer.text
        server.wait_for_log(f"refused a worker of protocol version {PROTOCOL + 1}")
        (welcome,) = ask(peer, wire.encode(0, [HELLO])[0])
        assert isinstance(welcome, frames.Welcome)


@contextmanager
def fake_bridge(folder: Path) -> Generator[zmq.Socket[bytes]]:
    folder.mkdir(mode=0o700)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.LINGER, 0)
        router.setsockopt(zmq.RCVTIMEO, 10_000)
        router.bind(f"ipc://{folder}/bridge-0.sock")
        yield router


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (wire.encode(0, [frames.Refuse("links", "no more than 3 of you")])[0], "refused .*: no more than 3 of you"),
        ([wire.HEADER.pack(wire.MAGIC, PROTOCOL + 1, 0) + b"\x91\x91\x03"], f"version {PROTOCOL + 1}"),
        ([b"HTTP/1.1 400 Bad Request"], "malformed"),
    ],
    ids=["refused", "another version", "not a bridge"],
)
def test_a_bridge_that_does_not_want_the_worker(answer: list[bytes], says: str, url: str, tmp_path: Path) -> None:
    with fake_bridge(tmp_path / "bridges") as router, worker("hosted_apps:echo", url) as refused:
        peer, *hello = router.recv_multipart()
        assert isinstance(wire.Inbox(wire.MAX_FRAME).decode(hello)[1][0], frames.Hello)
        router.send_multipart([peer, *answer])
        refused.wait_for_log(says)
        assert refused.alive
        assert "Traceback" not in refused.log


def malformed() -> list[list[bytes]]:
    """Messages that are none of the protocol."""
    chance = random.Random(7)
    head = wire.HEADER.pack(wire.MAGIC, PROTOCOL, 0)
    return [
        [b""],
        [b"", b""],
        [head],
        [head + b"\xc1"],  # never used in msgpack
        [head + b"\x90"],  # no items
        [head + b"\x91\x91\xcc\xff"],  # an unknown kind
        [head + b"\x91\x91\x01"],  # HELLO without its fields
        [head + b"\xdd\xff\xff\xff\xff"],  # four billion items, says the length
        [head + b"\x91" * 5000],  # deep
        [head + b"\x91\x92\x40\xc3"],  # a PART without a body
        [head + b"\x91\x92\x40\xc3", b"x", b"y"],
        [wire.HEADER.pack(0, PROTOCOL, 0) + b"\x91\x91\x05"],
        *([chance.randbytes(chance.randrange(1, 300))] for _ in range(200)),
        *([head + chance.randbytes(chance.randrange(1, 300))] for _ in range(200)),
    ]


def test_garbage_is_counted_and_disturbs_nobody(url: str, tmp_path: Path) -> None:
    garbage = malformed()
    with (
        bridge(url, "bridge_app:counting") as server,
        worker("hosted_apps:echo", url),
        connect(f"{server.ws_url}/echo/") as client,
        dealer(tmp_path / "bridges") as peer,
    ):
        for number, message in enumerate(garbage):
            peer.send_multipart(message)
            if number % 40 == 0:
                client.send(str(number))
                assert client.recv(timeout=10) == str(number)
        (welcome,) = ask_again(peer, wire.encode(0, [HELLO])[0])
        assert isinstance(welcome, frames.Welcome), "who was confused once may come back to its senses"
        counted = httpx.get(f"{server.url}/statistics").json()
        assert counted["malformed"] + counted["fenced"] >= len(garbage)
        assert counted["lost_workers"] == 0


def ask_again(peer: zmq.Socket[bytes], message: list[bytes]) -> list[frames.Frame]:
    """As ``ask``, past the refusals that garbage which looked like another version was answered with."""
    peer.send_multipart(message)
    while True:
        received = wire.Inbox(wire.MAX_FRAME).decode(peer.recv_multipart())[1]
        if not isinstance(received[0], frames.Refuse | frames.Reset):
            return received


def test_bytes_that_are_not_zeromq_disturb_nobody(url: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    with bridge(url) as server, worker("hosted_apps:echo", url), connect(f"{server.ws_url}/echo/") as client:
        for number in range(50):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(str(tmp_path / "bridges" / "bridge-0.sock"))
                stranger.sendall(chance.randbytes(chance.randrange(1, 2000)))
            client.send(str(number))
            assert client.recv(timeout=10) == str(number)


def test_a_frame_beyond_the_limit_ends_its_sender_alone(url: str, tmp_path: Path) -> None:
    with (
        bridge(url) as server,
        worker("hosted_apps:echo", url),
        connect(f"{server.ws_url}/echo/") as client,
        dealer(tmp_path / "bridges") as peer,
    ):
        peer.send(bytes(wire.MAX_FRAME + 1))
        client.send("hello")
        assert client.recv(timeout=10) == "hello"
        assert server.alive


# -- applications that send what they may not ------------------------------------------------------------------


@dataclass
class Faulty:
    """A server and a worker that hosts one of ``faulty_apps``. ``code``: with which an open socket is closed."""

    server: ServerProcess
    host: WorkerProcess
    comment: str
    code: int | None

    @contextmanager
    def told(self) -> Generator[None]:
        """See that what happens in the block is told once, with the line at fault."""
        before = len(self.host.log)
        yield
        log = self.host.log[before:]
        assert log.count(f"# {self.comment}") == 1, log
        assert log.count("LocalProtocolError: ") == 1, log


# uvicorn cuts the socket of an application that raises, and does the same for one that raises in a worker. A
# consumer is ours: its socket is closed with 1011.
HOSTED = {
    "application": ("the line at fault in an application", None),
    "Async": ("the line at fault in an async consumer", 1011),
    "Sync": ("the line at fault in a sync consumer", 1011),
}


@pytest.fixture(scope="module", params=HOSTED)
def faulty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Faulty]:
    hosted: str = request.param
    url = f"ipc://{tmp_path_factory.mktemp('faulty') / 'bridges'}/"
    with bridge(url) as server, worker(f"faulty_apps:{hosted}", url) as host:
        host.wait_for_log("connected to the bridge")
        yield Faulty(server, host, *HOSTED[hosted])


@pytest.mark.parametrize("case", faulty_apps.HTTP)
def test_a_response_that_may_not_be_sent(case: str, faulty: Faulty) -> None:
    with faulty.told():
        assert httpx.get(f"{faulty.server.url}/{case}/").status_code == 500


@pytest.mark.parametrize("case", faulty_apps.EARLY)
def test_a_message_that_may_not_be_sent_before_the_socket_is_accepted(case: str, faulty: Faulty) -> None:
    with faulty.told(), pytest.raises(InvalidStatus) as refused:
        connect(f"{faulty.server.ws_url}/{case}/")
    assert refused.value.response.status_code == 500


@pytest.mark.parametrize("case", faulty_apps.WEBSOCKET)
def test_a_message_that_may_not_be_sent_on_an_open_socket(case: str, faulty: Faulty) -> None:
    with (
        faulty.told(),
        connect(f"{faulty.server.ws_url}/{case}/") as client,
        pytest.raises(ConnectionClosedError) as closed,
    ):
        client.recv(timeout=10)
    assert (closed.value.rcvd and closed.value.rcvd.code) == faulty.code
