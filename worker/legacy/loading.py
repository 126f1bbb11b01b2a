"""APP of a Channels 1 project -> what a worker hosts: its Host, and the channels that it listens on.

APP is the layer of an ``asgi.py``, as it was given to daphne, or the project's routing.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ...shared.errors import ApplicationLoadError
from .aliases import install
from .logs import say_once

LAYER = "CHANNELS_BRIDGE_LAYER"  # variable: the alias of the layer whose routing is meant, where APP does not tell
PROTOCOLS = {"websocket.connect": "websocket", "http.request": "http"}  # who listens there takes such connections


class Loaded(NamedTuple):
    """What was made of APP."""

    target: Any  # a host.Host
    channels: tuple[str, ...]  # named channels to listen on
    kinds: tuple[str, ...]  # of connections to take: "http", "websocket"


def prepare(*, django_shims: bool = False) -> None:
    """Make ``channels`` importable, before anything of the project is imported. ``django_shims``: see shims.py.

    Sets Django up, if it is said where its settings are: a routing imports models. An ``asgi.py`` says so by itself.
    """
    install(django_shims=django_shims)
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        _set_up()


def _set_up() -> None:
    import django

    from .overriding import override

    try:
        override()
        django.setup(set_prefix=False)
    except (Exception, SystemExit) as error:
        raise ApplicationLoadError(f"Django cannot be set up:\n{traceback.format_exc()}") from error
    say_once()


def load(found: Any, name: str, only: Iterable[str] = (), exclude: Iterable[str] = ()) -> Loaded:
    """Make a host of what APP is. Raises ``ApplicationLoadError``.

    ``only``, ``exclude``: patterns of channels, as ``runworker`` has them.
    """
    _set_up()
    from .asgi import InvalidChannelLayerError

    try:
        return _loaded(_layer_of(found, name), tuple(only), tuple(exclude))
    except ApplicationLoadError:
        raise
    except InvalidChannelLayerError as error:
        raise ApplicationLoadError(f"{name}: {error}") from error
    except (Exception, SystemExit) as error:  # of the project's own code, most often: say where
        raise ApplicationLoadError(f"{name} cannot be loaded:\n{traceback.format_exc()}") from error


def _layer_of(found: Any, name: str) -> Any:
    """Find the layer that is meant: by what APP is, else by its routing."""
    from .asgi import ChannelLayerManager, ChannelLayerWrapper, channel_layers
    from .layer import BridgeLayer

    if isinstance(found, ChannelLayerWrapper):
        return found
    alias = os.environ.get(LAYER, "default")
    if alias not in channel_layers and (alias != "default" or isinstance(found, ChannelLayerManager)):
        raise ApplicationLoadError(f"CHANNEL_LAYERS has no {alias!r}, which ${LAYER} names")
    if isinstance(found, ChannelLayerManager):
        return found[alias]
    if isinstance(found, list | tuple | Mapping):
        layer = channel_layers[alias].channel_layer if alias in channel_layers else BridgeLayer()
        wrapper = ChannelLayerWrapper(layer, alias, found)
        channel_layers.set(alias, wrapper)  # what consumers send with
        return wrapper
    for alias in channel_layers:
        if channel_layers[alias].channel_layer is found:
            return channel_layers[alias]
    raise ApplicationLoadError(
        f"{name} is a {type(found).__name__}: Channels 1 has the layer of asgi.py (get_channel_layer()) here, or a"
        " routing: a list of routes, or a dict of channel -> consumer"
    )


def _loaded(wrapper: Any, only: tuple[str, ...], exclude: tuple[str, ...]) -> Loaded:
    from django.conf import settings

    from .host import Host
    from .layer import BridgeLayer
    from .signals import worker_process_ready
    from .worker import Worker

    layer = wrapper.channel_layer
    if not isinstance(layer, BridgeLayer):
        raise ApplicationLoadError(
            f"CHANNEL_LAYERS[{wrapper.alias!r}] has the BACKEND {type(layer).__module__}.{type(layer).__qualname__},"
            " which reaches no bridge: channels_bridge.worker.legacy.ChannelLayer does"
        )
    wrapper.router.check_default()
    worker = Worker(wrapper, signal_handlers=False, only_channels=only, exclude_channels=exclude)
    channels = worker.apply_channel_filters(wrapper.router.channels)
    if not channels:
        raise ApplicationLoadError(
            "--only-channels and --exclude-channels leave no channel of the routing to listen on"
        )
    host = Host(worker, layer, channels, getattr(settings, "CHANNELS_WS_PROTOCOLS", None) or ())
    kinds = tuple(kind for channel, kind in PROTOCOLS.items() if channel in channels)
    worker_process_ready.send(sender=worker)
    worker.ready()
    return Loaded(host, tuple(channels), kinds)
