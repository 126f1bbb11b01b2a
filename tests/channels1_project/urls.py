"""The views of the unit tests of Channels 1."""

from __future__ import annotations

from typing import Any

urlpatterns: list[Any] = []
