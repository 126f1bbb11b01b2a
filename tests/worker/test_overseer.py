"""Handlers held to their limits. The test says what time it is; nothing here waits for a limit."""

from __future__ import annotations

import functools
import re
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from channels_bridge import SoftTimeLimitExceeded, TimeLimitExceeded
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.worker.overseer import CLEARING, Overseer, Run
from channels_bridge.worker.time_limits import Limits
from played_server import eventually

pytestmark = pytest.mark.anyio

SOFT, HARD = 10.0, 20.0
NEVER = 3600.0


class Yard:
    """An overseer that looks when the test says so, and what it has done."""

    def __init__(self, tick: float = NEVER) -> None:
        self.threads = anyio.CapacityLimiter(1)
        self.stuck: list[str] = []
        self.given_up: list[str] = []
        self.overseer = Overseer(running_loop(), tick, self.stuck.append)

    def run(self, soft: float = SOFT, hard: float = HARD) -> Run:
        limits = Limits(soft, hard)
        return Run(self.overseer, "host", "a turn", limits, lambda run: self.given_up.append(run.what))

    async def in_thread(self, run: Run, work: Callable[[], Any]) -> Any:
        return await run.in_thread(work, self.threads)


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    yard = Yard()
    yield yard
    yard.overseer.close()


