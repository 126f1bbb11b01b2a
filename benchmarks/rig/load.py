"""The load of a measurement: raw sockets on uvloop, with as little Python per message as will do.

A process of its own, so that it shares no loop and no interpreter with what it measures::

    python load.py ws://127.0.0.1:8000/ --connections 50 --size 64 --seconds 2 --pids 123,124

Each connection keeps ``--window`` messages under way and sends the next one as soon as an answer is complete
(closed loop); with ``--rate``, so many messages a second go out whatever becomes of them (open loop). WebSocket
messages are numbered and each answer is compared with what was sent, so that a server cannot be fast by losing,
doubling or swapping messages: an answer that differs ends the run with exit code 1 and the difference.

It ends after ``--seconds`` of measurement, or with ``--messages`` when each connection has had so many answers.
On its last line it prints one JSON object: messages, seconds, rate (1/s), latencies and CPU seconds of ``--pids``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol, cast
from urllib.parse import SplitResult, urlsplit

import uvloop

NUMBER = struct.Struct(">Q")
PING, PONG = 0x89, 0x8A  # first byte of the frame; no answer of HTTP begins with it
LINGER = 0.3  # seconds after the last answer in which nothing more may come
START_TIMEOUT = 30.0  # seconds for all connections to be open
TOGETHER = 50  # handshakes at once: fewer than a server's backlog
_WS_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, 1.3


class BadAnswerError(Exception):
    """The server said something else than it should."""


class Talk(Protocol):
    """What is said on a connection."""

    greeting: bytes  # first of all; empty where nothing is

    def request(self, number: int) -> bytes:
        """Give the bytes of a message."""
        ...

    def answer(self, number: int, data: bytes, start: int) -> int:
        """Give the end of the answer that begins at ``start``, or ``start`` if it is not complete."""
        ...


class Echo:
    """A WebSocket whose server sends back what it gets. The mask is zero: the client need not apply it."""

    def __init__(self, url: SplitResult, size: int) -> None:
        lines = (
            f"GET {url.path or '/'} HTTP/1.1", f"Host: {url.netloc}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {_WS_KEY}", "Sec-WebSocket-Version: 13", "", "",
        )  # fmt: skip
        self.greeting = "\r\n".join(lines).encode()
        self._head = frame_head(size, 0x80) + bytes(4)
        self._back = frame_head(size, 0)
        self._padding = bytes(size - NUMBER.size)
        self._length = len(self._back) + size

    def request(self, number: int) -> bytes:
        return self._head + NUMBER.pack(number) + self._padding

    def answer(self, number: int, data: bytes, start: int) -> int:
        end = start + self._length
        if len(data) < end:
            return start
        if data[start:end] != self._back + NUMBER.pack(number) + self._padding:
            raise BadAnswerError(f"not the echo of message {number}, but {data[start : start + 40]!r} ...")
        return end


def frame_head(size: int, mask: int) -> bytes:
    """Give the first bytes of a whole binary message (RFC 6455, 5.2); ``mask`` is the mask bit."""
    if size < 126:
        return bytes((0x82, mask | size))
    if size < 65536:
        return struct.pack(">BBH", 0x82, mask | 126, size)
    return struct.pack(">BBQ", 0x82, mask | 127, size)


class Hello:
    """GET after GET on one connection; each answer is as long as the first."""

    greeting = b""

    def __init__(self, url: SplitResult) -> None:
        self._request = f"GET {url.path or '/'} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
        self._length = 0

    def request(self, number: int) -> bytes:
        return self._request

    def answer(self, number: int, data: bytes, start: int) -> int:
        if not self._length and not self._learn(data):
            return start
        end = start + self._length
        if len(data) < end:
            return start
        if data[start : start + 15] != b"HTTP/1.1 200 OK":
            raise BadAnswerError(f"answer {number} is not a 200: {data[start : start + 200]!r}")
        return end

    def _learn(self, data: bytes) -> bool:
        head, end, _ = data.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if end and name == b"content-length":
                self._length = len(head) + len(end) + int(value)
        return self._length > 0


class Figures:
    """What one run has measured. ``latencies`` are seconds, of the answers between open() and close()."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._before: list[float] = []
        self._opened = 0.0
        self.latencies: list[float] = []
        self.seconds = 0.0
        self.cpu: list[float] = []

    def open(self) -> None:
        """Begin: forget what was before."""
        self.latencies.clear()
        self._before = [cpu_seconds(pid) for pid in self._pids]
        self._opened = time.perf_counter()

    def close(self) -> None:
        """End."""
        self.seconds = time.perf_counter() - self._opened
        self.cpu = [cpu_seconds(pid) - since for pid, since in zip(self._pids, self._before, strict=True)]
        self.latencies = sorted(self.latencies)

    def as_json(self) -> str:
        """Give everything as the line to be printed."""
        count = len(self.latencies)
        latency = {name: self._quantile(q) for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1))}
        rate = count / self.seconds
        return json.dumps({"messages": count, "seconds": self.seconds, "rate": rate, **latency, "cpu": self.cpu})

    def _quantile(self, q: float) -> float:
        count = len(self.latencies)
        return self.latencies[min(count - 1, int(q * count))] if count else 0.0


