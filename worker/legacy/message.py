"""A message of a channel, and what a consumer sends while it handles one."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, ItemsView, KeysView, ValuesView
from typing import TYPE_CHECKING, Any

from .signals import consumer_finished, consumer_started

if TYPE_CHECKING:
    from .channel import Channel


class Message:
    """What came on a channel: a dict with a few attributes. Decorators hang more on it (``channel_session``, ``user``).

    ``content``: what was sent; ``channel_name``: where it came; ``channel_layer``: as :data:`.asgi.channel_layers` has
    it.
    """

    def __init__(self, content: dict[str, Any], channel_name: str, channel_layer: Any) -> None:
        from .channel import Channel

        self.content = content
        self.channel = Channel(channel_name, channel_layer=channel_layer)
        self.channel_layer = channel_layer
        name = content.get("reply_channel")
        self.reply_channel: Channel | None = Channel(name, channel_layer=channel_layer) if name else None

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self.content

    def keys(self) -> KeysView[str]:
        """Give the content's keys."""
        return self.content.keys()

    def values(self) -> ValuesView[Any]:
        """Give the content's values."""
        return self.content.values()

    def items(self) -> ItemsView[str, Any]:
        """Give the content's items."""
        return self.content.items()

    def get(self, key: str, default: Any = None) -> Any:
        """Give the content's value, or ``default``."""
        return self.content.get(key, default)

    def copy(self) -> Message:
        """Give one with a copy of the content, and without what decorators have hung on this one."""
        return type(self)(copy.deepcopy(self.content), self.channel.name, self.channel_layer)


class PendingMessageStore(threading.local):
    """What this thread's consumer has sent: kept until it ends, then sent in order, also if it has raised.

    Active from ``consumer_started`` to ``consumer_finished``. Other threads that a consumer starts send at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[Callable[..., Any], tuple[Any, ...]]] | None = None
        self.is_flushing = False  # what is sent now was kept until now

    def prepare(self, **_: Any) -> None:
        """Begin to keep what is sent."""
        self._waiting = []

    @property
    def active(self) -> bool:
        """Say whether what is sent is kept, and not sent at once."""
        return self._waiting is not None

    def append(self, sender: Callable[..., Any], *args: Any) -> None:
        """Keep a call that sends."""
        if self._waiting is None:
            raise RuntimeError("outside of a consumer messages are sent at once: there is nothing to append to")
        self._waiting.append((sender, args))

    def send_and_flush(self, **_: Any) -> None:
        """Send what was kept, and keep no more. What cannot be sent does not keep the rest from it: see ``deliver``."""
        waiting, self._waiting = self._waiting or [], None
        self.is_flushing = True
        try:
            for sender, args in waiting:
                deliver(sender, *args)
        finally:
            self.is_flushing = False


def deliver(sender: Callable[..., Any], *args: Any) -> None:
    """Send one message; one that cannot be sent is logged and dropped. No message ends a worker by that."""
    try:
        sender(*args)
    except Exception:
        from .logs import logger

        logger.exception("What a consumer has sent to %s was dropped", args[0] if args else "a channel")


pending_message_store = PendingMessageStore()

consumer_started.connect(pending_message_store.prepare)
consumer_finished.connect(pending_message_store.send_and_flush)
