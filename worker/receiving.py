"""What layers do to receive: who may, on which channel, and what is in the message."""

from __future__ import annotations

from typing import Any, cast

from ..shared.errors import LocalProtocolError
from ..shared.names import check_channel, parse_owned, parse_process
from ..shared.wire import unpack_event
from . import outcomes
from .core.channels import Channel, Parcel
from .hub import ChannelName, Hub

Message = dict[str, Any]


def live_box(channel: str, hub: Hub) -> Channel | None:
    """Give the channel that this object is the name of; None: it is not, or a copy, or has ended."""
    if type(channel) is ChannelName and channel.boot == hub.boot and not channel.box.closed:
        channel.box.received = True
        return channel.box
    return None


def opened(content: object, hub: Hub) -> Message:
    """Give the message. Raises ``BridgeUnavailable`` where the channel was closed instead."""
    if type(content) is Parcel:
        message = content.message
        if message is None:
            message = cast("Message", unpack_event(content.event))
            if any(type(value) not in _FLAT for value in message.values()):
                return message
            content.message = message
        return message.copy()
    if type(content) is bytes:
        return cast("Message", unpack_event(content))
    raise outcomes.closed(hub)


_FLAT = frozenset({str, bytes, int, float, bool, type(None)})  # what a shallow copy need not copy


def check(channel: str, hub: Hub) -> None:
    """Raise ``LocalProtocolError`` for a channel that somebody else receives on."""
    process = parse_process(check_channel(channel))
    if "!" in channel and process != hub.boot:
        kind = "a consumer or client" if parse_owned(channel) else "another process"
        raise LocalProtocolError(f"{channel!r} belongs to {kind}: here nobody can receive on it")
