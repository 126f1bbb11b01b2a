"""``channels-bridge serve``: server, bridge and workers of one machine, started and ended together.

uvicorn with the bridge in it runs in this process. Each pool's workers run under a supervisor
(``channels-worker --supervise``), which is a child of ours. What ends first ends the rest: Ctrl-C or SIGTERM ends
uvicorn, then the workers; a supervisor that ends by itself ends all. HUP is passed on to the supervisors, which
replace their workers one after the other; this process, and with it all sockets, stays.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from types import FrameType

import click
import uvicorn

from ..shared.addresses import IpcDirectory, parse
from ..shared.children import Child, Signals, ending, stop
from ..shared.config import KIB, Config
from ..shared.errors import AddressError, ConfigurationError
from ..shared.terminal import Terminal
from .app import Bridge
from .sockets import listening, url_of

logger = logging.getLogger("channels_bridge.bridge")

FINAL = {3: "the app cannot start", 78: "a setting is wrong"}  # exit codes of a worker supervisor that gave up
GRACE = 7.0  # seconds; a supervisor gives its own children 5 before it kills them
ENVELOPE = KIB  # what packing may add to a message as long as the server allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to serve, and how. Times are seconds, sizes are bytes."""

    app: str  # module:attribute
    workers: Mapping[str, int]  # pool -> processes
    routes: Mapping[str, str]  # path prefix -> pool
    channels: Mapping[str, int]  # named channels, separated by commas -> processes that listen on them
    url: str | None  # of the bridge; None: a private directory
    engine: str | None  # URL; None: $CHANNELS_BRIDGE_ENGINE, or none
    dead_letters: Path | None  # where they are kept; None: $CHANNELS_BRIDGE_DEAD_LETTERS, or in memory
    metrics: str | None  # host:port for Prometheus; None: $CHANNELS_BRIDGE_METRICS, or nowhere
    worker_options: tuple[str, ...]  # passed on to channels-worker
    host: str
    port: int  # 0: any that is free
    uds: Path | None  # listen there, not on host and port
    root_path: str
    ws_max_size: int
    drain_timeout: float
    handshake: float  # for the application to accept a socket; 0: no limit
    answer: float  # for it to begin its answer to a request; 0: no limit
    access_log: bool


def serve(plan: Plan) -> int:
    """Run everything until Ctrl-C or SIGTERM, and return the exit code when nothing is left of it.

    In the main thread, as signals are handled there. Raises ``ConfigurationError`` where it cannot begin.
    """
    with listening(plan.host, plan.port, plan.uds) as sock, bridge_address(plan.url) as url:
        server = Server(plan, url)
        if not logger.isEnabledFor(logging.DEBUG):
            logging.getLogger("uvicorn.error").addFilter(Tidy(plan.access_log))
        with server.handling_signals():
            try:
                server.start_workers()
                server.run([sock])
                return server.verdict()
            except SystemExit:  # uvicorn has said why
                return 1
            finally:
                server.stop_workers()


class Tidy(logging.Filter):
    """Leaves out what uvicorn says of its own start and end: others say it here. It stays with requests and errors."""

    def __init__(self, access_log: bool) -> None:
        super().__init__()
        self._access_log = access_log

    def filter(self, record: logging.LogRecord) -> bool:
        """Let warnings and errors through, and the lines about WebSockets, which uvicorn logs there too."""
        return record.levelno > logging.INFO or (self._access_log and "WebSocket" in str(record.msg))


@contextmanager
def bridge_address(url: str | None) -> Generator[str, None, None]:
    """Give the URL, or that of a new directory that only this user may enter, removed in the end."""
    if url is not None:
        yield url
        return
    path = _make_directory()
    try:
        yield str(IpcDirectory(path))
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _make_directory() -> Path:
    errors: list[str] = []
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if not base:
            continue
        try:
            path = Path(tempfile.mkdtemp(prefix="channels-bridge-", dir=base))
        except OSError as error:
            errors.append(str(error))
            continue
        try:
            parse(f"ipc://{path}/")
        except AddressError as error:
            path.rmdir()
            errors.append(str(error))
        else:
            return path
    raise ConfigurationError(f"no place for the sockets between bridge and workers: {'; '.join(errors)}")


