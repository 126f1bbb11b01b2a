"""Engines under test, each with a listener that writes down what it is told."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import NamedTuple

import anyio

from channels_bridge.bridge.engines.choice import open_engine
from channels_bridge.bridge.engines.engine import Engine
from channels_bridge.shared.endpoint import running_loop

PATIENCE = 30.0  # seconds until a test that hangs is called failed; none waits for as long
PING = 1.0  # seconds: frozen servers are noticed after twice that


class Told(NamedTuple):
    """One call of the listener."""

    what: str
    topic: str = ""
    data: bytes = b""


class Member:
    """A bridge, as its engine sees it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.told: list[Told] = []
        self.threads: set[int] = set()
        self._more = running_loop().signal()

    def tell(self, told: Told) -> None:
        self.told.append(told)
        self.threads.add(threading.get_ident())
        self._more.set()

    def message(self, topic: str, data: bytes) -> None:
        self.tell(Told("message", topic, data))

    def up(self) -> None:
        self.tell(Told("up"))

    def down(self, reason: str) -> None:
        self.tell(Told("down", reason))

    def gap(self, reason: str) -> None:
        self.tell(Told("gap", reason))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds; it is looked at whenever something was told."""
        with anyio.fail_after(PATIENCE):
            while not condition():
                await self._more.wait()

    async def has(self, *messages: Told, times: int = 1) -> None:
        """Wait for these messages."""
        await self.until(lambda: all(self.told.count(message) >= times for message in messages))

    async def heard(self, what: str, times: int = 1) -> None:
        """Wait until something was told for the n-th time."""
        await self.until(lambda: self.whats.count(what) >= times)

    @property
    def whats(self) -> list[str]:
        """What was told, but for messages' contents."""
        return [told.what for told in self.told]

    @property
    def messages(self) -> list[tuple[str, bytes]]:
        """The messages that have come."""
        return [(told.topic, told.data) for told in self.told if told.what == "message"]

    async def subscribe(self, *topics: str) -> None:
        """Subscribe to all of them, and wait until all are there."""
        left = set(topics)

        def done(topic: str) -> None:
            left.remove(topic)
            self._more.set()

        for topic in topics:
            self.engine.subscribe(topic, partial(done, topic))
        await self.until(lambda: not left)

    async def publish(self, topic: str, data: bytes) -> None:
        """Publish, again and again while the outbox is full."""
        with anyio.fail_after(PATIENCE):
            while not self.engine.publish(topic, data):  # noqa: ASYNC110 - room is not told
                await anyio.sleep(0.001)


@contextlib.asynccontextmanager
async def member(url: str, *, wait: bool = True, ping: float = PING) -> AsyncGenerator[Member]:
    """A started engine; leaving stops it. ``wait``: for its first ``up``."""
    one = Member(open_engine(url, ping=ping))
    one.engine.start(running_loop(), one)
    try:
        if wait:
            await one.heard("up")
        yield one
    finally:
        one.engine.stop()


async def problem(url: str, contains: str) -> None:
    """Wait until the engine at the URL gives this reason for not being connected; see that it tells nothing else."""
    async with member(url, wait=False) as one:
        with anyio.fail_after(PATIENCE):
            while contains not in one.engine.problem:  # noqa: ASYNC110 - nothing is told
                await anyio.sleep(0.01)
        assert one.told == []


def engine_threads() -> list[threading.Thread]:
    """Give the threads of all engines of this process."""
    return [thread for thread in threading.enumerate() if thread.name == "channels-bridge-engine"]


def all_threads_end(timeout: float = 5.0) -> bool:
    """Wait for the end of all engines' threads; say whether it came."""
    deadline = time.monotonic() + timeout
    while engine_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not engine_threads()
