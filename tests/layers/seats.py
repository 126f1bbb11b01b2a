"""Seats: places from which a layer is used. The tests sit in one, and do not know which.

A seat's methods block the test until the layer has done what was asked; :meth:`Seat.start` begins and gives a future.
Where the layer lives (an event loop, a thread, a consumer's turn, another process) is the seat's business.
"""

from __future__ import annotations

import builtins
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

from anyio.from_thread import BlockingPortal

from channels_bridge.shared import errors
from layers.actions import Message, perform, perform_sync
from layers.peer import from_line, to_line

PATIENCE = 10.0  # seconds until a test that hangs is called failed; none waits for as long
TESTS = Path(__file__).resolve().parent.parent


def until(condition: Callable[[], object]) -> None:
    """Return once a condition holds that nobody tells of."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.005)


class Seat:
    """What every seat can do. Results and errors are the layer's."""

    is_async = True  # what it calls is awaited, and can be cancelled
    in_turns = False  # what it does happens when a turn commits

    def start(self, method: str, *arguments: Any, **options: Any) -> Future[Any]:
        """Begin a method of the layer, or an action of :mod:`layers.actions`; give its result as a future."""
        return self.begin(method, arguments, options)

    def begin(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Future[Any]:
        """As :meth:`start`."""
        raise AssertionError(f"{type(self).__name__} has no way to call a layer")

    def do(self, method: str, *arguments: Any, **options: Any) -> Any:
        """As :meth:`start`, and wait for the result."""
        return self.start(method, *arguments, **options).result(PATIENCE)

    def send(self, channel: Any, message: Any, **options: Any) -> None:
        self.do("send", channel, message, **options)

    def receive(self, channel: Any) -> Message:
        message: Message = self.do("receive", channel)
        return message

    def take(self, channel: str, count: int) -> list[Message]:
        messages: list[Message] = self.do("take", channel, count)
        return messages

    def new_channel(self, *prefix: Any) -> str:
        channel: str = self.do("new_channel", *prefix)
        return channel

    def group_add(self, group: Any, channel: Any) -> None:
        self.do("group_add", group, channel)

    def group_discard(self, group: Any, channel: Any) -> None:
        self.do("group_discard", group, channel)

    def group_send(self, group: Any, message: Any) -> None:
        self.do("group_send", group, message)

    def send_group(self, group: Any, message: Any, exclude: Any = ()) -> None:
        self.do("send_group", group, message, exclude=exclude)

    def close(self) -> None:
        """End what the seat has made."""


class LoopSeat(Seat):
    """An async layer in the event loop of a portal."""

    def __init__(self, portal: BlockingPortal, layer: Any) -> None:
        self._portal, self._layer = portal, layer

    def begin(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Future[Any]:
        return self._portal.start_task_soon(perform, self._layer, method, arguments, options)

    def close(self) -> None:
        self.do("close")


class ThreadSeat(Seat):
    """A sync layer, each call in a thread of its own."""

    is_async = False

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def begin(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Future[Any]:
        future: Future[Any] = Future()
        threading.Thread(target=self._run, args=(future, method, arguments, options), daemon=True).start()
        return future

    def _run(self, future: Future[Any], *call: Any) -> None:
        try:
            future.set_result(perform_sync(self._layer, *call))
        except BaseException as error:
            future.set_exception(error)

    def close(self) -> None:
        self.do("close")


class Job:
    """A call that a consumer makes for a seat: in its turn, in its process."""

    jobs: ClassVar[dict[str, Job]] = {}  # number -> what has not been done yet
    _numbers = itertools.count(1)

    def __init__(self, *call: Any) -> None:
        self._call = call
        self._result: Any = None
        self._error: BaseException | None = None
        self.number = str(next(self._numbers))
        self.jobs[self.number] = self

    async def run(self, layer: Any) -> None:
        try:
            self._result = await perform(layer, *self._call)
        except Exception as error:
            self._error = error

    def run_sync(self, layer: Any) -> None:
        try:
            self._result = perform_sync(layer, *self._call)
        except Exception as error:
            self._error = error

    def outcome(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


class HostedSeat(Seat):
    """A layer as an application in a worker has it, where each call is a message of a WebSocket.

    A consumer makes the call in its turn: the future is over when the turn has committed.
    """

    def __init__(self, connect: Callable[[], Any], is_async: bool, in_turns: bool) -> None:
        self.is_async, self.in_turns = is_async, in_turns
        self._connect = connect
        self._free: list[Any] = []  # clients whose consumers have nothing to do

    def begin(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Future[Any]:
        job = Job(method, arguments, options)
        client = self._free.pop() if self._free else self._connect()
        future: Future[Any] = client.have_done(job, self._free.append)
        return future


class RemoteSeat(Seat):
    """A layer in another process: a sync one, or an async one in the loop of its main thread."""

    def __init__(self, urls: Sequence[str], kind: str = "sync") -> None:
        self.is_async = kind != "sync"
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-W", "error", str(TESTS / "layers" / "peer.py"), kind, *urls]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
        )
        self._calls: dict[int, Future[Any]] = {}
        self._numbers = itertools.count()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begin(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Future[Any]:
        assert self.process.stdin is not None
        number = next(self._numbers)
        future = self._calls[number] = Future()
        self.process.stdin.write(to_line((number, method, arguments, options)))
        self.process.stdin.flush()
        return future

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            number, error, result = from_line(line)
            future = self._calls.pop(number)
            if error:
                known: dict[str, type[Exception]] = {**vars(builtins), **vars(errors)}
                future.set_exception(known[error](result) if error in known else AssertionError(f"{error}: {result}"))
            else:
                future.set_result(result)

    def kill(self) -> None:
        """End the process without a word."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def close(self) -> None:
        if self.process.returncode is None:
            self.kill()
