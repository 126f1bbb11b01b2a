"""What this package asks of an event loop, whichever it is; shared/endpoint.py has asyncio and trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol


class Signal(Protocol):
    """Wakes the tasks that wait. They test their condition in a loop; a set() while nobody waits is lost."""

    def set(self) -> None:
        """Wake all that wait now."""
        ...

    def wait(self) -> Awaitable[None]:
        """Wait for the next :meth:`set`."""
        ...


class Promise(Protocol):
    """What one task waits for, once. Its maker keeps it from being settled twice: see :meth:`done`."""

    def done(self) -> bool:
        """Say whether it is settled, or whoever waited was cancelled."""
        ...

    def set_result(self, result: None, /) -> object:
        """Settle it, in its loop's thread."""
        ...

    def __await__(self) -> Generator[Any, Any, None]: ...


class SignalPromise:
    """A promise for loops that have none of their own."""

    __slots__ = ("_done", "_signal")

    def __init__(self, signal: Signal) -> None:
        self._done = False
        self._signal = signal

    def done(self) -> bool:
        """As :meth:`Promise.done`."""
        return self._done

    def set_result(self, result: None, /) -> None:
        """As :meth:`Promise.set_result`."""
        self._done = True
        self._signal.set()

    def __await__(self) -> Generator[Any, Any, None]:
        while not self._done:
            yield from self._signal.wait().__await__()


class Task(Protocol):
    """A running coroutine."""

    def cancel(self) -> object:
        """Ask it to end."""
        ...


class Loop(Protocol):
    """What this package asks of an event loop; all of it from the loop's own thread, but for ``from_thread``."""

    def is_current(self) -> bool:
        """Say whether this is the loop of the running task."""
        ...

    def is_over(self) -> bool:
        """Say whether this loop has ended for good."""
        ...

    def signal(self) -> Signal:
        """Make a signal."""
        ...

    def promise(self) -> Promise:
        """Make a promise."""
        ...

    def is_ending(self, error: BaseException, cancelled: bool) -> bool:
        """Say whether an exception ends the task that it came through; ``cancelled``: its owner has cancelled it.

        On asyncio user code can let a cancellation through that is none of the owner's, and everywhere the
        ``GeneratorExit`` of a generator of its own.
        """
        ...

    call_soon: Callable[[Callable[[], object]], object]  # call the function once this turn of the loop is over
    from_thread: Callable[[Callable[[], object]], object]  # the same, from any thread

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Task:
        """Run a coroutine by itself; it must not raise. Keep what is returned: asyncio does not (bpo-44665)."""
        ...

    def watch(self, fd: int, function: Callable[[], None]) -> Callable[[], None]:
        """Call the function whenever ``fd`` is readable; the returned callable ends that."""
        ...


def is_closed(loop: Loop, error: BaseException, cancelled: bool) -> bool:
    """Say whether it is the interpreter that closes a coroutine whose loop is gone; user code may raise this, too."""
    return isinstance(error, GeneratorExit) and (cancelled or loop.is_over())
