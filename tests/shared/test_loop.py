"""What every loop has to do for us, on asyncio, uvloop and trio alike."""

import gc
import os
import threading
from collections.abc import Callable
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from channels_bridge.shared.endpoint import running_loop
from channels_bridge.shared.loop import Loop, Task

pytestmark = pytest.mark.anyio

PATIENCE = 30.0  # seconds until a test that hangs is called failed; none waits for as long


async def turns(number: int) -> None:
    for _ in range(number):
        await anyio.lowlevel.checkpoint()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.lowlevel.checkpoint()


# -- signals ---------------------------------------------------------------------------------------------------


async def test_a_signal_wakes_all_that_wait_and_is_not_remembered() -> None:
    signal = running_loop().signal()
    signal.set()
    woken: list[str] = []

    async def wait(name: str) -> None:
        await signal.wait()
        woken.append(name)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(wait, "a")
            group.start_soon(wait, "b")
            await turns(3)
            assert woken == []
            signal.set()
            signal.set()
    assert sorted(woken) == ["a", "b"]


async def test_who_waits_again_waits_for_the_next_time() -> None:
    signal = running_loop().signal()
    woken: list[int] = []

    async def wait() -> None:
        for number in range(3):
            await signal.wait()
            woken.append(number)

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        for number in range(3):
            await turns(3)
            assert len(woken) == number
            signal.set()
    assert woken == [0, 1, 2]


async def test_waiting_can_be_cancelled_and_leaves_nothing_behind() -> None:
    signal = running_loop().signal()
    woken: list[bool] = []

    async def wait() -> None:
        await signal.wait()
        woken.append(True)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            for _ in range(100):
                with anyio.move_on_after(0):
                    await signal.wait()
            await turns(2)
            waiting = next(getattr(signal, name) for name in ("_waiters", "_tasks") if hasattr(signal, name))
            assert len(waiting) <= 2  # bounded: those that were cancelled go when the next one comes
            signal.set()
    assert woken == [True]


async def test_a_signal_may_come_in_the_same_turn_as_a_cancellation() -> None:
    signal = running_loop().signal()
    ended: list[str] = []

    async def wait() -> None:
        try:
            await signal.wait()
        finally:
            ended.append("ended")

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await turns(3)
            group.cancel_scope.cancel()
            signal.set()
    signal.set()
    assert ended == ["ended"]


# -- functions -------------------------------------------------------------------------------------------------


async def test_a_function_is_called_soon_and_not_now() -> None:
    loop = running_loop()
    called: list[int] = []
    for n in range(3):
        loop.call_soon(partial(called.append, n))
    assert called == []
    await until(lambda: len(called) == 3)
    assert sorted(called) == [0, 1, 2]  # trio promises no order


async def test_functions_come_from_other_threads() -> None:
    loop = running_loop()
    called: list[int] = []
    threads: set[int] = set()

    def call(n: int) -> None:
        threads.add(threading.get_ident())
        called.append(n)

    def other() -> None:
        for n in range(100):
            loop.from_thread(partial(call, n))

    thread = threading.Thread(target=other)
    thread.start()
    await until(lambda: len(called) == 100)
    thread.join()
    assert threads == {threading.get_ident()}
    assert sorted(called) == list(range(100))


# -- tasks -----------------------------------------------------------------------------------------------------


async def test_tasks_run_by_themselves_and_can_be_cancelled() -> None:
    loop = running_loop()
    seen: list[str] = []
    forever = loop.signal()

    async def task(name: str) -> None:
        seen.append(f"{name} began")
        try:
            await forever.wait()
            seen.append(f"{name} woke")
        finally:
            seen.append(f"{name} ended")

    tasks = {name: loop.spawn(task(name)) for name in ("kept", "cancelled")}
    gc.collect()
    await turns(3)
    tasks["cancelled"].cancel()
    await turns(3)
    forever.set()
    await turns(3)
    assert sorted(seen) == ["cancelled began", "cancelled ended", "kept began", "kept ended", "kept woke"]


async def test_a_task_may_be_cancelled_before_it_began() -> None:
    ran: list[bool] = []

    async def task() -> None:
        await anyio.lowlevel.checkpoint()
        ran.append(True)

    running_loop().spawn(task()).cancel()
    await turns(5)
    assert ran == []


