"""Consumers are made of classes, factories and functions; sync ones, with what their constructor does, in threads."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from channels_bridge import AsyncConsumer, ChannelLayer, Router, SyncChannelLayer, SyncConsumer
from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.shared.errors import LocalProtocolError
from channels_bridge.shared.wire import Event
from channels_bridge.worker.building import Builder, Wanted, is_async
from channels_bridge.worker.done import DONE, Done
from channels_bridge.worker.hub import Hub
from channels_bridge.worker.links import Links, make_hello
from channels_bridge.worker.router import NotFound

pytestmark = pytest.mark.anyio


class Client:
    """Who a consumer sends to."""

    def __init__(self) -> None:
        self.sent: list[Event] = []

    def __call__(self, message: Event) -> Done:
        self.sent.append(message)
        return DONE

    def flush(self) -> Done:
        return DONE


class Bench:
    """A builder with what it needs, none of it connected."""

    def __init__(self, factory: Any, threads: int = 1) -> None:
        self.client = Client()
        self.recorded: list[frames.LayerFrame] = []
        self.hub = Hub(Links((), make_hello("worker"), Config()))
        self.builder = Builder(factory, self.hub, anyio.CapacityLimiter(threads))

    def wanted(self, kind: str = "http", path: str = "/") -> Wanted:
        return Wanted(kind, path, "consumer.0000000000000001!1", self.client, self._record)

    def _record(self, frame: frames.LayerFrame) -> bool:
        self.recorded.append(frame)
        return True

    async def handle(self, message: Event, kind: str = "http", path: str = "/") -> Any:
        """Build a consumer and give it a message."""
        return await self.builder.call(await self.builder.build(self.wanted(kind, path)), message)


# -- what is async ---------------------------------------------------------------------------------------------


async def coroutine_function(message: Event) -> None: ...


def function(message: Event) -> None: ...


class AsyncObject:
    async def __call__(self, message: Event) -> None: ...

    async def method(self, message: Event) -> None: ...


class SyncObject:
    def __call__(self, message: Event) -> None: ...


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (coroutine_function, True),
        (functools.partial(coroutine_function), True),
        (AsyncObject(), True),
        (AsyncObject().method, True),
        (function, False),
        (functools.partial(function), False),
        (SyncObject(), False),
        (AsyncObject, False),  # the class: calling it gives an object
    ],
)
def test_what_is_async(handler: Any, expected: bool) -> None:
    assert is_async(handler) is expected


# -- making ----------------------------------------------------------------------------------------------------


class Where:
    """Notes in which thread it is made and called, and what it was given."""

    def __init__(self, type: str, channel_layer: Any, consumer_channel: str, send: Any) -> None:
        self.given = (type, channel_layer, consumer_channel)
        self.send = send
        self.threads = [threading.get_ident()]


class AsyncWhere(Where):
    async def __call__(self, message: Event) -> Where:
        self.threads.append(threading.get_ident())
        self.send({"type": "answer"})
        return self


class SyncWhere(Where):
    def __call__(self, message: Event) -> Where:
        self.threads.append(threading.get_ident())
        self.send({"type": "answer"})
        return self


async def test_an_async_consumer_lives_in_the_loop() -> None:
    bench = Bench(AsyncWhere)
    made: Where = await bench.handle({"type": "x"})
    kind, layer, channel = made.given
    assert (kind, channel) == ("http", "consumer.0000000000000001!1")
    assert isinstance(layer, ChannelLayer)
    assert set(made.threads) == {threading.get_ident()}
    assert bench.client.sent == [{"type": "answer"}]


async def test_a_sync_consumer_is_made_and_called_in_threads() -> None:
    made: Where = await Bench(SyncWhere).handle({"type": "x"})
    assert isinstance(made.given[1], SyncChannelLayer)
    assert len(made.threads) == 2
    assert threading.get_ident() not in made.threads


async def test_its_layer_records_in_the_turn() -> None:
    class Sender(AsyncConsumer):
        async def x(self, message: Event) -> None:
            await self.channel_layer.group_add("g", self.consumer_channel)

    bench = Bench(Sender)
    await bench.handle({"type": "x"}, kind="channel", path="a")
    assert bench.recorded == [frames.GroupAdd("g", "consumer.0000000000000001!1", [])]


def made_by_function(made: list[Where], kind: type[Where]) -> Callable[..., Any]:
    def make(type: str, channel_layer: Any, consumer_channel: str, send: Any) -> Any:
        made.append(kind(type, channel_layer, consumer_channel, send))
        return made[-1]

    return make


async def test_of_a_function_it_is_seen_by_what_it_makes() -> None:
    """What it makes first is made in the loop; from then on it is known."""
    made: list[Where] = []
    bench = Bench(made_by_function(made, SyncWhere))
    await bench.handle({"type": "x"})
    await bench.handle({"type": "x"})
    here = threading.get_ident()
    assert [where.threads[0] == here for where in made] == [True, False]
    assert [where.threads[1] == here for where in made] == [False, False]
    assert [isinstance(where.given[1], SyncChannelLayer) for where in made] == [False, True]


async def test_a_function_may_say_so_before() -> None:
    made: list[Where] = []
    make: Any = made_by_function(made, SyncWhere)
    make.is_async = False
    await Bench(make).handle({"type": "x"})
    assert made[0].threads[0] != threading.get_ident()
    assert isinstance(made[0].given[1], SyncChannelLayer)


async def test_threads_bound_how_many_sync_ones_run_at_once() -> None:
    running: list[int] = []
    most: list[int] = []

    class Busy(SyncWhere):
        def __call__(self, message: Event) -> Where:
            running.append(1)
            most.append(len(running))
            running.pop()
            return self

    bench = Bench(Busy, threads=1)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(bench.handle, {"type": "x"})
    assert most == [1] * 5


async def test_what_a_constructor_or_a_handler_raises_is_raised() -> None:
    class Broken(AsyncConsumer):
        def __init__(self, *arguments: Any) -> None:
            raise ValueError("in the constructor")

    class Failing(SyncConsumer):
        def x(self, message: Event) -> None:
            raise ValueError("in the handler")

    with pytest.raises(ValueError, match="in the constructor"):
        await Bench(Broken).builder.build(Bench(Broken).wanted())
    with pytest.raises(ValueError, match="in the handler"):
        await Bench(Failing).handle({"type": "x"})
    with pytest.raises(LocalProtocolError, match="no handler 'y'"):
        await Bench(Failing).handle({"type": "y"})


# -- routes ----------------------------------------------------------------------------------------------------


class Named(AsyncConsumer):
    async def x(self, message: Event) -> dict[str, Any]:
        return self.url_kwargs

    async def __call__(self, message: Event) -> Any:
        return await self.x(message)


def routed() -> Bench:
    inner = Router({"/inner/<int:number>/": Named, "b": Named})
    return Bench(Router([("/<name>/", Named), ("/<path:rest>", inner), ("a", Named), ("b", inner)]))


@pytest.mark.parametrize(
    ("kind", "path", "arguments"),
    [
        ("http", "/ann/", {"name": "ann"}),
        ("websocket", "/inner/7/", {"number": 7}),
        ("channel", "a", {}),
        ("channel", "b", {}),
    ],
)
async def test_the_router_picks_and_gives_arguments(kind: str, path: str, arguments: dict[str, Any]) -> None:
    assert await routed().handle({"type": "x"}, kind, path) == arguments


@pytest.mark.parametrize(("kind", "path"), [("http", "/a/b/c"), ("channel", "c"), ("channel", "/ann/")])
async def test_where_no_route_fits_nobody_is_found(kind: str, path: str) -> None:
    bench = routed()
    made = await bench.builder.build(bench.wanted(kind, path))
    assert isinstance(made.handler, NotFound)


# -- resumable ones --------------------------------------------------------------------------------------------


class Lasting(AsyncConsumer):
    resumable = True

    async def x(self, message: Event) -> str:
        return "handled"


class SyncLasting(SyncConsumer):
    resumable = True
    on_loss = "skip"

    def x(self, message: Event) -> str:
        return "handled"


@pytest.mark.parametrize(("factory", "on_loss"), [(Lasting, "replay"), (SyncLasting, "skip"), (Named, "")])
async def test_what_was_made_says_whether_it_is_resumable(factory: Any, on_loss: str) -> None:
    bench = Bench(factory)
    assert (await bench.builder.build(bench.wanted())).on_loss == on_loss


async def test_what_says_so_and_cannot_is_not_made() -> None:
    make: Any = made_by_function([], SyncWhere)
    make.resumable = True
    with pytest.raises(LocalProtocolError, match=r"SyncWhere is resumable, but has no get_state\(\)"):
        await Bench(make).handle({"type": "x"})


@pytest.mark.parametrize(("factory", "here"), [(AsyncWhere, True), (SyncWhere, False)])
async def test_what_is_done_with_it_is_done_where_it_runs(factory: Any, here: bool) -> None:
    bench = Bench(factory)
    consumer = await bench.builder.build(bench.wanted())
    threads: list[int] = []
    made: Where = await bench.builder.call(consumer, {"type": "x"}, lambda: threads.append(threading.get_ident()))
    assert len(made.threads) == 2  # it was called, and what comes then was done in the same thread
    assert threads == made.threads[1:]
    await bench.builder.run(consumer, lambda: threads.append(threading.get_ident()))
    assert [thread == threading.get_ident() for thread in threads] == [here, here]


async def test_what_comes_behind_a_handler_that_raises_is_not_done() -> None:
    class Failing(AsyncConsumer):
        async def x(self, message: Event) -> None:
            raise ValueError("in the handler")

    done: list[int] = []
    bench = Bench(Failing)
    consumer = await bench.builder.build(bench.wanted())
    with pytest.raises(ValueError, match="in the handler"):
        await bench.builder.call(consumer, {"type": "x"}, lambda: done.append(1))
    assert done == []