class Server(uvicorn.Server):
    """uvicorn, the bridge in it, and the children that run the workers."""

    def __init__(self, plan: Plan, url: str) -> None:
        self._plan = plan
        most = plan.ws_max_size + ENVELOPE
        config = Config(max_message_bytes=most, handshake=plan.handshake, answer=plan.answer)
        self._bridge = Bridge(
            url,
            pools=plan.routes,
            engine=plan.engine,
            dead_letters=plan.dead_letters,
            metrics=plan.metrics,
            config=config,
        )
        self._children: dict[str, Child] = {}  # pool, or channels -> its supervisor
        self._requests = 0  # to stop; the second is cold
        self._terminal = Terminal()
        super().__init__(
            uvicorn.Config(
                self._bridge,
                lifespan="on",
                log_config=None,
                access_log=plan.access_log,
                ws_max_size=plan.ws_max_size,
                root_path=plan.root_path,
                timeout_graceful_shutdown=math.ceil(plan.drain_timeout),
            )
        )

    @contextmanager
    def handling_signals(self) -> Generator[None, None, None]:
        """Handle signals ourselves, before uvicorn runs and after it as well."""
        handlers = {
            signal.SIGINT: self.handle_exit,
            signal.SIGTERM: self.handle_exit,
            signal.SIGCHLD: self.handle_child,
        }
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            handlers[signal.SIGHUP] = self.handle_hang_up
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a request to stop. uvicorn installs this for its own time, too."""
        self._requests += 1
        self.should_exit = True
        self.force_exit = self._requests > 1
        logger.info("stopping" if self._requests == 1 else "stopping at once")

    def handle_hang_up(self, sig: int, frame: FrameType | None) -> None:
        """Have the workers replaced; or stop, if it came because somebody has closed the window."""
        if self._terminal.is_gone:
            self.handle_exit(sig, frame)
        elif not self.should_exit:
            logger.info("reloading: passed on to the supervisors of the workers")
            for child in self._children.values():
                child.reload()

    def handle_child(self, sig: int, frame: FrameType | None) -> None:
        """Take note that some child has ended."""
        if any(child.poll() is not None for child in self._children.values()):
            self.should_exit = True

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start as uvicorn does, then say where."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            url = url_of(self._plan.host, self._plan.uds, sockets or [])
            click.echo(f"Serving {self._plan.app} on {url} ({self._workers()}); Ctrl-C stops all")

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop as uvicorn does; in a hurry it leaves out the lifespan, by which the bridge says goodbye."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    def _workers(self) -> str:
        counts = self._plan.workers
        default = counts["default"]
        others = [f"{count} for {pool}" for pool, count in counts.items() if pool != "default"]
        others += [f"{count} for {channels}" for channels, count in self._plan.channels.items()]
        return ", ".join([f"{default} worker{'' if default == 1 else 's'}", *others])

    def start_workers(self) -> None:
        """Start one supervisor per pool, and per set of named channels."""
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited: until a supervisor handles it, it ends none
        for pool, count in self._plan.workers.items():
            if count:
                self._start_workers(f"pool {pool}", f"--pools={pool}", count)
        for channels, count in self._plan.channels.items():
            self._start_workers(f"channels {channels}", f"--channels={channels}", count)
        signal.signal(signal.SIGHUP, before)

    def _start_workers(self, what: str, option: str, count: int) -> None:
        where = (f"--bridge={self._bridge.url}", option, f"--processes={count}", "--supervise")
        command = [sys.executable, "-m", "channels_bridge.worker", self._plan.app, *where]
        self._children[what] = Child([*command, *self._plan.worker_options])

    def verdict(self) -> int:
        """Give the exit code, once uvicorn has ended and the workers have not been told to."""
        for what, child in self._children.items():
            status = child.poll()
            if status is not None and not self._requests:
                why = FINAL.get(status) or f"their supervisor {ending(status)}"
                logger.error("the workers of %s have ended, so all ends: %s", what, why)
                return status if status in FINAL else 1
        return 0

    def stop_workers(self) -> None:
        """End the children, and return when they are gone."""
        children, patience = list(self._children.values()), self._plan.drain_timeout + GRACE
        with Signals() as signals:
            for child in stop(children, signals, patience, GRACE, hurried=self._requests > 1):
                logger.warning("the worker supervisor %d did not end in time and was killed", child.pid)
