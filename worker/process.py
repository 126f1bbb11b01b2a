"""A worker process from its start to its exit code."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from importlib.util import find_spec

import anyio

from ..shared.children import Word
from ..shared.endpoint import running_loop, sleep
from ..shared.errors import ApplicationLoadError, ConfigurationError
from ..shared.loop import Loop, Signal
from .load import Application, load
from .node import GRACE, Node
from .parent import Parent
from .settings import Settings
from .slots import RECYCLED

logger = logging.getLogger("channels_bridge.worker")

LAST_WORDS = 0.05  # seconds for libzmq to hand our goodbye to the system, where nothing else waits for its threads
LINKING = 2.0  # seconds to be linked with a bridge before our supervisor hears that we serve: there may be none
EXIT_APP = 3  # the app cannot start: do not respawn (as uvicorn's STARTUP_FAILURE)
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h: an address or a setting is wrong


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT (a second one is cold) or the supervisor's end. Returns the exit code."""
    try:
        app = load(settings)
        backend, options = _backend(settings.loop)
        return anyio.run(_main, app, settings, backend=backend, backend_options=options)
    except ApplicationLoadError as error:
        logger.error("the application cannot start: %s", error)
        return EXIT_APP
    except ConfigurationError as error:
        logger.error("%s", error)
        return EXIT_CONFIG


def _backend(loop: str) -> tuple[str, dict[str, bool]]:
    """Choose the event loop: uvloop where it is installed, unless another was asked for."""
    if loop == "trio":
        return "trio", {}
    if loop == "uvloop" and find_spec("uvloop") is None:
        raise ConfigurationError("--loop uvloop: uvloop is not installed; pip install uvloop")
    return "asyncio", {"use_uvloop": loop != "asyncio" and find_spec("uvloop") is not None}


class Stops:
    """Counts the reasons to stop: the first is warm, the next is cold."""

    def __init__(self, loop: Loop) -> None:
        self.count = 0
        self._loop = loop
        self._signal: Signal = loop.signal()

    def add(self) -> None:
        """Stop, or stop at once if that was asked for before. In the loop's thread."""
        self.count += 1
        self._signal.set()

    async def wait(self, count: int) -> None:
        """Wait until there were so many."""
        while self.count < count:
            await self._signal.wait()

    async def unless(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do the work, and raise what it raises; False, and it is cancelled, if a reason to stop comes first."""
        ended: list[BaseException | None] = []

        async def run() -> None:
            try:
                await work()
            except BaseException as error:
                ended.append(error)
                if self._loop.is_ending(error, True):
                    raise
            else:
                ended.append(None)
            finally:
                self._signal.set()

        task = self._loop.spawn(run())
        while not ended and not self.count:
            await self._signal.wait()
        if not ended:
            task.cancel()
            return False
        if ended[0] is not None:
            raise ended[0]
        return True


async def _main(app: Application, settings: Settings) -> int:
    loop = running_loop()
    node = Node(app, settings)  # first: trio does not forgive a task that begins after its signals were closed
    stops = Stops(loop)
    parent = None if settings.parent_fd is None else Parent(settings.parent_fd, loop, stops.add)
    node.on_retire = lambda reason: _retire(reason, parent, stops)
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        watching = loop.spawn(_count(received, stops))
        try:
            await _serve(node, stops, parent)
        finally:
            watching.cancel()
    return _code(node)


def _retire(reason: str, parent: Parent | None, stops: Stops) -> None:
    """Ask to be replaced, and go on until the successor is there; with no supervisor make room for one."""
    if parent is not None:
        logger.warning("this process is to be replaced: %s", reason)
        parent.say(Word.RETIRING)
    elif not stops.count:
        logger.warning("this process ends, to be started anew: %s", reason)
        stops.add()


def _code(node: Node) -> int:
    return RECYCLED if node.retiring else 0


async def _count(received: AsyncIterator[signal.Signals], stops: Stops) -> None:
    async for _ in received:
        stops.add()


async def _serve(node: Node, stops: Stops, parent: Parent | None) -> None:
    if not await stops.unless(node.start):
        await node.close("stopped", 0.0)
        return
    what = ", ".join([*(f"pool {pool}" for pool in node.settings.pools), *node.settings.channels])
    logger.info("hosting %s (%s) for %s", node.app.name, what, ", ".join(node.settings.urls))
    if parent is not None:
        await stops.unless(partial(node.linked, LINKING))
        parent.say(Word.SERVING)
    await stops.wait(1)
    await _drain(node, stops)
    if node.busy_threads or node.overseer.given_up:
        logger.warning("%d handlers are stuck: ending without them", _stuck(node))
        await sleep(LAST_WORDS)
        logging.shutdown()
        os._exit(_code(node))  # the interpreter would wait for their threads, the loop for their tasks


async def _drain(node: Node, stops: Stops) -> None:
    """Let end what can, and say what cannot."""
    drain_timeout = node.settings.drain_timeout
    if node.staying:
        logger.info("stopping: %d connections have up to %g s to end", node.staying, drain_timeout)
    if busy := node.background.busy:
        logger.info("stopping: %d messages in the background have up to %g s to be handled", busy, drain_timeout)
    await node.drain(drain_timeout, lambda: stops.count > 1)
    if busy := node.background.busy:
        logger.warning("%d messages in the background were not handled in time: they are given to nobody else", busy)
    await node.close("drained", GRACE if stops.count == 1 else 0.0)


def _stuck(node: Node) -> int:
    """Count handlers that do not end: those that sit in threads, and those that were given up in the loop."""
    in_loop = sum(run.given_up and run.in_the_loop for run in node.overseer.runs)
    return node.busy_threads + in_loop
