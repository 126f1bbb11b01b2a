"""The layers that deployments of Channels 1 had, by their names, for projects that make them in their own code.

Their messages go over the bridge. Arguments about Redis, shared memory and the like are taken, and without effect.
"""

from __future__ import annotations

from typing import Any

from .asgi import KEPT
from .layer import BridgeLayer


class _Former(BridgeLayer):
    def __init__(self, **config: Any) -> None:
        super().__init__(**{key: value for key, value in config.items() if key in KEPT})


class RedisChannelLayer(_Former):
    """Of asgi_redis."""


class RedisLocalChannelLayer(_Former):
    """Of asgi_redis."""


class RedisSentinelChannelLayer(_Former):
    """Of asgi_redis."""


class IPCChannelLayer(_Former):
    """Of asgi_ipc."""


class RabbitmqChannelLayer(_Former):
    """Of asgi_rabbitmq."""


class RabbitmqLocalChannelLayer(_Former):
    """Of asgi_rabbitmq."""
