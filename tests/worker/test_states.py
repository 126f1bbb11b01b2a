"""What a consumer keeps comes back as what it was, and what would not is refused by name."""

from __future__ import annotations

import enum
import threading
from collections import Counter, OrderedDict, defaultdict
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.shared.errors import LocalProtocolError, RemoteProtocolError
from channels_bridge.shared.wire import pack_event, unpack_event
from channels_bridge.worker.states import from_plain, to_plain


def there_and_back(value: object) -> Any:
    packed = pack_event({"type": "state", "state": to_plain(value)})
    return from_plain(unpack_event(packed)["state"])


SCALARS: list[object] = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 0.0, 1.5, float("inf"), "", "é\0", b"", b"\xff",
]  # fmt: skip
MOMENTS: list[object] = [
    datetime(2026, 11, 22, 14, 30, 1, 5),  # noqa: DTZ001 - a naive one
    datetime(2026, 11, 22, tzinfo=UTC),
    datetime(2026, 11, 22, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
    date(2026, 11, 22),
    time(14, 30),
    time(14, 30, tzinfo=UTC),
    timedelta(days=-3, seconds=5, microseconds=7),
    timedelta.max,
]


@pytest.mark.parametrize("value", SCALARS + MOMENTS, ids=repr)
def test_what_can_be_kept_comes_back_alone_and_in_things(value: object) -> None:
    for whole in (value, [value, [value]], {"a": value, "b": {"c": [value]}}):
        found = there_and_back(whole)
        assert found == whole
        assert type(found) is type(whole)
    assert type(there_and_back([value])[0]) is type(value)


nested = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.timedeltas(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(nested)
def test_whatever_it_is_made_of(value: object) -> None:
    assert there_and_back(value) == value


def test_tuples_come_back_as_lists() -> None:
    assert there_and_back((1, ("a", [2]))) == [1, ["a", [2]]]


class Colour(enum.StrEnum):
    RED = "red"


class OldColour(str, enum.Enum):  # noqa: UP042 - as Django's TextChoices were
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Safe(str):
    __slots__ = ()


class Temperature(float):
    pass


class Blob(bytes):
    pass


@pytest.mark.parametrize(
    "value", [Colour.RED, OldColour.RED, Level.HIGH, Safe("<b>"), Temperature(1.5), Blob(b"x")], ids=repr
)
def test_subclasses_of_plain_values_come_back_as_what_they_are_equal_to(value: Any) -> None:
    found = there_and_back(value)
    assert found == value
    assert type(found) in (str, int, float, bytes)


class Pair(NamedTuple):
    a: int
    b: int


REFUSED: list[tuple[Any, str]] = [
    (threading.Lock(), "lock"),
    (object(), "object"),
    ({1, 2}, "set"),
    (frozenset({1}), "frozenset"),
    (defaultdict(list), "defaultdict"),
    (OrderedDict(), "OrderedDict"),
    (Counter(), "Counter"),
    (Pair(1, 2), "Pair"),
    (bytearray(b"x"), "bytearray"),
    (1j, "complex"),
    (print, "builtin_function_or_method"),
]


@pytest.mark.parametrize(("value", "name"), REFUSED, ids=[name for _, name in REFUSED])
def test_what_would_come_back_as_something_else_is_refused(value: object, name: str) -> None:
    for whole in (value, [value], {"a": {"b": value}}):
        with pytest.raises(LocalProtocolError, match=f"it holds a {name}, and what can be kept is None, bool"):
            to_plain(whole)


@pytest.mark.parametrize("key", [1, b"datetime", None, ("a",), Colour.RED])
def test_keys_are_strings(key: Any) -> None:
    with pytest.raises(LocalProtocolError, match="which is no str"):
        to_plain([{key: "2026-11-22"}])


def test_what_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(LocalProtocolError, match="it holds itself"):
        to_plain(endless)


@pytest.mark.parametrize(
    "held",
    [
        {b"moment": "2026-11-22"},
        {b"date": "yesterday"},
        {b"date": 5},
        {b"time": None},
        {b"date": "2026-11-22", b"time": "10:00"},
        {b"timedelta": [1, 2, 3, 4, 5, 6, 7, 8]},
        {b"timedelta": [10**10, 0, 0]},
        {"x": [{b"": 1}]},
    ],
)
def test_what_nobody_has_packed_is_no_state(held: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="no state of a consumer holds"):
        from_plain(held)
