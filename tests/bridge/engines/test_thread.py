"""The bridge's side of an engine in a thread; with servers it is tried in tests/engines."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from channels_bridge.bridge.engines.session import Plan, Receive, Session
from channels_bridge.bridge.engines.thread import ThreadedEngine
from channels_bridge.bridge.engines.url import parse
from channels_bridge.shared.endpoint import running_loop
from engine_members import PATIENCE, Member, all_threads_end
from servers import nats_server

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def nowhere(_: Receive) -> AsyncGenerator[Session]:
    await anyio.sleep_forever()
    yield  # type: ignore[misc]


@asynccontextmanager
async def broken(_: Receive) -> AsyncGenerator[Session]:
    raise SystemError("a bug")
    yield


async def test_while_it_connects_nothing_is_taken_and_all_is_done() -> None:
    engine = ThreadedEngine(Plan(parse("nats://host"), nowhere))
    one = Member(engine)
    engine.start(running_loop(), one)
    await one.subscribe("a", "b")
    assert not engine.publish("a", b"")
    assert not engine.connected
    assert engine.problem == "not started"
    engine.stop()
    assert engine.problem == "stopped"
    assert all_threads_end()
    assert one.told == []
    assert engine.statistics.dropped == 1


async def test_a_bug_in_a_client_is_a_failed_attempt(caplog: pytest.LogCaptureFixture) -> None:
    engine = ThreadedEngine(Plan(parse("nats://host"), broken))
    engine.start(running_loop(), Member(engine))
    with anyio.fail_after(PATIENCE):
        while engine.problem != "a bug":  # noqa: ASYNC110 - nothing is told
            await anyio.sleep(0.01)
    engine.stop()
    assert all_threads_end()
    assert "trying on: a bug" in caplog.text


async def test_a_message_beyond_the_servers_limit_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    from channels_bridge.bridge.engines.choice import open_engine

    with nats_server() as server:
        engine = open_engine(server.url)
        one = Member(engine)
        engine.start(running_loop(), one)
        await one.heard("up")
        assert engine.publish("a", bytes(1024 * 1024))
        assert not engine.publish("a", bytes(1024 * 1024 + 1))
        assert "1048577 bytes on a" in caplog.text
        assert engine.connected
        engine.stop()
    assert engine.statistics.published == 1
    assert engine.statistics.dropped == 1
