"""The tasks that send: one for all while nobody is slow, one more for each who is; each send in one task throughout."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from channels_bridge.bridge.writer import Writer
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.testing import bridged
from halves import is_idle
from played_server import Call, Changes, Event, eventually, http_scope

pytestmark = pytest.mark.anyio


class Client:
    """A client whose ``drain`` waits as often as it is told to."""

    def __init__(self, name: str, log: list[str], changes: Changes, waits: int = 0) -> None:
        self.name = name
        self.scheduled = False
        self.over = False
        self.error: BaseException | None = None
        self.tasks: list[int] = []
        self._log = log
        self._changes = changes
        self._waits = waits
        self._going_on = 0

    async def drain(self) -> None:
        self.tasks.append(anyio.get_current_task().id)
        for _ in range(self._waits):
            self._log.append(f"{self.name} waits")
            self._changes.tell()
            await self._changes.until(lambda: self._going_on)
            self._going_on -= 1
            self.tasks.append(anyio.get_current_task().id)
        self._log.append(f"{self.name} is done")
        self._changes.tell()

    def fail(self, error: BaseException) -> None:
        self.error = error

    def go_on(self) -> None:
        self._going_on += 1
        self._changes.tell()


class CountingLoop:
    """The running loop, which counts the tasks that are made."""

    def __init__(self) -> None:
        self._loop = running_loop()
        self.tasks: list[Any] = []

    def spawn(self, coroutine: Any) -> Any:
        self.tasks.append(self._loop.spawn(coroutine))
        return self.tasks[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@pytest.fixture
async def loop() -> Any:
    return CountingLoop()


async def test_one_task_serves_all_clients_that_do_not_wait(loop: Any) -> None:
    log: list[str] = []
    changes = Changes()
    writer = Writer(loop)
    clients = [Client(str(number), log, changes) for number in range(5)]
    for client in clients:
        writer.schedule(client)
        writer.schedule(client)
    await changes.until(lambda: len(log) == 5)
    assert log == [f"{number} is done" for number in range(5)]
    assert len(loop.tasks) == 1
    assert len({task for client in clients for task in client.tasks}) == 1
    await eventually(lambda: not any(client.scheduled for client in clients))
    writer.schedule(clients[0])
    await changes.until(lambda: len(log) == 6)


async def test_a_client_that_waits_keeps_its_task_and_the_others_get_another(loop: Any) -> None:
    log: list[str] = []
    changes = Changes()
    writer = Writer(loop)
    slow, slower = Client("slow", log, changes, waits=2), Client("slower", log, changes, waits=1)
    quick = [Client(name, log, changes) for name in ("a", "b")]
    for client in (slow, quick[0], slower, quick[1]):
        writer.schedule(client)
    await changes.until(lambda: log[-1:] == ["b is done"])
    assert log == ["slow waits", "a is done", "slower waits", "b is done"]
    slow.go_on()
    await changes.until(lambda: log[-1] == "slow waits")
    slow.go_on()
    await changes.until(lambda: log[-1] == "slow is done")
    slower.go_on()
    await changes.until(lambda: log[-1] == "slower is done")
    await eventually(lambda: not slow.scheduled and not slower.scheduled)
    assert len(loop.tasks) == 3
    assert len(set(slow.tasks)) == len(set(slower.tasks)) == 1
    assert slow.tasks[0] != slower.tasks[0]
    assert not writer._tasks


async def test_what_is_scheduled_while_the_last_one_waits_gets_a_task(loop: Any) -> None:
    log: list[str] = []
    changes = Changes()
    writer = Writer(loop)
    slow, late = Client("slow", log, changes, waits=1), Client("late", log, changes)
    writer.schedule(slow)
    await changes.until(lambda: log)
    writer.schedule(late)
    await changes.until(lambda: len(log) == 2)
    assert log == ["slow waits", "late is done"]
    slow.go_on()
    await changes.until(lambda: len(log) == 3)


class Cancelled(Client):
    """A client whose server lets a cancellation of its own through: uvicorn's futures do when a transport closes."""

    async def drain(self) -> None:
        await super().drain()
        raise asyncio.CancelledError


@pytest.mark.parametrize("waits", [0, 1])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_send_that_is_cancelled_by_its_server_does_not_stop_the_others(loop: Any, waits: int) -> None:
    log: list[str] = []
    changes = Changes()
    writer = Writer(loop)
    first, second = Cancelled("first", log, changes, waits), Client("second", log, changes)
    writer.schedule(first)
    writer.schedule(second)
    first.go_on()
    await eventually(lambda: len(log) == 2 + waits)
    await eventually(lambda: not first.scheduled)
    assert isinstance(first.error, asyncio.CancelledError)
    assert not writer._tasks


