"""Channels 1 as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class ChannelsConfig(AppConfig):
    """What ``channels`` in INSTALLED_APPS means."""

    name = "channels_bridge.worker.legacy"
    label = "channels"
    verbose_name = "Channels 1"

    def ready(self) -> None:
        """Let ``runserver`` be ours, and bindings find their models."""
        from .binding.base import BindingMetaclass

        BindingMetaclass.register_all()
