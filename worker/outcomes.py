"""What became of a call, as an exception of the caller's."""

from __future__ import annotations

import sys
from typing import Any

from ..shared.errors import BridgeUnavailable, ChannelFull, ChannelUnknown
from .core.calls import DONE, FULL, UNKNOWN
from .hub import Hub


def check(
    code: object, target: str, hub: Hub, timeout: float, *, require: bool = False, is_request: bool = False
) -> None:
    """Raise what the code of a call says; None: there was no answer at all.

    ``require``: that nobody is behind the channel ``target`` is an error. ``is_request``: ``timeout`` is how long the
    caller wants to wait for an answer, which may be too short for any bridge.
    """
    if code == DONE or (code == UNKNOWN and not require):
        return
    if code == UNKNOWN:
        raise ChannelUnknown(f"nobody is behind the channel {target!r} (any more)")
    if code == FULL:
        raise _full_error()(f"the channel {target!r} is full: what is sent to it is not received as fast")
    if is_request and hub.links.ready:
        raise late(target, timeout)
    raise BridgeUnavailable(hub.why_no_answer(timeout))


def late(channel: str, seconds: float) -> TimeoutError:
    """Make the error of a request whose time is over."""
    return TimeoutError(f"no answer to the request on {channel!r} within {seconds:g} s")


def closed(hub: Hub) -> BridgeUnavailable:
    """Make the error of who waited for a message when the channel was closed."""
    return BridgeUnavailable(f"the channel layer at {', '.join(hub.links.urls)} was closed")


_full_errors: dict[type[Exception], type[ChannelFull]] = {}  # Channels' class -> ours that is one of it, too


def _full_error() -> type[ChannelFull]:
    """Give our error; where Channels is loaded, one that its users' ``except ChannelFull`` catches as well."""
    theirs: Any = getattr(sys.modules.get("channels.exceptions"), "ChannelFull", None)
    if not isinstance(theirs, type) or not issubclass(theirs, Exception) or issubclass(theirs, ChannelFull):
        return ChannelFull
    if theirs not in _full_errors:
        _full_errors[theirs] = type("ChannelFull", (ChannelFull, theirs), {"__module__": ChannelFull.__module__})
    return _full_errors[theirs]
