"""``manage.py rundelay``: the delay server."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser

from .....shared import logs
from ...asgi import DEFAULT_CHANNEL_LAYER
from ...logs import say_once
from ..becoming import level
from ..choosing import choose_shared


class Command(BaseCommand):
    """Keeps messages of ``asgi.delay`` in the database until they are due. SIGTERM or Ctrl-C end it."""

    help = "Sends messages later: those on asgi.delay, once they are due."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add those of Channels 1."""
        super().add_arguments(parser)
        parser.add_argument("--layer", default=DEFAULT_CHANNEL_LAYER, help="The layer's alias in CHANNEL_LAYERS.")
        parser.add_argument(
            "--sleep", type=float, default=1.0, metavar="SECONDS", help="How long between two looks into the database."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until told to stop. Raises ``CommandError`` if it could serve nobody."""
        if not apps.is_installed("channels_bridge.worker.legacy.delay"):
            raise CommandError(
                "rundelay keeps messages in a table: add 'channels.delay' to INSTALLED_APPS, and migrate"
            )
        chosen = choose_shared(options["layer"], "rundelay")
        logs.set_up(level(options["verbosity"]))
        say_once()
        from ...delay.worker import Worker  # its models are there only if the application is installed

        Worker(chosen.layer, database_sleep_duration=max(0.0, options["sleep"])).run()
