"""What Channels 1 promised of every layer, asked of the one in memory and of the one at a bridge.

These are the eighteen things that the conformance tests of ASGI 1 looked at. Where the one at a bridge differs, the
test of that thing says how, and :data:`DIFFERENT` why.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from channels_bridge import Bridge
from channels_bridge.worker.legacy.layer import BridgeLayer
from channels_bridge.worker.legacy.memory import ChannelLayer
from halves import directory
from layers.seats import until
from layers.site import loop_thread

DIFFERENT = {
    "single_process_receive": "a channel with '!' belongs to the process that made it with new_channel(), and is known"
    " by its whole name; those of clients are the bridge's",
    "groups_process": "as a process cannot be sent to, it cannot be in a group: its channels can",
    "group_channels": "bridges keep a group where its members are, and do not tell one another who they are",
    "capacity_process": "each channel has a capacity of its own, so one slow socket does not hold up those beside it",
    "flush": "it ends the channels and memberships of this process: a bridge serves others, too",
}
_numbers = itertools.count(1)


class Rig(Protocol):
    """Makes layers of one kind, for the tests below."""

    def make(self, **options: Any) -> Any:
        """Make a layer."""

    def member(self, layer: Any) -> str:
        """Give a new channel that can be in a group."""
        ...

    def until_over(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Let so much time pass; something is over then."""


class InMemory:
    """Layers in memory, with a clock that the test moves."""

    now = 0.0

    def make(self, **options: Any) -> ChannelLayer:
        return ChannelLayer(clock=lambda: self.now, **options)

    def member(self, layer: Any) -> str:
        return name("member")

    def until_over(self, seconds: float, is_over: Callable[[], bool]) -> None:
        self.now += seconds * 0.9
        assert not is_over()
        self.now += seconds * 0.1
        assert is_over()


class AtBridge:
    """Layers at a real bridge, in a thread of this process."""

    def __init__(self, url: str) -> None:
        self._url = url

    def make(self, **options: Any) -> BridgeLayer:
        return BridgeLayer(self._url, **options)

    def member(self, layer: Any) -> str:
        channel: str = layer.new_channel("member?")
        return channel

    def until_over(self, seconds: float, is_over: Callable[[], bool]) -> None:
        until(is_over)


@pytest.fixture(scope="module")
def bridge() -> Iterator[str]:
    """Give the URL of a bridge."""
    with ExitStack() as stack:
        url = stack.enter_context(directory())
        portal = stack.enter_context(loop_thread("asyncio"))
        bridge = Bridge(url)
        portal.call(bridge.start)
        stack.callback(lambda: portal.call(bridge.stop))
        yield url


@pytest.fixture(params=["memory", "bridge"])
def rig(request: pytest.FixtureRequest) -> Any:
    """Give what makes the layers."""
    return InMemory() if request.param == "memory" else AtBridge(request.getfixturevalue("bridge"))


@pytest.fixture
def in_memory() -> InMemory:
    """Give what makes layers in memory."""
    return InMemory()


@pytest.fixture
def at_bridge(bridge: str) -> AtBridge:
    """Give what makes layers at a bridge."""
    return AtBridge(bridge)


def name(prefix: str = "channel") -> str:
    """Give a name that no other test uses."""
    return f"{prefix}.{next(_numbers)}"


def test_send_recv(rig: Rig) -> None:
    layer, channel, other = rig.make(), name(), name()
    layer.send(channel, {"n": 1})
    layer.send(channel, {"n": 2})
    layer.send(other, {"n": 3})
    assert layer.receive([channel, other]) == (channel, {"n": 1})
    assert sorted(layer.receive([channel, other])[1]["n"] for _ in range(2)) == [2, 3]
    assert layer.receive([channel, other]) == (None, None)
    layer.send(channel, {"n": 4})
    assert layer.receive([channel], block=True) == (channel, {"n": 4})


