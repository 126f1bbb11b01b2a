"""One connection after the other, in the engine's thread: connect, subscribe, pass on, and begin again after a loss.

The clients' own ways of connecting again are not used: nats-py gives up for good at any error of the server and can
wait for ever for a frozen one, coredis tells nobody that it was away. Here a session is one connection; whatever goes
wrong in it ends it, and what the next one has to subscribe to is known.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import anyio

from ...shared.config import KIB
from ...shared.endpoint import running_loop
from ...shared.loop import Loop
from .crossing import OCTETS, Crossing
from .inbox import Inbox
from .url import EngineUrl

logger = logging.getLogger("channels_bridge.engine")

CONNECT = 5.0  # seconds until a server has to have accepted us
PING = 5.0  # seconds between two signs of life, and for the answer: a frozen server is noticed after 10
BACKOFF = 0.1, 2.0  # seconds between two attempts: the first, and what they grow to
GRACE = 0.5  # seconds for what was published before the end


class Session(Protocol):
    """One connection to a server. Whatever its methods raise ends it."""

    limit: int  # bytes of the largest message

    async def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send, in this order. Waits when the server is slow."""
        ...

    async def subscribe(self, subjects: Sequence[str]) -> None:
        """Return when the server has all of them."""
        ...

    async def unsubscribe(self, subjects: Sequence[str]) -> None:
        """Receive these no more."""
        ...

    async def ping(self) -> None:
        """Return when the server has taken all that was sent before."""
        ...


Receive = Callable[[str, bytes], None]  # subject, data


@dataclass(frozen=True, slots=True)
class Plan:
    """What a kind of engine is made of."""

    url: EngineUrl
    connect: Callable[[Receive], AbstractAsyncContextManager[Session]]  # entered anew for each session
    ping: float = PING


class Publish(NamedTuple):
    """Send this."""

    subject: str
    data: bytes


class Subscribe(NamedTuple):
    """Subscribe, then call ``done`` in the bridge's loop."""

    topic: str
    done: Callable[[], None]


class Unsubscribe(NamedTuple):
    """Unsubscribe."""

    topic: str


Item = Publish | Subscribe | Unsubscribe