async def test_a_task_may_cancel_itself_and_another_after_its_end() -> None:
    loop = running_loop()
    seen: list[str] = []
    tasks: list[Task] = []

    async def task() -> None:
        tasks[0].cancel()
        seen.append("goes on until it waits")
        await anyio.lowlevel.checkpoint()
        seen.append("never")

    tasks.append(loop.spawn(task()))
    await turns(5)
    tasks[0].cancel()
    assert seen == ["goes on until it waits"]


async def cancellation() -> BaseException:
    """Give what a cancelled task meets."""
    met: list[BaseException] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as error:
            met.append(error)
            raise
    return met[0]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_which_exceptions_end_the_task_that_they_come_through(cancelled: bool) -> None:
    """On asyncio user code can raise or let through a cancellation that nobody of us asked for: it is its error.

    So it is on both loops with the end of a generator that it has closed by hand.
    """
    loop = running_loop()
    assert loop.is_ending(await cancellation(), cancelled) is (cancelled or on_trio())
    assert loop.is_ending(KeyboardInterrupt(), cancelled)
    assert loop.is_ending(GeneratorExit(), cancelled) is cancelled
    assert not loop.is_ending(ValueError(), cancelled)
    assert not loop.is_ending(SystemExit(), cancelled)


def on_trio() -> bool:
    return "trio" in anyio.get_cancelled_exc_class().__module__


# -- descriptors -----------------------------------------------------------------------------------------------


async def test_a_descriptor_is_watched_until_told_otherwise() -> None:
    loop = running_loop()
    read: list[bytes] = []
    reading, writing = os.pipe()
    stop = loop.watch(reading, lambda: read.append(os.read(reading, 1)))
    for n in range(3):
        os.write(writing, b"%d" % n)
        await until(lambda: len(read) == n + 1)  # noqa: B023 - awaited here
    stop()
    await turns(3)
    os.write(writing, b"x")
    await turns(3)
    assert read == [b"0", b"1", b"2"]
    os.close(reading)
    os.close(writing)


async def test_watching_may_end_while_the_function_runs() -> None:
    loop = running_loop()
    reading, writing = os.pipe()
    calls: list[int] = []

    def look() -> None:
        calls.append(len(calls))
        stop()
        os.close(reading)

    stop = loop.watch(reading, look)
    os.write(writing, b"xx")
    await until(lambda: bool(calls))
    await turns(5)
    assert calls == [0]
    os.close(writing)


async def test_watching_may_end_before_it_began() -> None:
    """The descriptor is closed by then, and its number may be in use for something else."""
    loop = running_loop()
    for _ in range(50):
        reading, writing = os.pipe()
        stop = loop.watch(reading, lambda: None)
        stop()
        os.close(reading)
        os.close(writing)
        await turns(2)


def test_watching_may_end_after_the_loop() -> None:
    """A bridge that its server never stopped is stopped when the process ends."""

    async def begin() -> Callable[[], None]:
        stop = running_loop().watch(reading, lambda: None)
        await turns(3)
        return stop

    for backend in ("asyncio", "trio"):
        reading, writing = os.pipe()
        anyio.run(begin, backend=backend)()
        os.close(reading)
        os.close(writing)


# -- which loop ------------------------------------------------------------------------------------------------


async def test_a_loop_knows_whether_it_is_the_running_one() -> None:
    loop = running_loop()
    assert loop.is_current()
    assert running_loop().is_current()
    assert not await anyio.to_thread.run_sync(loop.is_current)
    assert not await anyio.to_thread.run_sync(lambda: anyio.run(is_current_elsewhere, loop))


async def is_current_elsewhere(loop: Loop) -> bool:
    await anyio.lowlevel.checkpoint()
    return loop.is_current()


def test_a_loop_that_has_ended_is_no_longer_the_running_one() -> None:
    async def give() -> Loop:
        await anyio.lowlevel.checkpoint()
        return running_loop()

    for backend in ("asyncio", "trio"):
        assert not anyio.run(give, backend=backend).is_current()


def test_without_a_loop_there_is_none() -> None:
    with pytest.raises(RuntimeError):
        running_loop()


async def test_a_loop_that_runs_is_not_over() -> None:
    loop = running_loop()
    assert not loop.is_over()
    assert not await anyio.to_thread.run_sync(loop.is_over)


def test_a_loop_that_has_ended_is_over() -> None:
    async def give() -> Loop:
        await anyio.lowlevel.checkpoint()
        return running_loop()

    for backend in ("asyncio", "trio"):
        assert anyio.run(give, backend=backend).is_over()
