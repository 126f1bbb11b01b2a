"""Commands say at once if a layer is not what they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.test import override_settings

from channels_bridge.worker.legacy.asgi import channel_layers
from channels_bridge.worker.legacy.management.choosing import choose, choose_shared, is_in_use

OURS = "channels_bridge.worker.legacy.ChannelLayer"
URLS = ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"]
LAYERS: dict[str, Any] = {
    "default": {"BACKEND": "asgi_redis.RedisChannelLayer", "CONFIG": {"hosts": ["redis://x"], "url": "of Redis"}},
    "ours": {"BACKEND": OURS, "CONFIG": {"url": "ipc:///run/chat/"}},
    "open": {"BACKEND": OURS, "CONFIG": {"url": URLS, "insecure_tcp": True}},
    "old": {"BACKEND": "asgiref.inmemory.ChannelLayer"},
    "memory": {"BACKEND": "channels_bridge.worker.legacy.memory.ChannelLayer"},
    "other": {"BACKEND": "collections.Counter"},
    "wrong": {"BACKEND": "no.such.Layer"},
    "bad": {"BACKEND": OURS, "CONFIG": {"url": "nowhere"}},
}


@pytest.fixture(autouse=True)
def layers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(channel_layers, "backends", {})
    with override_settings(CHANNEL_LAYERS={alias: {"ROUTING": [], **layer} for alias, layer in LAYERS.items()}):
        yield


def test_a_layer_of_old() -> None:
    """What its CONFIG names are no bridges."""
    chosen = choose("default")
    assert (chosen.alias, chosen.urls, chosen.is_private, chosen.reaches_bridges) == ("default", (), False, True)
    assert chosen.bridges(None) == []
    assert chosen.bridges("ipc:///x/") == ["--bridge=ipc:///x/"]


def test_a_layer_that_names_its_bridges() -> None:
    assert choose("ours").bridges(None) == ["--bridge=ipc:///run/chat/"]
    assert choose("ours").bridges("ipc:///x/") == ["--bridge=ipc:///x/"]
    assert choose("open").bridges(None) == [*(f"--bridge={url}" for url in URLS), "--insecure-tcp"]


@pytest.mark.parametrize(("alias", "reaches"), [("old", True), ("memory", False)])
def test_a_layer_in_memory(alias: str, reaches: bool) -> None:
    assert (choose(alias).is_private, choose(alias).reaches_bridges) == (True, reaches)
    with pytest.raises(CommandError, match=rf"rundelay would reach no other process.*Name {OURS}"):
        choose_shared(alias, "rundelay")


def test_an_address_without_a_directory_is_nobodys(tmp_path: Path) -> None:
    assert not is_in_use("tcp://127.0.0.1:5000")
    assert not is_in_use(f"ipc://{tmp_path}/nothing/")
    (tmp_path / "bridge-0.lock").mkdir()  # nor is one that has something else in it
    assert not is_in_use(f"ipc://{tmp_path}/")


def test_a_layer_of_others() -> None:
    with pytest.raises(CommandError, match=r"collections\.Counter, is for one process"):
        choose_shared("other", "runworker")


@pytest.mark.parametrize(("alias", "why"), [("wrong", "cannot import"), ("bad", "nowhere")])
def test_a_layer_that_cannot_be_made(alias: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        choose(alias)


def test_an_alias_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="no layer 'another': CHANNEL_LAYERS in the settings has default, ours"):
        choose("another")
    with override_settings(CHANNEL_LAYERS={}), pytest.raises(CommandError, match="has nothing"):
        choose("default")
