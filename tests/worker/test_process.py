"""A worker process from its start to its exit code, on each loop; most of it in this process, which outlives it."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from channels_bridge import SyncChannelLayer
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.shared.errors import ConfigurationError
from channels_bridge.testing.processes import ManagedProcess
from channels_bridge.worker import process
from channels_bridge.worker.process import EXIT_APP, EXIT_CONFIG, Stops, run
from channels_bridge.worker.settings import LOOPS, Settings
from halves import bridging
from played_server import Call, eventually, websocket_scope

_numbers = itertools.count()
Write = Callable[[str], str]

LIFESPAN = """
import os, signal
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    {started}
    await receive()
    print("shut down", flush=True)
    await send({"type": "lifespan.shutdown.complete"})
"""
TERM = "os.kill(os.getpid(), signal.SIGTERM)"


@pytest.fixture
def folder() -> Iterator[Path]:
    path, modules = list(sys.path), set(sys.modules)
    with tempfile.TemporaryDirectory(prefix="cb-") as name:
        yield Path(name)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("process_app_"):
            del sys.modules[name]


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a module; give its name, which no other test uses."""

    def write(text: str) -> str:
        name = f"process_app_{next(_numbers)}"
        (folder / f"{name}.py").write_text(text)
        return name

    return write


@pytest.fixture(autouse=True)
def _same_handlers() -> Iterator[None]:
    """Give signals back to whom they belonged: an event loop leaves them to the system's default."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def settings(app: str, folder: Path, **more: Any) -> Settings:
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    given: dict[str, Any] = {"urls": (f"ipc://{folder}/run/",), **more}
    return Settings(app=app, app_dir=folder, **given)


# -- exit codes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_sigterm_ends_it_with_0_on_each_loop(
    folder: Path, write: Write, loop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(LIFESPAN.replace("{started}", TERM))
    assert run(settings(f"{name}:app", folder, loop=loop)) == 0
    assert capsys.readouterr().out == "shut down\n"


def test_sigint_ends_it_too(folder: Path, write: Write) -> None:
    name = write(LIFESPAN.replace("{started}", TERM.replace("SIGTERM", "SIGINT")))
    assert run(settings(f"{name}:app", folder)) == 0


def test_an_application_that_cannot_be_imported_ends_it_with_3(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(settings("process_app_nowhere:app", folder)) == EXIT_APP == 3
    assert "the application cannot start: cannot import 'process_app_nowhere'" in caplog.text


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_application_whose_startup_fails_ends_it_with_3(
    folder: Path, write: Write, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = write("""
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
""")
    assert run(settings(f"{name}:app", folder, loop=loop)) == EXIT_APP
    assert "the application cannot start: the application's startup failed: no database" in caplog.text


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_address_that_cannot_be_had_ends_it_with_78(
    folder: Path, write: Write, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = write(LIFESPAN.replace("{started}", "pass"))
    unsafe = folder / "unsafe"
    unsafe.mkdir()
    unsafe.chmod(0o755)
    assert run(settings(f"{name}:app", folder, loop=loop, urls=(f"ipc://{unsafe}/",))) == EXIT_CONFIG == 78
    assert "chmod 700" in caplog.text


def test_an_address_that_is_none_ends_it_with_78(folder: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    name = write(LIFESPAN.replace("{started}", "pass"))
    assert run(settings(f"{name}:app", folder, urls=("redis://localhost",))) == EXIT_CONFIG
    assert "'redis://localhost' is not an address" in caplog.text


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_channel_without_a_route_ends_it_with_78(
    folder: Path, write: Write, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = write("from channels_bridge import AsyncConsumer, Router\napp = Router({'a': AsyncConsumer})\n")
    given = settings(f"{name}:app", folder, loop=loop, channels=("a", "b"), pools=())
    assert run(given) == EXIT_CONFIG == 78
    assert caplog.messages[-1] == f"--channels b: {name}:app has no route for it"


def test_uvloop_is_asked_for_only_if_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_is_found(name: str) -> None: ...

    assert process._backend("auto") == process._backend("uvloop") == ("asyncio", {"use_uvloop": True})
    assert process._backend("asyncio") == ("asyncio", {"use_uvloop": False})
    assert process._backend("trio") == ("trio", {})
    monkeypatch.setattr(process, "find_spec", nothing_is_found)
    assert process._backend("auto") == ("asyncio", {"use_uvloop": False})
    with pytest.raises(ConfigurationError, match="--loop uvloop: uvloop is not installed; pip install uvloop"):
        process._backend("uvloop")


# -- the supervisor's pipe -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_it_ends_when_its_supervisor_has(
    folder: Path, write: Write, loop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    try:
        name = write(LIFESPAN.replace("{started}", f"os.close({writing})"))
        assert run(settings(f"{name}:app", folder, loop=loop, parent_fd=reading)) == 0
    finally:
        os.close(reading)
    assert capsys.readouterr().out == "shut down\n"


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_supervisor_that_ends_later_is_nobodys_business(folder: Path, write: Write, loop: str) -> None:
    """Its pipe is watched in a thread, which must not fall over a loop that is closed."""
    reading, writing = os.pipe()
    name = write(LIFESPAN.replace("{started}", TERM))
    try:
        assert run(settings(f"{name}:app", folder, loop=loop, parent_fd=reading)) == 0
        os.close(writing)
        deadline = time.monotonic() + 5.0
        while any(thread.name == "parent-watch" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.close(reading)


@pytest.mark.anyio
async def test_reasons_to_stop_are_counted() -> None:
    stops = Stops(running_loop())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stops.wait, 2)
        stops.add()
        await anyio.lowlevel.checkpoint()
        await stops.wait(1)
        stops.add()
    await stops.wait(2)


# -- with connections, in a process of its own -----------------------------------------------------------------

SLOW = """
import time
from channels_bridge import AsyncConsumer, SyncConsumer