class Outcome:
    """Runs something, as a task, and keeps what came of it."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.over = anyio.Event()
        self._work = work

    async def __call__(self) -> None:
        try:
            self.result = await self._work()
        except Exception as error:
            self.error = error
        finally:
            self.over.set()


# -- in the loop -----------------------------------------------------------------------------------------------


async def test_what_ends_in_time_returns_and_raises_as_ever(yard: Yard) -> None:
    async def fine() -> str:
        return "done"

    async def wrong() -> None:
        raise KeyError("its own")

    assert await yard.run().in_loop(fine) == "done"
    with pytest.raises(KeyError, match="its own"):
        await yard.run().in_loop(wrong)
    assert yard.overseer.runs == set()
    assert yard.given_up == yard.stuck == []


async def test_at_the_soft_limit_an_async_handler_is_cancelled(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    tidied: list[str] = []

    async def handle() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            tidied.append("finally")

    run = yard.run()
    outcome = Outcome(lambda: run.in_loop(handle))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome)
        await eventually(lambda: run.in_the_loop)
        run.look(run.began + SOFT - 0.1)
        assert not run.interrupted
        run.look(run.began + SOFT)
        await outcome.over.wait()
    assert isinstance(outcome.error, SoftTimeLimitExceeded)
    assert str(outcome.error).startswith("a turn has run for ")
    assert isinstance(outcome.error.__cause__, anyio.get_cancelled_exc_class())
    shown = "".join(traceback.format_exception(outcome.error))
    assert re.search(r"in handle\n +await anyio\.sleep_forever\(\)", shown), shown  # where it was
    assert tidied == ["finally"]
    assert run.interrupted
    assert not run.given_up
    assert "a turn has run for 10 s, its soft time limit: telling it to end" in caplog.text


async def test_an_async_handler_that_ends_in_order_when_told_has_ended_in_order(yard: Yard) -> None:
    async def handle() -> str:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return "half of it"
        raise AssertionError

    run = yard.run()
    outcome = Outcome(lambda: run.in_loop(handle))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome)
        await eventually(lambda: run.in_the_loop)
        run.look(run.began + SOFT)
        await outcome.over.wait()
    assert outcome.result == "half of it"


async def test_a_cancellation_from_outside_is_none_of_ours(yard: Yard) -> None:
    run = yard.run()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await run.in_loop(anyio.sleep_forever)
    assert scope.cancelled_caught
    assert not run.interrupted
    assert yard.overseer.runs == set()


async def test_at_the_hard_limit_it_is_given_up_once_and_later_it_is_stuck(yard: Yard) -> None:
    release = anyio.Event()

    async def handle() -> None:
        with anyio.CancelScope(shield=True):
            await release.wait()

    run = yard.run()
    outcome = Outcome(lambda: run.in_loop(handle))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome)
        await eventually(lambda: run.in_the_loop)
        for seconds in (SOFT, HARD - 0.1):
            run.look(run.began + seconds)
        assert yard.given_up == []
        for seconds in (HARD, HARD + CLEARING / 2):
            run.look(run.began + seconds)
        assert (yard.given_up, yard.stuck) == (["a turn"], [])
        assert yard.overseer.given_up == {"host"}
        for seconds in (HARD + CLEARING, HARD + 2 * CLEARING):
            run.look(run.began + seconds)
        assert (yard.given_up, yard.stuck) == (["a turn"], ["a turn does not end"])
        release.set()
        await outcome.over.wait()
    assert yard.overseer.given_up == set()
    assert yard.threads.total_tokens == 1


async def test_a_hard_limit_alone_cancels_too(yard: Yard) -> None:
    run = yard.run(soft=float("inf"))
    outcome = Outcome(lambda: run.in_loop(anyio.sleep_forever))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome)
        await eventually(lambda: run.in_the_loop)
        run.look(run.began + HARD)
        await outcome.over.wait()
    assert isinstance(outcome.error, TimeLimitExceeded)
    assert isinstance(outcome.error.__cause__, anyio.get_cancelled_exc_class())
    assert yard.given_up == ["a turn"]


# -- in threads ------------------------------------------------------------------------------------------------


class Busy:
    """Python in a thread, until the test lets it end; ``swallows``: it takes no exception for an end."""

    def __init__(self, swallows: bool = False) -> None:
        self.began = threading.Event()
        self.enough = threading.Event()
        self.caught: list[type[Exception]] = []
        self._swallows = swallows

    def __call__(self) -> str:
        while not self.enough.is_set():
            try:
                self.began.set()
                time.sleep(0.001)
            except (SoftTimeLimitExceeded, TimeLimitExceeded) as error:
                self.caught.append(type(error))
                if not self._swallows:
                    raise
        return "done"


async def test_a_thread_returns_and_raises_as_ever(yard: Yard) -> None:
    assert await yard.in_thread(yard.run(), lambda: "done") == "done"
    with pytest.raises(ZeroDivisionError):
        await yard.in_thread(yard.run(), lambda: 1 // 0)
    assert yard.overseer.runs == set()


async def test_at_the_soft_limit_an_exception_is_raised_in_the_thread(yard: Yard) -> None:
    run, busy = yard.run(), Busy()
    outcome = Outcome(lambda: yard.in_thread(run, busy))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome)
        await eventually(busy.began.is_set)
        run.look(run.began + SOFT)
        await outcome.over.wait()
    assert isinstance(outcome.error, SoftTimeLimitExceeded)
    assert str(outcome.error) == "this handler has run for longer than it may"
    assert run.interrupted
    assert busy.caught == [SoftTimeLimitExceeded]


async def test_who_catches_it_may_end_in_order(yard: Yard) -> None:
    run, busy = yard.run(), Busy(swallows=True)
    outcome = Outcome(lambda: yard.in_thread(run, busy))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome)
        await eventually(busy.began.is_set)
        run.look(run.began + SOFT)
        await eventually(lambda: busy.caught == [SoftTimeLimitExceeded])
        busy.enough.set()
        await outcome.over.wait()
    assert outcome.result == "done"
    assert outcome.error is None


async def test_at_the_hard_limit_another_one_is_raised_and_the_log_says_where_the_thread_is(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    run, busy = yard.run(), Busy(swallows=True)
    outcome = Outcome(lambda: yard.in_thread(run, busy))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome)
        await eventually(busy.began.is_set)
        run.look(run.began + SOFT)
        await eventually(lambda: busy.caught == [SoftTimeLimitExceeded])
        caplog.clear()
        run.look(run.began + HARD)
        await eventually(lambda: busy.caught == [SoftTimeLimitExceeded, TimeLimitExceeded])
        busy.enough.set()
        await outcome.over.wait()
    [message] = caplog.messages
    assert message.startswith("a turn has run for 20 s, its time limit: it is given up, in its thread at:\n  File ")
    assert f'File "{__file__}"' in message
    assert "in __call__" in message
    assert str(TimeLimitExceeded()).startswith("this handler was given up")


async def test_a_thread_that_is_given_up_gets_a_substitute_until_it_ends(yard: Yard) -> None:
    run, busy = yard.run(), Busy(swallows=True)
    outcome = Outcome(lambda: yard.in_thread(run, busy))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome)
        await eventually(busy.began.is_set)
        run.look(run.began + HARD)
        assert yard.given_up == ["a turn"]
        assert yard.threads.total_tokens == 2
        assert await yard.in_thread(yard.run(), lambda: "beside it") == "beside it"
        busy.enough.set()
        await outcome.over.wait()
    assert yard.threads.total_tokens == 1


async def test_what_waits_for_a_thread_has_not_begun(yard: Yard) -> None:
    first, busy, second = yard.run(), Busy(), yard.run()
    outcome = Outcome(lambda: yard.in_thread(first, busy))
    waiting = Outcome(lambda: yard.in_thread(second, lambda: "at last"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outcome)
        await eventually(busy.began.is_set)
        tasks.start_soon(waiting)
        await eventually(lambda: second in yard.overseer.runs)
        second.look(first.began + 1e9)
        assert not second.interrupted
        busy.enough.set()
        await outcome.over.wait()
        await waiting.over.wait()
    assert waiting.result == "at last"


async def test_nothing_is_raised_in_a_thread_whose_run_has_ended(yard: Yard) -> None:
    run = yard.run()
    await yard.in_thread(run, lambda: None)
    run.interrupt()
    assert not run.interrupted
    assert await anyio.to_thread.run_sync(lambda: sum(range(1000)), limiter=yard.threads) == 499500


async def test_an_exception_at_the_very_end_stays_in_its_run(yard: Yard) -> None:
    """Whether it is raised in the handler, in what seals the run, or taken back: the thread is free for the next."""
    for _ in range(300):
        run = yard.run()

        def work(run: Run = run) -> None:
            run.interrupt()  # as from the loop: due at once, in this thread, at whatever line comes next

        outcome: list[str] = []
        try:
            await yard.in_thread(run, work)
            outcome.append("returned")
        except SoftTimeLimitExceeded:
            outcome.append("raised")
        assert len(outcome) == 1
        assert await anyio.to_thread.run_sync(lambda: sum(range(100)), limiter=yard.threads) == 4950


async def test_interruptions_and_ends_at_the_same_moment(yard: Yard) -> None:
    """Nothing but the run itself may raise."""
    for number in range(200):
        run, work = yard.run(), functools.partial(sum, range(number * 20))
        outcome = Outcome(functools.partial(yard.in_thread, run, work))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outcome)
            await anyio.lowlevel.checkpoint()
            run.interrupt()
            await outcome.over.wait()
        assert outcome.error is None or isinstance(outcome.error, SoftTimeLimitExceeded)
        assert await anyio.to_thread.run_sync(lambda: "free", limiter=yard.threads) == "free"


# -- the overseer ----------------------------------------------------------------------------------------------


async def test_it_looks_by_itself_and_only_once_there_is_something() -> None:
    yard = Yard(tick=0.001)
    assert yard.overseer._ticker is None
    with pytest.raises(SoftTimeLimitExceeded):
        await yard.run(soft=0.01).in_loop(anyio.sleep_forever)
    with pytest.raises(SoftTimeLimitExceeded):
        await yard.in_thread(yard.run(soft=0.01), Busy())
    yard.overseer.close()
    assert yard.given_up == []


async def test_only_what_runs_in_the_loop_can_hold_it_up(yard: Yard) -> None:
    in_loop, in_thread, unbounded, busy = yard.run(), yard.run(), yard.run(hard=float("inf")), Busy()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Outcome(lambda: in_loop.in_loop(anyio.sleep_forever)))
        tasks.start_soon(Outcome(lambda: unbounded.in_loop(anyio.sleep_forever)))
        tasks.start_soon(Outcome(lambda: yard.in_thread(in_thread, busy)))
        await eventually(busy.began.is_set)
        assert yard.overseer._overdue(HARD - 0.1) is None
        assert yard.overseer._overdue(HARD) == "a turn"
        assert yard.overseer._watchdog.patience == HARD
        busy.enough.set()
        tasks.cancel_scope.cancel()
