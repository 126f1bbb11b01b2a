"""Redis and Valkey: pub/sub over coredis, one connection for both directions; in clusters sharded, one per node.

Connections of RESP3 may publish while they are subscribed. PING is answered after all that was sent before it, so it
tells that subscriptions are there.
"""

from __future__ import annotations

import binascii
import contextlib
import os
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
from anyio.abc import ByteStream, TaskGroup

from ...shared.errors import ConfigurationError
from .crossing import OCTETS
from .session import CONNECT, Receive, Session
from .url import EngineUrl

if TYPE_CHECKING:
    from coredis.connection import TCPConnection

PORT = 6379
SLOTS = 16384  # of every Redis cluster
ORIGIN = 8  # bytes in front of each message: who has sent it, as Redis gives it to its sender too


class _Commands(NamedTuple):
    publish: bytes
    subscribe: bytes
    unsubscribe: bytes


PLAIN = _Commands(b"PUBLISH", b"SUBSCRIBE", b"UNSUBSCRIBE")
SHARDED = _Commands(b"SPUBLISH", b"SSUBSCRIBE", b"SUNSUBSCRIBE")  # PUBLISH would go to every node of a cluster


class Redis:
    """Connects to one server after the other, or to a cluster by way of one of its nodes."""

    def __init__(self, url: EngineUrl) -> None:
        if url.path and not url.path.isdecimal():
            raise ConfigurationError(f"{url.shown}: what follows the '/' has to be the number of a database")
        self._hosts = [(host, port or PORT) for host, port in url.hosts]
        self._attempts = 0
        self._is_cluster = url.scheme.endswith("+cluster")
        self._settings: dict[str, Any] = {
            "username": url.user or None,
            "password": url.password or None,
            "db": int(url.path or 0),
            "client_name": "channels-bridge",
        }
        self._tls = url.tls() if url.scheme.startswith("rediss") else None

    @contextlib.asynccontextmanager
    async def connect(self, receive: Receive) -> AsyncGenerator[Session]:
        """Connect to the next server. Raises whatever coredis raises."""
        host, port = self._hosts[self._attempts % len(self._hosts)]
        self._attempts += 1
        async with anyio.create_task_group() as group:
            with anyio.fail_after(CONNECT):
                first = await self._dial(group, host, port)
                slots = await self._shards(group, first) if self._is_cluster else [first]
            session = RedisSession(slots, SHARDED if self._is_cluster else PLAIN, receive)
            for connection in session.connections:
                group.start_soon(session.read, connection)
            yield session
            group.cancel_scope.cancel()

    async def _dial(self, group: TaskGroup, host: str, port: int) -> TCPConnection:
        if self._tls is None:
            connection = _over(await anyio.connect_tcp(host, port), host, port, self._settings)
        else:
            stream = await anyio.connect_tcp(host, port, ssl_context=self._tls, tls_standard_compatible=False)
            connection = _over(stream, host, port, self._settings)
        await group.start(connection.run)
        return connection

    async def _shards(self, group: TaskGroup, first: TCPConnection) -> list[TCPConnection]:
        """Give the connection of each slot."""
        known = {(first.location.host, first.location.port): first}
        by_slot: dict[int, TCPConnection] = {}
        answer: Any = await first.create_request(b"CLUSTER SLOTS", decode=False)
        for start, end, primary, *_ in answer:
            # a cluster of one node, or one that was told so, leaves its address out: that which we have used
            address = (primary[0] or b"").decode() or first.location.host, int(primary[1])
            if address not in known:
                known[address] = await self._dial(group, *address)
            by_slot |= dict.fromkeys(range(start, end + 1), known[address])
        if len(by_slot) < SLOTS:
            raise ConnectionError(f"{SLOTS - len(by_slot)} of the cluster's {SLOTS} slots have no node")
        return [by_slot[slot] for slot in range(SLOTS)]


def _over(stream: ByteStream, host: str, port: int, settings: dict[str, Any]) -> TCPConnection:
    """Give a connection over a stream that is there: coredis leaves its buffers open where it cannot connect."""
    from coredis.connection import TCPConnection, TCPLocation

    class Connected(TCPConnection):
        async def _connect(self) -> ByteStream:
            return stream

    return Connected(TCPLocation(host, port), **settings)


class RedisSession:
    """One connection, or one to each node of a cluster. A slot that moves ends the session: the next one finds it."""

    limit = OCTETS

    def __init__(self, by_slot: Sequence[TCPConnection], commands: _Commands, receive: Receive) -> None:
        self.connections = list(dict.fromkeys(by_slot))
        self._by_slot = by_slot
        self._commands = commands
        self._receive = receive
        self._origin = os.urandom(ORIGIN)
        self._leaving: Counter[str] = Counter()  # unsubscribed, and not yet acknowledged

    def _connection(self, subject: str) -> TCPConnection:
        if len(self._by_slot) == 1:
            return self._by_slot[0]
        return self._by_slot[binascii.crc_hqx(subject.encode(), 0) % SLOTS]  # no '{' in subjects

    async def read(self, connection: TCPConnection) -> None:
        """Take what the server pushes. Raises ``ConnectionError`` when the connection is over."""
        async for push in connection.push_messages:
            kind, subject, data = push[:3]
            assert isinstance(subject, bytes)
            if kind in {b"message", b"smessage"}:
                assert isinstance(data, bytes)
                if data[:ORIGIN] != self._origin:
                    self._receive(subject.decode(), data[ORIGIN:])
            elif kind == self._commands.unsubscribe.lower():
                self._has_left(subject.decode())

    def _has_left(self, subject: str) -> None:
        if not self._leaving[subject]:  # not by our own wish
            raise ConnectionError("a part of the cluster has moved to another node")
        self._leaving[subject] -= 1
        if not self._leaving[subject]:
            del self._leaving[subject]

    async def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send all, then wait for the answers: a burst costs one round trip."""
        command = self._commands.publish
        requests = [
            self._connection(subject).create_request(command, subject, self._origin + data)
            for subject, data in messages
        ]
        for request in requests:
            await request

    async def subscribe(self, subjects: Sequence[str]) -> None:
        """Subscribe to all, and wait once."""
        for subject in subjects:
            self._connection(subject).send_command(self._commands.subscribe, subject)
        await self.ping()

    async def unsubscribe(self, subjects: Sequence[str]) -> None:
        """Unsubscribe."""
        for subject in subjects:
            self._leaving[subject] += 1
            self._connection(subject).send_command(self._commands.unsubscribe, subject)

    async def ping(self) -> None:
        """Go to each node and back."""
        requests = [connection.create_request(b"PING") for connection in self.connections]
        for request in requests:
            await request
