"""The command ``channels-bridge``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..shared import logs
from ..shared.addresses import ENVIRONMENT
from ..shared.config import Config
from ..shared.errors import ConfigurationError, InvalidName
from ..shared.names import check_named
from .commands.letters import letters
from .commands.migrate import migrate
from .commands.status import status
from .passing import limits_given, takes_limits

INTERFACES = ("auto", "asgi3", "asgi2", "consumer", "function", "channels1")  # as worker/settings.py has them
DEFAULT_POOL = "default"
SERVER = ("uvicorn", "websockets")  # what [server] brings and serve cannot do without
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
CONTEXT = {
    "auto_envvar_prefix": "CHANNELS_BRIDGE",
    "help_option_names": ["-h", "--help"],
    "show_default": True,
}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="channels-bridge")
def main() -> None:
    """Sockets stay in a bridge; the code that answers them runs in worker processes."""


main.add_command(status)
main.add_command(letters)
main.add_command(migrate)


@main.command()
@click.argument("app")
@click.option("--host", default="127.0.0.1", help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Where to listen; 0: any free port.")
@click.option("--uds", type=click.Path(path_type=Path), help="Listen on this Unix socket instead.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    metavar="N",
    help="Worker processes of the default pool; 0: others are started apart from this.",
    envvar=["CHANNELS_BRIDGE_SERVE_WORKERS", "WEB_CONCURRENCY"],
)
@click.option("--pool", "pools", multiple=True, metavar="NAME=N", help="Another pool, with N worker processes.")
@click.option("--route", "routes", multiple=True, metavar="PREFIX=POOL", help="Paths that another pool serves.")
@click.option(
    "--channels",
    multiple=True,
    metavar="NAME,NAME[=N]",
    help="Named channels that N more worker processes listen on (1 without N).",
)
@click.option(
    "-b",
    "--bridge",
    "url",
    metavar="URL",
    envvar=ENVIRONMENT,
    help="Where workers connect, for scripts and other workers as well: ipc:///directory/ or tcp://127.0.0.1:port."
    f"  [default: ${ENVIRONMENT}, or a private directory of this run]",
)
@click.option(
    "--engine",
    metavar="URL",
    envvar="CHANNELS_BRIDGE_ENGINE",
    help="What joins this bridge with those of other machines: nats://host:4222 or redis://host:6379.",
)
@click.option(
    "--dead-letters",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    envvar="CHANNELS_BRIDGE_DEAD_LETTERS",
    help="Where messages are kept that two workers were lost with.  [default: in memory]",
)
@click.option(
    "--metrics",
    metavar="HOST:PORT",
    envvar="CHANNELS_BRIDGE_METRICS",
    help="Where Prometheus may ask, as in 127.0.0.1:9100.  [default: nowhere]",
)
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Of each worker process, for sync consumers.")
@click.option("--max-inflight", type=click.IntRange(1), metavar="N", help="Turns at once in a worker process.")
@click.option("--interface", type=click.Choice(INTERFACES), default="auto", help="What APP is.")
@click.option("--app-dir", type=FOLDER, default=Path(), help="Where APP is imported from.")
@click.option("--factory", is_flag=True, help="APP is a function that returns the application.")
@click.option("--env-file", type=FILE, help="Environment variables for APP, KEY=VALUE a line.")
@click.option(
    "--drain-timeout",
    type=click.FloatRange(0),
    default=Config().drain,
    metavar="SECONDS",
    help="How long connections may take to end when all is stopped.",
)
@click.option(
    "--ws-max-size",
    type=click.IntRange(1),
    default=Config().max_message_bytes,
    metavar="BYTES",
    help="The longest WebSocket message.",
)
@click.option(
    "--handshake-timeout",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How long APP may take to accept a socket; 0: no limit.  [default: 0; 5 with --interface channels1]",
)
@click.option(
    "--answer-timeout",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How long APP may take to begin an answer; 0: no limit.  [default: 0; 120 with --interface channels1]",
)
@takes_limits
@click.option("--root-path", default="", help="Where a proxy has mounted the app.")
@click.option("--access-log/--no-access-log", default=True, help="Log each request.")
@click.option("-l", "--log-level", type=click.Choice(logs.LEVELS), default="info")
def serve(**options: Any) -> None:
    """Serve APP (module:attribute): server, bridge and workers, all on this machine.

    Ctrl-C or SIGTERM ends it all, a second one at once. Exit code 3 says that APP cannot be started.
    """
    if options["django_shims"] and options["interface"] != "channels1":
        raise click.UsageError("--django-shims goes with --interface channels1")
    workers = {DEFAULT_POOL: options["workers"], **pools_of(options["pools"])}
    routes = routes_of(options["routes"], workers)
    if any(importlib.util.find_spec(module) is None for module in SERVER):
        raise click.ClickException('serve needs a server: pip install "channels-bridge[server]"')
    if options["env_file"] is not None and importlib.util.find_spec("dotenv") is None:
        raise click.ClickException("--env-file needs python-dotenv: pip install python-dotenv")
    logs.set_up(options["log_level"])
    from . import serve as serving  # only here, as uvicorn is an extra

    names = (
        "app",
        "url",
        "engine",
        "dead_letters",
        "metrics",
        "host",
        "port",
        "uds",
        "root_path",
        "ws_max_size",
        "drain_timeout",
        "access_log",
    )
    plan = serving.Plan(
        workers=workers,
        routes=routes,
        channels=channels_of(options["channels"]),
        worker_options=worker_options(options),
        handshake=deadline_of(options, "handshake_timeout", 5.0),
        answer=deadline_of(options, "answer_timeout", 120.0),
        **{name: options[name] for name in names},
    )
    try:
        sys.exit(serving.serve(plan))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error


def deadline_of(options: dict[str, Any], name: str, of_channels1: float) -> float:
    """Give a limit on the application's time: daphne's defaults for what ran behind daphne, else none."""
    given: float | None = options[name]
    if given is not None:
        return given
    return of_channels1 if options["interface"] == "channels1" else 0.0


def pools_of(given: Sequence[str]) -> dict[str, int]:
    """Read NAME=N, or raise ``click.UsageError`` that shows it."""
    pools: dict[str, int] = {}
    for text in given:
        name, _, count = text.partition("=")
        if not name or "," in name or not count.isdecimal() or not int(count):
            raise click.UsageError(f"--pool {text}: this should be NAME=N, as in cpu=2")
        if name == DEFAULT_POOL:
            raise click.UsageError(f"--pool {text}: --workers says how many the {DEFAULT_POOL} pool has")
        if name in pools:
            raise click.UsageError(f"--pool {text}: there is such a pool already")
        pools[name] = int(count)
    return pools


def channels_of(given: Sequence[str]) -> dict[str, int]:
    """Read NAME,NAME=N, N being 1 where it is left out, or raise ``click.UsageError`` that shows it."""
    channels: dict[str, int] = {}
    for text in given:
        names, _, count = text.partition("=")
        try:
            listed = ",".join(check_named(name.strip()) for name in names.split(","))
        except InvalidName as error:
            raise click.UsageError(f"--channels {text}: {error}") from None
        if count and (not count.isdecimal() or not int(count)):
            raise click.UsageError(f"--channels {text}: this should be NAME,NAME=N, as in thumbnails,mail=2")
        channels[listed] = channels.get(listed, 0) + int(count or 1)
    return channels


def routes_of(given: Sequence[str], workers: dict[str, int]) -> dict[str, str]:
    """Read PREFIX=POOL, or raise ``click.UsageError`` that shows it, or a pool that cannot be reached."""
    routes: dict[str, str] = {}
    for text in given:
        prefix, _, pool = text.rpartition("=")
        if not prefix.startswith("/") or not pool:
            raise click.UsageError(f"--route {text}: this should be PREFIX=POOL, as in /render/=cpu")
        if pool not in workers:
            raise click.UsageError(f"--route {text}: no pool has that name; --pool {pool}=N starts one")
        if prefix in routes:
            raise click.UsageError(f"--route {text}: {prefix} has a pool already")
        routes[prefix] = pool
    for pool in workers.keys() - routes.values() - {DEFAULT_POOL}:
        raise click.UsageError(f"--pool {pool}: nothing would reach it; --route PREFIX={pool} says which paths do")
    return routes


def worker_options(options: dict[str, Any]) -> tuple[str, ...]:
    """Give those that are passed on to ``channels-worker``."""
    names = ("threads", "max_inflight", "interface", "app_dir", "env_file", "drain_timeout", "log_level")
    given = [f"--{name.replace('_', '-')}={options[name]}" for name in names if options[name] is not None]
    given += limits_given(options)
    return (*given, "--factory") if options["factory"] else tuple(given)
