"""The logger, under the name that settings of Channels 1 deployments configure."""

from __future__ import annotations

import logging

logger = logging.getLogger("django.channels")
