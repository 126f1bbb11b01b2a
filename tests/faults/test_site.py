"""The fault kit itself: what it says of time, of faults and of what went wrong."""

# ruff: noqa: ARG001 - applications share a signature, whether they need all of it or not

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from channels_bridge import AsyncConsumer, ChannelLayer
from channels_bridge.shared import clock
from channels_bridge.shared.errors import ApplicationLoadError
from channels_bridge.shared.wire import Event
from channels_bridge.testing.faults import Aborted, Closed, Faults, Site
from channels_bridge.worker.asgi import Receive, Scope, Send
from faults.consumers import Answer, Chat, Sum, SyncSum, application

pytestmark = pytest.mark.anyio


class Forgetful(AsyncConsumer):
    """Keeps its sum where no other worker can find it."""

    resumable = True
    totals: dict[str, int]

    def get_state(self) -> object:
        return None

    def set_state(self, state: object) -> None:
        self.total = 0

    async def websocket_connect(self, message: Event) -> None:
        self.total = 0
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, message: Event) -> None:
        self.total += int(message["text"])
        await self.send({"type": "websocket.send", "text": str(self.total)})


class Slow(AsyncConsumer):
    """Waits for something real."""

    async def websocket_connect(self, message: Event) -> None:
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, message: Event) -> None:
        await anyio.sleep(0.05)
        await self.send({"type": "websocket.send", "text": "at last"})


async def slow_application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await anyio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"at last"})


async def adds_up(site: Site) -> None:
    client = await site.websocket("/")
    for total in ("1", "2", "3"):
        await client.send("1")
        assert await client.receive() == total


# -- every step ------------------------------------------------------------------------------------------------


async def test_a_failure_says_at_which_step_the_fault_was_and_how_to_repeat_it(faults: Faults) -> None:
    with pytest.raises(AssertionError) as failure:
        await faults.every_step(adds_up, Forgetful)
    (note,) = failure.value.__notes__
    assert "with the fault 'kill' at step 6; steps=[6] repeats this one alone" in note
    assert "> step 6: worker-1 ← bridge: Message" in note
    with pytest.raises(AssertionError):
        await faults.every_step(adds_up, Forgetful, steps=[6])
    assert await faults.every_step(adds_up, Forgetful, steps=[1, 2]) == 2


async def test_a_failure_before_any_fault_says_so(faults: Faults) -> None:
    async def scenario(site: Site) -> None:
        raise ValueError("of the test")

    with pytest.raises(ValueError, match="of the test") as failure:
        await faults.every_step(scenario, SyncSum)
    assert failure.value.__notes__ == ["before any fault: it was to be at step 1"]


async def test_a_fault_that_never_comes_is_an_error(faults: Faults) -> None:
    async def runs() -> None:
        async with faults.site(Chat) as site:
            site.at(9).kill()
            await site.websocket("/ann/")

    with pytest.raises(AssertionError, match=r"faults that never came, in \d steps: at \[9\]"):
        await runs()


# -- faults ----------------------------------------------------------------------------------------------------


async def test_a_killed_worker_does_nothing_more(faults: Faults) -> None:
    async with faults.site(SyncSum) as site:
        client = await site.websocket("/")
        site.at("Commit").kill()
        await client.send("1")
        assert await client.receive() == "1"
        (step,) = site.plan.happened
        dead = step.cable.worker
        assert not dead.alive
        assert dead.connections == 0
        dead.kill()
        dead.freeze()
        assert [worker.alive for worker in site.workers].count(True) == 1
        assert "over" in repr(dead)


async def test_what_a_killed_worker_has_said_may_still_arrive(faults: Faults) -> None:
    async with faults.site(SyncSum, workers=2) as site:
        client = await site.websocket("/")
        site.at("Commit").kill(said=True)
        await client.send("1")
        assert await client.receive() == "1"
        assert [str(step)[8:] for step in site.steps].count("worker-1 → bridge: Commit") == 2  # none was repeated


async def test_a_frozen_worker_comes_back_and_is_fenced(faults: Faults) -> None:
    async with faults.site(Chat) as site:
        client = await site.websocket("/ann/")
        statistics = site.bridge.start().link.core.statistics
        site.at("Commit").freeze(20.0)
        await client.send("one")
        began = site.now
        assert await client.receive() == "ann 1 one"
        assert 9.9 <= site.now - began <= 10.2  # the verdict
        assert statistics.fenced == 0
        await site.advance(15.0)
        assert statistics.fenced > 0
        await client.quiet()
        assert all(worker.linked for worker in site.workers)


async def test_a_worker_that_thaws_in_time_goes_on(faults: Faults) -> None:
    async with faults.site(Sum, workers=1) as site:
        client = await site.websocket("/")
        site.workers[0].freeze()
        await client.send("1")
        await client.quiet(5.0)
        site.workers[0].thaw()
        assert await client.receive() == "1"


async def test_a_late_message_is_late(faults: Faults) -> None:
    async with faults.site(Sum) as site:
        client = await site.websocket("/")
        site.at("Commit").delay(2.5)
        began = site.now
        await client.send("1")
        assert await client.receive() == "1"
        assert site.now - began == pytest.approx(2.5, abs=0.1)
        site.at(1).delay(steps=50)  # nothing else happens: it comes as the time begins to pass
        await client.send("1")
        assert await client.receive(1.0) == "2"


