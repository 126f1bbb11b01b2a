"""The bridge: an ASGI 3 application that hands each connection to a worker. It runs no user code."""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..shared.addresses import IpcDirectory, TcpRange, default_url, parse
from ..shared.config import Config
from ..shared.endpoint import running_loop
from ..shared.errors import ConfigurationError
from ..shared.loop import Loop
from ..shared.wire import Event, pack_scope
from .client import Client
from .link import Link
from .scopes import clean_scope
from .writer import Writer

if TYPE_CHECKING:
    from .engines.engine import Engine
    from .metrics import Exporter

logger = logging.getLogger("channels_bridge.bridge")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Pools = Mapping[str, str] | Callable[[Scope], str]

DEFAULT_POOL = "default"
ENGINE = "CHANNELS_BRIDGE_ENGINE"
DEAD_LETTERS = "CHANNELS_BRIDGE_DEAD_LETTERS"
METRICS = "CHANNELS_BRIDGE_METRICS"


class Running:
    """A bridge in the loop of its server: what all connections share."""

    def __init__(self, link: Link, loop: Loop) -> None:
        self.link = link
        self.loop = loop
        self.writer = Writer(loop)
        self.exporter: Exporter | None = None
        self._answered_soon: set[Client] = set()  # requests whose disconnect nobody watches yet
        self._young: set[Client] = set()  # the same, since the last tick

    def stop_exporter(self) -> None:
        """End the metrics, if there are any."""
        exporter, self.exporter = self.exporter, None
        if exporter is not None:
            exporter.stop()

    def tick(self, moment: float) -> None:
        """Watch for the disconnect of requests that take their time: one to two ticks. Most never cost that task."""
        for client in self._answered_soon:
            client.watch()
        self._answered_soon, self._young = self._young, set()

    def begin_wait(self, client: Client) -> None:
        """Note that the client's request was read."""
        self._young.add(client)

    def end_wait(self, client: Client) -> None:
        """Forget it: it is answered."""
        self._young.discard(client)
        self._answered_soon.discard(client)


_bridges: weakref.WeakSet[Bridge] = weakref.WeakSet()


def _forked() -> None:
    """Forget what the parent's bridges run: sockets and their threads do not survive a fork (gunicorn --preload)."""
    for bridge in _bridges:
        bridge.forget()


os.register_at_fork(after_in_child=_forked)