async def test_a_send_that_waits_is_ended_with_its_call(loop: Any) -> None:
    log: list[str] = []
    changes = Changes()
    writer = Writer(loop)
    slow, other = Client("slow", log, changes, waits=1), Client("other", log, changes)
    writer.forget(other)  # nobody waits there: no error
    writer.schedule(slow)
    await changes.until(lambda: log)
    slow.over = True
    writer.forget(slow)
    await eventually(lambda: not slow.scheduled)
    assert slow.error is None
    writer.schedule(other)
    await changes.until(lambda: log[-1] == "other is done")
    assert not writer._tasks


# -- through a bridge ------------------------------------------------------------------------------------------


async def app(scope: Event, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def with_asyncio_timeout(application: Any, seconds: float) -> Any:
    async def middleware(scope: Event, receive: Any, send: Any) -> None:
        async def timed(event: Event) -> None:
            async with asyncio.timeout(seconds):
                await send(event)

        await application(scope, receive, timed)

    return middleware


def with_anyio_timeout(application: Any, seconds: float) -> Any:
    async def middleware(scope: Event, receive: Any, send: Any) -> None:
        async def timed(event: Event) -> None:
            with anyio.fail_after(seconds):
                await anyio.lowlevel.checkpoint()
                await send(event)

        await application(scope, receive, timed)

    return middleware


TIMEOUTS: list[Any] = [
    pytest.param(with_asyncio_timeout, "asyncio", id="asyncio.timeout"),
    pytest.param(with_anyio_timeout, "asyncio", id="anyio.fail_after, asyncio"),
    pytest.param(with_anyio_timeout, "trio", id="anyio.fail_after, trio"),
]


@pytest.mark.parametrize(("middleware", "anyio_backend"), TIMEOUTS)
async def test_timeouts_of_middleware_around_send_work(middleware: Callable[..., Any]) -> None:
    """``asyncio.timeout`` and cancel scopes have to be left in the task in which they were entered."""
    async with bridged(app, same_loop=True) as bridge:
        async with Call(middleware(bridge, 5.0), http_scope(), {"type": "http.request"}) as call:
            assert await call.end() is None
            assert b"".join(event.get("body", b"") for event in call.sent) == b"xxx"
        async with Call(middleware(bridge, 0.05), http_scope(), {"type": "http.request"}) as call:
            call.send_waits = True
            assert await call.end() is None  # TimeoutError is an OSError: the client counts as gone
            assert call.sent == []
        await eventually(lambda: is_idle(bridge))


@pytest.mark.parametrize(("middleware", "anyio_backend"), TIMEOUTS)
async def test_timeouts_of_middleware_work_where_the_writers_task_sends(middleware: Callable[..., Any]) -> None:
    """While the client uploads, its own task is in receive(): another one sends."""

    async def early(scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"early", "more_body": True})
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.body", "body": b""})

    part = {"type": "http.request", "body": b"x", "more_body": True}
    async with bridged(early, same_loop=True) as bridge:
        async with Call(middleware(bridge, 5.0), http_scope(), part) as call:
            await call.until(lambda: len(call.sent) == 2)
            call.give({"type": "http.request"})
            assert await call.end() is None
        async with Call(middleware(bridge, 0.05), http_scope(), part) as call:
            call.send_waits = True
            assert await call.end() is None  # TimeoutError is an OSError: the client counts as gone
            assert call.sent == []
        await eventually(lambda: is_idle(bridge))
        await eventually(lambda: not bridge.start().writer._tasks)


async def test_a_send_that_still_waits_when_the_call_is_cancelled_is_cancelled_with_it() -> None:
    """A server whose send() is awaited in the call's own task may rely on that to be rid of it."""

    async def early(scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await receive()

    part = {"type": "http.request", "body": b"x", "more_body": True}
    async with bridged(early, same_loop=True) as bridge:
        async with Call(bridge, http_scope(), part) as call:
            call.send_waits = True
            await call.until(lambda: call.sending)
            call.cancel()
            await call.end()
            await call.until(lambda: not call.sending)
            await eventually(lambda: not bridge.start().writer._tasks)
        assert is_idle(bridge)
