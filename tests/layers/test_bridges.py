"""A layer whose bridges are not there, come late, or are replaced."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from channels_bridge import Bridge, ChannelLayer, SyncChannelLayer
from channels_bridge.shared.errors import BridgeUnavailable, ChannelUnknown
from halves import directory
from layers.seats import LoopSeat, RemoteSeat, Seat, ThreadSeat, until
from layers.site import CLIENTS, loop_thread

TIMEOUT = 0.15  # seconds until a layer gives up on a bridge


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with loop_thread("asyncio") as portal:
        yield portal


Make = Callable[..., Seat]


@pytest.fixture(params=CLIENTS)
def make(request: pytest.FixtureRequest, url: str) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:
        loop = None if request.param == "sync" else stack.enter_context(loop_thread(request.param))

        def make(**options: Any) -> Seat:
            if loop is None:
                seat: Seat = ThreadSeat(SyncChannelLayer(url, **options))
            else:
                seat = LoopSeat(loop, ChannelLayer(url, **options))
            stack.callback(seat.close)
            return seat

        yield make


@contextlib.contextmanager
def bridging(portal: BlockingPortal, url: str) -> Generator[Bridge]:
    """Run a bridge in a thread."""
    bridge = Bridge(url)
    portal.call(bridge.start)
    try:
        yield bridge
    finally:
        portal.call(bridge.stop)


def heard(number: int) -> dict[str, Any]:
    return {"type": "heard", "n": number}


# -- none ------------------------------------------------------------------------------------------------------

CALLS: list[tuple[Any, ...]] = [
    ("send", "named", heard(0)),
    ("send", "consumer.00000000000000b0!1", heard(0)),
    ("group_send", "group", heard(0)),
    ("group_add", "group", "consumer.00000000000000b0!1"),
    ("group_discard", "group", "consumer.00000000000000b0!1"),
    ("request", "named", heard(0)),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_no_bridge_is_said_in_time(make: Make, url: str, call: tuple[Any, ...]) -> None:
    layer = make(timeout=TIMEOUT)
    began = time.monotonic()
    with pytest.raises(BridgeUnavailable) as error:
        layer.do(*call)
    assert TIMEOUT <= time.monotonic() - began < TIMEOUT + 1.0
    assert isinstance(error.value, ConnectionError)
    for hint in (url, "bridge"):
        assert hint in str(error.value)


def test_own_channels_need_no_bridge(make: Make) -> None:
    layer = make(timeout=TIMEOUT)
    channel = layer.new_channel()
    layer.send(channel, heard(1))
    assert layer.receive(channel) == heard(1)


def test_a_bridge_that_comes_late(make: Make, url: str, portal: BlockingPortal) -> None:
    layer = make()
    received = layer.start("receive", "late")
    sent = layer.start("send", "late", heard(1))
    with pytest.raises(TimeoutError):
        sent.result(0.1)
    with bridging(portal, url):
        sent.result(10)
        assert received.result(10) == heard(1)


def test_after_an_error_it_works_again(make: Make, url: str, portal: BlockingPortal) -> None:
    layer = make(timeout=TIMEOUT)
    with pytest.raises(BridgeUnavailable):
        layer.send("named", heard(0))
    with bridging(portal, url):
        until(lambda: sent(layer, "named", heard(1)))
        assert layer.receive("named") == heard(1)  # the first was not kept and sent after all


def sent(layer: Seat, *arguments: Any) -> bool:
    try:
        layer.send(*arguments)
    except BridgeUnavailable:
        return False
    return True


# -- restarted -------------------------------------------------------------------------------------------------


def test_channels_and_groups_outlive_a_bridge(make: Make, url: str, portal: BlockingPortal) -> None:
    """They are the process's: its next home is told of them."""
    with contextlib.ExitStack() as stack:
        with bridging(portal, url):
            layer, other = make(), stack.enter_context(contextlib.closing(RemoteSeat([url])))
            channel = layer.new_channel()
            layer.group_add("room", channel)
            other.group_send("room", heard(0))
            other.send(channel, heard(1))
            assert layer.take(channel, 2) == [heard(0), heard(1)]
            waiting = layer.start("receive", "jobs")
        with bridging(portal, url):
            until(lambda: comes_back(layer, other, channel))
            other.send("jobs", heard(3))
            assert waiting.result(10) == heard(3)
            other.group_send("room", heard(4))
            assert layer.receive(channel) == heard(4)
            layer.group_discard("room", channel)
            other.group_send("room", heard(5))
            other.send(channel, heard(6))
            assert layer.receive(channel) == heard(6)


def comes_back(layer: Seat, other: Seat, channel: str) -> bool:
    """Send to the group; say whether it came. The layer may be linked with the new bridge later than the other is."""
    other.group_send("room", heard(2))
    return taken(other, layer, channel) == 1


def taken(sender: Seat, layer: Seat, channel: str) -> int:
    """Say how many messages the channel has got before one that the sender sends now: none, or one."""
    try:
        sender.send(channel, {"type": "stop"}, require=True)
    except ChannelUnknown:  # the bridge has not heard of that process yet
        return 0
    count = len(layer.do("take_until_stop", channel))
    assert count <= 1
    return count


def test_with_two_bridges_one_may_go(make: Make, url: str, portal: BlockingPortal) -> None:
    """Groups and channels of a process move to the bridge that is left, whichever was its home."""
    with contextlib.ExitStack() as stack:
        bridges = [contextlib.ExitStack(), contextlib.ExitStack()]
        for bridge in bridges:
            stack.push(bridge)
            bridge.enter_context(bridging(portal, url))
        layers = [make(), stack.enter_context(contextlib.closing(RemoteSeat([url])))]
        channels = [layer.new_channel() for layer in layers]
        for layer, channel in zip(layers, channels, strict=True):
            layer.group_add("room", channel)
        bridges[0].close()
        for layer in layers:
            until(partial(all_hear, layer, layers, channels))
        stack.enter_context(bridging(portal, url))
        bridges[1].close()
        for layer in layers:
            until(partial(all_hear, layer, layers, channels))


def all_hear(sender: Seat, layers: list[Seat], channels: list[str]) -> bool:
    """Send to the group; say whether every member has it, once."""
    sender.group_send("room", heard(7))
    return [taken(sender, *member) for member in zip(layers, channels, strict=True)] == [1, 1]


def test_a_new_layer_reaches_all_bridges(make: Make, url: str, portal: BlockingPortal) -> None:
    """With the first thing that it sends: a command sends one message and ends."""
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(bridging(portal, url))
        members = [stack.enter_context(contextlib.closing(RemoteSeat([url]))) for _ in range(3)]
        channels = [member.new_channel() for member in members]
        for member, channel in zip(members, channels, strict=True):
            member.group_add("room", channel)
        make().group_send("room", heard(1))
        for member, channel in zip(members, channels, strict=True):
            assert member.receive(channel) == heard(1)
