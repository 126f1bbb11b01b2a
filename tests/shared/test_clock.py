"""The clock goes on by itself, and is whoever's turn it is to play it."""

import time

import anyio
import pytest

from channels_bridge.shared import clock, endpoint

pytestmark = pytest.mark.anyio


def test_the_time_goes_on_by_itself() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= clock.now() <= time.clock_gettime(time.CLOCK_BOOTTIME)


async def test_it_can_be_played_and_is_given_back() -> None:
    asked: list[float] = []

    async def pause(seconds: float) -> None:
        asked.append(seconds)
        await anyio.lowlevel.checkpoint()

    with clock.played(lambda: 5.0, pause):
        assert clock.now() == endpoint.now() == 5.0
        await clock.sleep(3600.0)
        with clock.played(lambda: 7.0, pause):
            assert clock.now() == 7.0
        assert clock.now() == 5.0
    assert asked == [3600.0]
    assert clock.now() > 7.0
    await clock.sleep(0)
    assert asked == [3600.0]
