"""What a test tells the processes that it starts about its settings: the names of its databases, above all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from django.conf import settings

VARIABLE = "CHANNELS_BRIDGE_TEST_SETTINGS"  # in their environment


def written(databases: Mapping[str, str], others: Mapping[str, Any]) -> str:
    """Give the variable's value. ``databases``: alias -> name. Raises ``TypeError`` for a setting that is no JSON."""
    return json.dumps({"databases": dict(databases), "settings": dict(others)})


def override() -> None:
    """Take what the environment tells, if it tells anything. Before Django is set up."""
    told = os.environ.get(VARIABLE)
    if told is None:
        return
    read = json.loads(told)
    for name, value in read["settings"].items():
        setattr(settings, name, value)
    for alias, name in read["databases"].items():
        settings.DATABASES[alias]["NAME"] = name
