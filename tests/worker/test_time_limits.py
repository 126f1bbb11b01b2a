"""How long a handler may take: the operator's word, and a consumer's own."""

import math
from typing import Any

import pytest

from channels_bridge import AsyncConsumer
from channels_bridge.shared.errors import ConfigurationError, LocalProtocolError
from channels_bridge.worker.time_limits import Limits, limits, limits_of, limits_to_make


def consumer(**attributes: Any) -> object:
    return type("Timed", (), attributes)()


def test_nothing_said_is_no_limit() -> None:
    assert limits(None, None) == limits(0, 0) == limits(0.0, None) == Limits(math.inf, math.inf)
    assert not Limits().any


@pytest.mark.parametrize("said", [(1.0, None), (None, 2.0), (1.0, 2.0)])
def test_one_of_the_two_is_a_limit(said: tuple[float | None, float | None]) -> None:
    assert limits(*said).any


@pytest.mark.parametrize("said", [(2.0, 2.0), (3.0, 2.0)])
def test_a_soft_limit_that_comes_too_late_is_an_error(said: tuple[float, float]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"the soft time limit, [23] s, has to be shorter than the hard one, 2 s"
    ):
        limits(*said)
    with pytest.raises(LocalProtocolError, match=r"Timed: soft_time_limit, [23], is not below time_limit, 2"):
        limits_of(consumer(soft_time_limit=said[0], time_limit=said[1]), Limits())


def test_a_consumer_overrides_what_it_names_and_keeps_the_rest() -> None:
    default = Limits(10.0, 20.0)
    assert limits_of(consumer(), default) is default
    assert limits_of(consumer(soft_time_limit=1), default) == (1.0, 20.0)
    assert limits_of(consumer(time_limit=60.0), default) == (10.0, 60.0)
    assert limits_of(consumer(time_limit=0), default) == (10.0, math.inf)
    assert limits_of(consumer(soft_time_limit=0, time_limit=0), default) == Limits()


def test_the_limit_of_the_process_may_come_before_the_soft_one_of_a_consumer() -> None:
    assert limits_of(consumer(soft_time_limit=60.0), Limits(math.inf, 20.0)) == (60.0, 20.0)


def test_making_a_consumer_has_the_limits_that_its_class_names() -> None:
    class Consumer:
        time_limit = 5.0

    class Undecided:
        time_limit = property(lambda self: 5.0)

    default = Limits(1.0, 2.0)
    assert limits_to_make(Consumer, default) == Limits(1.0, 5.0)
    assert limits_to_make(lambda: None, default) == limits_to_make(Undecided, default) == default


def test_the_base_classes_say_nothing() -> None:
    assert (AsyncConsumer.soft_time_limit, AsyncConsumer.time_limit) == (None, None)


@pytest.mark.parametrize("wrong", [-1, "10", True, math.nan])
def test_an_attribute_that_is_no_time_is_an_error(wrong: object) -> None:
    with pytest.raises(LocalProtocolError, match="Timed: time_limit is a number of seconds, 0 for none, not"):
        limits_of(consumer(time_limit=wrong), Limits())
