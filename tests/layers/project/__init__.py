"""A small Django project with consumers of Channels 4, a background consumer, views and commands that send."""

from __future__ import annotations

import os

NAME = "DJANGO_SETTINGS_MODULE"


def choose() -> None:
    """Have Django use this project's settings, in this process alone: child processes of other tests choose theirs."""
    from django.conf import settings

    before = os.environ.get(NAME)
    os.environ[NAME] = "layers.project.settings"
    try:
        _ = settings.DEBUG  # reads them, once for all
    finally:
        if before is None:
            del os.environ[NAME]
        else:
            os.environ[NAME] = before
