"""Makes consumers of what a factory gives, and calls them: async ones in the loop, sync ones in threads."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import anyio

from ..shared import frames
from ..shared.endpoint import run_in_thread
from ..shared.errors import TimeLimitExceeded
from ..shared.wire import Event
from .consumer import ConsumerFactory, Handler, SendToClient
from .hub import Hub
from .layers import ChannelLayer, SyncChannelLayer
from .overseer import Run
from .resuming import on_loss_of
from .router import Router


def is_async(handler: object) -> bool:
    """Say whether calling it gives a coroutine: a coroutine function, or an object whose ``__call__`` is one."""
    call = getattr(type(handler), "__call__", None)  # noqa: B004 - the method itself is looked at
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


class Wanted(NamedTuple):
    """What a consumer is made for."""

    kind: str  # "websocket", "http" or "channel"
    path: str  # of the connection; for a channel its name
    channel: str  # by which the rest of the system reaches it
    send: SendToClient
    record: Callable[[frames.LayerFrame], bool]  # takes what it asks of its layer in a turn; False: there is none


class Consumer(NamedTuple):
    """What a factory gave."""

    handler: Handler
    is_async: bool
    on_loss: str  # as in COMMIT; "": not resumable


class Builder:
    """Makes the consumers of one worker process. ``threads`` bounds how many sync ones run at once."""

    def __init__(self, factory: ConsumerFactory, hub: Hub, threads: anyio.CapacityLimiter) -> None:
        self._factory = factory
        self._hub = hub
        self._threads = threads
        self._flavours: dict[int, bool] = {}  # id of a factory -> what it makes is async

    @property
    def busy_threads(self) -> int:
        """Threads of its own that are at work."""
        return self._threads.borrowed_tokens

    async def build(self, wanted: Wanted, limit: Callable[[ConsumerFactory], Run | None] = lambda _: None) -> Consumer:
        """Pick the factory and call it. Raises what that raises; ``limit`` gives its time limits, as in :meth:`run`."""
        make: ConsumerFactory = self._factory
        arguments: dict[str, Any] = {}
        while isinstance(make, Router):
            make, arguments = make.select(wanted.kind, wanted.path)
        flavour = self._flavour(make)
        chosen = make

        def build() -> Handler:
            layer = SyncChannelLayer if flavour is False else ChannelLayer
            return chosen(wanted.kind, layer.of_turns(self._hub, wanted.record), wanted.channel, wanted.send)

        # what runs in threads is built in one: its constructor may block, too
        made: Any = await self._within(build, limit(chosen), in_loop=flavour is not False)
        found = self._flavours[id(make)] = is_async(made)
        if hasattr(made, "url_kwargs"):
            made.url_kwargs = arguments
        return Consumer(made, found, on_loss_of(made, make))

    def _flavour(self, factory: ConsumerFactory) -> bool | None:
        """Say whether the factory makes async ones: by its class, its word, what it made before. None: unknown."""
        known = self._flavours.get(id(factory))
        if known is None and inspect.isclass(factory):
            known = inspect.iscoroutinefunction(factory.__call__)
        return getattr(factory, "is_async", None) if known is None else known

    async def call(
        self, consumer: Consumer, event: Event, then: Callable[[], None] = lambda: None, *, run: Run | None = None
    ) -> Any:
        """Give it a message, and do ``then`` behind it in the same place; returns and raises as they do.

        ``run``: the time limits of both together; it raises as :class:`Run` does.
        """
        if not consumer.is_async:
            return await self._in_thread(lambda: _handled(consumer, event, then), run)

        async def handle() -> Any:
            returned = await consumer.handler(event)
            then()
            return returned

        return await (handle() if run is None else run.in_loop(handle))

    async def call_function(self, function: Callable[[Event], Any], event: Event, *, run: Run | None = None) -> Any:
        """Give a message to a plain function, sync or async; otherwise as :meth:`call`."""
        if not is_async(function):
            return await self._in_thread(lambda: function(event), run)
        return await (function(event) if run is None else run.in_loop(lambda: function(event)))

    async def _in_thread(self, work: Callable[[], Any], run: Run | None) -> Any:
        if run is None:
            return await run_in_thread(work, self._threads)
        return await run.in_thread(work, self._threads)

    async def run(self, consumer: Consumer, function: Callable[[], None], *, run: Run | None = None) -> None:
        """Do something with it where it runs: in a thread, if it is sync.

        ``run``: its time limits; it raises as :class:`Run` does, and ``TimeLimitExceeded`` if it was given up and has
        ended all the same.
        """
        await self._within(function, run, in_loop=consumer.is_async)

    async def _within(self, work: Callable[[], Any], run: Run | None, *, in_loop: bool) -> Any:
        async def here() -> Any:
            return work()

        if not in_loop:
            result = await self._in_thread(work, run)
        elif run is None:
            result = work()
        else:
            result = await run.in_loop(here)  # nothing here can be cancelled, but the watchdog knows whom to blame
        if run is not None and run.given_up:  # for others it has failed: nothing may follow from it
            raise TimeLimitExceeded(f"{run.what} has ended after it was given up")
        return result


def _handled(consumer: Consumer, event: Event, then: Callable[[], None]) -> Any:
    returned = consumer.handler(event)
    then()
    return returned