def cpu_seconds(pid: int) -> float:
    """Give the CPU time, user and system, of all threads of a process that ever were.

    The clock of clock_getcpuclockid(3): what utime and stime in /proc/PID/stat say in steps of 10 ms, in ns.
    """
    return time.clock_gettime((~pid << 3) | 2)


class Connection(asyncio.Protocol):
    """One client. ``ready`` once it may begin, ``done`` when it has had ``messages`` answers."""

    transport: asyncio.WriteTransport

    def __init__(self, talk: Talk, figures: Figures, messages: int) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self._talk = talk
        self._figures = figures
        self._messages = messages  # 0: without end
        self._closed_loop = False
        self._number = 0  # of the next message
        self._answered = 0  # messages
        self._since: deque[float] = deque()  # when those under way were sent
        self._rest = b""
        self._excess: BadAnswerError | None = None

    def begin(self, window: int) -> None:
        """Send the first messages; each answer is followed by the next."""
        self._closed_loop = True
        self.send(window)

    def send(self, count: int) -> None:
        """Send messages."""
        if self._messages:
            count = min(count, self._messages - self._number)
        first, self._number = self._number, self._number + count
        self._since.extend([time.perf_counter()] * count)
        if count == 1:
            self.transport.write(self._talk.request(first))
        elif count:
            self.transport.write(b"".join(map(self._talk.request, range(first, self._number))))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one, and is not derived from it
        if self._talk.greeting:
            self.transport.write(self._talk.greeting)
        else:
            self.ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(BadAnswerError(f"the server closed the connection after {self._answered} answers"))

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        try:
            used = self._answers(data) if self.ready.done() else self._greeted(data)
        except BadAnswerError as error:
            self._fail(error)
            self.transport.abort()
        else:
            self._rest = data[used:]

    def _greeted(self, data: bytes) -> int:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return 0
        if not head.startswith(b"HTTP/1.1 101 ") or rest:
            raise BadAnswerError(f"the handshake was answered by {data[:300]!r}")
        self.ready.set_result(None)
        return len(data)

    def _answers(self, data: bytes) -> int:
        moment = time.perf_counter()
        end, before = 0, self._answered
        while end < len(data):
            start, is_ping = end, data[end] == PING
            if not (self._since or is_ping):
                raise BadAnswerError(f"nothing was asked, but there came {data[end : end + 40]!r}")
            end = self._pong(data, start) if is_ping else self._talk.answer(self._answered, data, start)
            if start == end:
                break
            if not is_ping:
                self._answered += 1
                self._figures.latencies.append(moment - self._since.popleft())
        if self._closed_loop and self._answered > before:
            self.send(self._answered - before)
        if self._messages and self._answered == self._messages and not self.done.done():
            self.done.set_result(None)
        return end

    def _pong(self, data: bytes, start: int) -> int:
        """Answer a server that asks whether we are alive; return the end of its question."""
        end = start + 2 + (data[start + 1] if len(data) > start + 1 else len(data))
        if end > len(data):
            return start
        payload = data[start + 2 : end]
        self.transport.write(bytes((PONG, 0x80 | len(payload))) + bytes(4) + payload)
        return end

    def close(self) -> None:
        """Leave. Raises ``BadAnswerError`` if more came than was asked for."""
        if self._excess is not None:
            raise self._excess
        self.done.cancel()
        self.transport.abort()

    def _fail(self, error: BadAnswerError) -> None:
        for future in (self.ready, self.done):
            if not future.done():
                future.set_exception(error)
                future.exception()  # it may be that nobody looks
        if self._excess is None:
            self._excess = error


