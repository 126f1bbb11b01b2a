"""``channels_bridge.testing.bridged`` in its three modes: it hosts, it raises what kept it, and it leaves nothing."""

# ruff: noqa: ARG001 - applications and consumers share a signature, whether they need all of it or not

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import psutil
import pytest

from channels_bridge import AsyncConsumer, Bridge, ChannelLayer, Config, Router, SyncChannelLayer, SyncConsumer
from channels_bridge.shared.errors import ApplicationLoadError, ConfigurationError
from channels_bridge.testing import bridged
from played_server import Call, Event, eventually, fetch, http_scope, websocket_scope

pytestmark = pytest.mark.anyio

REQUEST: Event = {"type": "http.request"}
MODES: list[Any] = [
    pytest.param({}, id="thread"),
    pytest.param({"same_loop": True}, id="same loop"),
]


class Left:
    """What was there before a test, to see that nothing more is there after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = set(threading.enumerate())
        self._children = set(psutil.Process().children())

    def files(self) -> list[str]:
        return os.listdir(self._folder)

    def threads(self) -> list[str]:
        new = set(threading.enumerate()) - self._threads
        return [thread.name for thread in new if not thread.name.startswith(("AnyIO", "Trio", "asyncio"))]

    def children(self) -> list[int]:
        return [child.pid for child in psutil.Process().children() if child not in self._children]


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> Iterator[Left]:
    """See in the end that no file, no thread and no process was left."""
    with tempfile.TemporaryDirectory(prefix="cb-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        found = Left(Path(name))
        yield found
        deadline = time.monotonic() + 10.0
        while found.threads():
            assert time.monotonic() < deadline, found.threads()
            time.sleep(0.01)
        assert found.children() == []
        assert found.files() == []


async def app(scope: Event, receive: Any, send: Any) -> None:
    """Say in which thread and which process it runs; on a socket wait for its end."""
    if scope["type"] == "http":
        if scope["path"] == "/wait":
            await anyio.sleep_forever()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": f"{threading.get_ident()} {os.getpid()}".encode()})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()


class Refusing:
    """Cannot start."""

    async def __call__(self, scope: Event, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})


async def where(bridge: Bridge) -> tuple[int, int]:
    thread, process = (await fetch(bridge)).body.split()
    return int(thread), int(process)


# -- an object -------------------------------------------------------------------------------------------------


async def test_an_object_is_hosted_in_a_thread_of_this_process(left: Left) -> None:
    async with bridged(app) as bridge:
        thread, process = await where(bridge)
        assert (thread != threading.get_ident(), process) == (True, os.getpid())
        assert left.threads() == ["bridged-worker"]
    assert left.threads() == []


async def test_or_in_the_same_loop(left: Left) -> None:
    async with bridged(app, same_loop=True) as bridge:
        assert await where(bridge) == (threading.get_ident(), os.getpid())
        assert left.threads() == []


@pytest.mark.parametrize("mode", MODES)
async def test_it_is_a_bridge_over_a_real_socket(left: Left, mode: dict[str, Any]) -> None:
    async with bridged(app, **mode) as bridge:
        assert isinstance(bridge, Bridge)
        [directory] = left.files()
        assert Path(bridge.url.removeprefix("ipc://")).name == directory
        assert Path(bridge.start().link.url.removeprefix("ipc://")).is_socket()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", [AsyncConsumer, SyncConsumer, Router([("/<path:rest>", AsyncConsumer)])])
async def test_consumers(left: Left, mode: dict[str, Any], target: Any) -> None:
    async with bridged(target, **mode) as bridge, Call(bridge, websocket_scope("/x")) as call:
        assert await call.connect() == {"type": "websocket.accept"}
        call.leave()
        assert await call.end() is None


@pytest.mark.parametrize("mode", MODES)
async def test_the_lifespan_runs(left: Left, mode: dict[str, Any]) -> None:
    seen: list[str] = []

    async def target(scope: Event, receive: Any, send: Any) -> None:
        for kind in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{kind}"
            seen.append(kind)
            await send({"type": f"lifespan.{kind}.complete"})

    async with bridged(target, **mode):
        assert seen == ["startup"]
    assert seen == ["startup", "shutdown"]


@pytest.mark.parametrize("mode", MODES)
async def test_settings_reach_the_worker(left: Left, mode: dict[str, Any]) -> None:
    config = Config(max_message_bytes=12345)
    async with bridged(SyncConsumer, config=config, threads=3, max_connections=5, **mode) as bridge:
        [worker] = bridge.start().link.core.supervisor.links.values()
        assert (worker.hello.slots, worker.hello.connections) == (3, 5)
        assert bridge.start().link.config.max_message_bytes == 12345


def shout(message: Event) -> Event:
    return {"type": "shouted", "text": message["text"].upper()}


class Shouter(AsyncConsumer):
    async def shout(self, message: Event) -> None:
        await self.send(shout(message))

    async def http_request(self, message: Event) -> None:
        await self.send({"type": "http.response.start", "status": 200})
        await self.send({"type": "http.response.body", "body": b"served as well"})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", [shout, Shouter, Router({"/": Shouter, "a": Shouter, "b": Shouter})])
async def test_named_channels(left: Left, mode: dict[str, Any], target: Any) -> None:
    async with bridged(target, channels=("a", "b"), **mode) as bridge:
        layer = ChannelLayer(bridge.url)
        for channel in ("a", "b"):
            question = {"type": "shout", "text": channel}
            assert await layer.request(channel, question) == {"type": "shouted", "text": channel.upper()}
        if target is not shout:
            assert (await fetch(bridge)).body == b"served as well"
        await layer.close()


@pytest.mark.parametrize("mode", MODES)
async def test_a_channel_without_a_route_is_said(left: Left, mode: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="--channels b: Router has no route for it"):
        async with bridged(Router({"a": Shouter}), channels=["a", "b"], **mode):
            raise AssertionError


async def test_a_setting_that_there_is_not_is_said(left: Left) -> None:
    with pytest.raises(TypeError, match="no_such_setting"):
        async with bridged(app, no_such_setting=5):
            raise AssertionError


@pytest.mark.parametrize("mode", MODES)
async def test_pools_are_all_served_by_the_one_worker(left: Left, mode: dict[str, Any]) -> None:
    async with bridged(app, pools={"/cpu/": "cpu", "/other/": "other"}, **mode) as bridge:
        for path in ("/", "/cpu/x", "/other/x"):
            assert (await fetch(bridge, path)).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_pools_by_a_callable_are_served_as_well(left: Left, mode: dict[str, Any]) -> None:
    config = Config(http_queue=1.0)
    async with bridged(app, pools=lambda scope: f"of {scope['method']}", config=config, **mode) as bridge:
        assert (await fetch(bridge)).status == 200


@pytest.mark.parametrize("mode", MODES)
async def test_two_side_by_side(left: Left, mode: dict[str, Any]) -> None:
    async with bridged(app, **mode) as one, bridged(app, **mode) as two, bridged(app) as three:
        threads = {(await where(bridge))[0] for bridge in (one, two, three)}
        assert len(threads) == (2 if mode else 3)
        assert len(left.files()) == 3
        assert len({bridge.url for bridge in (one, two, three)}) == 3


async def test_one_within_the_other(left: Left) -> None:
    """The application of one is the bridge of another."""
    async with bridged(app, same_loop=True) as inner:

        async def through(scope: Event, receive: Any, send: Any) -> None:
            if scope["type"] != "lifespan":
                await inner(scope, receive, send)

        async with bridged(through, same_loop=True) as outer:
            assert await where(outer) == (threading.get_ident(), os.getpid())


# -- what kept it from starting --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
async def test_what_kept_the_application_from_starting_is_raised(left: Left, mode: dict[str, Any]) -> None:
    with pytest.raises(ApplicationLoadError, match="the application's startup failed: no database"):
        async with bridged(Refusing(), **mode):
            raise AssertionError


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", [5, lambda: None])
async def test_what_is_no_application_is_said(left: Left, mode: dict[str, Any], target: Any) -> None:
    with pytest.raises(ApplicationLoadError):
        async with bridged(target, **mode):
            raise AssertionError


async def test_what_is_no_application_is_called_by_its_name(left: Left) -> None:
    class Riddle:
        def __init__(self, a: int, b: int) -> None: ...

    with pytest.raises(ApplicationLoadError, match="Riddle"):
        async with bridged(Riddle):
            raise AssertionError


@pytest.mark.parametrize("mode", MODES)
async def test_settings_that_make_no_sense_are_raised(left: Left, mode: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="beat < suspect"):
        async with bridged(app, config=Config(beat=9.0), **mode):
            raise AssertionError
    with pytest.raises(ConfigurationError, match="path prefix"):
        async with bridged(app, pools={"cpu": "cpu"}, **mode):
            raise AssertionError


# -- leaving ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
async def test_leaving_by_an_exception_raises_that_and_leaves_nothing(left: Left, mode: dict[str, Any]) -> None:
    async def use() -> None:
        async with bridged(app, **mode) as bridge, Call(bridge, websocket_scope()) as call:
            await call.connect()
            raise ValueError("of the test")

    began = time.monotonic()
    with pytest.raises(ValueError, match="of the test"):
        await use()
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("mode", MODES)
async def test_leaving_by_cancellation_does_not_block(left: Left, mode: dict[str, Any]) -> None:
    async def use() -> None:
        async with bridged(app, **mode) as bridge, Call(bridge, http_scope("/wait"), REQUEST):
            scope.cancel()
            await anyio.sleep_forever()

    began = time.monotonic()
    with anyio.CancelScope() as scope:
        await use()
    assert scope.cancelled_caught
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("mode", MODES)
async def test_being_cancelled_while_it_starts_leaves_nothing(left: Left, mode: dict[str, Any]) -> None:
    async def hangs(scope: Event, receive: Any, send: Any) -> None:
        await anyio.sleep_forever()

    with anyio.move_on_after(0.2) as scope:
        async with bridged(hangs, **mode):
            raise AssertionError
    assert scope.cancelled_caught


async def test_leaving_by_cancellation_in_one_loop_leaves_no_task(left: Left) -> None:
    began: list[str] = []
    ended: list[str] = []

    async def target(scope: Event, receive: Any, send: Any) -> None:
        began.append(scope["type"])
        try:
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
            await anyio.sleep_forever()
        finally:
            ended.append(scope["type"])

    with anyio.CancelScope() as scope:
        async with bridged(target, same_loop=True) as bridge, Call(bridge, http_scope(), REQUEST):
            await eventually(lambda: "http" in began)
            scope.cancel()
            await anyio.sleep_forever()
    await eventually(lambda: sorted(ended) == ["http", "lifespan"])


@pytest.mark.parametrize("mode", MODES)
async def test_calls_that_are_open_when_it_is_left_come_to_an_end(left: Left, mode: dict[str, Any]) -> None:
    calls: list[Call] = []
    async with anyio.create_task_group() as tasks, bridged(app, **mode) as bridge:
        tasks.start_soon(stay, bridge, calls)
        await eventually(lambda: calls)
    assert calls[0].sent[-1]["type"] == "websocket.close"


async def stay(bridge: Bridge, calls: list[Call]) -> None:
    """Open a socket and keep it open until the bridge ends it."""
    async with Call(bridge, websocket_scope()) as call:
        await call.connect()
        calls.append(call)
        await call.end()


@pytest.mark.parametrize("mode", MODES)
async def test_it_sets_no_signal_handlers(left: Left, mode: dict[str, Any]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    async with bridged(app, **mode):
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


# -- real processes --------------------------------------------------------------------------------------------

PROCESSES = """
import os, asyncio
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": f"0 {os.getpid()}".encode()})

