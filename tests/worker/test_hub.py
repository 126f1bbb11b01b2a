"""A hub: calls from any thread, names that end their channels, and nobody left waiting."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.shared.errors import BridgeUnavailable, InvalidName
from channels_bridge.worker.core.calls import CLOSED, DONE
from channels_bridge.worker.core.channels import Bounds, Waiter
from channels_bridge.worker.crossing import Ticket, landing
from channels_bridge.worker.hub import ChannelName, Hub
from channels_bridge.worker.links import Links, make_hello
from played_server import eventually

pytestmark = pytest.mark.anyio

BOUNDS = Bounds(10, 60.0, 1000.0)


@pytest.fixture
def hub() -> Hub:
    return Hub(Links(("ipc:///nowhere/",), make_hello("layer"), Config()))


@pytest.fixture
async def running(hub: Hub) -> AsyncIterator[Hub]:
    hub.open(running_loop())
    yield hub
    hub.close()


def in_a_thread(function: Callable[[], object]) -> None:
    """Call it, and wait for it, outside of the hub's loop. Raises what it raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def channels(hub: Hub) -> dict[str, Any]:
    return dict(hub.links.exchange.channels)


async def test_what_is_posted_happens_in_the_loop_at_once_if_this_is_it(running: Hub) -> None:
    where: list[int] = []
    running.post(lambda: where.append(threading.get_ident()))
    assert where == [threading.get_ident()]
    in_a_thread(lambda: running.post(lambda: where.append(threading.get_ident())))
    await eventually(lambda: where == [threading.get_ident()] * 2)
    assert running.is_here
    in_a_thread(lambda: where.append(running.is_here))
    assert where[-1] is False


async def test_a_finalizer_never_runs_in_the_middle_of_something(running: Hub) -> None:
    done: list[int] = []
    running.later(lambda: done.append(1))
    assert done == []
    await eventually(lambda: done == [1])


# -- names -----------------------------------------------------------------------------------------------------


async def test_a_channel_ends_with_its_name(running: Hub) -> None:
    name = running.new_channel("specific", 1, BOUNDS)
    assert name.startswith(f"specific.{running.boot:016x}!p")
    assert list(channels(running)) == [name]
    name.box.received = True
    del name
    gc.collect()
    await eventually(lambda: not channels(running))


async def test_a_name_may_go_in_any_thread(running: Hub) -> None:
    names = [running.new_channel("specific", 1, BOUNDS)]
    names[0].box.received = True
    in_a_thread(names.clear)
    gc.collect()
    await eventually(lambda: not channels(running))


async def test_a_copy_of_a_name_is_a_plain_string(running: Hub) -> None:
    name = running.new_channel("specific", 1, BOUNDS)
    for copied in (copy.copy(name), copy.deepcopy(name), pickle.loads(pickle.dumps(name)), str(name), f"{name}"):
        assert type(copied) is str
        assert copied == name
    assert type(name) is ChannelName


async def test_a_channel_that_a_copy_is_used_for_stays(running: Hub) -> None:
    name = running.new_channel("specific", 1, BOUNDS)
    copied = str(name)
    running.use(name, BOUNDS)
    assert not name.box.copied
    running.use(copied, BOUNDS)
    running.use("specific.00000000000000ff!p1", BOUNDS)  # another process's: no concern of ours
    assert name.box.copied
    del name
    gc.collect()
    done: list[int] = []
    running.later(lambda: done.append(1))
    await eventually(lambda: done)
    assert list(channels(running)) == [copied]


async def test_a_bad_prefix_is_refused(running: Hub) -> None:
    with pytest.raises(InvalidName):
        running.new_channel("a!b", 1, BOUNDS)
    assert channels(running) == {}


# -- calls -----------------------------------------------------------------------------------------------------


