"""The layers of a project, as ``CHANNEL_LAYERS`` in its settings names them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from ...shared.errors import ConfigurationError
from .layer import BridgeLayer
from .routing import Router

DEFAULT_CHANNEL_LAYER = "default"

# Layers of old deployments, by the beginnings of their dotted paths: their messages go over the bridge now.
FORMER = ("asgi_redis.", "asgi_ipc.", "asgi_rabbitmq.", "asgiref.inmemory.", "channels_redis.")
KEPT = frozenset({"expiry", "group_expiry", "capacity", "channel_capacity"})  # of their CONFIG; the rest is theirs


class InvalidChannelLayerError(ValueError):
    """``CHANNEL_LAYERS`` says something that cannot be; the message says which alias and key."""


class ChannelLayerWrapper:
    """A layer, with the routing that its settings name. All else is the layer's."""

    def __init__(self, channel_layer: Any, alias: str, routing: Any) -> None:
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing

    @cached_property
    def router(self) -> Router:
        """Its routing, imported when it is used first."""
        return Router(self.routing)

    def local_only(self) -> bool:
        """Say whether the layer reaches this process only, as one in memory does."""
        return bool(getattr(self.channel_layer, "local_only", False))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel_layer, name)

    def __str__(self) -> str:
        return f"{self.alias} ({type(self.channel_layer).__name__})"


class ChannelLayerManager:
    """Alias -> layer: ``channel_layers["default"]``. Each is made when it is used first."""

    def __init__(self) -> None:
        self.backends: dict[str, ChannelLayerWrapper] = {}
        self._lock = threading.RLock()

    @property
    def configs(self) -> Mapping[str, Any]:
        """Give ``CHANNEL_LAYERS``."""
        return getattr(settings, "CHANNEL_LAYERS", {})

    def make_backend(self, name: str) -> ChannelLayerWrapper:
        """Make a layer of its CONFIG. Raises ``InvalidChannelLayerError``."""
        return self._make(name, self._config(name).get("CONFIG", {}))

    def make_test_backend(self, name: str) -> ChannelLayerWrapper:
        """Make a layer of its TEST_CONFIG: one in memory, if it was for one that there is no more.

        Raises ``InvalidChannelLayerError``.
        """
        from .memory import ChannelLayer

        config = self._config(name)
        if "TEST_CONFIG" not in config:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{name!r}] has no TEST_CONFIG")
        return self._make(name, config["TEST_CONFIG"], ChannelLayer)

    def _config(self, name: str) -> Mapping[str, Any]:
        if name not in self.configs:
            raise InvalidChannelLayerError(f"CHANNEL_LAYERS has no {name!r}")
        return self.configs[name]

    def _make(self, name: str, arguments: Mapping[str, Any], former: Any = BridgeLayer) -> ChannelLayerWrapper:
        config = self._config(name)
        for key in ("BACKEND", "ROUTING"):
            if key not in config:
                raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{name!r}] has no {key}")
        return ChannelLayerWrapper(_layer(name, config["BACKEND"], arguments, former), name, config["ROUTING"])

    def __getitem__(self, key: str) -> ChannelLayerWrapper:
        with self._lock:
            if key not in self.backends:
                self.backends[key] = self.make_backend(key)
            return self.backends[key]

    def __contains__(self, key: object) -> bool:
        return key in self.configs

    def __iter__(self) -> Iterator[str]:
        return iter(self.configs)

    def set(self, key: str, layer: ChannelLayerWrapper) -> ChannelLayerWrapper | None:
        """Put another layer in place of an alias's; give the one that was there. For tests."""
        with self._lock:
            before = self.backends.get(key)
            self.backends[key] = layer
            return before


def _layer(name: str, path: str, arguments: Mapping[str, Any], former: Any) -> Any:
    try:
        is_former = path.startswith(FORMER)
        backend: Any = former if is_former else import_string(path)
    except ImportError as error:
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS[{name!r}]: cannot import the BACKEND {path!r}: {error}"
        ) from error
    if is_former:
        arguments = {key: value for key, value in arguments.items() if key in KEPT}
    try:
        return backend(**arguments)
    except (TypeError, ConfigurationError) as error:
        raise InvalidChannelLayerError(f"CHANNEL_LAYERS[{name!r}]: CONFIG does not fit {path}: {error}") from error


channel_layers = ChannelLayerManager()


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> Any:
    """Set Django up, and give a layer: the last line of an ``asgi.py``."""
    import django

    django.setup(set_prefix=False)
    return channel_layers[alias].channel_layer