class Bridge:
    """An ASGI 3 application that holds the connections of a protocol server; workers host their consumers.

    ``url``: where workers connect, ``ipc:///directory/`` or ``tcp://host:first-last``; by default
    ``$CHANNELS_BRIDGE_URL``, else a private directory of this user. ``pools``: path prefix -> pool (the longest
    prefix wins, others go to "default"), or a callable that takes the scope and returns the pool. ``engine``: what
    joins this bridge with those of other machines, ``nats://host:4222`` or ``redis://host:6379``; by default
    ``$CHANNELS_BRIDGE_ENGINE``, else nothing does. ``dead_letters``: a folder for messages that were set aside as they
    had cost two workers their lives, by default ``$CHANNELS_BRIDGE_DEAD_LETTERS``, else they are kept in memory.
    ``metrics``: where Prometheus may ask, ``127.0.0.1:9100`` or ``127.0.0.1:9100-9103``, by default
    ``$CHANNELS_BRIDGE_METRICS``, else nowhere. ``config``: limits and times.

    Raises ``ConfigurationError`` for what can be seen at once; an address that is taken is reported when the
    server starts (lifespan), or where it has no lifespan with the first connection.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        pools: Pools | None = None,
        engine: str | None = None,
        dead_letters: str | os.PathLike[str] | None = None,
        metrics: str | None = None,
        config: Config | None = None,
    ) -> None:
        self._engine_url = engine or os.environ.get(ENGINE, "")
        self._make_engine()  # what is wrong with it is said now
        self._address = parse(url or default_url())
        self._config = (config or Config()).check()
        folder = dead_letters or os.environ.get(DEAD_LETTERS)
        self._dead_letters = Path(folder) if folder else None
        self._metrics = self._read_metrics(metrics or os.environ.get(METRICS, ""))
        self._pools: Pools = pools if pools is not None else {}
        if not callable(self._pools):
            _check_pools(self._pools)
        self._same_machine = isinstance(self._address, IpcDirectory)
        self._running: Running | None = None
        _bridges.add(self)

    @property
    def url(self) -> str:
        """The address that workers are given."""
        return str(self._address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope: http, websocket or lifespan."""
        kind = scope["type"]
        if kind in ("http", "websocket"):
            await self._serve(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        else:
            raise ConfigurationError(f"the bridge serves http, websocket and lifespan, not {kind!r}")

    # -- start and stop ----------------------------------------------------------------------------------------

    def start(self) -> Running:
        """Bind and begin, once per process; again is no error.

        Raises ``AddressError``, or ``ConfigurationError`` from another event loop than the one that it runs in.
        """
        running = self._running
        if running is not None:
            if running.loop.is_current():
                return running
            if not running.loop.is_over():
                raise ConfigurationError("this Bridge runs in another event loop: make one for each")
            self.stop()  # nobody did when that loop ended
        link = Link(self._address, self._config, self._make_engine(), self._dead_letters)
        running = Running(link, running_loop())
        running.exporter = self._export(running)
        try:
            link.start(running.loop, running.tick)
        except BaseException:
            running.stop_exporter()
            raise
        self._running = running
        atexit.register(self.stop)  # for servers that have no lifespan, or never end it
        return running

    def _make_engine(self) -> Engine | None:
        if not self._engine_url:
            return None
        from .engines import open_engine  # with its thread: most bridges have none

        return open_engine(self._engine_url)

    def _read_metrics(self, where: str) -> TcpRange | None:
        if not where:
            return None
        from .metrics import address_of  # with prometheus_client: most bridges do without

        return address_of(where, self._config.insecure_tcp)

    def _export(self, running: Running) -> Exporter | None:
        if self._metrics is None:
            return None
        from .metrics import Exporter

        return Exporter(self._metrics, running.link, running.loop)

    def stop(self, reason: str = "stopped") -> None:
        """Say goodbye to the workers and free the address. Never blocks; connections that are open lose theirs."""
        running, self._running = self._running, None
        if running is not None:
            running.link.stop(reason)
            running.stop_exporter()
            atexit.unregister(self.stop)

    def forget(self) -> None:
        """In a forked child: leave the parent's sockets alone, and its slot to it."""
        running, self._running = self._running, None
        if running is not None:
            running.link.forget()
            if running.exporter is not None:
                running.exporter.forget()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.start()
        except Exception as error:  # raised, it would say to the server that there is no lifespan here
            if not isinstance(error, ConfigurationError):
                logger.exception("the bridge cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    # -- connections -------------------------------------------------------------------------------------------

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        running = self.start()
        packed = pack_scope(clean_scope(scope, self._same_machine))
        client = Client(running, scope, receive, send, self._pool(scope), packed)
        try:
            if await client.open():
                await client.read()
            if not client.over:
                if client.watchable:
                    running.begin_wait(client)
                await client.wait()
        finally:
            running.end_wait(client)
            client.close()
        client.result()

    def _pool(self, scope: Scope) -> str:
        if callable(self._pools):
            return _pool_name(self._pools(scope), scope["path"])
        if not self._pools:
            return DEFAULT_POOL
        path: str = scope["path"]
        matching = [prefix for prefix in self._pools if path.startswith(prefix)]
        return self._pools[max(matching, key=len)] if matching else DEFAULT_POOL


def _check_pools(pools: Mapping[Any, Any]) -> None:
    for prefix, pool in pools.items():
        if not isinstance(prefix, str) or not prefix.startswith("/") or not isinstance(pool, str) or not pool:
            raise ConfigurationError(
                f"pools: {prefix!r}: {pool!r} should be a path prefix and a pool, '/render/': 'cpu'"
            )


def _pool_name(pool: object, path: str) -> str:
    if isinstance(pool, str) and pool:
        return pool
    raise ConfigurationError(f"pools: the callable gave {pool!r} for {path!r}, which is not the name of a pool")
