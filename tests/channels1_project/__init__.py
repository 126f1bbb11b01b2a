"""The Django project of the unit tests of Channels 1: this process's only one."""

from __future__ import annotations

import os

NAME = "DJANGO_SETTINGS_MODULE"


def choose() -> None:
    """Have Django use this project's settings, in this process alone: child processes of other tests choose theirs."""
    import django
    from django.conf import settings

    if settings.configured:
        return
    before = os.environ.get(NAME)
    os.environ[NAME] = "channels1_project.settings"
    try:
        django.setup()
    finally:
        if before is None:
            del os.environ[NAME]
        else:
            os.environ[NAME] = before
