"""The delay server as a Django application."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class DelayConfig(AppConfig):
    """What ``channels.delay`` in INSTALLED_APPS means.

    Its label was ``channels.delay``, which Django takes no more. Its table has kept its name.
    """

    name = "channels_bridge.worker.legacy.delay"
    label = "channels_delay"
    verbose_name = "Channels 1: delayed messages"
    default_auto_field: Any = "django.db.models.AutoField"  # as in the tables that there are
