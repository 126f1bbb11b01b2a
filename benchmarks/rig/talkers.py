"""Many WebSockets that send numbered messages at a steady rate, whatever becomes of their server.

    python -m benchmarks.rig.talkers

Asked by lines of JSON (dialogue.py): ``{"open": N, "host", "port"}`` connects; ``{"rate", "burn", "leak",
"newcomers"}`` has each socket say ``rate`` messages a second, and so many others ask for a handshake each second;
``{"patience": S}`` has them say no more, waits until all is answered, at most S seconds, and gives the figures.

A socket that is closed connects again at once. What it had sent is lost then; what it should have sent since waits.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import uvloop

from .ledger import Account, Ledger, question
from .sockets import TOGETHER, allow_files

AGAIN = 0.05  # seconds until a client that was refused asks again
LINGER = 0.5  # seconds after the last answer in which doubled ones may come
LOOK = 0.02  # seconds between looks whether all is answered
PATIENCE = 30.0  # seconds for all to be connected
TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A  # first byte of a whole frame (RFC 6455, 5.2)
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, 1.3


def masked(kind: int, payload: bytes) -> bytes:
    """Give a frame of less than 126 bytes; the mask is zero."""
    return bytes((kind, 0x80 | len(payload))) + bytes(4) + payload


class Wire(asyncio.Protocol):
    """One connection. ``opened`` is called when it is, ``heard`` with each text; ``over`` has how it ended."""

    def __init__(self, host: str, port: int, opened: Callable[[], None], heard: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[str] = loop.create_future()
        self.is_open = self.was_open = False
        self._transport: asyncio.WriteTransport | None = None
        self._opened = opened
        self._heard = heard
        self._rest = b""
        lines = ("GET / HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {_KEY}", "Sec-WebSocket-Version: 13", "", "")  # fmt: skip
        self._greeting = "\r\n".join(lines).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one, and is not derived from it
        self._write(self._greeting)

    def say(self, text: str) -> None:
        """Send a text."""
        self._write(masked(TEXT, text.encode()))

    def leave(self, how: str = "left") -> None:
        """Close, for this reason."""
        self.is_open = False
        if not self.over.done():
            self.over.set_result(how)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave("1006")

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        used = 0 if self.is_open else self._greeted(data)
        while self.is_open and len(data) >= used + 2 and len(data) >= (end := used + 2 + data[used + 1]):
            self._frame(data[used], data[used + 2 : end])
            used = end
        self._rest = data[used:]

    def _greeted(self, data: bytes) -> int:
        head, end, _ = data.partition(b"\r\n\r\n")
        if not end:
            return 0
        if not head.startswith(b"HTTP/1.1 101 "):
            self.leave(f"HTTP {head[9:12].decode()}")
            return len(data)
        self.is_open = self.was_open = True
        self._opened()
        return len(head) + len(end)

    def _frame(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            self._heard(payload.decode())
        elif kind == PING:
            self._write(masked(PONG, payload))
        elif kind == CLOSE:
            self.leave(f"{int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}".strip())
        else:
            self.leave(f"frame {kind:#x}")


class Talker:
    """A client that wants to stay connected."""

    def __init__(self, host: str, port: int, ledger: Ledger) -> None:
        self.open = asyncio.Event()  # set once it was connected
        self.opened_at = 0.0  # when it was connected last
        self._where = host, port
        self._ledger = ledger
        self._account = Account(ledger)
        self._wire: Wire | None = None
        self._waiting: list[tuple[float, float, int]] = []  # (due, burn, leak) of what waits for that

    @property
    def settled(self) -> bool:
        """True if all was said and answered."""
        return self._account.settled and not self._waiting

    def talk(self, due: float, burn: float, leak: int) -> None:
        """Say the next message now, or when it is connected."""
        self._waiting.append((due, burn, leak))
        if self._wire is not None and self._wire.is_open:
            self._catch_up()

    async def stay(self) -> None:
        """Connect, again and again; ends by cancellation."""
        while True:
            if not await self.once():
                await asyncio.sleep(AGAIN)

    async def once(self) -> bool:
        """Connect and stay for as long as the server wants; give whether it was connected at all."""
        (host, port), ledger = self._where, self._ledger
        wire = Wire(host, port, self._catch_up, self._heard)
        self._wire, self._account = wire, Account(ledger)
        try:
            await asyncio.get_running_loop().create_connection(lambda: wire, host, port)
            how = await wire.over
        except OSError:  # nobody listens
            return False
        finally:
            self._account.close()
            wire.leave()
        if wire.was_open:
            ledger.dropped += 1
            ledger.closes[how] += 1
        elif how.startswith("HTTP"):
            ledger.refused += 1
        return wire.was_open

    def _catch_up(self) -> None:
        """Say all that waits. Called when it is connected."""
        self.open.set()
        self.opened_at = time.monotonic()
        if self._wire is not None:
            for due, burn, leak in self._waiting:
                self._wire.say(question(self._account.sent(due), burn, leak))
        self._waiting.clear()

    def _heard(self, text: str) -> None:
        self._account.answered(text, time.monotonic())


class Crowd:
    """All talkers, and those who come later."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.newcomers = Ledger()
        self._knocks: list[tuple[Talker, float]] = []  # and since when each wants to be connected
        self._talkers: list[Talker] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._pace: list[asyncio.Task[None]] = []
        self._where = ("", 0)

    async def connect(self, host: str, port: int, count: int) -> None:
        """Have so many sockets. Raises ``TimeoutError`` if they are not open in time."""
        self._where = host, port
        allow_files(count)
        async with asyncio.timeout(PATIENCE):
            while len(self._talkers) < count:
                some = [Talker(host, port, self.ledger) for _ in range(min(TOGETHER, count - len(self._talkers)))]
                self._talkers += some
                self._tasks += [asyncio.create_task(talker.stay()) for talker in some]
                for talker in some:
                    await talker.open.wait()

    def begin(self, rate: float, burn: float, leak: int, newcomers: float) -> None:
        """Have each say ``rate`` messages a second, and so many ask for a connection each second."""
        all_together = rate * len(self._talkers)
        self._pace.append(asyncio.create_task(every(all_together, lambda n, due: self._say(n, due, burn, leak))))
        if newcomers:
            self._pace.append(asyncio.create_task(every(newcomers, self._knock)))

    def _say(self, number: int, due: float, burn: float, leak: int) -> None:
        self._talkers[number % len(self._talkers)].talk(due, burn, leak)

    def _knock(self, number: int, due: float) -> None:
        knock = Talker(*self._where, self.newcomers)
        self._knocks.append((knock, due))
        self._tasks.append(asyncio.create_task(knock.once()))

    async def end(self, patience: float) -> dict[str, Any]:
        """Say no more, wait for the answers, leave; give the figures."""
        for task in self._pace:
            task.cancel()
        deadline = time.monotonic() + patience
        # looking costs less than an event at each answer would
        while time.monotonic() < deadline and not all(talker.settled for talker in self._talkers):  # noqa: ASYNC110
            await asyncio.sleep(LOOK)
        await asyncio.sleep(LINGER)
        never = sum(not talker.settled for talker in self._talkers)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._pace, return_exceptions=True)
        return {"figures": {**self.ledger.figures(), **self._newcomers(), "unsettled": never}, "closes": self.closes()}

    def _newcomers(self) -> dict[str, float]:
        waits = [knock.opened_at - since for knock, since in self._knocks if knock.open.is_set()]
        refused, longest = self.newcomers.refused, max(waits, default=0.0) * 1e3
        silent = len(self._knocks) - len(waits) - refused
        return {
            "newcomers": len(waits), "newcomers_refused": refused, "newcomers_unanswered": silent,
            "newcomers_max": longest,
        }  # fmt: skip

    def closes(self) -> dict[str, int]:
        """Give how sockets were dropped."""
        return dict(self.ledger.closes.most_common())


async def every(rate: float, act: Callable[[int, float], None]) -> None:
    """Call ``act(number, due)`` so often a second, and more often when it was late."""
    begun, number = time.monotonic(), 0
    while True:
        while (due := begun + number / rate) <= time.monotonic():
            act(number, due)
            number += 1
        await asyncio.sleep(due - time.monotonic())


async def main() -> None:
    crowd = Crowd()
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked: dict[str, Any] = json.loads(line)
        answer: dict[str, Any] = {}
        if "open" in asked:
            await crowd.connect(asked["host"], asked["port"], asked["open"])
        elif "rate" in asked:
            crowd.begin(asked["rate"], asked["burn"], asked["leak"], asked["newcomers"])
        else:
            answer = await crowd.end(asked["patience"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    gc.disable()  # a pause of ours would be read as the server's
    uvloop.run(main())
