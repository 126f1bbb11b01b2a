"""``runworker`` becomes a ``channels-worker`` with the same options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from channels_bridge.worker.cli import main as worker
from channels_bridge.worker.legacy.asgi import channel_layers
from channels_bridge.worker.legacy.management.commands.runworker import Command

LAYERS = {
    "default": {"BACKEND": "asgi_redis.RedisChannelLayer", "ROUTING": []},
    "far": {
        "BACKEND": "channels_bridge.worker.legacy.ChannelLayer",
        "CONFIG": {"url": "tcp://127.0.0.1:5000"},
        "ROUTING": [],
    },
    "memory": {"BACKEND": "asgiref.inmemory.ChannelLayer", "ROUTING": []},
}
FIXED = ["--interface=channels1"]
APP = "channels_bridge.worker.legacy.asgi:channel_layers"


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Give what the command has become: the module, its arguments, its environment."""
    found: list[Any] = []
    monkeypatch.setattr(channel_layers, "backends", {})
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "channels1_project.settings")
    monkeypatch.setattr(Command, "become", staticmethod(lambda *what: found.extend(what)))
    with override_settings(CHANNEL_LAYERS=LAYERS):
        yield found


def understood(arguments: list[str]) -> dict[str, Any]:
    """Have the worker's command line read them."""
    return worker.make_context("channels-worker", list(arguments)).params


def test_without_options(became: list[Any]) -> None:
    call_command(Command())
    module, arguments, environment = became
    assert module == "channels_bridge.worker"
    assert arguments == [*FIXED, "--threads=1", "--log-level=info", APP]
    assert environment["CHANNELS_BRIDGE_LAYER"] == "default"
    assert environment["DJANGO_SETTINGS_MODULE"] == "channels1_project.settings"


def test_with_all_of_them(became: list[Any]) -> None:
    options = ["--layer=far", "--threads", "4", "--only-channels=http.*", "--only-channels", "websocket.*", "-v", "3"]
    call_command(Command(), *options, "--exclude-channels=*.disconnect", "--disable-graceful-stop")
    read = understood(became[1])
    assert read["app"] == APP
    assert (read["interface"], read["threads"], read["log_level"]) == ("channels1", 4, "debug")
    assert read["only_channels"] == ("http.*", "websocket.*")
    assert read["exclude_channels"] == ("*.disconnect",)
    assert read["urls"] == ("tcp://127.0.0.1:5000",)
    assert became[2]["CHANNELS_BRIDGE_LAYER"] == "far"


def test_another_bridge(became: list[Any]) -> None:
    call_command(Command(), "--layer=far", "--bridge=ipc:///run/chat/")
    assert understood(became[1])["urls"] == ("ipc:///run/chat/",)


@pytest.mark.parametrize(("layer", "why"), [("unknown", "no layer 'unknown'"), ("memory", "no other process")])
def test_a_layer_that_no_worker_can_serve(layer: str, why: str, became: list[Any]) -> None:
    with pytest.raises(CommandError, match=why):
        call_command(Command(), layer=layer)
    assert became == []
