"""Who may receive on what, and what a receiver is given."""

from __future__ import annotations

from typing import Any

import pytest

from channels_bridge.shared.config import Config
from channels_bridge.shared.errors import BridgeUnavailable, InvalidName, LocalProtocolError
from channels_bridge.shared.names import process_channel
from channels_bridge.shared.wire import pack_event
from channels_bridge.worker import receiving
from channels_bridge.worker.core.calls import CLOSED
from channels_bridge.worker.core.channels import Bounds, Parcel
from channels_bridge.worker.hub import Hub
from channels_bridge.worker.links import Links, make_hello

BOUNDS = Bounds(10, 60.0, 60.0)


def made() -> Hub:
    return Hub(Links(("ipc:///nowhere/",), make_hello("layer"), Config()))


@pytest.fixture
def hub() -> Hub:
    return made()


def test_the_box_of_a_name_is_at_hand_as_long_as_both_live(hub: Hub) -> None:
    name = hub.new_channel("specific", 1, BOUNDS)
    assert receiving.live_box(name, hub) is name.box
    assert name.box.received
    assert receiving.live_box(str(name), hub) is None
    assert receiving.live_box(name, made()) is None
    name.box.closed = True
    assert receiving.live_box(name, hub) is None


def test_own_channels_and_named_ones_may_be_received_on(hub: Hub) -> None:
    receiving.check("thumbnails", hub)
    receiving.check(process_channel("specific", hub.boot, 1), hub)
    with pytest.raises(InvalidName):
        receiving.check("with space", hub)


@pytest.mark.parametrize(
    ("channel", "whose"),
    [
        ("consumer.00000000000000b0!1", "a consumer or client"),
        ("reply.00000000000000b0!1", "a consumer or client"),
        (process_channel("specific", 0xB0, 1), "another process"),
        ("odd!one", "another process"),
    ],
)
def test_those_of_others_may_not(hub: Hub, channel: str, whose: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"belongs to {whose}: here nobody can receive on it"):
        receiving.check(channel, hub)


def test_a_message_is_unpacked_for_who_gets_it(hub: Hub) -> None:
    assert receiving.opened(pack_event({"type": "x", "n": 1}), hub) == {"type": "x", "n": 1}


@pytest.mark.parametrize("message", [{"type": "x", "n": 1, "b": b"", "f": 1.5, "z": None}, {"type": "x", "l": [1]}])
def test_a_message_for_many_is_each_ones_own(hub: Hub, message: dict[str, Any]) -> None:
    parcel = Parcel(pack_event(message))
    for _ in range(3):
        got = receiving.opened(parcel, hub)
        assert got == message
        got["n"] = 2
        got.get("l", []).append(2)


def test_a_message_that_is_flat_is_unpacked_once(hub: Hub) -> None:
    parcel = Parcel(pack_event({"type": "x"}))
    receiving.opened(parcel, hub)
    parcel.event = b"nobody looks at it again"
    assert receiving.opened(parcel, hub) == {"type": "x"}


def test_a_channel_that_was_closed_is_said(hub: Hub) -> None:
    with pytest.raises(BridgeUnavailable, match="the channel layer at ipc:///nowhere/ was closed"):
        receiving.opened(CLOSED, hub)
