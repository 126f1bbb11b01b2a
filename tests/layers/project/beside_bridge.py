"""The application in one process with a bridge, which has no connections here, but the layer's."""

from __future__ import annotations

from typing import Any

from channels_bridge import Bridge
from layers.project.asgi import application as project

bridge = Bridge()


async def application(scope: Any, receive: Any, send: Any) -> None:
    await (bridge if scope["type"] == "lifespan" else project)(scope, receive, send)
