"""The bridge: an ASGI 3 application that hands each connection to a worker. It runs no user code."""

from __future__ import annotations

import atexit
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..shared.addresses import IpcDirectory, default_url, parse
from ..shared.config import Config
from ..shared.endpoint import Loop, now, running_loop
from ..shared.errors import ConfigurationError
from ..shared.wire import Event, pack_scope
from .client import Client
from .link import Link
from .scopes import clean_scope
from .writer import Writer

logger = logging.getLogger("channels_bridge.bridge")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Pools = Mapping[str, str] | Callable[[Scope], str]

DEFAULT_POOL = "default"
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2
WATCH_AFTER = 0.05  # seconds after which a request that is still being answered gets a task that sees its disconnect


class Running:
    """A bridge in the loop of its server: what all connections share."""

    def __init__(self, link: Link, loop: Loop) -> None:
        self.link = link
        self.loop = loop
        self.pid = os.getpid()
        self.writer = Writer(loop)
        self._young: deque[tuple[float, Client]] = deque()  # (since, request whose disconnect nobody watches yet)

    def watch_later(self, client: Client) -> None:
        """Have the client's disconnect noticed, unless it is answered by then: most are, and cost no task."""
        self._young.append((now(), client))

    def tick(self, moment: float) -> None:
        """Start to watch those that take their time."""
        while self._young and self._young[0][0] + WATCH_AFTER <= moment:
            _, client = self._young.popleft()
            if not client.over:
                client.watcher = self.loop.spawn(client.watch())


class Bridge:
    """An ASGI 3 application that holds the connections of a protocol server; workers host their consumers.

    ``url``: where workers connect, ``ipc:///directory/`` or ``tcp://host:first-last``; by default
    ``$CHANNELS_BRIDGE_URL``, else a private directory of this user. ``pools``: path prefix -> pool (the longest
    prefix wins, others go to "default"), or a callable that takes the scope and returns the pool. ``config``:
    limits and times.

    Raises ``ConfigurationError`` for what can be seen at once; an address that is taken is reported when the
    server starts (lifespan), or where it has no lifespan with the first connection.
    """

    def __init__(self, url: str | None = None, *, pools: Pools | None = None, config: Config | None = None) -> None:
        self._address = parse(url or default_url())
        self._config = (config or Config()).check()
        self._pools: Pools = pools if pools is not None else {}
        if not callable(self._pools):
            _check_pools(self._pools)
        self._running: Running | None = None

    @property
    def url(self) -> str:
        """The address that workers are given."""
        return str(self._address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope: http, websocket or lifespan."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        else:
            raise ConfigurationError(f"the bridge serves http, websocket and lifespan, not {kind!r}")

    # -- start and stop ----------------------------------------------------------------------------------------

    def start(self) -> Running:
        """Bind and begin, once per process and loop; again is no error. Raises ``AddressError``."""
        running, loop = self._running, running_loop()
        if running is not None and running.pid == os.getpid() and running.loop.identity is not loop.identity:
            raise ConfigurationError("this Bridge runs in another event loop: make one for each")
        if running is None or running.pid != os.getpid():
            link = Link(self._address, self._config)
            running = Running(link, loop)
            link.start(running.loop, running.tick)
            self._running = running
            atexit.register(self.stop)  # for servers that have no lifespan, or never end it
        return running

    def stop(self, reason: str = "stopped") -> None:
        """Say goodbye to the workers and free the address. Never blocks; connections that are open lose theirs."""
        running, self._running = self._running, None
        if running is not None and running.pid == os.getpid():
            running.link.stop(reason)
            atexit.unregister(self.stop)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.start()
        except ConfigurationError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    # -- connections -------------------------------------------------------------------------------------------

    def _client(self, scope: Scope, receive: Receive, send: Send, idempotent: bool) -> Client:
        running = self.start()
        client = Client(running, scope, receive, send)
        kind: str = scope["type"]
        packed = pack_scope(clean_scope(scope, isinstance(self._address, IpcDirectory)))
        client.conn = running.link.core.open(kind, self._pool(scope), packed, idempotent, client, now())
        return client

    def _pool(self, scope: Scope) -> str:
        if callable(self._pools):
            return self._pools(scope)
        path: str = scope["path"]
        matching = [prefix for prefix in self._pools if path.startswith(prefix)]
        return self._pools[max(matching, key=len)] if matching else DEFAULT_POOL

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = self._client(scope, receive, send, scope["method"] in IDEMPOTENT)
        try:
            if client.take(await receive()):
                await client.read()
            if not client.over:
                self.start().watch_later(client)
                await client.wait()
        finally:
            client.close()
        client.result()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = self._client(scope, receive, send, True)
        try:
            await client.read()
            await client.wait()
        finally:
            client.close()
        client.result()


def _check_pools(pools: Mapping[str, str]) -> None:
    for prefix, pool in pools.items():
        if not prefix.startswith("/") or not pool:
            raise ConfigurationError(
                f"pools: {prefix!r}: {pool!r} should be a path prefix and a pool, '/render/': 'cpu'"
            )
