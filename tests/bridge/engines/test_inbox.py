"""What threads tell arrives in the bridge's loop, in order; too much of it is dropped, counted and told."""

import threading
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from channels_bridge.bridge.engines.engine import Statistics
from channels_bridge.bridge.engines.inbox import MESSAGES, Inbox
from channels_bridge.bridge.engines.local import LocalEngine
from channels_bridge.shared.endpoint import running_loop
from engine_members import Member, Told

pytestmark = pytest.mark.anyio


def opened() -> tuple[Inbox, Member, Statistics]:
    statistics = Statistics()
    inbox, listener = Inbox(statistics), Member(LocalEngine("local://unused"))
    inbox.topics.add("x")
    inbox.open(running_loop(), listener)
    return inbox, listener, statistics


async def test_all_arrives_in_the_order_of_telling_and_in_the_loop() -> None:
    inbox, listener, statistics = opened()

    def tell() -> None:
        inbox.up(again=True)
        for number in range(300):
            inbox.message("x", b"%d" % number)
        inbox.gap("why")
        inbox.lost(3)
        inbox.down("gone")
        inbox.call(partial(listener.tell, Told("called")))

    thread = threading.Thread(target=tell)
    thread.start()
    await listener.heard("called")
    thread.join()
    messages = [Told("message", "x", b"%d" % number) for number in range(300)]
    assert listener.told == [Told("up"), *messages, Told("gap", "why"), Told("down", "gone"), Told("called")]
    assert listener.threads == {threading.get_ident()}
    assert statistics == Statistics(received=300, gaps=1, dropped=3, reconnects=1)


async def test_what_is_not_wanted_any_more_is_not_delivered() -> None:
    inbox, listener, statistics = opened()
    inbox.message("x", b"")
    inbox.message("y", b"")
    inbox.topics.clear()
    inbox.up(again=False)
    await listener.heard("up")
    assert listener.whats == ["up"]
    assert statistics.received == 0


async def test_too_many_are_dropped_and_told() -> None:
    inbox, listener, statistics = opened()
    for _ in range(MESSAGES + 5):
        inbox.message("x", b"")
    await listener.heard("message", MESSAGES)
    assert [told for told in listener.told if told.what == "gap"] == [
        Told("gap", "5 messages came faster than this process took them, and were dropped")
    ]
    assert statistics == Statistics(received=MESSAGES, dropped=5, gaps=1)


async def test_others_get_their_turn_while_much_is_delivered() -> None:
    inbox, listener, _ = opened()
    for _ in range(1000):
        inbox.message("x", b"")
    seen: list[int] = []
    while len(listener.told) < 1000:
        await anyio.lowlevel.checkpoint()
        seen.append(len(listener.told))
    assert len(set(seen)) > 5


async def test_closed_it_delivers_nothing() -> None:
    inbox, listener, _ = opened()
    inbox.up(again=False)
    inbox.close()
    inbox.down("late")
    await anyio.sleep(0.01)
    assert listener.told == []
