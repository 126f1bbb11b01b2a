"""The logger, under the name that settings of Channels 1 deployments configure."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("django.channels")


def say_once() -> None:
    """Leave it to the program's own log to print: Django would print the same a second time, while DEBUG is on.

    Handlers of the project's own settings stay.
    """
    from django.utils.log import RequireDebugTrue

    djangos = logging.getLogger("django")
    for handler in list(djangos.handlers):
        filters: list[Any] = list(handler.filters)
        if type(handler) is logging.StreamHandler and any(isinstance(one, RequireDebugTrue) for one in filters):
            djangos.removeHandler(handler)
