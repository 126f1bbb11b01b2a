"""``manage.py runworker``: a worker of this project for the bridges, with the options of Channels 1."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...asgi import DEFAULT_CHANNEL_LAYER
from ..becoming import APP, become, environment, level, project_options
from ..choosing import choose_shared

WORKER = "channels_bridge.worker"


class Command(BaseCommand):
    """Becomes ``channels-worker``, which has more options: a pool of processes, limits, reload."""

    help = "Runs a worker that handles what comes to the bridges. It becomes channels-worker, in the same process."
    become = staticmethod(become)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add those of Channels 1, and ``--bridge``."""
        super().add_arguments(parser)
        parser.add_argument("--layer", default=DEFAULT_CHANNEL_LAYER, help="The layer's alias in CHANNEL_LAYERS.")
        parser.add_argument(
            "--only-channels", action="append", default=[], metavar="PATTERN", help="Listen on these channels only."
        )
        parser.add_argument(
            "--exclude-channels", action="append", default=[], metavar="PATTERN", help="Do not listen on these."
        )
        parser.add_argument("--threads", type=int, default=1, metavar="N", help="How many consumers run at once.")
        parser.add_argument(
            "--disable-graceful-stop",
            action="store_true",
            help="Without effect: SIGTERM lets consumers end, a second one does not.",
        )
        parser.add_argument("--bridge", metavar="URL", help="Where bridges are, if neither the settings nor"
                            " $CHANNELS_BRIDGE_URL say it.")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        """Become a worker. Raises ``CommandError`` if it could serve nobody."""
        chosen = choose_shared(options["layer"], "runworker")
        arguments = [
            *project_options(),
            *chosen.bridges(options["bridge"]),
            f"--threads={max(1, options['threads'])}",
            *(f"--only-channels={pattern}" for pattern in options["only_channels"]),
            *(f"--exclude-channels={pattern}" for pattern in options["exclude_channels"]),
            f"--log-level={level(options['verbosity'])}",
            APP,
        ]
        self.become(WORKER, arguments, environment(chosen.alias))