async def connect(options: argparse.Namespace, figures: Figures) -> list[Connection]:
    """Open all connections."""
    url = urlsplit(str(options.url))
    talk = Echo(url, options.size) if url.scheme == "ws" else Hello(url)
    host, port = url.hostname or "", url.port or 80
    loop = asyncio.get_running_loop()
    connections: list[Connection] = []
    async with asyncio.timeout(START_TIMEOUT):
        for start in range(0, options.connections, TOGETHER):
            count = min(TOGETHER, options.connections - start)
            made = await asyncio.gather(
                *(
                    loop.create_connection(lambda: Connection(talk, figures, options.messages), host, port)
                    for _ in range(count)
                )
            )
            await asyncio.gather(*(connection.ready for _, connection in made))
            connections.extend(connection for _, connection in made)
    return connections


async def pace(connections: Sequence[Connection], rate: float) -> None:
    """Send ``rate`` messages a second, the connections taking turns."""
    begun, sent = time.perf_counter(), 0
    while True:
        due = int((time.perf_counter() - begun) * rate) + 1
        while sent < due:
            connections[sent % len(connections)].send(1)
            sent += 1
        await asyncio.sleep(begun + sent / rate - time.perf_counter())


async def run(options: argparse.Namespace) -> Figures:
    """Open, load, measure, close."""
    figures = Figures(options.pids)
    connections = await connect(options, figures)
    pacing = asyncio.create_task(pace(connections, options.rate)) if options.rate else None
    figures.open()
    if pacing is None:
        for connection in connections:
            connection.begin(options.window)
    if options.messages:
        await ended(connections, None)
        figures.close()
        await asyncio.sleep(LINGER)
    else:
        await ended(connections, options.warm_up)
        figures.open()
        await ended(connections, options.seconds)
        figures.close()
    if pacing is not None:
        pacing.cancel()
    for connection in connections:
        connection.close()
    return figures


async def ended(connections: Sequence[Connection], timeout: float | None) -> None:
    """Wait until all are done, or the time is over; raise what went wrong on one of them."""
    waits = [connection.done for connection in connections]
    done, _ = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_EXCEPTION)
    for future in done:
        future.result()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url", help="ws:// (an echo) or http:// (GET)")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--size", type=int, default=64, help="bytes of a message, at least 8")
    parser.add_argument("--window", type=int, default=1, help="messages under way per connection")
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second in all; 0: as they are answered")
    parser.add_argument("--messages", type=int, default=0, help="per connection; 0: go by time")
    parser.add_argument("--warm-up", type=float, default=0.5, help="seconds before the measurement")
    parser.add_argument("--seconds", type=float, default=2.0, help="of measurement")
    parser.add_argument("--pids", type=lambda s: [int(pid) for pid in s.split(",")], default=[])
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    gc.disable()  # a pause of ours would be read as the server's
    try:
        figures = uvloop.run(run(options))
    except (BadAnswerError, OSError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(figures.as_json())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
