"""The engine of one process; what it shares with the others is in tests/engines."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from channels_bridge.bridge.engines import local
from channels_bridge.bridge.engines.local import LocalEngine
from engine_members import Told, member

pytestmark = pytest.mark.anyio


async def test_nothing_is_kept_of_engines_that_have_stopped() -> None:
    async with member("local://a"), member("local://a"), member("local://b"):
        assert sorted(local._members) == ["local://a", "local://b"]
    assert local._members == {}


async def in_a_thread(function: Callable[[], Awaitable[None]], backend: str) -> None:
    await anyio.to_thread.run_sync(lambda: anyio.run(function, backend=backend))


async def test_bridges_in_loops_of_their_own_meet() -> None:
    """As bridges do that run in threads."""

    async def other() -> None:
        async with member("local://meet") as one:
            await one.subscribe("there")
            with anyio.fail_after(10):
                while not one.messages:
                    one.engine.publish("here", b"hello")
                    await anyio.sleep(0.01)

    async with member("local://meet") as a:
        await a.subscribe("here")
        async with anyio.create_task_group() as group:
            for backend in ("asyncio", "trio"):
                group.start_soon(in_a_thread, other, backend)
            await a.has(Told("message", "here", b"hello"), times=2)
            with anyio.fail_after(10):
                while len(local._members["local://meet"]) > 1:
                    a.engine.publish("there", b"bye")
                    await anyio.sleep(0.01)


def test_before_it_is_started_it_is_not_connected() -> None:
    engine = LocalEngine("local://x")
    assert (engine.connected, engine.problem, engine.url) == (False, "not started", "local://x")
    assert not engine.publish("x", b"")
    engine.stop()
