"""Which layer a command is for: its alias, and where its bridges are."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management.base import CommandError

from ....shared.addresses import IpcDirectory, parse
from ....shared.errors import ChannelsBridgeError
from ..asgi import FORMER, InvalidChannelLayerError, channel_layers
from ..layer import BridgeLayer

IN_MEMORY = "inmemory"  # in the BACKEND of a layer that reached its own process only
OURS = "channels_bridge.worker.legacy.ChannelLayer"


class Chosen(NamedTuple):
    """A layer of the project's settings."""

    alias: str
    layer: Any  # a ChannelLayerWrapper
    urls: tuple[str, ...]  # of the bridges that its CONFIG names; (): none, so where they are by default
    insecure_tcp: bool  # as its CONFIG has it
    is_private: bool  # its BACKEND says that no other process is to be reached

    @property
    def reaches_bridges(self) -> bool:
        """Say whether its messages go over a bridge."""
        return isinstance(self.layer.channel_layer, BridgeLayer)

    def bridges(self, given: str | None) -> list[str]:
        """Give the options for channels-worker that say where bridges are. ``given``: the one on the command line."""
        urls = (given,) if given else self.urls
        return [*(f"--bridge={url}" for url in urls), *(["--insecure-tcp"] if self.insecure_tcp else [])]


def choose(alias: str) -> Chosen:
    """Find the layer with this alias. Raises ``CommandError`` that says what there is."""
    if alias not in channel_layers:
        known = ", ".join(channel_layers) or "nothing"
        raise CommandError(f"there is no layer {alias!r}: CHANNEL_LAYERS in the settings has {known}")
    try:
        layer = channel_layers[alias]
    except (InvalidChannelLayerError, ChannelsBridgeError) as error:
        raise CommandError(str(error)) from error
    settings = channel_layers.configs[alias]
    backend: str = settings["BACKEND"]
    config = {} if backend.startswith(FORMER) else settings.get("CONFIG", {})
    url = config.get("url") or ()
    urls = (url,) if isinstance(url, str) else tuple(url)
    is_private = IN_MEMORY in backend or layer.local_only()
    return Chosen(alias, layer, urls, bool(config.get("insecure_tcp")), is_private)


def choose_shared(alias: str, command: str) -> Chosen:
    """As :func:`choose`, for a command that is to reach other processes."""
    chosen = choose(alias)
    if chosen.is_private or not chosen.reaches_bridges:
        backend = channel_layers.configs[alias]["BACKEND"]
        raise CommandError(
            f"{command} would reach no other process by the layer {alias!r}: its BACKEND, {backend}, is for one process"
            f" alone. Name {OURS} there"
        )
    return chosen


def is_in_use(url: str) -> bool:
    """Say whether a bridge listens in the directory that this URL names: it holds a lock there."""
    address = parse(url)
    if not isinstance(address, IpcDirectory):
        return False
    return any(_is_locked(file) for file in address.path.glob("bridge-*.lock"))


def _is_locked(file: Path) -> bool:
    try:
        with file.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it has gone
        pass
    return False
