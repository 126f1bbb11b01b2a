"""An application behind a bridge, for tests and notebooks: both halves, over a real ZeroMQ socket."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Generator, MutableMapping, Sequence
from typing import Any

import anyio

from channels_bridge.bridge.app import Bridge, Pools
from channels_bridge.shared.config import Config
from channels_bridge.shared.endpoint import running_loop, sleep
from channels_bridge.shared.loop import Loop
from channels_bridge.worker.cli import arguments
from channels_bridge.worker.load import Application, wrap
from channels_bridge.worker.node import Node
from channels_bridge.worker.settings import Settings

STARTUP = 20.0  # seconds for the workers to connect; a process imports the application first


@contextlib.asynccontextmanager
async def bridged(
    app: object,
    *,
    same_loop: bool = False,
    workers: int = 1,
    pools: Pools | None = None,
    channels: Sequence[str] = (),
    config: Config | None = None,
    interface: str = "auto",
    **settings: Any,
) -> AsyncGenerator[Bridge, None]:
    """Give an ASGI application that is ``app`` behind a bridge.

    ``app``: an application object, which a worker in a thread of this process hosts (``same_loop=True``: a worker in
    the running loop), or "module:attribute", which ``workers`` processes host. ``pools`` and ``config`` as
    :class:`channels_bridge.Bridge` has them; ``settings`` are more of :class:`.worker.settings.Settings`
    (``threads``, ``max_inflight``, ``lifespan``, ...). No signal handlers are set. Leaving ends the workers; when it is
    left by cancellation, without waiting for them.

    ``channels``: named channels that the workers listen on, as ``channels-worker --channels`` does. An application
    object goes on serving connections, unless it is a function; processes do so with ``pools`` (``{}``: all paths).

    Raises ``TimeoutError`` if the workers are not there within 20 seconds, and what kept one from starting.
    """
    with _private_directory() as directory:
        url = f"ipc://{directory}/"
        listens_only = bool(channels) and pools is None and isinstance(app, str)
        names, pools = _served(pools)
        settings |= {"urls": (url,), "pools": () if listens_only else names, "channels": tuple(channels)}
        settings["interface"] = interface
        hosted = _hosted(app, same_loop, workers, {**settings, "config": config or Config()})
        bridge = Bridge(url, pools=pools, config=config)
        running = bridge.start()
        try:
            async with hosted as check:
                with anyio.fail_after(STARTUP):
                    while len(running.link.core.supervisor.links) < (workers if isinstance(app, str) else 1):
                        check()
                        await sleep(0.005)
                yield bridge
        finally:
            bridge.stop()


@contextlib.contextmanager
def _private_directory() -> Generator[str, None, None]:
    directory = tempfile.mkdtemp(prefix="cb-")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _served(pools: Pools | None) -> tuple[tuple[str, ...], Pools | None]:
    """Have the one kind of worker serve every pool: those that a mapping names, or whatever a callable says."""
    if pools is None or not callable(pools):
        return ("default", *sorted(set((pools or {}).values()))), pools
    choose = pools

    def checked(scope: MutableMapping[str, Any]) -> str:
        name: Any = choose(scope)
        return "default" if name and isinstance(name, str) else name  # the bridge says what is wrong with it

    return ("default",), checked


def _hosted(
    app: object, same_loop: bool, workers: int, settings: dict[str, Any]
) -> contextlib.AbstractAsyncContextManager[Callable[[], None]]:
    if isinstance(app, str):
        settings.setdefault("drain_timeout", 0.0)
        return _processes(Settings(app=app, **settings), workers)
    name = getattr(app, "__qualname__", type(app).__name__)
    application = wrap(app, settings["interface"], name, is_background=bool(settings["channels"]))
    if application.interface == "function":
        settings["pools"] = ()
    made = Settings(app=name, **settings)
    return _same_loop(application, made) if same_loop else _thread(application, made)


@contextlib.asynccontextmanager
async def _same_loop(app: Application, settings: Settings) -> AsyncGenerator[Callable[[], None], None]:
    node = Node(app, settings)
    try:
        await node.start()
        yield lambda: None
    except BaseException:
        node.abandon()
        raise
    await node.close("test is over")


class _ThreadWorker(threading.Thread):
    """A worker with a loop of its own, in a thread."""

    def __init__(self, app: Application, settings: Settings) -> None:
        super().__init__(name="bridged-worker", daemon=True)
        self._app, self._settings = app, settings
        self._loop: Loop | None = None
        self._scope: anyio.CancelScope | None = None
        self._over = False
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            anyio.run(self._main)
        except BaseException as error:
            self.error = error

    async def _main(self) -> None:
        self._loop = running_loop()
        node = Node(self._app, self._settings)
        started = False
        with anyio.CancelScope() as self._scope:
            if self._over:
                return
            await node.start()
            started = True
            await anyio.sleep_forever()
        if started:
            await node.close("test is over")
        else:
            node.abandon()

    def stop(self) -> None:
        self._over = True
        if self._loop is not None and self._scope is not None and self.is_alive():
            with contextlib.suppress(RuntimeError):  # its loop has closed by itself
                self._loop.from_thread(self._scope.cancel)

    def check(self) -> None:
        if self.error is not None:
            raise self.error


@contextlib.asynccontextmanager
async def _thread(app: Application, settings: Settings) -> AsyncGenerator[Callable[[], None], None]:
    worker = _ThreadWorker(app, settings)
    worker.start()
    try:
        yield worker.check
    finally:
        worker.stop()
    await anyio.to_thread.run_sync(worker.join, 10.0)


@contextlib.asynccontextmanager
async def _processes(settings: Settings, workers: int) -> AsyncGenerator[Callable[[], None], None]:
    command = [sys.executable, "-m", "channels_bridge.worker", *arguments(settings, "info")]
    processes = _start(command, workers)

    def check() -> None:
        ended = [process.returncode for process in processes if process.poll() is not None]
        if ended:
            raise RuntimeError(f"a worker process ended with exit code {ended[0]}; its log says why")

    try:
        yield check
    finally:
        for process in processes:
            process.terminate()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_reap, processes)


def _start(command: list[str], workers: int) -> list[subprocess.Popen[bytes]]:
    importable = filter(None, [os.environ.get("PYTHONPATH"), *sys.path])  # whatever the test can import
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(importable)}
    return [subprocess.Popen(command, env=environment) for _ in range(workers)]


def _reap(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
