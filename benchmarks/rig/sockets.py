"""Many WebSockets that only listen, with as little work per message as will do: epoll, and bytes are counted.

    python -m benchmarks.rig.sockets

Asked by lines of JSON (dialogue.py): ``{"host", "port", "path", "count"}`` opens so many more; ``{"expect": bytes}``
is answered when so many bytes have come to all of them together, with the monotonic time of the last in nanoseconds;
with ``"each": text`` each of them has to get that one message, and nothing else.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import sys
import time

TOGETHER = 50  # handshakes at once: fewer than a server's backlog
PER_ADDRESS = 5000  # connections from one address of the loopback: each has so many ports only
TIMEOUT = 30.0  # seconds; for a handshake, or until something comes
SPARE_FILES = 200
_IP_BIND_ADDRESS_NO_PORT = 24  # ip(7): the port is chosen by connect(), which knows who else it may share it with
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, 1.3


def allow_files(count: int) -> None:
    """Let this process, and its children, have so many connections. Raises ``SystemExit`` where it may not."""
    wanted = count + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except (ValueError, OSError):
        raise SystemExit(f"{wanted} open files are needed, and the limit is {hard}: ulimit -Hn {wanted}") from None


def text_frame(text: str, *, masked: bool) -> bytes:
    """Give a whole text message of less than 126 bytes (RFC 6455, 5.2); the mask is zero."""
    data = text.encode()
    return bytes((0x81, (0x80 if masked else 0) | len(data))) + (bytes(4) if masked else b"") + data


def begin(host: str, port: int, path: str, source: str = "") -> socket.socket:
    """Connect and ask for a WebSocket; :func:`complete` has the answer."""
    connection = socket.socket()
    connection.settimeout(TIMEOUT)
    if source:
        connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        connection.bind((source, 0))
    connection.connect((host, port))
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {_KEY}", "Sec-WebSocket-Version: 13", "", "")  # fmt: skip
    connection.sendall("\r\n".join(lines).encode())
    return connection


def complete(connection: socket.socket) -> socket.socket:
    """Read the answer to the handshake, which nothing may follow."""
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        part = connection.recv(4096)
        answer += part
        if not part or not answer.startswith(b"HTTP/1.1 101 "[: len(answer)]):
            raise ConnectionError(f"the handshake was answered by {answer!r}")
    return connection


class Sockets:
    """All connections."""

    def __init__(self) -> None:
        self._open: dict[int, socket.socket] = {}  # file descriptor -> connection
        self._epoll = select.epoll()

    def connect(self, host: str, port: int, path: str, count: int) -> None:
        """Open so many more."""
        allow_files(len(self._open) + count)
        while count > 0:
            first = len(self._open)
            some = range(first, first + min(TOGETHER, count))
            asked = [begin(host, port, path, f"127.0.0.{2 + number // PER_ADDRESS}") for number in some]
            for connection in map(complete, asked):
                connection.setblocking(False)
                self._open[connection.fileno()] = connection
                self._epoll.register(connection, select.EPOLLIN)
            count -= len(asked)

    def expect(self, total: int, each: str = "") -> int:
        """Read so many bytes; give when the last of them came. Raises if there come fewer, or more, or others."""
        frame = text_frame(each, masked=False) if each else b""
        missing = set(self._open) if each else set[int]()
        while total > 0:
            ready = self._epoll.poll(TIMEOUT)
            if not ready:
                raise TimeoutError(f"{total} bytes have not come in {TIMEOUT} s")
            for descriptor, _ in ready:
                data = self._open[descriptor].recv(65536)
                if not data:
                    raise ConnectionError("the server closed a connection")
                if each and (data != frame or descriptor not in missing):
                    raise ValueError(f"a client was told {data!r}, and not {frame!r} once")
                missing.discard(descriptor)
                total -= len(data)
        if total:
            raise ValueError(f"{-total} bytes came too much")
        return time.monotonic_ns()


def main() -> None:
    sockets = Sockets()
    for line in sys.stdin:
        question = json.loads(line)
        if "expect" in question:
            answer = {"at": sockets.expect(question["expect"], question.get("each", ""))}
        else:
            sockets.connect(**question)
            answer = {}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
