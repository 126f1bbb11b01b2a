"""Messages that want an answer: each says in one of its keys to which channel that goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ..shared.errors import LocalProtocolError
from ..shared.wire import Event

if TYPE_CHECKING:
    from .layers import ChannelLayer, SyncChannelLayer

REPLY_CHANNEL = "reply_channel"  # the word of Channels 1; a consumer that cannot wait puts its own channel there


def wanting_reply(message: Event, channel: str) -> Event:
    """Give the message with the channel that its answer is for. Raises ``LocalProtocolError``."""
    if not isinstance(message, dict) or REPLY_CHANNEL in message:
        raise LocalProtocolError(f"a request is a dict without {REPLY_CHANNEL!r}, which says where its answer goes")
    return {**message, REPLY_CHANNEL: channel}


class _Received:
    """A message of a channel that somebody listens on."""

    def __init__(self, channel: str, message: dict[str, Any]) -> None:
        reply_channel = message.pop(REPLY_CHANNEL, None)
        self.message = message
        self.channel = channel
        self._reply_channel = reply_channel if isinstance(reply_channel, str) else ""

    @property
    def wants_reply(self) -> bool:
        """Say whether somebody waits for an answer."""
        return bool(self._reply_channel)


class Request(_Received):
    """A message that :meth:`ChannelLayer.listen` has received."""

    def __init__(self, layer: ChannelLayer, channel: str, message: dict[str, Any]) -> None:
        super().__init__(channel, message)
        self._layer = layer

    async def reply(self, message: Event) -> None:
        """Answer with ``message``, a dict with a ``type``; nothing happens if no answer is wanted (any more)."""
        if self._reply_channel:
            await self._layer.send(self._reply_channel, message)


class Requests:
    """The requests on a channel, for ever. No generator: nothing has to be closed where a loop over it is left."""

    def __init__(self, layer: ChannelLayer, channel: str) -> None:
        self._layer = layer
        self._channel = channel

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Request:
        return Request(self._layer, self._channel, await self._layer.receive(self._channel))


class SyncRequest(_Received):
    """A message that :meth:`SyncChannelLayer.listen` has received."""

    def __init__(self, layer: SyncChannelLayer, channel: str, message: dict[str, Any]) -> None:
        super().__init__(channel, message)
        self._layer = layer

    def reply(self, message: Event) -> None:
        """As :meth:`Request.reply`."""
        if self._reply_channel:
            self._layer.send(self._reply_channel, message)
