"""Whose code runs now: several workers share one process here, and a fault is one worker's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from channels_bridge.shared.loop import Loop, Promise, Signal, Task


class Actors:
    """Who acts now, and how much has been done: what stands still has come to rest."""

    def __init__(self) -> None:
        self.now: object = None
        self.task: Owned | None = None  # which of its tasks
        self.moves = 0


class Rest:
    """A wait of this package's own: who waits so, waits for a message or for the time."""

    def __init__(self, wait: Awaitable[object], actors: Actors) -> None:
        self._wait = wait
        self._actors = actors

    def __await__(self) -> Generator[Any, Any, None]:
        task = self._actors.task
        if task is None:
            yield from self._wait.__await__()
            return
        task.rests = True
        try:
            yield from self._wait.__await__()
        finally:
            task.rests = False


class RestingSignal:
    """A loop's signal; to wait for it is to rest."""

    def __init__(self, signal: Signal, actors: Actors) -> None:
        self._signal = signal
        self._actors = actors
        self.set = signal.set

    def wait(self) -> Awaitable[None]:
        """As :meth:`Signal.wait`."""
        return Rest(self._signal.wait(), self._actors)


class Owned(Coroutine[Any, Any, None]):
    """A coroutine that is known, whenever it runs, as somebody's. ``ended`` is called when it is over."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], actors: Actors, owner: object, ended: Callable[[], object] = bool
    ) -> None:
        self._coroutine = coroutine
        self._actors = actors
        self._owner = owner
        self._ended = ended
        self.rests = False  # it waits for what the site moves; else it runs, or waits for something of the user's

    def _as_owner(self, step: Callable[..., Any], *arguments: Any) -> Any:
        actors, before = self._actors, (self._actors.now, self._actors.task)
        actors.now, actors.task = self._owner, self
        actors.moves += 1
        try:
            return step(*arguments)
        except BaseException:
            self._ended()
            raise
        finally:
            actors.now, actors.task = before

    def send(self, value: Any, /) -> Any:
        """As a generator's."""
        return self._as_owner(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """As a generator's."""
        return self._as_owner(self._coroutine.throw, *error)

    def close(self) -> None:
        """As a generator's."""
        self._as_owner(self._coroutine.close)

    def __iter__(self) -> Owned:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def __await__(self) -> Generator[Any, Any, None]:
        return self  # it has all that those who await call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # cr_running and the like: anyio and debuggers look at them


class NoTask:
    """What became of a coroutine that a killed worker wanted to run."""

    def cancel(self) -> None:
        """Nothing."""


class OwnedLoop:
    """The event loop as one worker has it: what it spawns is known as its own, and :meth:`kill` ends it all at once."""

    def __init__(self, loop: Loop, actors: Actors, owner: object) -> None:
        self._loop = loop
        self._actors = actors
        self._owner = owner
        self._tasks: dict[Owned, Task] = {}
        self._killed = False
        self.call_soon = loop.call_soon
        self.from_thread = loop.from_thread

    def is_current(self) -> bool:
        """As :meth:`Loop.is_current`."""
        return self._loop.is_current()

    def is_over(self) -> bool:
        """As :meth:`Loop.is_over`."""
        return self._loop.is_over()

    def signal(self) -> Signal:
        """As :meth:`Loop.signal`."""
        return RestingSignal(self._loop.signal(), self._actors)

    def promise(self) -> Promise:
        """As :meth:`Loop.promise`."""
        return self._loop.promise()

    def is_ending(self, error: BaseException, cancelled: bool) -> bool:
        """As :meth:`Loop.is_ending`."""
        return self._loop.is_ending(error, cancelled)

    def watch(self, fd: int, function: Callable[[], None]) -> Callable[[], None]:
        """As :meth:`Loop.watch`."""
        return self._loop.watch(fd, function)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Task:
        """As :meth:`Loop.spawn`."""
        if self._killed:
            coroutine.close()
            return NoTask()
        owned = Owned(coroutine, self._actors, self._owner, lambda: self._tasks.pop(owned, None))
        task = self._tasks[owned] = self._loop.spawn(owned)
        return task

    @property
    def busy(self) -> bool:
        """Say whether anything runs, or waits for what the site does not move."""
        return not all(owned.rests for owned in self._tasks)

    def kill(self) -> None:
        """End all that runs, and let nothing begin."""
        self._killed = True
        for task in list(self._tasks.values()):
            task.cancel()
