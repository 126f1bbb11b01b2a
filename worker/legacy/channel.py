"""Where messages are sent: channels and groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .message import pending_message_store


def _name_of(name: object) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else str(name)


def _layer(alias: str, channel_layer: Any) -> Any:
    if channel_layer is not None:
        return channel_layer
    from .asgi import channel_layers

    return channel_layers[alias]


def _send(send: Callable[..., Any], name: str, content: dict[str, Any], immediately: bool) -> None:
    """Send when the consumer that runs in this thread ends; outside of one, or ``immediately``, now."""
    if pending_message_store.active and not immediately:
        pending_message_store.append(send, name, content)
    else:
        send(name, content)


class Channel:
    """A channel: ``send`` gives a message to one of those that listen.

    ``name``: str, or ASCII bytes; ``alias``: of the layer in ``CHANNEL_LAYERS``; or the ``channel_layer`` itself.
    """

    def __init__(self, name: str | bytes, alias: str = "default", channel_layer: Any = None) -> None:
        self.name = _name_of(name)
        self.channel_layer = _layer(alias, channel_layer)

    def __str__(self) -> str:
        return self.name

    def send(self, content: dict[str, Any], immediately: bool = False) -> None:
        """Send a dict when this consumer ends; ``immediately``, or outside of one, now.

        Raises ``TypeError`` for what is no dict, and now the layer's ``ChannelFull``.
        """
        if not isinstance(content, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a message on {self.name} has to be a dict, not {type(content).__name__}")
        _send(self.channel_layer.send, self.name, content, immediately)


class Group:
    """A group: ``send`` gives a message to all of its channels. Arguments as :class:`Channel` has them."""

    def __init__(self, name: str | bytes, alias: str = "default", channel_layer: Any = None) -> None:
        self.name = _name_of(name)
        self.channel_layer = _layer(alias, channel_layer)

    def add(self, channel: Channel | str) -> None:
        """Make a channel a member, at once."""
        self.channel_layer.group_add(self.name, channel.name if isinstance(channel, Channel) else channel)

    def discard(self, channel: Channel | str) -> None:
        """End a membership, at once."""
        self.channel_layer.group_discard(self.name, channel.name if isinstance(channel, Channel) else channel)

    def send(self, content: dict[str, Any], immediately: bool = False) -> None:
        """Send a dict to all members when this consumer ends; ``immediately``, or outside of one, now.

        A member that is full misses it. Raises ``ValueError`` for what is no dict.
        """
        if not isinstance(content, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"a message to the group {self.name} has to be a dict, not {type(content).__name__}")
        _send(self.channel_layer.send_group, self.name, content, immediately)