class Patient(AsyncConsumer):
    async def websocket_receive(self, message):
        await self.send({"type": "websocket.send", "text": message["text"]})

class Stuck(SyncConsumer):
    def websocket_receive(self, message):
        time.sleep(60.0)
"""


class Worker(ManagedProcess):
    """``python -m channels_bridge.worker``, without a supervisor."""

    def __init__(self, folder: Path, app: str, url: str, *args: str) -> None:
        command = [sys.executable, "-m", "channels_bridge.worker", app, "-b", url, "--drain-timeout", "30", *args]
        super().__init__(command, pythonpath=[folder])

    async def ended(self) -> int:
        """Wait for the end, while the loop of this process goes on; give the exit status."""
        await eventually(lambda: not self.alive)
        return self.wait()


@pytest.mark.anyio
@pytest.mark.system
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_sigterm_does_not_wait_for_connections(folder: Path, write: Write) -> None:
    name, url = write(SLOW), f"ipc://{folder}/run/"
    with bridging(url) as bridge, Worker(folder, f"{name}:Patient", url) as worker:
        async with Call(bridge, websocket_scope()) as call:
            await call.connect()
            worker.sigterm()
            await eventually(lambda: "have up to 30 s to end" in worker.log)
            call.say("still here")
            assert await call.hear() == "still here"
            worker.sigterm()
            assert await worker.ended() == 0
            assert (await call.next())["code"] == 1012


@pytest.mark.anyio
@pytest.mark.system
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
async def test_a_second_sigterm_does_not_wait_for_a_thread_that_is_stuck(folder: Path, write: Write, loop: str) -> None:
    name, url = write(SLOW), f"ipc://{folder}/run/"
    with bridging(url) as bridge, Worker(folder, f"{name}:Stuck", url, "--loop", loop) as worker:
        async with Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("go")
            core = bridge.start().link.core
            await eventually(lambda: [w.turns_out for w in core.supervisor.links.values()] == [1])
            worker.sigterm()
            await eventually(lambda: "have up to 30 s to end" in worker.log)
            worker.sigterm()
            await worker.ended()
            assert (await call.next())["code"] == 1012


@pytest.mark.anyio
@pytest.mark.system
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_of_the_background_is_not_handled_in_time_is_said(folder: Path, write: Write) -> None:
    name, url = write("import time\ndef task(message):\n    time.sleep(60.0)\n"), f"ipc://{folder}/run/"
    args = ["--channels", "a", "--drain-timeout", "0.1"]
    with bridging(url) as bridge, Worker(folder, f"{name}:task", url, *args) as worker:
        listened = bridge.start().link.core.layer.background
        await eventually(lambda: listened.has_listener("a"))
        layer = SyncChannelLayer(url)
        await anyio.to_thread.run_sync(layer.send, "a", {"type": "x"})
        await eventually(lambda: [given for _, given in listened._channels["a"].listeners.values()] == [1])
        worker.sigterm()
        assert await worker.ended() == 0
        await anyio.to_thread.run_sync(layer.close)
    assert "1 messages in the background were not handled in time: they are given to nobody else" in worker.log
    assert "1 handlers are stuck" in worker.log


@pytest.mark.anyio
@pytest.mark.system
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_sigterm_while_the_application_starts_ends_it(folder: Path, write: Write) -> None:
    name = write("""
import asyncio
async def app(scope, receive, send):
    await receive()
    print("starting", flush=True)
    await asyncio.sleep(60.0)
""")
    with Worker(folder, f"{name}:app", f"ipc://{folder}/run/") as worker:
        await eventually(lambda: "starting" in worker.log)
        worker.sigterm()
        worker.sigterm()
        await worker.ended()
