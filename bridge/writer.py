"""Sends to clients, with as few tasks as will do.

One task serves all clients that have something queued, one after the other. The first time that a server's
``send()`` has to wait, that task stays with this client alone, and a new one goes on with the rest. So a slow
client holds up nobody, a ``send()`` runs in one task from its beginning to its end (timeouts and cancel
scopes of middleware work), and while nobody is slow a batch of a worker costs one task and not one per client:
0.2 of the CPU of a direct server at 50 connections, by measurement.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol

from ..shared.loop import Loop, Task


class Writable(Protocol):
    """A client with a queue."""

    scheduled: bool
    over: bool  # its ASGI call may end: nothing of its queue matters any more

    async def drain(self) -> None:
        """Send all that is queued. Raises nothing of its own."""
        ...

    def fail(self, error: BaseException) -> None:
        """End the call: the server's send() was cancelled, by itself."""
        ...


class Writer:
    """The tasks that send."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._ready: deque[Writable] = deque()
        self._running = False
        self._tasks: set[Task] = set()  # asyncio itself keeps no reference to them
        self._alone: dict[Writable, Task] = {}  # client whose send() waits -> the task that stays with it

    def schedule(self, client: Writable) -> None:
        """Have the client's queue sent. Once is enough, until it is empty."""
        if client.scheduled:
            return
        client.scheduled = True
        self._ready.append(client)
        self._go_on()

    def forget(self, client: Writable) -> None:
        """End a send() that waits: the ASGI call that it belongs to is over."""
        task = self._alone.pop(client, None)
        if task is not None:
            task.cancel()

    def _go_on(self) -> None:
        if self._ready and not self._running:
            self._running = True
            me: list[Task] = []
            me.append(self._loop.spawn(self._run(me)))
            self._tasks.update(me)

    async def _run(self, me: list[Task]) -> None:
        alone = False

        def hand_over() -> None:
            nonlocal alone
            alone = True
            self._alone[client] = me[0]
            self._running = False
            self._go_on()

        try:
            while self._ready and not alone:
                client = self._ready.popleft()
                try:
                    await _notice_waiting(client.drain(), hand_over)
                except BaseException as error:
                    if self._loop.is_ending(error, client.over):
                        raise
                    client.fail(error)
                finally:
                    client.scheduled = False
                    if alone:
                        self._alone.pop(client, None)
        finally:
            self._tasks.difference_update(me)
            if not alone:
                self._running = False
                self._go_on()


@types.coroutine
def _notice_waiting(work: Awaitable[None], on_wait: Callable[[], None]) -> Generator[Any, Any, None]:
    """Await ``work``, and call ``on_wait`` if it has to wait, before it does for the first time."""
    steps: Any = work.__await__()
    try:
        waits_for = steps.send(None)
    except StopIteration:
        return
    on_wait()
    while True:
        try:
            try:
                answer = yield waits_for
            except BaseException as error:
                waits_for = steps.throw(error)
            else:
                waits_for = steps.send(answer)
        except StopIteration:
            return
