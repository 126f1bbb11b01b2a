"""The delay server is an application, by each name that a project may list."""

from __future__ import annotations

import pytest
from django.apps import AppConfig, apps

from channels_bridge.worker.legacy.delay.apps import DelayConfig


def test_it_has_a_label_that_django_takes() -> None:
    config = apps.get_app_config("channels_delay")
    assert isinstance(config, DelayConfig)
    assert [model.__name__ for model in config.get_models()] == ["DelayedMessage"]


@pytest.mark.parametrize("entry", ["", ".apps.DelayConfig"])
def test_its_names(entry: str) -> None:
    config = AppConfig.create(f"channels_bridge.worker.legacy.delay{entry}")
    assert (type(config), config.label) == (DelayConfig, "channels_delay")
