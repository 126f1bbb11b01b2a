"""The settings of a channel layer: how much its channels keep, for how long, and how long calls wait."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from re import Pattern

from ..shared.addresses import check_exposure, parse
from ..shared.errors import ConfigurationError
from .core.channels import Bounds

CAPACITY = 100  # messages in a channel of this process, as in Channels
EXPIRY = 60.0  # seconds that a message waits, as in Channels
GROUP_EXPIRY = 86400.0  # seconds that a membership of such a channel lasts, as in Channels
TIMEOUT = 5.0  # seconds: a web request's user waits that long; workers and bridges that restart are back by then

Patterns = Mapping[str | Pattern[str], int]


class Limits:
    """What the arguments of a layer say. Raises ``ConfigurationError`` that names the one at fault."""

    def __init__(
        self,
        capacity: int | None,
        expiry: float | None,
        group_expiry: float,
        channel_capacity: Patterns | None,
        timeout: float,
    ) -> None:
        self.capacity = 0 if capacity is None else _count("capacity", capacity)  # 0: as the channel's keeper has it
        self.expiry = 0.0 if expiry is None else _seconds("expiry", expiry)  # the same
        self.timeout = _seconds("timeout", timeout)
        self.own = Bounds(self.capacity or CAPACITY, self.expiry or EXPIRY, _seconds("group_expiry", group_expiry))
        self._patterns = [
            (pattern, _count(f"channel_capacity: {pattern!r}", count))
            for pattern, count in (channel_capacity or {}).items()
        ]

    def of(self, channel: str) -> Bounds:
        """Give what a channel of this process keeps."""
        return self.own._replace(capacity=self._matching(channel) or self.own.capacity) if self._patterns else self.own

    def sent(self, channel: str) -> int:
        """Give the capacity that is sent along with a message; 0: the channel's own holds."""
        return self._matching(channel) or self.capacity

    def _matching(self, channel: str) -> int:
        """Give the capacity of the first pattern that fits; 0: none does."""
        for pattern, count in self._patterns:
            fits = fnmatchcase(channel, pattern) if isinstance(pattern, str) else pattern.match(channel)
            if fits:
                return count
        return 0


def addresses(url: str | Sequence[str] | None, insecure_tcp: bool) -> list[str] | None:
    """Give a layer's URLs, each as it is always written; None: none were given. Raises ``AddressError``."""
    if url is None:
        return None
    found = [parse(one) for one in ([url] if isinstance(url, str) else url)]
    for address in found:
        check_exposure(address, insecure_tcp)
    return list(map(str, found))


def _count(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63:
        return value
    raise ConfigurationError(f"{name} must be a number of messages, at least 1, not {value!r}")


def _seconds(name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    raise ConfigurationError(f"{name} must be more than 0 seconds, not {value!r}")
