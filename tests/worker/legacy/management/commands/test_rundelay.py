"""``rundelay`` is a delay server for one layer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from channels_bridge.shared import logs
from channels_bridge.worker.legacy.asgi import channel_layers
from channels_bridge.worker.legacy.delay.worker import Worker

LAYERS = {
    "default": {"BACKEND": "asgi_redis.RedisChannelLayer", "ROUTING": []},
    "other": {"BACKEND": "channels_bridge.worker.legacy.ChannelLayer", "ROUTING": []},
    "memory": {"BACKEND": "asgiref.inmemory.ChannelLayer", "ROUTING": []},
}


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Worker]]:
    """Give the workers that were run."""
    found: list[Worker] = []
    monkeypatch.setattr(channel_layers, "backends", {})

    def run(worker: Worker) -> None:
        found.append(worker)

    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr(logs, "set_up", lambda _level: None)
    with override_settings(CHANNEL_LAYERS=LAYERS):
        yield found


def test_without_options(ran: list[Worker]) -> None:
    call_command("rundelay")
    (worker,) = ran
    assert (worker.channel_layer.alias, worker.database_sleep_duration) == ("default", 1.0)
    assert worker.signal_handlers


def test_with_options(ran: list[Worker]) -> None:
    call_command("rundelay", "--layer=other", "--sleep=0.5")
    (worker,) = ran
    assert (worker.channel_layer.alias, worker.database_sleep_duration) == ("other", 0.5)


@pytest.mark.parametrize(("layer", "why"), [("unknown", "no layer 'unknown'"), ("memory", "no other process")])
def test_a_layer_that_it_cannot_serve(layer: str, why: str, ran: list[Worker]) -> None:
    with pytest.raises(CommandError, match=why):
        call_command("rundelay", layer=layer)
    assert ran == []


def test_a_project_without_its_table(ran: list[Worker]) -> None:
    with (
        override_settings(INSTALLED_APPS=["channels_bridge.worker.legacy"]),
        pytest.raises(CommandError, match=r"'channels\.delay' to INSTALLED_APPS"),
    ):
        call_command("rundelay")
    assert ran == []