async def test_a_dropped_message_ends_its_connection(faults: Faults) -> None:
    async with faults.site(Sum, workers=1) as site:
        client = await site.websocket("/")
        site.at(1).drop()
        await client.send("1")
        with pytest.raises(Closed, match="1011"):
            await client.receive()
        await site.until(lambda: site.workers[0].linked, 5.0)


# -- time ------------------------------------------------------------------------------------------------------


async def test_an_hour_takes_no_time(faults: Faults) -> None:
    began, real = clock.now(), time.monotonic()
    async with faults.site(Sum, workers=1) as site:
        client = await site.websocket("/")
        await site.advance(600.0)
        assert clock.now() >= began + 600.0
        await client.send("1")
        assert await client.receive() == "1"
    assert time.monotonic() - real < 60.0
    assert clock.now() < began + 60.0


@pytest.mark.parametrize("app", [Slow, slow_application], ids=["consumer", "application"])
async def test_applications_that_wait_for_something_real_are_waited_for(faults: Faults, app: Any) -> None:
    async with faults.site(app, workers=1) as site:
        began = site.now
        if app is Slow:
            client = await site.websocket("/")
            await client.send("")
            assert await client.receive() == "at last"
        else:
            assert (await site.get("/")).text == "at last"
        assert site.now - began < 60.0


async def test_a_wait_that_is_in_vain_ends(faults: Faults) -> None:
    async with faults.site(Sum, workers=1) as site:
        client = await site.websocket("/")
        began = site.now
        with pytest.raises(TimeoutError, match=r"a message did not come within 7 s of the site's time"):
            await client.receive(7.0)
        assert site.now == pytest.approx(began + 7.0)


async def test_something_of_ones_own_while_the_time_passes(faults: Faults) -> None:
    async def fails() -> None:
        await clock.sleep(5.0)
        raise ValueError("of the test")

    async def answers() -> int:
        await clock.sleep(5.0)
        return 5

    async with faults.site(Sum, workers=1) as site:
        assert await site.passing(answers()) == 5
        with pytest.raises(ValueError, match="of the test"):
            await site.passing(fails())
        with pytest.raises(TimeoutError):
            await site.passing(anyio.sleep_forever())


# -- workers and clients ---------------------------------------------------------------------------------------


async def test_a_rolling_deploy(faults: Faults) -> None:
    async with faults.site(SyncSum, workers=1) as site:
        client = await site.websocket("/")
        for total in ("1", "2", "3"):
            old = site.workers[-1]
            await site.start_worker()
            await client.send("1")
            await site.stop_worker(old)
            assert await client.receive() == total
        assert [worker.alive for worker in site.workers] == [False, False, False, True]


async def test_without_a_worker_requests_get_503_and_sockets_wait(faults: Faults) -> None:
    async with faults.site(Answer, workers=1) as site:
        site.workers[0].kill()
        assert (await site.get("/a")).status == 503
        await site.start_worker()
        assert (await site.request("POST", "/a", body=b"x", headers=[(b"x-a", b"b")])).text == "/a"


async def test_a_response_that_is_cut_off(faults: Faults) -> None:
    async with faults.site(half_an_answer, workers=1) as site:
        with pytest.raises(Aborted):
            await site.get("/")


async def half_an_answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("the other half")


async def test_a_refused_client_and_one_that_leaves(faults: Faults) -> None:
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4001})

    async with faults.site(refuses) as site:
        with pytest.raises(Closed):
            await site.websocket("/")
    async with faults.site(application) as site:
        client = await site.websocket("/?room=1", subprotocols=("a",))
        assert site.left() != {}
        await client.close()
        assert client.over
        assert site.left() == {}
        with pytest.raises(Closed):
            await client.receive()


async def test_a_message_that_should_not_have_come(faults: Faults) -> None:
    async with faults.site(Sum) as site:
        client = await site.websocket("/")
        await client.send("1")
        with pytest.raises(AssertionError, match="nothing should have come, but"):
            await client.quiet()
        assert client.unread == 1


async def test_what_no_server_would_take(faults: Faults) -> None:
    async with faults.site(Sum) as site:
        client = await site.websocket("/")
        client._call.sent.append({"type": "websocket.accept"})
        with pytest.raises(AssertionError, match="on an open socket no server would take"):
            await client.receive()


async def test_the_layer_from_outside_workers(faults: Faults) -> None:
    async with faults.site(Chat, workers=1) as site:
        client = await site.websocket("/ann/")
        layer = ChannelLayer(site.bridge.url)
        await site.passing(layer.send_group("room", {"type": "room.line", "line": "hello"}))
        assert await client.receive() == "hello"
        site.workers[0].kill()
        await site.passing(layer.send_group("room", {"type": "room.line", "line": "again"}))
        await site.start_worker()
        assert await client.receive() == "again"
        await site.passing(layer.close())


async def test_one_site_at_a_time(faults: Faults) -> None:
    async with faults.site(Sum):
        with pytest.raises(RuntimeError, match="another site is there"):
            async with faults.site(Sum):
                pass


async def test_an_application_that_cannot_start(faults: Faults) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(ApplicationLoadError, match="no database"):
        async with faults.site(broken):
            pass
