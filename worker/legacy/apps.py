"""Channels 1 as a Django application."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.management import get_commands
from django.template import autoreload

from .signals import consumer_started

DJANGOS = ("django.core", "django.contrib.staticfiles")  # whose runserver ours takes the place of


class ChannelsConfig(AppConfig):
    """What ``channels`` in INSTALLED_APPS means."""

    name = "channels_bridge.worker.legacy"
    label = "channels"
    verbose_name = "Channels 1"

    def ready(self) -> None:
        """Let ``runserver`` be ours, and bindings find their models."""
        from .binding.base import BindingMetaclass

        BindingMetaclass.register_all()
        take_over(get_commands())
        if settings.DEBUG:
            consumer_started.connect(read_templates_anew)


def take_over(commands: dict[str, Any]) -> None:
    """Put our ``runserver`` in the place of Django's, wherever in INSTALLED_APPS we are; not in that of others.

    ``commands``: name -> application, where Django looks commands up.
    """
    if commands.get("runserver") in DJANGOS:
        commands["runserver"] = ChannelsConfig.name


def read_templates_anew(**_: Any) -> None:
    """Forget templates, so that those that were edited are seen: in development Django's own reloader does that."""
    autoreload.reset_loaders()
