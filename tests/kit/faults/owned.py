"""Whose code runs now: several workers share one process here, and a fault is one worker's."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any

from channels_bridge.shared.loop import Loop, Promise, Signal, Task


class Actors:
    """Who acts now, and how much has been done: what stands still has come to rest."""

    def __init__(self) -> None:
        self.now: object = None
        self.moves = 0


class Owned(Coroutine[Any, Any, None]):
    """A coroutine that is known, whenever it runs, as somebody's. ``ended`` is called when it is over."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], actors: Actors, owner: object, ended: Callable[[], object] = bool
    ) -> None:
        self._coroutine = coroutine
        self._actors = actors
        self._owner = owner
        self._ended = ended

    def _as_owner(self, step: Callable[..., Any], *arguments: Any) -> Any:
        actors, before = self._actors, self._actors.now
        actors.now = self._owner
        actors.moves += 1
        try:
            return step(*arguments)
        except BaseException:
            self._ended()
            raise
        finally:
            actors.now = before

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
        self._tasks: dict[int, Task] = {}
        self._spawned = 0
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
        return self._loop.signal()

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
        self._spawned += 1
        number = self._spawned
        owned = Owned(coroutine, self._actors, self._owner, lambda: self._tasks.pop(number, None))
        task = self._tasks[number] = self._loop.spawn(owned)
        return task

    def kill(self) -> None:
        """End all that runs, and let nothing begin."""
        self._killed = True
        for task in list(self._tasks.values()):
            task.cancel()
