# pyright: basic
"""The counter of counting_consumer.py for Channels 4, with channels_redis at $BENCH_REDIS as its channel layer."""

from __future__ import annotations

import os
from typing import Any

import django
from benchmarks.rig.ledger import reply
from django.conf import settings

# redis-py has to wait for longer than receive() blocks: both take 5 s by default, and the race kills it
_HOST = {"address": os.environ["BENCH_REDIS"], "socket_timeout": 60.0}
_LAYER = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [_HOST]}}
settings.configure(CHANNEL_LAYERS={"default": _LAYER}, SECRET_KEY="of a measurement")
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402


class Counter(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """Its state is in the process with the socket."""

    count = 0

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.count += 1
        await self.send(text_data=reply(text_data or "", self.count))


application: Any = ProtocolTypeRouter({"websocket": Counter.as_asgi()})
