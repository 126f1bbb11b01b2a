import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.shared.liveness import Health, back_off, health, lease_holds

SECONDS = st.floats(0.0, 1e6, allow_nan=False)
PART = st.floats(0.001, 100.0)


@pytest.mark.parametrize(
    ("silence", "found"),
    [
        (0.0, Health.READY), (2.999, Health.READY), (3.0, Health.SUSPECT), (9.999, Health.SUSPECT), (10.0, Health.DEAD),
        (1e9, Health.DEAD),
    ],
)  # fmt: skip
def test_silence_is_judged(silence: float, found: Health) -> None:
    assert health(silence, 0.0, suspect=3.0, verdict=10.0) is found


@pytest.mark.parametrize(("age", "holds"), [(0.0, True), (7.999, True), (8.0, False), (100.0, False)])
def test_a_lease_ends(age: float, holds: bool) -> None:
    assert lease_holds(50.0 + age, 50.0, 8.0) is holds


@given(received=SECONDS, delay=SECONDS, offset=st.floats(-1e6, 1e6), lease=PART, more=PART, late=SECONDS)
def test_the_lease_always_ends_before_the_verdict(
    received: float, delay: float, offset: float, lease: float, more: float, late: float
) -> None:
    """Whenever the bridge says "dead", the worker has stopped, whatever its own clock shows.

    What the bridge received last, be it a beat or not, was not sent before the last beat that it acknowledged.
    """
    verdict = lease + more
    now = received + verdict + late
    acknowledged_on_workers_clock = received - delay + offset
    if health(now, received, lease / 2, verdict) is Health.DEAD:  # rounding apart: always
        assert not lease_holds(now + offset + 1e-6, acknowledged_on_workers_clock, lease)


@given(st.integers(0, 10**6), st.floats(0.01, 1.0), st.floats(1.0, 60.0))
def test_waits_double_up_to_a_bound(attempt: int, first: float, last: float) -> None:
    wait = back_off(attempt, first, last)
    assert first <= wait <= last
    assert wait == last or math.isclose(wait, first * 2.0 ** min(attempt, 16))
    assert wait <= back_off(attempt + 1, first, last)


def test_the_first_waits() -> None:
    assert [back_off(attempt) for attempt in range(7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
