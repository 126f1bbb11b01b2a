"""How long a handler may take: what the process says, and what a consumer says of itself.

Two limits, named as Celery's. At the *soft* one the handler is told, and may still end in order: an async one is
cancelled, in a sync one ``SoftTimeLimitExceeded`` is raised. At the *hard* one it is not asked any more.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..shared.errors import ConfigurationError, LocalProtocolError
from .naming import name_of


class Limits(NamedTuple):
    """Seconds from the beginning of a handler; infinity: no limit."""

    soft: float = math.inf
    hard: float = math.inf

    @property
    def any(self) -> bool:
        """Say whether there is one."""
        return min(self) < math.inf


def limits(soft: float | None, hard: float | None) -> Limits:
    """Make limits of what an operator said, None and 0 being none. ``ConfigurationError``: they are in wrong order."""
    made = Limits(soft or math.inf, hard or math.inf)
    if made.hard <= made.soft < math.inf:
        raise ConfigurationError(f"the soft time limit, {soft:g} s, has to be shorter than the hard one, {hard:g} s")
    return made


def limits_of(handler: object, default: Limits) -> Limits:
    """Give the limits of a consumer: its own attributes where it has some, 0 being no limit, else ``default``'s.

    Raises ``LocalProtocolError`` for an attribute that is no time.
    """
    soft, hard = (_own(handler, name) for name in ("soft_time_limit", "time_limit"))
    if soft is None and hard is None:
        return default
    if soft is not None and hard is not None and hard <= soft < math.inf:
        raise LocalProtocolError(f"{name_of(handler)}: soft_time_limit, {soft:g}, is not below time_limit, {hard:g}")
    return Limits(default.soft if soft is None else soft, default.hard if hard is None else hard)


def limits_to_make(factory: object, default: Limits) -> Limits:
    """Give the limits for calling a factory: its class's, else ``default``'s.

    A class may leave it to its instances to say (a property), or be wrong about it: what it makes is asked, too.
    """
    try:
        return limits_of(factory, default)
    except LocalProtocolError:
        return default


def _own(handler: object, name: str) -> float | None:
    seconds: Any = getattr(handler, name, None)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise LocalProtocolError(f"{name_of(handler)}: {name} is a number of seconds, 0 for none, not {seconds!r}")
    return float(seconds) or math.inf
