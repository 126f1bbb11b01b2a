"""What becomes of an engine when its server is killed, frozen, absent, or does not let it in."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

import anyio
import pytest

from channels_bridge.bridge.engines.crossing import MESSAGES
from engine_members import PATIENCE, PING, Member, Told, all_threads_end, member
from servers import Server, nats_server, redis_server

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t+pw"


async def reaches(sender: Member, receiver: Member, data: bytes) -> None:
    """Publish on the topic "all" until it has arrived."""
    with anyio.fail_after(PATIENCE):
        while ("all", data) not in receiver.messages:
            sender.engine.publish("all", data)
            await anyio.sleep(0.05)


async def test_a_server_that_was_killed_and_is_back(server: Server) -> None:
    """Nobody subscribes again, and what was changed in the meantime holds."""
    async with member(server.url) as a, member(server.url) as b:
        await b.subscribe("all", "old")
        await reaches(a, b, b"before")
        server.kill()
        await a.heard("down")
        await b.heard("down")
        assert not a.engine.connected
        assert a.engine.problem  # that it is down, or by now that it cannot be reached
        assert not a.engine.publish("all", b"lost")
        assert a.engine.statistics.dropped >= 1
        b.engine.unsubscribe("old")
        await b.subscribe("new")  # done, as nobody knows when the server comes back
        server.start()
        await a.heard("gap")
        await b.heard("gap")
        assert [what for what in b.whats if what != "message"] == ["up", "down", "up", "gap"]
        await reaches(a, b, b"after")
        await a.publish("old", b"old")
        await a.publish("new", b"new")
        await b.has(Told("message", "new", b"new"))
        assert not {b"lost", b"old"} & {data for _, data in b.messages}
        assert b.engine.statistics.reconnects == 1
        assert b.engine.statistics.gaps == 1
        assert b.engine.problem == ""


async def test_a_server_that_comes_late(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.kill()
    async with member(server.url, wait=False) as a, member(server.url, wait=False) as b:
        await b.subscribe("all")
        assert not a.engine.publish("all", b"lost")
        await anyio.sleep(0.5)
        assert b.whats == []
        assert "cannot connect to the engine" in caplog.text
        server.start()
        await a.heard("up")
        await b.heard("up")
        await reaches(a, b, b"late")
        assert "down" not in b.whats
        assert "gap" not in b.whats
        assert b.engine.statistics.reconnects == 0


async def test_a_server_that_was_frozen_for_a_moment_has_lost_nothing(server: Server) -> None:
    async with member(server.url, ping=5.0) as a, member(server.url, ping=5.0) as b:
        await b.subscribe("all")
        server.freeze()
        for number in range(100):
            assert a.engine.publish("all", b"%d" % number)
        await anyio.sleep(1.0)
        assert b.messages == []
        server.thaw()
        await b.heard("message", 100)
        assert [data for _, data in b.messages] == [b"%d" % number for number in range(100)]
        assert "down" not in b.whats


async def test_a_server_that_is_frozen_for_longer_is_lost(server: Server) -> None:
    async with member(server.url) as a, member(server.url) as b:
        await b.subscribe("all")
        server.freeze()
        await b.heard("down")
        await a.heard("down")
        assert b.told[1] == Told("down", f"the server has not answered for {PING:g} s")
        server.thaw()
        await a.heard("gap")
        await b.heard("gap")
        await reaches(a, b, b"again")


async def test_the_outbox_is_bounded(server: Server) -> None:
    async with member(server.url, ping=5.0) as a:
        server.freeze()
        taken = 0
        with anyio.fail_after(PATIENCE):
            while a.engine.publish("all", bytes(64 * 1024)):
                taken += 1
                await anyio.sleep(0.001)
                assert taken < 4 * MESSAGES
        assert a.engine.statistics.published == taken
        assert a.engine.statistics.dropped == 1
        assert a.engine.connected
        assert not a.engine.publish("all", bytes(64 * 1024))


async def test_a_burst_is_bounded_too(server: Server) -> None:
    """Small messages, faster than any thread could take them."""
    async with member(server.url) as a:
        server.freeze()
        accepted = [a.engine.publish("all", b"x") for _ in range(20 * MESSAGES)]
        assert MESSAGES <= sum(accepted) < len(accepted)
        assert a.engine.statistics.dropped == accepted.count(False)
        server.thaw()


async def test_a_subscription_that_the_loss_cut_short_is_done(server: Server) -> None:
    async with member(server.url) as a:
        server.freeze()
        await a.subscribe("x")
        await a.heard("down")
        assert a.whats == ["up", "down"]


@pytest.mark.parametrize("state", ["frozen", "frozen and full", "killed", "frozen at the start"])
async def test_an_engine_ends_in_every_state(server: Server, state: str) -> None:
    if state == "frozen at the start":
        server.freeze()
    async with member(server.url, wait=state != "frozen at the start") as a:
        if state == "killed":
            server.kill()
            await a.heard("down")
        else:
            server.freeze()
        if state == "frozen and full":
            with anyio.fail_after(PATIENCE):
                while a.engine.publish("all", bytes(900_000)):  # noqa: ASYNC110 - nothing is told
                    await anyio.sleep(0.001)
        await anyio.sleep(0.1)
        a.engine.stop()
        assert all_threads_end()


# -- who may come in --------------------------------------------------------------------------------------------


GUARDED: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "nats": lambda: nats_server(user="bridge", password=SECRET),
    "redis": lambda: redis_server(password=SECRET),
    "redis+cluster": lambda: redis_server(password=SECRET, cluster=True),
}
PROBLEMS = {
    "nats: 'Authorization Violation'",
    "invalid username-password pair or user is disabled.",
}


@pytest.mark.parametrize("kind", list(GUARDED))
async def test_the_right_credentials_are_let_in(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with GUARDED[kind]() as server:
        async with member(server.url) as a, member(server.url) as b:
            await b.subscribe("all")
            await reaches(a, b, b"in")
            assert SECRET not in a.engine.url
            server.kill()
            await a.heard("down")
    assert SECRET not in caplog.text
    assert SECRET not in str(a.told)


@pytest.mark.parametrize("kind", list(GUARDED))
async def test_wrong_credentials_are_told_once_and_tried_on(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with GUARDED[kind]() as server:
        wrong = server.url.replace(SECRET, f"{SECRET}-wrong")
        async with member(wrong, wait=False) as one:
            with anyio.fail_after(PATIENCE):
                while one.engine.problem == "not started":  # noqa: ASYNC110 - nothing is told
                    await anyio.sleep(0.02)
            await anyio.sleep(0.5)
            assert one.engine.problem in PROBLEMS
            assert one.whats == []
        ours = [record.getMessage() for record in caplog.records if record.name.startswith("channels_bridge")]
        assert len(ours) == 1
        assert server.address in ours[0]
    assert SECRET not in caplog.text
    assert SECRET not in one.engine.url


async def test_several_servers() -> None:
    """The first that answers is taken; when it is lost, another."""
    with nats_server() as one, nats_server() as two:
        one.kill()
        async with member(f"nats://{one.address},{two.address}") as a:
            two.kill()
            await a.heard("down")
            one.start()
            await a.heard("up", 2)