def test_single_process_receive(in_memory: InMemory, at_bridge: AtBridge) -> None:
    layer: Any = in_memory.make()
    layer.send("server!one", {"n": 1})
    layer.send("server!two", {"n": 2})
    assert layer.receive(["server!"]) == ("server!one", {"n": 1})
    assert layer.receive(["other", "server!"]) == ("server!two", {"n": 2})
    layer = at_bridge.make()
    channel = layer.new_channel("server!")
    layer.send(channel, {"n": 1})
    assert layer.receive([channel]) == (channel, {"n": 1}), DIFFERENT["single_process_receive"]


def test_single_process_receive_error(in_memory: InMemory, at_bridge: AtBridge) -> None:
    with pytest.raises(TypeError, match="up to the '!'"):
        in_memory.make().receive(["server!one"])
    for channel in ("server!", "server!one"):  # see DIFFERENT
        with pytest.raises(RuntimeError, match="belongs to another process"):
            at_bridge.make().receive([channel])


def test_message_expiry(rig: Rig) -> None:
    layer, channel = rig.make(expiry=0.1, capacity=1), name()
    layer.send(channel, {"n": 1})

    def has_room() -> bool:
        try:
            layer.send(channel, {"n": 2})
        except layer.ChannelFull:
            return False
        return True

    rig.until_over(0.1, has_room)
    assert layer.receive([channel]) == (channel, {"n": 2})
    assert layer.receive([channel]) == (None, None)


def test_new_channel_single_reader(rig: Rig) -> None:
    layer = rig.make()
    one, other = layer.new_channel("reply?"), layer.new_channel("reply?")
    assert one != other
    assert one.startswith("reply")
    layer.send(one, {"n": 1})
    assert layer.receive([other]) == (None, None)
    assert layer.receive([other, one]) == (one, {"n": 1})


@pytest.mark.parametrize("pattern", ["reply", "re?ply", "re!ply", "", "with space?", None])
def test_new_channel_failures(rig: Rig, pattern: Any) -> None:
    with pytest.raises(TypeError):
        rig.make().new_channel(pattern)


def test_strings(rig: Rig) -> None:
    content = {
        "bytes": b"\x00\xff", "text": "sn\u2603w\U0001f300", "empty": [b"", "", None], "large": 2**63 - 1,
        "negative": -(2**63), "float": 0.5, "bool": True, "nested": {"list": [{"a": [1]}]}, "megabyte": "x" * 2**20,
    }  # fmt: skip
    layer, channel = rig.make(), name()
    layer.send(channel, content)
    assert layer.receive([channel]) == (channel, content)


def test_groups(rig: Rig) -> None:
    layer, group = rig.make(), name("group")
    first, second, outsider = (rig.member(layer) for _ in range(3))
    for channel in (first, second, second):
        layer.group_add(group, channel)
    layer.send_group(group, {"n": 1})
    for channel in (first, second):
        assert layer.receive([channel]) == (channel, {"n": 1})
    assert layer.receive([first, second, outsider]) == (None, None)
    layer.group_discard(group, first)
    layer.group_discard(group, outsider)
    layer.send_group(group, {"n": 2})
    assert layer.receive([second]) == (second, {"n": 2})
    assert layer.receive([first, second]) == (None, None)
    layer.send_group(name("nobody"), {"n": 3})


def test_groups_process(in_memory: InMemory, at_bridge: AtBridge) -> None:
    layer = in_memory.make()
    for channel in ("server!one", "server!two", "other!one"):
        layer.group_add("group", channel)
    layer.group_discard("group", "server!two")
    layer.send_group("group", {"n": 1})
    assert layer.receive(["server!"]) == ("server!one", {"n": 1})
    assert layer.receive(["other!"]) == ("other!one", {"n": 1})
    assert layer.receive(["server!", "other!"]) == (None, None)
    with pytest.raises(TypeError, match="cannot be in a group"):  # see DIFFERENT
        at_bridge.make().group_add("group", "named")


