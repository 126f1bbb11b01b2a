"""The channel layer that a consumer is given: reach other consumers, clients and groups from any worker.

Two flavours on one base, told apart by ``is_async``: the async one's methods are awaited, the sync one's are called.
Inside a turn all of them are part of its commit: they happen together with what the consumer sends, or not at all.
Outside they go out at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import Any

from ..shared import frames, names
from ..shared.errors import LocalProtocolError
from ..shared.wire import Event, pack_event

Record = Callable[[frames.LayerFrame], None]


class Done:
    """An awaitable whose work is done: awaiting it costs nothing, and not awaiting it loses nothing.

    With ``wait``, awaiting it waits: for what a slow client has still to take.
    """

    __slots__ = ("_wait",)

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, Any, None]:
        if self._wait is not None:
            yield from self._wait().__await__()


DONE = Done()


class _Layer:
    """What both flavours do."""

    is_async: bool

    def __init__(self, record: Record) -> None:
        self._record = record

    def _send(self, channel: str, message: Event) -> None:
        self._record(frames.ChannelSend(names.check_channel(channel), _pack(message)))

    def _group_add(self, group: str, channel: str) -> None:
        self._record(frames.GroupAdd(names.check_group(group), names.check_channel(channel)))

    def _group_discard(self, group: str, channel: str) -> None:
        self._record(frames.GroupDiscard(names.check_group(group), names.check_channel(channel)))

    def _send_group(self, group: str, message: Event, exclude: Iterable[str]) -> None:
        if isinstance(exclude, str):
            raise LocalProtocolError(f"exclude takes a list of channels: [{exclude!r}]")
        channels = [names.check_channel(channel) for channel in exclude]
        self._record(frames.GroupSend(names.check_group(group), _pack(message), channels))


def _pack(message: Event) -> bytes:
    kind: Any = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str):
        raise LocalProtocolError("a message needs a 'type', which names the handler that gets it: 'chat.message'")
    return pack_event(message)


class ChannelLayer(_Layer):
    """The layer for async consumers."""

    is_async = True

    def send(self, channel: str, message: Event) -> Done:
        """Give ``message``, a dict with a ``type``, to the consumer of ``channel``; for a reply channel, to its client.

        Raises ``LocalProtocolError`` for a bad name or a value that cannot be sent.
        """
        self._send(channel, message)
        return DONE

    def group_add(self, group: str, channel: str) -> Done:
        """Make ``channel`` a member of ``group`` until it is discarded or its connection ends."""
        self._group_add(group, channel)
        return DONE

    def group_discard(self, group: str, channel: str) -> Done:
        """End a membership. None there is no error."""
        self._group_discard(group, channel)
        return DONE

    def send_group(self, group: str, message: Event, exclude: Iterable[str] = ()) -> Done:
        """Give ``message`` to every member of ``group`` but those in ``exclude``."""
        self._send_group(group, message, exclude)
        return DONE

    group_send = send_group  # the name that Channels 4 uses


class SyncChannelLayer(_Layer):
    """The layer for sync consumers. As :class:`ChannelLayer`, but nothing is awaited."""

    is_async = False

    def send(self, channel: str, message: Event) -> None:
        """Give ``message`` to the consumer of ``channel``; for a reply channel, to its client."""
        self._send(channel, message)

    def group_add(self, group: str, channel: str) -> None:
        """Make ``channel`` a member of ``group`` until it is discarded or its connection ends."""
        self._group_add(group, channel)

    def group_discard(self, group: str, channel: str) -> None:
        """End a membership. None there is no error."""
        self._group_discard(group, channel)

    def send_group(self, group: str, message: Event, exclude: Iterable[str] = ()) -> None:
        """Give ``message`` to every member of ``group`` but those in ``exclude``."""
        self._send_group(group, message, exclude)

    group_send = send_group
