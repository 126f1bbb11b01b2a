"""``manage.py announce ROOM TEXT``: tell a room something, out of a process that serves nobody."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Tell a room something"

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("room")
        parser.add_argument("text")

    def handle(self, *args: Any, **options: Any) -> None:
        layer: Any = get_channel_layer()
        message = {"type": "chat.message", "text": options["text"]}
        async_to_sync(layer.group_send)(f"room.{options['room']}", message)
