"""Views that use the layer, each in another way."""

from __future__ import annotations

import asyncio
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.http import HttpRequest, HttpResponse, JsonResponse

PATIENCE = 5.0  # seconds for the background


def announce(request: HttpRequest, room: str) -> HttpResponse:
    """Send in a thread, through async_to_sync."""
    layer: Any = get_channel_layer()
    async_to_sync(layer.group_send)(f"room.{room}", {"type": "chat.message", "text": request.GET["text"]})
    return HttpResponse()


def announce_sync(request: HttpRequest, room: str) -> HttpResponse:
    """Send in a thread, through the sync layer."""
    layer: Any = get_channel_layer("sync")
    layer.group_send(f"room.{room}", {"type": "chat.message", "text": request.GET["text"]})
    return HttpResponse()


async def announce_async(request: HttpRequest, room: str) -> HttpResponse:
    """Send from the loop."""
    layer: Any = get_channel_layer()
    await layer.group_send(f"room.{room}", {"type": "chat.message", "text": request.GET["text"]})
    return HttpResponse()


def thumbnail(request: HttpRequest, picture: str) -> JsonResponse:  # noqa: ARG001 - it is what views are given
    """Have the background do it, and wait for the result on a channel made for that."""

    async def make() -> dict[str, Any]:
        layer: Any = get_channel_layer()
        reply: str = await layer.new_channel()
        await layer.send("thumbnails", {"type": "thumbnail.make", "picture": picture, "reply": reply})
        result: dict[str, Any] = await asyncio.wait_for(layer.receive(reply), PATIENCE)
        return result

    return JsonResponse(async_to_sync(make)())
