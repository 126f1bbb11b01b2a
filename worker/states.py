"""Values that a consumer keeps <-> values that the wire takes: dates and times travel as maps under a bytes key.

What is kept has to come back as what it was, as far as a program can tell: a tuple comes back as a list, a subclass of
str, int, float or bytes (an enum's member, a safe string) as the plain value that it is equal to. All else is refused
by name, before somebody finds a dict where a defaultdict was.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any, cast

from ..shared.errors import LocalProtocolError, RemoteProtocolError
from ..shared.wire import is_one_of

_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_PLAIN: tuple[tuple[type[Any], Callable[[Any], Any]], ...] = (  # subclass -> its plain value; enums override str()
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes),
)
_MOMENTS: tuple[tuple[type[Any], bytes, Callable[[Any], Any]], ...] = (  # a datetime is a date too: it comes first
    (datetime, b"datetime", lambda value: value.isoformat()),
    (date, b"date", lambda value: value.isoformat()),
    (time, b"time", lambda value: value.isoformat()),
    (timedelta, b"timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
)
_RESTORE: dict[bytes, Callable[[Any], Any]] = {
    b"datetime": datetime.fromisoformat,
    b"date": date.fromisoformat,
    b"time": time.fromisoformat,
    b"timedelta": lambda parts: timedelta(*parts),
}
KEPT = "None, bool, int, float, str, bytes, date, time, datetime, timedelta, lists, tuples, and dicts with str keys"


def to_plain(value: object) -> Any:
    """Give the value in the form in which it travels. Raises ``LocalProtocolError`` that says what it holds."""
    try:
        return _to_plain(value)
    except RecursionError:
        raise LocalProtocolError("it holds itself, or is too deep") from None


def _to_plain(value: Any) -> Any:
    kind: type[Any] = type(cast("object", value))
    if kind in _SCALARS:
        return value
    if kind is list or kind is tuple:
        return [_to_plain(item) for item in value]
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise LocalProtocolError(f"it holds a dict with the key {key!r}, which is no str")
        return {key: _to_plain(item) for key, item in value.items()}
    return _of_class(value)


def _of_class(value: object) -> Any:
    for cls, key, pack in _MOMENTS:
        if isinstance(value, cls):
            return {key: pack(value)}
    for cls, pack in _PLAIN:
        if isinstance(value, cls):
            return pack(value)
    raise LocalProtocolError(f"it holds a {type(value).__name__}, and what can be kept is {KEPT}")


def from_plain(value: Any) -> Any:
    """Give back what :func:`to_plain` was given. Raises ``RemoteProtocolError`` for anything else."""
    if is_one_of(value, (list,)):
        return [from_plain(item) for item in value]
    if not is_one_of(value, (dict,)):
        return value
    for key in value:
        if type(key) is bytes:
            return _moment(value, key)
    return {key: from_plain(item) for key, item in value.items()}


def _moment(held: dict[bytes, Any], key: bytes) -> Any:
    try:
        if len(held) == 1:
            return _RESTORE[key](held[key])
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    raise RemoteProtocolError(f"no state of a consumer holds {held!r}")
