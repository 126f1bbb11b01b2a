"""``CHANNEL_LAYERS`` and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from channels_bridge.worker.legacy import asgi
from channels_bridge.worker.legacy.asgi import (
    ChannelLayerManager,
    ChannelLayerWrapper,
    InvalidChannelLayerError,
    channel_layers,
    get_channel_layer,
)
from channels_bridge.worker.legacy.layer import BridgeLayer
from channels_bridge.worker.legacy.memory import ChannelLayer

MEMORY = "channels_bridge.worker.legacy.memory.ChannelLayer"


def made(**config: Any) -> ChannelLayerWrapper:
    """Make the layer of these settings."""
    with override_settings(CHANNEL_LAYERS={"default": config}):
        return ChannelLayerManager()["default"]


def test_a_layer_with_its_routing() -> None:
    wrapper = made(BACKEND=MEMORY, ROUTING=[], CONFIG={"capacity": 3})
    assert isinstance(wrapper.channel_layer, ChannelLayer)
    assert (wrapper.alias, wrapper.routing, wrapper.router.channels) == ("default", [], set())
    assert wrapper.router is wrapper.router
    assert wrapper.capacity == 3
    assert wrapper.local_only() is True
    assert str(wrapper) == "default (ChannelLayer)"
    wrapper.send("a", {})
    assert wrapper.receive(["a"]) == ("a", {})
    with pytest.raises(AttributeError):
        _ = wrapper.nonsense


def test_routing_is_imported_when_it_is_used_first() -> None:
    wrapper = made(BACKEND=MEMORY, ROUTING="missing.module.routes")
    with pytest.raises(Exception, match=r"missing\.module\.routes"):
        _ = wrapper.router


@pytest.mark.parametrize(
    ("backend", "config"),
    [
        ("asgi_redis.RedisChannelLayer", {"hosts": [("localhost", 6379)], "prefix": "x:", "expiry": 30}),
        ("asgi_redis.core.RedisChannelLayer", {"hosts": ["redis://h"], "expiry": 30, "connection_kwargs": {}}),
        ("asgi_redis.RedisLocalChannelLayer", {"expiry": 30}),
        ("asgi_redis.RedisSentinelChannelLayer", {"services": ["m"], "hosts": [("s", 1)], "expiry": 30}),
        ("asgi_ipc.IPCChannelLayer", {"prefix": "x", "expiry": 30}),
        ("asgi_rabbitmq.RabbitmqChannelLayer", {"url": "amqp://h", "expiry": 30}),
        ("asgiref.inmemory.ChannelLayer", {"expiry": 30}),
        ("channels_bridge.worker.legacy.ChannelLayer", {"expiry": 30}),
    ],
)
def test_layers_of_old_deployments_are_the_bridges(backend: str, config: dict[str, Any]) -> None:
    wrapper = made(BACKEND=backend, ROUTING=[], CONFIG={**config, "channel_capacity": {"http.*": 3}, "capacity": 7})
    assert isinstance(wrapper.channel_layer, BridgeLayer)
    assert (wrapper.expiry, wrapper.capacity, wrapper.local_only()) == (30, 7, False)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"ROUTING": []}, r"CHANNEL_LAYERS\['default'\] has no BACKEND"),
        ({"BACKEND": MEMORY}, r"CHANNEL_LAYERS\['default'\] has no ROUTING"),
        ({"BACKEND": "missing.Layer", "ROUTING": []}, r"cannot import the BACKEND 'missing\.Layer'"),
        ({"BACKEND": MEMORY, "ROUTING": [], "CONFIG": {"hosts": []}}, "CONFIG does not fit"),
        ({"BACKEND": "asgi_redis.RedisChannelLayer", "ROUTING": [], "CONFIG": {"capacity": -1}}, "capacity"),
    ],
)
def test_what_is_wrong_is_told(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        made(**config)
    assert issubclass(InvalidChannelLayerError, ValueError)


def test_test_layers() -> None:
    manager = ChannelLayerManager()
    assert isinstance(manager.make_test_backend("default").channel_layer, ChannelLayer)
    config = {"BACKEND": MEMORY, "ROUTING": [], "TEST_CONFIG": {"capacity": 5}}
    with override_settings(CHANNEL_LAYERS={"default": config, "other": {"BACKEND": MEMORY, "ROUTING": []}}):
        assert manager.make_test_backend("default").capacity == 5
        with pytest.raises(InvalidChannelLayerError, match=r"CHANNEL_LAYERS\['other'\] has no TEST_CONFIG"):
            manager.make_test_backend("other")
    config = {**config, "BACKEND": "asgi_redis.RedisChannelLayer", "TEST_CONFIG": {"hosts": ["redis://h"], "expiry": 5}}
    with override_settings(CHANNEL_LAYERS={"default": config}):
        wrapper = manager.make_test_backend("default")
        assert isinstance(wrapper.channel_layer, ChannelLayer)
        assert wrapper.expiry == 5


def test_aliases() -> None:
    assert channel_layers["default"] is channel_layers["default"]
    assert "default" in channel_layers
    assert "other" not in channel_layers
    assert list(channel_layers) == ["default"]
    with pytest.raises(InvalidChannelLayerError, match="CHANNEL_LAYERS has no 'other'"):
        _ = channel_layers["other"]
    with override_settings(CHANNEL_LAYERS={}):
        assert list(channel_layers) == []


def test_another_layer_in_place_of_an_aliass() -> None:
    manager = ChannelLayerManager()
    one, other = (ChannelLayerWrapper(ChannelLayer(), "default", []) for _ in range(2))
    assert manager.set("default", one) is None
    assert manager["default"] is one
    assert manager.set("default", other) is one
    assert manager["default"] is other


def test_what_an_asgi_file_gets_is_the_layer_itself() -> None:
    assert get_channel_layer() is channel_layers["default"].channel_layer
    assert get_channel_layer("default") is get_channel_layer(asgi.DEFAULT_CHANNEL_LAYER)
