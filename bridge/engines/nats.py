"""NATS: one nats-py client per session. At most once, in order per publisher, interest known to the server."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Any

import anyio

from .session import CONNECT, Receive, Session
from .url import EngineUrl

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

logger = logging.getLogger("channels_bridge.engine")

PORT = 4222
DIAL = 2  # seconds for each step of connecting
WATCH = 0.1  # seconds; nats-py does not call its closed_cb for each way in which a connection ends
CLOSE = 0.5  # seconds
NEVER = 86400 * 365  # seconds between nats-py's own pings: Sessions has its own


class Nats:
    """Connects to one server after the other, and to those that a server names."""

    def __init__(self, url: EngineUrl) -> None:
        self._url = url
        self._servers = [(host, port or PORT) for host, port in url.hosts]
        self._attempts = 0
        self._tls = url.tls() if url.scheme == "tls" else None

    @contextlib.asynccontextmanager
    async def connect(self, receive: Receive) -> AsyncGenerator[Session]:
        """Connect to the next server. Raises whatever nats-py raises."""
        from nats.aio.client import Client

        client = Client()
        session = NatsSession(client, receive)
        try:
            with anyio.fail_after(CONNECT):
                await client.connect(self._next_server(), **self._options(client), error_cb=session.on_error)
            self._check_tls(client)
            self._learn(client)
            session.begin()
            async with anyio.create_task_group() as group:
                group.start_soon(session.watch)
                yield session
                group.cancel_scope.cancel()
        finally:
            await _close(client)

    def _next_server(self) -> str:
        host, port = self._servers[self._attempts % len(self._servers)]
        self._attempts += 1
        return f"{'nats' if self._tls is None else 'tls'}://{f'[{host}]' if ':' in host else host}:{port}"

    def _options(self, client: Client) -> dict[str, Any]:
        """Give nats-py's options; secrets are not in its URLs, so that no error of its can show them."""

        def secret(value: str) -> Callable[[], str]:
            def give() -> str:  # called when it is about to be sent
                self._check_tls(client)
                return value

            return give

        user, password = self._url.user, self._url.password
        options: dict[str, Any] = {
            "name": "channels-bridge",
            "allow_reconnect": False,
            "no_echo": True,
            "connect_timeout": DIAL,
            "ping_interval": NEVER,
            "skip_subject_validation": True,  # topics are the bridge's, the prefix was checked
            "tls": self._tls,
            "user_credentials": self._url.options.get("creds"),
        }
        if password:
            options |= {"user": secret(user), "password": secret(password)}
        elif user:
            options["token"] = secret(user)
        return options

    def _check_tls(self, client: Client) -> None:
        """Refuse to go on in the clear where tls:// was asked for: nats-py leaves the choice to the server."""
        info: dict[str, Any] = getattr(client, "_server_info", {})
        if self._tls is not None and not info.get("tls_required"):
            raise ConnectionError("the server offers no TLS, and the URL says tls://")

    def _learn(self, client: Client) -> None:
        for server in client.discovered_servers:
            address = (server.hostname or "", server.port or PORT)
            if address not in self._servers:
                self._servers.append(address)


class NatsSession:
    """One connection."""

    def __init__(self, client: Client, receive: Receive) -> None:
        self.limit = 0
        self._client: Any = client  # typed in parts only
        self._mailbox: Any = _Mailbox(receive)
        self._subscriptions: dict[str, Subscription] = {}
        self._begun = False

    def begin(self) -> None:
        """Note that it is connected."""
        self._begun = True
        self.limit = self._client.max_payload

    async def on_error(self, error: Exception) -> None:
        """Take what nats-py or the server complains of."""
        if not self._begun:
            raise error  # else nats-py would go on trying, and nobody would know why
        logger.warning("NATS: %s", error)

    async def watch(self) -> None:
        """Raise ``ConnectionError`` when the connection is over."""
        while self._client.is_connected:  # noqa: ASYNC110 - nobody sets an event
            await anyio.sleep(WATCH)
        raise ConnectionError(str(self._client.last_error or "the connection was closed"))

    async def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send; waits when the server is slow."""
        for subject, data in messages:
            await self._client.publish(subject, data)

    async def subscribe(self, subjects: Sequence[str]) -> None:
        """Subscribe to all, and wait once."""
        for subject in subjects:
            self._subscriptions[subject] = await self._client.subscribe(subject, future=self._mailbox)
        await self.ping()

    async def unsubscribe(self, subjects: Sequence[str]) -> None:
        """Unsubscribe."""
        for subject in subjects:
            await self._subscriptions.pop(subject).unsubscribe()

    async def ping(self) -> None:
        """Go to the server and back, twice: nats-py's first PING overtakes what is not yet written."""
        await self._client.flush()
        await self._client.flush()


class _Mailbox:
    """What nats-py takes for a future. It is set with each message, in order and at once.

    The other ways to receive cost a queue and a task per subscription, which outlive a connection that ends badly.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def cancelled(self) -> bool:
        return False

    def set_result(self, message: Msg) -> None:
        self._receive(message.subject, message.data)


async def _close(client: Client) -> None:
    """Close, whatever state it is in. nats-py alone would wait for a frozen server to take what is unsent."""
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if writer is not None:
        writer.transport.abort()
    with anyio.move_on_after(CLOSE, shield=True), contextlib.suppress(Exception):
        await client.close()