async def refusing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})

def make():
    return app

def shout(message):
    return {"type": "shouted", "text": message["text"].upper(), "pid": os.getpid()}
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="cb-app-") as name:
        (Path(name) / "hosted_by_processes.py").write_text(PROCESSES)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([name, os.environ.get("PYTHONPATH", "")]))
        yield "hosted_by_processes"


@pytest.mark.system
async def test_a_name_is_hosted_by_processes(left: Left, module: str) -> None:
    async with bridged(f"{module}:app", workers=2, pools={"/cpu/": "cpu"}) as bridge:
        links = bridge.start().link.core.supervisor.links
        assert len(links) == len(left.children()) == 2
        assert (await where(bridge))[1] in left.children()
        assert (await fetch(bridge, "/cpu/x")).status == 200
    assert left.children() == []


@pytest.mark.system
async def test_processes_that_cannot_start_are_said(left: Left, module: str) -> None:
    with pytest.raises(RuntimeError, match="a worker process ended with exit code 3; its log says why"):
        async with bridged(f"{module}:refusing"):
            raise AssertionError


@pytest.mark.system
async def test_processes_end_soon_though_a_socket_is_open(left: Left, module: str) -> None:
    calls: list[Call] = []
    began: list[float] = []
    async with anyio.create_task_group() as tasks:
        async with bridged(f"{module}:app") as bridge:
            tasks.start_soon(stay, bridge, calls)
            await eventually(lambda: calls)
            began.append(time.monotonic())
        assert left.children() == []
    assert time.monotonic() - began[0] < 3.0
    assert calls[0].sent[-1]["type"] == "websocket.close"


@pytest.mark.system
@pytest.mark.parametrize(
    ("attribute", "settings"),
    [("make", {"factory": True}), ("app", {"drain_timeout": 1.0}), ("app", {"threads": 3, "lifespan": "off"})],
)
async def test_settings_reach_the_processes(left: Left, module: str, attribute: str, settings: dict[str, Any]) -> None:
    async with bridged(f"{module}:{attribute}", **settings) as bridge:
        assert (await where(bridge))[1] in left.children()


@pytest.mark.system
async def test_a_setting_that_there_is_not_is_said_for_processes_too(left: Left, module: str) -> None:
    with pytest.raises(TypeError, match="no_such_setting"):
        async with bridged(f"{module}:app", no_such_setting=5):
            raise AssertionError


@pytest.mark.system
async def test_processes_listen_on_named_channels(left: Left, module: str) -> None:
    async with bridged(f"{module}:shout", channels=["a"], workers=2) as bridge:
        layer = SyncChannelLayer(bridge.url)
        answer = await anyio.to_thread.run_sync(layer.request, "a", {"type": "shout", "text": "x"}, 10.0)
        assert answer["text"] == "X"
        assert answer["pid"] in left.children()
        await anyio.to_thread.run_sync(layer.close)
