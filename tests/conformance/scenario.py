"""What a scenario is, and the list of all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .tap import Tap
    from .wires import Wire

SCENARIOS: dict[str, Scenario] = {}


class Scenario:
    """One behaviour: ``app`` is what the application does, ``client`` what a client does to it.

    A subclass enters itself in ``SCENARIOS`` under its name. Both sides take notes, and read which variant
    is played from ``variant``.
    """

    variants: ClassVar[Sequence[str]] = ("",)
    not_on: ClassVar[dict[str, str]] = {}  # server, or "server/variant" -> why it cannot play this

    def __init_subclass__(cls) -> None:
        """Enter the scenario under its name."""
        if not cls.__name__.startswith("_"):
            SCENARIOS[cls.name()] = cls()

    @classmethod
    def name(cls) -> str:
        """Return the name by which requests ask for this scenario."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def impossible(cls, server: str, variant: str) -> str | None:
        """Return why a server cannot play this variant; None where it can."""
        return cls.not_on.get(server) or cls.not_on.get(f"{server}/{variant}")

    async def app(self, tap: Tap) -> None:
        """Play the application."""
        raise NotImplementedError

    async def client(self, wire: Wire) -> None:
        """Play the client."""
        raise NotImplementedError
