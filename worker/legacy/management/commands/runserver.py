"""``manage.py runserver``: server, bridge and worker of a project in development.

The server is a process of its own, so that browsers' sockets stay open while the worker is replaced.
"""

from __future__ import annotations

import os
from typing import Any

from django.apps import apps
from django.contrib.staticfiles.management.commands.runserver import Command as DjangosCommand
from django.core.management.base import CommandError, CommandParser
from django.utils import autoreload

from .....shared.addresses import ENVIRONMENT, default_url
from ...asgi import DEFAULT_CHANNEL_LAYER
from ...staticfiles import STATIC
from ..becoming import APP, become, environment, level, own_folders, project_options
from ..choosing import Chosen, choose, is_in_use

BRIDGE = "channels_bridge.bridge"
DRAIN = 5.0  # seconds for requests that run when it ends or reloads: nobody wants to wait for a server of their own
THREADS = 4  # of the worker, as Channels 1 had them in its one process


class Command(DjangosCommand):
    """Becomes ``channels-bridge serve``; with ``--noasgi`` it is Django's own."""

    help = "Starts a server, a bridge and a worker for development: views, WebSockets, static files."
    become = staticmethod(become)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add those of Channels 1 to Django's, and ``--bridge``."""
        super().add_arguments(parser)
        parser.add_argument("--layer", default=DEFAULT_CHANNEL_LAYER, help="The layer's alias in CHANNEL_LAYERS.")
        parser.add_argument("--noworker", action="store_true", help="Start no worker: runworker starts them.")
        parser.add_argument("--noasgi", action="store_true", help="Run Django's own server: no WebSockets.")
        parser.add_argument(
            "--http_timeout", type=float, default=60, metavar="SECONDS", help="How long a response may take to begin."
        )
        parser.add_argument(
            "--websocket_handshake_timeout",
            type=float,
            default=5,
            metavar="SECONDS",
            help="How long a consumer may take to accept a socket.",
        )
        parser.add_argument("--bridge", metavar="URL", help="Where other workers and programs reach this bridge.")

    def get_handler(self, *args: Any, **options: Any) -> Any:
        """Give what Django's own server runs."""
        with_files = apps.is_installed("django.contrib.staticfiles")
        return super().get_handler(*args, **{**options, **({} if with_files else {"use_static_handler": False})})

    def run(self, **options: Any) -> None:
        """Check the project as Django does, then become the server. Raises ``CommandError`` if it could not serve."""
        if options["noasgi"]:
            super().run(**options)
            return
        autoreload.raise_last_exception()  # of the settings: Django has kept it for its reloader
        chosen = choose(options["layer"])
        if not chosen.reaches_bridges:
            backend = f"{type(chosen.layer.channel_layer).__module__}.{type(chosen.layer.channel_layer).__qualname__}"
            raise CommandError(
                f"the layer {chosen.alias!r} is one in memory ({backend}), and the worker is a process of its own:"
                " name channels_bridge.worker.legacy.ChannelLayer as its BACKEND"
            )
        if not options.get("skip_checks"):
            self.stdout.write("Performing system checks...\n")
            self.check(display_num_errors=True)
        self.check_migrations()
        variables = self.variables(chosen, options)
        self.stdout.write(f"Django version {self.get_version()}, settings {variables['DJANGO_SETTINGS_MODULE']}")
        self.become(BRIDGE, ["serve", *self.serve_options(chosen, options), APP], variables)

    def serve_options(self, chosen: Chosen, options: dict[str, Any]) -> list[str]:
        """Give the options of ``channels-bridge serve``."""
        folders = own_folders() or [os.getcwd()]
        reloading = ["--reload", *(f"--reload-dir={folder}" for folder in folders)]
        return [
            *project_options(),
            f"--host={self.addr}",
            f"--port={self.port}",
            *_bridge(chosen, options["bridge"]),
            f"--workers={0 if options['noworker'] else 1}",
            f"--threads={THREADS if options['use_threading'] else 1}",
            f"--answer-timeout={options['http_timeout']}",
            f"--handshake-timeout={options['websocket_handshake_timeout']}",
            f"--drain-timeout={DRAIN}",
            *(reloading if options["use_reloader"] else []),
            f"--log-level={level(options['verbosity'])}",
        ]

    def variables(self, chosen: Chosen, options: dict[str, Any]) -> dict[str, str]:
        """Give the environment of all that is started."""
        variables = environment(chosen.alias)
        variables.pop(STATIC, None)
        if not options["use_static_handler"]:
            variables[STATIC] = "never"
        elif options["insecure_serving"]:
            variables[STATIC] = "always"
        return variables


def _bridge(chosen: Chosen, given: str | None) -> list[str]:
    """Say where the bridge is: where other programs of the project look for it, unless they never could reach it."""
    urls = (given,) if given else chosen.urls
    if len(urls) > 1:
        raise CommandError(f"runserver is one bridge: --bridge URL says at which of {', '.join(urls)}")
    if urls:
        return [f"--bridge={urls[0]}"]
    if chosen.is_private:
        return []
    if is_in_use(default_url()):
        raise CommandError(
            f"another bridge listens at {default_url()}, perhaps of another project: the workers of both would serve"
            " both. End that one, or give each project an address of its own, by --bridge ipc:///tmp/NAME/ or by"
            f" ${ENVIRONMENT}, which its other programs need as well"
        )
    return [f"--bridge={default_url()}"]