def test_group_channels(in_memory: InMemory, at_bridge: AtBridge) -> None:
    layer = in_memory.make()
    assert layer.group_channels("group") == []
    for channel in ("one", "server!two", "one"):
        layer.group_add("group", channel)
    assert sorted(layer.group_channels("group")) == ["one", "server!two"]
    layer.group_discard("group", "one")
    assert layer.group_channels("group") == ["server!two"]
    with pytest.raises(RuntimeError, match="groups cannot be listed; keep who is there in your database"):
        at_bridge.make().group_channels("group")  # see DIFFERENT


def test_flush(rig: Rig) -> None:
    layer = rig.make()
    channel = rig.member(layer)
    layer.send(channel, {"n": 1})
    layer.flush()
    assert layer.receive([channel]) == (None, None)


def test_flush_leaves_to_others_what_is_theirs(at_bridge: AtBridge) -> None:
    layer, channel = at_bridge.make(), name()
    layer.send(channel, {"n": 1})
    layer.flush()
    assert layer.receive([channel]) == (channel, {"n": 1}), DIFFERENT["flush"]


def test_flush_groups(rig: Rig) -> None:
    layer, group = rig.make(), name("group")
    channel = rig.member(layer)
    layer.group_add(group, channel)
    layer.flush()
    layer.send_group(group, {"n": 1})
    assert layer.receive([channel]) == (None, None)


def test_group_expiry(rig: Rig) -> None:
    layer, group = rig.make(group_expiry=0.1), name("group")
    channel = rig.member(layer)
    layer.group_add(group, channel)

    def is_gone() -> bool:
        layer.send_group(group, {"n": 1})
        return layer.receive([channel]) == (None, None)

    rig.until_over(0.1, is_gone)


def test_capacity(rig: Rig) -> None:
    layer, channel = rig.make(capacity=3, channel_capacity={"many.*": 5}), name()
    many = f"many.{channel}"
    for wanted, count in ((channel, 3), (many, 5)):
        for number in range(count):
            layer.send(wanted, {"n": number})
        with pytest.raises(layer.ChannelFull):
            layer.send(wanted, {})
        assert [layer.receive([wanted])[1]["n"] for _ in range(count)] == list(range(count))
        layer.send(wanted, {})


def test_capacity_process(in_memory: InMemory, at_bridge: AtBridge) -> None:
    layer: Any = in_memory.make(capacity=2)
    layer.send("server!one", {})
    layer.send("server!two", {})
    with pytest.raises(layer.ChannelFull):
        layer.send("server!three", {})
    layer = at_bridge.make(capacity=2)
    one, other = layer.new_channel("server!"), layer.new_channel("server!")
    layer.send(one, {})
    layer.send(one, {})
    with pytest.raises(layer.ChannelFull):
        layer.send(one, {})
    layer.send(other, {})  # see DIFFERENT


def test_capacity_group(rig: Rig) -> None:
    layer, group = rig.make(capacity=1), name("group")
    full, empty = rig.member(layer), rig.member(layer)
    for channel in (full, empty):
        layer.group_add(group, channel)
    layer.send(full, {"n": 1})
    layer.send_group(group, {"n": 2})
    assert layer.receive([full]) == (full, {"n": 1})
    assert layer.receive([empty]) == (empty, {"n": 2})
    assert layer.receive([full]) == (None, None)


def test_exceptions(rig: Rig) -> None:
    layer = rig.make()
    assert issubclass(layer.ChannelFull, Exception)
    assert issubclass(layer.MessageTooLarge, Exception)
    assert type(layer).ChannelFull is ChannelLayer.ChannelFull is BridgeLayer.ChannelFull
    assert {"groups", "flush"} <= set(layer.extensions)


def test_message_alteration_after_send(rig: Rig) -> None:
    layer, channel = rig.make(), name()
    message: dict[str, Any] = {"list": ["as it was"]}
    layer.send(channel, message)
    message["list"].append("changed")
    assert layer.receive([channel]) == (channel, {"list": ["as it was"]})


def test_the_differences_are_known() -> None:
    """Each reason belongs to one of the tests above."""
    assert all(f"test_{about}" in globals() for about in DIFFERENT)
