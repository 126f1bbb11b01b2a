"""The layer of Channels 1 on that of the bridge: the same methods, and the same rules where anybody can tell.

In a consumer, what was kept until its end becomes part of its turn's commit. What is sent at once (``immediately``,
and all that concerns groups) goes past it.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from ...shared.errors import ChannelFull, ConfigurationError, InvalidName, LocalProtocolError
from ...shared.names import CHANNELS1
from ..consumer import SendToClient
from ..layers import SyncChannelLayer
from .message import pending_message_store

ASIDE = "channels1.type"  # where a message's own "type" travels, if a bridge would not take it for one
LOOK = 0.1  # seconds for one of several channels, before the next is looked into
BLOCK = 1.0  # seconds that a blocking receive() waits in all: it may return without a message


class MessageTooLarge(LocalProtocolError):
    """The message is longer than the bridge takes (``max_message_bytes``)."""


class Turn(NamedTuple):
    """What a consumer that runs in this thread sends with."""

    layer: SyncChannelLayer  # what goes through it is part of the commit
    send: SendToClient | None  # to the client of this connection; None: a named channel has none
    reply_channel: str  # that client's; "": there is none
    subprotocol: str = ""  # to accept the socket with


class _Here(threading.local):
    turn: Turn | None = None


class BridgeLayer:
    """The methods of a Channels 1 layer; ``send`` and the group methods may be called anywhere, from any thread.

    ``url``: where the bridges are; by default the worker's own in a worker, elsewhere ``$CHANNELS_BRIDGE_URL``, or this
    user's private directory. ``capacity``, ``channel_capacity``, ``expiry`` (seconds), ``group_expiry`` (seconds):
    as Channels 1 has them. Raises ``ConfigurationError``.
    """

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge
    extensions: ClassVar[list[str]] = ["groups", "flush"]

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        *,
        expiry: float | None = None,
        group_expiry: float = 86400,
        capacity: int | None = None,
        channel_capacity: Mapping[Any, int] | None = None,
        insecure_tcp: bool = False,
    ) -> None:
        settings: dict[str, Any] = {"capacity": capacity, "channel_capacity": channel_capacity, "expiry": expiry}
        self._layer = SyncChannelLayer(url, **settings, group_expiry=group_expiry, insecure_tcp=insecure_tcp)
        self.expiry, self.group_expiry, self.capacity = self._layer.expiry, group_expiry, self._layer.capacity
        self._here = _Here()
        self._kept: dict[str, str] = {}  # a new channel lives as long as its name: name -> itself

    # -- messages ----------------------------------------------------------------------------------------------

    def send(self, channel: str, message: Mapping[str, Any]) -> None:
        """Give a message to who is behind a channel, or is the next to listen there.

        Raises ``ChannelFull``, ``TypeError`` for a bad name, ``BridgeUnavailable``, ``LocalProtocolError`` for what
        cannot be sent.
        """
        event, turn = event_of(message), self._here.turn
        is_ours = event["type"] == CHANNELS1  # else it is ASGI's, and goes the way that it would from elsewhere
        if turn is not None and turn.send is not None and channel == turn.reply_channel and is_ours:
            _ = turn.send({**event, "subprotocol": turn.subprotocol} if turn.subprotocol else event)
            if not pending_message_store.is_flushing:
                _ = turn.send.flush()  # now; and no faster than the client reads
        else:
            self._now_or_at_commit(turn).send(channel, event)

    def is_gone(self, channel: str) -> bool:
        """Say whether a channel is that of this turn's client, and the client has gone: nobody reads what is sent."""
        turn = self._here.turn
        return turn is not None and channel == turn.reply_channel and bool(getattr(turn.send, "is_gone", False))

    def send_group(self, group: str, message: Mapping[str, Any]) -> None:
        """Give a message to all members of a group. A member that is full misses it."""
        self._now_or_at_commit(self._here.turn).send_group(group, event_of(message))

    def _now_or_at_commit(self, turn: Turn | None) -> SyncChannelLayer:
        return turn.layer if turn is not None and pending_message_store.is_flushing else self._layer

    def receive(self, channels: Sequence[str], block: bool = False) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """Take a message of one of these channels: (channel, message); (None, None) if none came.

        ``block``: wait for one, for about a second. It may return without one all the same.
        """
        if not channels:
            return None, None
        rounds = max(1, int(BLOCK / LOOK / len(channels))) if block else 1
        for channel in list(channels) * rounds:
            message = self._layer.receive_within(channel, LOOK)
            if message is not None:
                return channel, content_of(message)
        return None, None

    receive_many = receive  # its name before Channels 1.0

    def new_channel(self, pattern: str) -> str:
        """Make a channel that this process receives on. ``pattern``: a name that ends in ``?`` or ``!``."""
        if not str(pattern).endswith(("?", "!")):
            raise InvalidName(f"new_channel takes a name that ends in '?', as in 'reply?', not {pattern!r}")
        name = self._layer.new_channel(pattern[:-1])
        self._kept[name] = name
        return name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse: protocol servers are given a Bridge now, and workers the layer."""
        raise ConfigurationError(
            "a layer of Channels 1 is no ASGI application. Give the protocol server a module with"
            " 'application = channels_bridge.Bridge()', and this one to channels-worker --interface channels1; or start"
            " both by channels-bridge serve --interface channels1"
        )

    # -- groups ------------------------------------------------------------------------------------------------

    def group_add(self, group: str, channel: str) -> None:
        """Make a channel a member: a reply channel, or one of ``new_channel``."""
        self._layer.group_add(group, channel)

    def group_discard(self, group: str, channel: str) -> None:
        """End a membership. None there is no error."""
        self._layer.group_discard(group, channel)

    def group_channels(self, group: str) -> list[str]:
        """Refuse: a group is for broadcast, and its bridges do not tell who is in it."""
        raise LocalProtocolError(
            f"group_channels({group!r}): groups cannot be listed; keep who is there in your database, as it"
            " connects and disconnects"
        )

    def flush(self) -> None:
        """End this process's channels and memberships."""
        self._kept.clear()
        self._layer.flush()

    # -- the host's part ---------------------------------------------------------------------------------------

    @contextmanager
    def in_turn(self, turn: Turn) -> Generator[None, None, None]:
        """Let what this thread's consumer sends be part of its turn."""
        self._here.turn = turn
        try:
            yield
        finally:
            self._here.turn = None


def event_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Give a message the type without which nothing travels. If it has one that is no text, that is kept aside."""
    event = {"type": CHANNELS1, **message}
    if not isinstance(event["type"], str):
        event[ASIDE] = event["type"]
        event["type"] = CHANNELS1
    return event


def content_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Give a message as Channels 1 code has sent it; one of others keeps its type."""
    content = dict(event)
    if content.get("type") == CHANNELS1:
        del content["type"]
        if ASIDE in content:
            content["type"] = content.pop(ASIDE)
    return content
