"""Channels 1: its names, on this project's bridge and a supported Django.

Projects import them as ``channels`` and ``channels.…``: see :mod:`.aliases`. Names are loaded when they are used first,
as some need Django to be set up.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "1.1.8"  # the release whose names and behaviour these are
DEFAULT_CHANNEL_LAYER = "default"

_PLACES = {
    "Channel": "channel",
    "Group": "channel",
    "route": "routing",
    "route_class": "routing",
    "include": "routing",
    "channel_layers": "asgi",
    "ChannelLayer": "layer:BridgeLayer",
}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
