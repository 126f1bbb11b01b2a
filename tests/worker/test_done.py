"""What may be awaited and need not be."""

from __future__ import annotations

import anyio
import pytest

from channels_bridge.worker.done import DONE, Done

pytestmark = pytest.mark.anyio


async def test_what_is_done_may_be_awaited_again_and_again() -> None:
    awaited: list[int] = []
    for _ in range(2):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await DONE  # it does not even look at the loop
            awaited.append(1)
    assert awaited == [1, 1]


async def test_what_has_to_wait_waits_when_it_is_awaited() -> None:
    waited: list[int] = []

    async def wait() -> None:
        waited.append(1)

    done = Done(wait)
    assert waited == []
    await done
    assert waited == [1]
