"""The bridge, for a protocol server of the system tests; workers reach it at $CHANNELS_BRIDGE_URL."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from channels_bridge import Bridge, Config

application = Bridge()
impatient = Bridge(config=Config(http_queue=0.5))


async def counting(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The bridge, which also tells its counters at /statistics."""
    if scope["type"] != "http" or scope["path"] != "/statistics":
        await application(scope, receive, send)
        return
    statistics = application.start().link.core.statistics
    body = json.dumps(dataclasses.asdict(statistics)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
