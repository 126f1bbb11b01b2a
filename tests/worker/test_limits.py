"""What a layer's settings mean, and what is said of those that make no sense."""

from __future__ import annotations

import re
from typing import Any

import pytest

from channels_bridge.shared.errors import AddressError, ConfigurationError
from channels_bridge.worker.limits import CAPACITY, EXPIRY, GROUP_EXPIRY, TIMEOUT, Limits, addresses


def limits(**settings: Any) -> Limits:
    defaults: dict[str, Any] = {
        "capacity": None, "expiry": None, "group_expiry": GROUP_EXPIRY, "channel_capacity": None, "timeout": TIMEOUT
    }  # fmt: skip
    return Limits(**{**defaults, **settings})


def test_what_was_not_said_is_left_to_who_keeps_the_channel() -> None:
    made = limits()
    assert (made.sent("any"), made.expiry) == (0, 0.0)
    assert made.of("any") == made.own == (CAPACITY, EXPIRY, GROUP_EXPIRY)


def test_what_was_said_holds_for_own_channels_and_is_sent_along() -> None:
    made = limits(capacity=5, expiry=7, group_expiry=9)
    assert (made.sent("any"), made.expiry) == (5, 7.0)
    assert made.own == (5, 7.0, 9.0)
    assert type(made.own.expiry) is type(made.expiry) is float  # what an int would be on the wire is refused


def test_the_first_pattern_that_fits_holds() -> None:
    made = limits(capacity=5, channel_capacity={"http.*": 1, re.compile(r"^(http|ws)\."): 2, "*": 3})
    assert [made.sent(name) for name in ("http.x", "ws.x", "other")] == [1, 2, 3]
    assert made.of("ws.x").capacity == 2
    made = limits(channel_capacity={"http.*": 1})
    assert (made.sent("other"), made.of("other").capacity) == (0, CAPACITY)


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "5", 2**63])
def test_a_capacity_is_a_number_of_messages(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="capacity must be a number of messages, at least 1, not"):
        limits(capacity=wrong)
    with pytest.raises(ConfigurationError, match=r"channel_capacity: 'x\*' must be a number of messages"):
        limits(channel_capacity={"x*": wrong})


@pytest.mark.parametrize("name", ["expiry", "group_expiry", "timeout"])
@pytest.mark.parametrize("wrong", [0, -1.0, True, "5", float("nan"), float("inf")])
def test_times_are_more_than_nothing_and_end(name: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be more than 0 seconds, not"):
        limits(**{name: wrong})


# -- addresses -------------------------------------------------------------------------------------------------


def test_addresses_are_written_in_one_way() -> None:
    assert addresses(None, False) is None
    assert addresses("ipc:///run/chat", False) == addresses(["ipc:///run/chat/"], False) == ["ipc:///run/chat/"]


def test_an_address_that_is_open_to_strangers_has_to_be_asked_for() -> None:
    with pytest.raises(AddressError, match="insecure_tcp"):
        addresses("tcp://10.1.2.3:9000", False)
    assert addresses(["tcp://10.1.2.3:9000"], True) == ["tcp://10.1.2.3:9000"]
