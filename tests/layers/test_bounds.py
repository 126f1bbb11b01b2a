"""Channels hold so many messages for so long. ``ChannelFull`` comes at the bound and neither before nor behind it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from channels_bridge import ChannelFull
from layers.cases import bridged, made
from layers.seats import Seat

EXPIRY = 0.15  # seconds
EXPIRED = EXPIRY + 0.15  # seconds; bridges look at their timers every 0.05


def full() -> Any:
    """Expect that the channel takes no more: by Channels' error, or by ours."""
    import channels.exceptions

    return pytest.raises((ChannelFull, channels.exceptions.ChannelFull))


def fill(layer: Seat, channel: str, count: int) -> None:
    """Send so many messages, which fit, and one more, which does not."""
    for number in range(count):
        layer.send(channel, {"type": "heard", "n": number})
    with full():
        layer.send(channel, {"type": "heard", "n": "one too many"})


@made()
def test_an_own_channel_takes_its_capacity(make: Callable[..., Seat]) -> None:
    layer = make(capacity=3)
    channel = layer.new_channel()
    fill(layer, channel, 3)
    assert layer.receive(channel)["n"] == 0
    fill(layer, channel, 1)
    assert [message["n"] for message in layer.take(channel, 3)] == [1, 2, 0]
    fill(layer, channel, 3)


@made()
def test_a_named_channel_takes_its_capacity(make: Callable[..., Seat], name: str) -> None:
    layer = make(capacity=3)
    fill(layer, name, 3)
    assert layer.receive(name)["n"] == 0
    fill(layer, name, 1)
    assert [message["n"] for message in layer.take(name, 3)] == [1, 2, 0]


@made(memory=False)
def test_the_sender_says_how_much_another_processs_channel_takes(make: Callable[..., Seat], far: Seat) -> None:
    layer = make(capacity=3)
    channel = far.new_channel()
    fill(layer, channel, 3)
    assert [message["n"] for message in far.take(channel, 3)] == [0, 1, 2]
    fill(layer, channel, 3)


@made(memory=False)
def test_full_is_said_by_our_error_and_names_the_channel(make: Callable[..., Seat], name: str) -> None:
    layer = make(capacity=1)
    layer.send(name, {"type": "heard"})
    with pytest.raises(ChannelFull, match=re.escape(name)):
        layer.send(name, {"type": "heard"})


@made(memory=False)
def test_patterns_give_channels_capacities_of_their_own(make: Callable[..., Seat], name: str) -> None:
    """The first that matches counts, by glob or compiled pattern."""
    capacities = {"small.*": 1, re.compile(r"^medium\.\d+"): 2, f"*{name}*": 4}
    layer = make(capacity=3, channel_capacity=capacities)
    fill(layer, f"small.{name}", 1)
    fill(layer, f"medium.{name[5:]}", 2)
    fill(layer, f"large.{name}", 4)
    fill(layer, f"other.{name[:5]}x{name[5:]}", 3)
    fill(layer, layer.new_channel("small"), 1)
    fill(layer, layer.new_channel("medium.1"), 2)
    fill(layer, layer.new_channel("other"), 3)


@bridged
def test_a_turn_is_told_too_if_it_asks(near: Seat, site: Any, name: str) -> None:
    """``require`` sends at once, and so there is an answer."""
    filler = site.layer("sync", capacity=1)
    filler.send(name, {"type": "heard", "n": 1})
    far = site.far
    channel = far.new_channel()
    far.do("each", "send", *[(channel, {"type": "heard"})] * 2000)
    with pytest.raises(ChannelFull, match=re.escape(channel)):
        near.send(channel, {"type": "heard"}, require=True)
    assert near.receive(name)["n"] == 1
    filler.close()


@made(slow=True)
def test_messages_expire_in_own_channels(make: Callable[..., Seat]) -> None:
    layer = make(expiry=EXPIRY, capacity=2)
    channel = layer.new_channel()
    fill(layer, channel, 2)
    time.sleep(EXPIRED)
    received = layer.start("receive", channel)
    layer.send(channel, {"type": "heard", "n": "fresh"})
    assert received.result(10)["n"] == "fresh"


@made(slow=True)
def test_messages_expire_in_named_channels(make: Callable[..., Seat], name: str) -> None:
    layer = make(expiry=EXPIRY, capacity=2)
    fill(layer, name, 2)
    time.sleep(EXPIRED)
    received = layer.start("receive", name)
    layer.send(name, {"type": "heard", "n": "fresh"})
    assert received.result(10)["n"] == "fresh"


@made(memory=False, slow=True)
def test_what_has_expired_takes_no_room(make: Callable[..., Seat], name: str) -> None:
    layer = make(expiry=EXPIRY, capacity=2)
    channel = layer.new_channel()
    for to in (channel, name):
        fill(layer, to, 2)
    time.sleep(EXPIRED)
    for to in (channel, name):
        fill(layer, to, 2)


@made(memory=False, slow=True)
def test_the_sender_says_how_long_another_processs_channel_keeps_it(make: Callable[..., Seat], far: Seat) -> None:
    layer = make(expiry=EXPIRY)
    channel = far.new_channel()
    layer.send(channel, {"type": "heard", "n": "stale"})
    far.send(channel, {"type": "heard", "n": "kept"})
    time.sleep(EXPIRED)
    assert far.receive(channel)["n"] == "kept"


@made(memory=False, slow=True)
def test_memberships_of_own_channels_expire(make: Callable[..., Seat], name: str) -> None:
    layer = make(group_expiry=EXPIRY)
    channel = layer.new_channel()
    layer.group_add(name, channel)
    time.sleep(EXPIRED)
    layer.group_send(name, {"type": "heard", "n": "stale"})
    layer.group_add(name, channel)
    layer.group_send(name, {"type": "heard", "n": "fresh"})
    assert layer.receive(channel)["n"] == "fresh"


@made(memory=False)
@pytest.mark.parametrize(
    "wrong",
    [{"capacity": 0}, {"capacity": -1}, {"expiry": 0}, {"timeout": 0}, {"channel_capacity": {"x": 0}}],
    ids=repr,
)
def test_settings_that_make_no_sense(make: Callable[..., Seat], wrong: dict[str, Any]) -> None:
    from channels_bridge.shared.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        make(**wrong)
