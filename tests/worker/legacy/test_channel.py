"""Channels and groups: what is sent at once, what when the consumer ends, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from channels_bridge.shared.errors import ChannelFull
from channels_bridge.worker.legacy.asgi import channel_layers
from channels_bridge.worker.legacy.channel import Channel, Group
from channels_bridge.worker.legacy.memory import ChannelLayer
from channels_bridge.worker.legacy.message import pending_message_store


@pytest.fixture
def layer() -> ChannelLayer:
    """Give a layer."""
    return ChannelLayer(capacity=2)


@pytest.fixture
def in_consumer() -> Iterator[None]:
    """Be in a consumer; it has ended when the test is over."""
    pending_message_store.prepare()
    yield
    pending_message_store.send_and_flush()


def test_names(layer: ChannelLayer) -> None:
    for kind in (Channel, Group):
        assert kind("a", channel_layer=layer).name == kind(b"a", channel_layer=layer).name == "a"
    assert str(Channel("a", channel_layer=layer)) == "a"


def test_the_layer_is_the_one_that_is_given_or_that_of_the_alias(layer: ChannelLayer) -> None:
    for kind in (Channel, Group):
        assert kind("a", channel_layer=layer).channel_layer is layer
        assert kind("a").channel_layer is kind("a", "default").channel_layer is channel_layers["default"]
        assert kind("a", alias="default").channel_layer is channel_layers["default"]
        with pytest.raises(ValueError, match="CHANNEL_LAYERS has no 'nothing'"):
            kind("a", "nothing")


def test_outside_of_a_consumer_it_is_sent_at_once(layer: ChannelLayer) -> None:
    Channel("a", channel_layer=layer).send({"n": 1})
    assert layer.receive(["a"]) == ("a", {"n": 1})
    group = Group("g", channel_layer=layer)
    group.add("a")
    group.send({"n": 2})
    assert layer.receive(["a"]) == ("a", {"n": 2})


@pytest.mark.usefixtures("in_consumer")
def test_in_a_consumer_it_is_sent_in_order_when_that_ends(layer: ChannelLayer) -> None:
    Group("g", channel_layer=layer).add("a")
    Channel("a", channel_layer=layer).send({"n": 1})
    Group("g", channel_layer=layer).send({"n": 2})
    assert layer.receive(["a"]) == (None, None)
    pending_message_store.send_and_flush()
    assert [layer.receive(["a"])[1] for _ in range(2)] == [{"n": 1}, {"n": 2}]


@pytest.mark.usefixtures("in_consumer")
def test_immediately_is_at_once_in_a_consumer_too(layer: ChannelLayer) -> None:
    group = Group("g", channel_layer=layer)
    group.add("a")
    Channel("a", channel_layer=layer).send({"n": 1}, immediately=True)
    group.send({"n": 2}, immediately=True)
    assert [layer.receive(["a"])[1] for _ in range(2)] == [{"n": 1}, {"n": 2}]


@pytest.mark.usefixtures("in_consumer")
def test_memberships_change_at_once_and_those_at_the_end_count(layer: ChannelLayer) -> None:
    """Who joins after the group was sent to hears it, and who leaves does not: as it is sent when the consumer ends."""
    group = Group("g", channel_layer=layer)
    group.add(Channel("leaver", channel_layer=layer))
    group.send({"n": 1})
    group.add(Channel("joiner", channel_layer=layer))
    group.discard(Channel("leaver", channel_layer=layer))
    assert layer.group_channels("g") == ["joiner"]
    pending_message_store.send_and_flush()
    assert layer.receive(["joiner"]) == ("joiner", {"n": 1})
    assert layer.receive(["leaver"]) == (None, None)


def test_what_is_full(layer: ChannelLayer) -> None:
    channel, group = Channel("a", channel_layer=layer), Group("g", channel_layer=layer)
    group.add(channel)
    channel.send({})
    channel.send({})
    with pytest.raises(ChannelFull):
        channel.send({})
    with pytest.raises(layer.ChannelFull):
        channel.send({}, immediately=True)
    group.send({})


@pytest.mark.usefixtures("in_consumer")
@pytest.mark.parametrize("content", ["text", None, [], [("a", 1)]])
def test_only_dicts_are_sent_and_who_sends_another_thing_is_told_at_once(layer: ChannelLayer, content: Any) -> None:
    with pytest.raises(TypeError, match="a message on a has to be a dict"):
        Channel("a", channel_layer=layer).send(content)
    with pytest.raises(ValueError, match="a message to the group g has to be a dict"):
        Group("g", channel_layer=layer).send(content)
