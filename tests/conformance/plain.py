"""Values as they are written down: Python literals, types kept, long strings as length and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, cast

LONG = 200  # characters or bytes; what is longer is there for its size, not to be read


def plain(value: object) -> Any:  # noqa: PLR0911 - a table of types
    """Return ``value`` out of literals only, with everything an application can tell apart still apart."""
    match value:
        case None | bool() | float():
            return value
        case int():
            return int(value)  # enumerations of close codes and statuses are numbers to an application
        case str() | bytes() if len(value) <= LONG:
            return value
        case str():
            return ("str", len(value), digest(value.encode()))
        case bytes():
            return ("bytes", len(value), digest(value))
        case bytearray():
            return ("bytearray", plain(bytes(value)))
        case tuple():
            return tuple(plain(item) for item in cast("tuple[object, ...]", value))
        case list():
            return [plain(item) for item in cast("list[object]", value)]
        case Mapping():
            pairs = cast("Mapping[object, object]", value).items()
            return {plain(key): plain(item) for key, item in pairs}
        case _:
            return ("object", type(value).__name__)


def digest(data: bytes) -> str:
    """Return a short hash of ``data``."""
    return hashlib.sha1(data).hexdigest()[:12]
