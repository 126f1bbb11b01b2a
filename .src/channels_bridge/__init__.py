"""Sockets that outlive the code that answers them: a bridge in the protocol server, consumers in workers.

The names below load what they need when they are first used: the bridge loads no worker code, nor the other
way round.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bridge.app import Bridge as Bridge
    from .shared.config import Config as Config
    from .shared.errors import BridgeUnavailable as BridgeUnavailable
    from .shared.errors import ChannelFull as ChannelFull
    from .shared.errors import ChannelUnknown as ChannelUnknown
    from .shared.errors import ClientDisconnected as ClientDisconnected
    from .shared.errors import InvalidName as InvalidName
    from .shared.errors import SoftTimeLimitExceeded as SoftTimeLimitExceeded
    from .shared.errors import TimeLimitExceeded as TimeLimitExceeded
    from .worker.consumer import AsyncConsumer as AsyncConsumer
    from .worker.consumer import SyncConsumer as SyncConsumer
    from .worker.layers import ChannelLayer as ChannelLayer
    from .worker.layers import SyncChannelLayer as SyncChannelLayer
    from .worker.requests import Request as Request
    from .worker.requests import SyncRequest as SyncRequest
    from .worker.router import Router as Router

_HOMES = {
    "AsyncConsumer": ".worker.consumer",
    "Bridge": ".bridge.app",
    "BridgeUnavailable": ".shared.errors",
    "ChannelFull": ".shared.errors",
    "ChannelLayer": ".worker.layers",
    "ChannelUnknown": ".shared.errors",
    "ClientDisconnected": ".shared.errors",
    "Config": ".shared.config",
    "InvalidName": ".shared.errors",
    "Request": ".worker.requests",
    "Router": ".worker.router",
    "SoftTimeLimitExceeded": ".shared.errors",
    "SyncChannelLayer": ".worker.layers",
    "SyncConsumer": ".worker.consumer",
    "SyncRequest": ".worker.requests",
    "TimeLimitExceeded": ".shared.errors",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home, __name__), name)
