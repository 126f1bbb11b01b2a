"""The layers of old deployments, made in a project's own code."""

from __future__ import annotations

import pytest

from channels_bridge.shared.errors import ConfigurationError
from channels_bridge.worker.legacy import former
from channels_bridge.worker.legacy.layer import BridgeLayer


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("RedisChannelLayer", {"hosts": [("localhost", 6379)], "prefix": "x:", "symmetric_encryption_keys": ["k"]}),
        ("RedisLocalChannelLayer", {"hosts": ["redis://h"]}),
        ("RedisSentinelChannelLayer", {"hosts": [("s", 1)], "services": ["m"], "sentinel_refresh_interval": 1}),
        ("IPCChannelLayer", {"prefix": "x", "message_memory": 1, "group_memory": 1}),
        ("RabbitmqChannelLayer", {"url": "amqp://h"}),
        ("RabbitmqLocalChannelLayer", {"url": "amqp://h"}),
    ],
)
def test_arguments_of_the_old_layers_are_taken(name: str, config: dict[str, object]) -> None:
    limits = {"expiry": 30, "group_expiry": 600, "capacity": 7, "channel_capacity": {"a*": 1}}
    layer = getattr(former, name)(**config, **limits)
    assert isinstance(layer, BridgeLayer)
    assert (layer.expiry, layer.group_expiry, layer.capacity) == (30, 600, 7)


def test_what_is_wrong_in_what_still_counts_is_told() -> None:
    with pytest.raises(ConfigurationError, match="capacity"):
        former.RedisChannelLayer(capacity=-1)