async def test_calls_and_receivers_are_settled(running: Hub) -> None:
    name = running.new_channel("specific", 1, BOUNDS)
    sent, received = Ticket(landing()), Ticket(landing())
    in_a_thread(lambda: running.receive(str(name), received, BOUNDS))
    in_a_thread(lambda: running.call(frames.ChannelSend(name, b"x", 0, 0.0, []), sent, 5.0))
    await sent.promise
    await received.promise
    assert (sent.result, received.result) == (DONE, b"x")


async def test_who_leaves_loses_nothing(running: Hub) -> None:
    name = running.new_channel("specific", 1, BOUNDS)
    for here in (True, False):
        given, then = Waiter(), Ticket(landing())
        running.receive(str(name), given, BOUNDS)
        running.tell(frames.ChannelSend(name, b"x", 0, 0.0, []))
        if here:
            running.leave(given)
        else:
            in_a_thread(partial(running.leave, given))
        running.receive(name, then, BOUNDS)
        await then.promise
        assert then.result == b"x"


async def test_who_leaves_by_itself_leaves_what_it_had_to_the_next(running: Hub) -> None:
    box = running.new_channel("specific", 1, BOUNDS).box
    given, heir = Ticket(landing()), Ticket(landing())
    assert box.wait(given)
    box.offer(b"x", 0.0)
    assert box.wait(heir)
    in_a_thread(lambda: running.leave_box(box, given))
    await heir.promise
    assert heir.result == b"x"


async def test_flush_says_when_it_is_done(running: Hub) -> None:
    name, ticket = running.new_channel("specific", 1, BOUNDS), Ticket(landing())
    running.tell(frames.ChannelSend(name, b"x", 0, 0.0, []))
    running.flush(ticket)
    await ticket.promise
    assert not name.box.queue


# -- the end ---------------------------------------------------------------------------------------------------


async def test_the_end_leaves_nobody_waiting(running: Hub) -> None:
    name = running.new_channel("specific", 1, BOUNDS)
    waiting, calling, late = (Ticket(landing()) for _ in range(3))
    assert name.box.wait(waiting)
    running.call(frames.ChannelSend("named", b"x", 0, 0.0, []), calling, 60.0)
    running.close()
    in_a_thread(lambda: running.call(frames.ChannelSend("named", b"x", 0, 0.0, []), late, 60.0))
    for ticket in (waiting, calling, late):
        await ticket.promise
        assert ticket.result == CLOSED


async def test_a_layer_that_quits_takes_its_channels_with_it(running: Hub) -> None:
    mine, theirs = running.new_channel("specific", 1, BOUNDS), running.new_channel("specific", 2, BOUNDS)
    ticket = Ticket(landing())
    running.quit(1)
    running.end(ticket)  # a worker's hub stays
    await ticket.promise
    assert list(channels(running)) == [theirs]
    assert mine.box.closed
    assert not running.over


def test_a_loop_that_has_ended_is_said(hub: Hub) -> None:
    import anyio

    async def open_it() -> None:
        hub.open(running_loop())
        await anyio.sleep(0.01)

    anyio.run(open_it)
    with pytest.raises(BridgeUnavailable):
        in_a_thread(lambda: hub.call(frames.ChannelSend("named", b"x", 0, 0.0, []), Waiter(), 1.0))
    in_a_thread(lambda: hub.leave(Waiter()))


async def test_why_nobody_answers(running: Hub) -> None:
    links: Any = running.links
    assert "no bridge at ipc:///nowhere/ within 5 s: is the server with the Bridge up" in running.why_no_answer(5.0)
    links.trouble = "chmod it"
    assert "within 5 s (chmod it): is" in running.why_no_answer(5.0)
    links._ready[1] = None
    assert "the bridge at ipc:///nowhere/ did not answer within 5 s" in running.why_no_answer(5.0)
    running.forget()
    links._ready.clear()
    assert running.why_no_answer(5.0) == "the channel layer at ipc:///nowhere/ was closed"
