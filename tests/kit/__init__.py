"""Both halves in one test or notebook. Installed as channels_bridge.testing.

pytest loads this package at each start, with the plugin: the names below load what they need when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channels_bridge.testing.embedding import bridged as bridged

__all__ = ["bridged"]


def __getattr__(name: str) -> Any:
    if name != "bridged":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = import_module("channels_bridge.testing.embedding").bridged
    return value