class Sessions:
    """What runs in the engine's thread. The attributes are read from the bridge's thread."""

    def __init__(self, plan: Plan, inbox: Inbox) -> None:
        self.outbox: Crossing[Item] = Crossing()  # open while a session is
        self.loop: Loop | None = None  # of the engine's thread
        self.limit = 0
        self.problem = "not started"
        self._plan, self._inbox = plan, inbox
        self._stopped = False
        self._was_up = False
        self._held: set[str] = set()  # topics that the server has
        self._in_hand: list[Item] = []  # taken from the outbox, not yet sent
        self._actions: dict[type[Any], Callable[[Session, Any], Awaitable[None]]] = {
            Publish: self._publish,
            Subscribe: self._subscribe,
            Unsubscribe: self._unsubscribe,
        }

    async def run(self) -> None:
        """Hold sessions until :meth:`stop`."""
        loop = running_loop()
        self._more, self._over = loop.signal(), loop.signal()  # something is in the outbox; it is time to end
        async with anyio.create_task_group() as group:
            self.loop = loop
            group.start_soon(self._end, group.cancel_scope)
            await self._hold_one_after_the_other()
            group.cancel_scope.cancel()

    def stop(self) -> None:
        """Send what is in the outbox yet, for a moment, and end. From any thread."""
        self._stopped = True
        if self.loop is not None:  # else run() sees that it is stopped when it gets there
            with contextlib.suppress(RuntimeError):  # it has ended
                self.loop.from_thread(self._over.set)

    async def _end(self, all_of_it: anyio.CancelScope) -> None:
        while not self._stopped:
            await self._over.wait()
        if self.outbox.is_open:
            self._more.set()
            await anyio.sleep(GRACE)
        all_of_it.cancel()

    async def _hold_one_after_the_other(self) -> None:
        delay, longest = BACKOFF
        while not self._stopped:
            try:
                await self._hold()
            except Exception as error:
                delay = BACKOFF[0] if not self.problem else delay
                self._tell(self._plan.url.hide(reason_of(error)))
                await anyio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - not all bridges at once
                delay = min(delay * 2, longest)

    # -- one session ---------------------------------------------------------------------------------------------

    async def _hold(self) -> None:
        async with self._plan.connect(self._receive) as session:
            try:
                await self._begin(session)
                await self._serve(session)
            finally:
                self._clear()

    async def _begin(self, session: Session) -> None:
        with anyio.fail_after(CONNECT):
            self._held = set(self._inbox.topics)
            await session.subscribe([self._subject(topic) for topic in self._held])
            loop, more = self.loop, self._more
            assert loop is not None
            self.limit = min(session.limit, OCTETS - KIB)
            self.outbox.open(lambda: loop.from_thread(more.set))
            await self._reconcile(session)
        self.problem = ""
        self._inbox.up(again=self._was_up)
        if self._was_up:
            self._inbox.gap("reconnected: what others have sent in the meantime is lost")
        self._was_up = True

    async def _reconcile(self, session: Session) -> None:
        """Make up for what changed while we subscribed; from here on each change is in the outbox."""
        topics = set(self._inbox.topics)
        await self._subscribe(session, [Subscribe(topic, lambda: None) for topic in topics - self._held])
        await self._unsubscribe(session, [Unsubscribe(topic) for topic in self._held - topics])

    async def _serve(self, session: Session) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_alive, session)
            await self._write(session)
            group.cancel_scope.cancel()

    async def _keep_alive(self, session: Session) -> None:
        while True:
            await anyio.sleep(self._plan.ping)
            with anyio.move_on_after(self._plan.ping) as answered:
                await session.ping()
            if answered.cancelled_caught:
                raise TimeoutError(f"the server has not answered for {self._plan.ping:g} s")

    async def _write(self, session: Session) -> None:
        while True:
            self._in_hand = self.outbox.take()
            if self._in_hand:
                for kind, run in itertools.groupby(list(self._in_hand), type):
                    alike = list(run)
                    await self._actions[kind](session, alike)
                    del self._in_hand[: len(alike)]
            elif self._stopped:
                await session.ping()
                return
            else:
                await self._more.wait()

    async def _publish(self, session: Session, messages: list[Publish]) -> None:
        await session.publish(messages)

    async def _subscribe(self, session: Session, items: list[Subscribe]) -> None:
        topics = {item.topic for item in items} - self._held
        self._held |= topics
        if topics:
            await session.subscribe([self._subject(topic) for topic in topics])
        for item in items:
            self._inbox.call(item.done)

    async def _unsubscribe(self, session: Session, items: list[Unsubscribe]) -> None:
        topics = self._held.intersection(item.topic for item in items)
        self._held -= topics
        if topics:
            await session.unsubscribe([self._subject(topic) for topic in topics])

    def _clear(self) -> None:
        left = [*self._in_hand, *self.outbox.close()]
        self._in_hand.clear()
        lost = sum(isinstance(item, Publish) for item in left)
        if lost:
            self._inbox.lost(lost)
        for item in left:
            if isinstance(item, Subscribe):
                self._inbox.call(item.done)

    def _tell(self, reason: str) -> None:
        before, self.problem = self.problem, reason  # who is told that it is down may ask at once
        if not before:
            self._inbox.down(reason)
        elif reason != before:  # once, not with every attempt
            logger.warning("cannot connect to the engine at %s, trying on: %s", self._plan.url.shown, reason)

    def _subject(self, topic: str) -> str:
        return f"{self._plan.url.prefix}.{topic}"

    def _receive(self, subject: str, data: bytes) -> None:
        self._inbox.message(subject[len(self._plan.url.prefix) + 1 :], data)


def reason_of(error: BaseException) -> str:
    """Say in one line why a session ended: the first of a group, and what caused it."""
    first = error
    while isinstance(first, BaseExceptionGroup):
        first = cast("BaseExceptionGroup[BaseException]", first).exceptions[0]
    text = str(first) or type(first).__name__
    cause = str(first.__cause__ or "")
    return f"{text}: {cause}" if cause and cause not in text else text
