"""The command ``channels-worker``: options in, settings out; one process, or a supervisor of several."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click

from ..shared import logs
from ..shared.addresses import ENVIRONMENT, check_exposure, default_url, parse
from ..shared.config import Config
from ..shared.errors import ConfigurationError, InvalidName
from ..shared.names import check_named
from .settings import INTERFACES, LIFESPANS, LOOPS, Settings
from .supervisor import Supervisor

DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Settings) if f.default is not MISSING}
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
CONTEXT = {
    "auto_envvar_prefix": "CHANNELS_WORKER",
    "help_option_names": ["-h", "--help"],
    "show_default": True,
}


@click.command(
    context_settings=CONTEXT,
    epilog="Each option can be set by a variable, too: --threads by CHANNELS_WORKER_THREADS.",
)
@click.argument("app")
@click.option(
    "-b",
    "--bridge",
    "urls",
    multiple=True,
    metavar="URL",
    envvar="CHANNELS_WORKER_BRIDGE",
    help="Where bridges are: ipc:///directory/, tcp://host:port or tcp://host:first-last; may be repeated."
    f"  [default: ${ENVIRONMENT}, or a private directory of this user]",
)
@click.option(
    "-Q",
    "--pools",
    multiple=True,
    metavar="POOL",
    help="The pools to serve; repeated, or separated by commas.  [default: default; none with --channels]",
)
@click.option(
    "--channels",
    multiple=True,
    metavar="NAME",
    help="Listen on these named channels; repeated, or separated by commas. APP is a consumer for the type channel, a"
    " function that takes a message, or an ASGI application.",
)
@click.option(
    "-c",
    "--processes",
    type=click.IntRange(1),
    default=1,
    envvar=["CHANNELS_WORKER_PROCESSES", "WEB_CONCURRENCY"],
    help="How many; 2 and more are watched by a supervisor.  [env: WEB_CONCURRENCY]",
)
@click.option("--threads", type=click.IntRange(1), default=DEFAULTS["threads"], help="For sync consumers.")
@click.option(
    "--max-inflight",
    type=click.IntRange(1),
    metavar="N",
    help="Turns at once in a process.  [default: --threads for sync consumers, else 64]",
)
@click.option(
    "--max-connections",
    type=click.IntRange(0),
    default=DEFAULTS["max_connections"],
    metavar="N",
    help="Connections at once in a process; 0: no bound.",
)
@click.option("--interface", type=click.Choice(INTERFACES), default=DEFAULTS["interface"], help="What APP is.")
@click.option("--lifespan", type=click.Choice(LIFESPANS), default=DEFAULTS["lifespan"], help="ASGI lifespan events.")
@click.option("--loop", type=click.Choice(LOOPS), default=DEFAULTS["loop"], help="The event loop.")
@click.option("--app-dir", type=FOLDER, default=Path(), help="Where APP is imported from.")
@click.option("--factory", is_flag=True, help="APP is a function that returns the application.")
@click.option("--env-file", type=FILE, help="Environment variables, KEY=VALUE a line; those that are set win.")
@click.option(
    "--drain-timeout",
    type=click.FloatRange(0),
    default=DEFAULTS["drain_timeout"],
    metavar="SECONDS",
    help="How long connections may take to end after SIGTERM.",
)
@click.option("--insecure-tcp", is_flag=True, help="Allow tcp:// off the loopback: a firewall keeps strangers out.")
@click.option("-l", "--log-level", type=click.Choice(logs.LEVELS), default="info")
@click.option("--supervise", is_flag=True, hidden=True, allow_from_autoenv=False)
@click.option("--parent-fd", type=click.IntRange(0), hidden=True, allow_from_autoenv=False)
@click.version_option(package_name="channels-bridge")
def main(**options: Any) -> None:
    """Host APP (module:attribute) for the bridges of protocol servers.

    SIGTERM or Ctrl-C ends it warmly: what is in progress is finished. A second one ends it at once. Exit code
    3 says that APP cannot be started.
    """
    settings = settings_of(options)
    logs.set_up(options["log_level"])
    if options["processes"] > 1 or options["supervise"]:
        command = [sys.executable, "-m", "channels_bridge.worker", *arguments(settings, options["log_level"])]
        supervisor = Supervisor(
            command, options["processes"], drain_timeout=settings.drain_timeout, parent_fd=settings.parent_fd
        )
        sys.exit(supervisor.run())
    if settings.env_file is not None:
        importlib.import_module("dotenv").load_dotenv(settings.env_file)
    from .process import run  # the loop and ZeroMQ: a supervisor needs neither

    sys.exit(run(settings))


def settings_of(options: dict[str, Any]) -> Settings:
    """Make settings of the command's options. Raises ``click.UsageError`` that names the option at fault."""
    urls = options["urls"] or (default_url(),)
    try:
        for url in urls:
            check_exposure(parse(url), options["insecure_tcp"])
    except ConfigurationError as error:
        raise click.UsageError(f"--bridge: {error}") from None
    if options["loop"] == "uvloop":
        _check_installed("--loop uvloop", "uvloop", "uvloop")
    if options["env_file"] is not None:  # read as uvicorn does it, with the same library
        _check_installed("--env-file", "dotenv", "python-dotenv")
    config = Config(insecure_tcp=options["insecure_tcp"])
    names = {field.name for field in fields(Settings)} & options.keys()
    given = {name: options[name] for name in names - {"urls", "pools", "channels"}}
    channels = _channels(options["channels"])
    pools = _listed(options["pools"]) or (() if channels else DEFAULTS["pools"])
    if not all(pools):
        raise click.UsageError(f"--pools: {','.join(options['pools'])!r} names a pool that has no name")
    return Settings(urls=urls, pools=pools, channels=channels, config=config, **given)


def _check_installed(option: str, module: str, distribution: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise click.UsageError(f"{option} needs {distribution}: pip install {distribution}")


def _listed(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for names in given for name in names.split(",")))


def _channels(given: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(check_named(name) for name in _listed(given))
    except InvalidName as error:
        raise click.UsageError(f"--channels: {error}") from None


def arguments(settings: Settings, log_level: str) -> list[str]:
    """Write settings as the command line of one process; ``parent_fd`` is left to who starts it."""
    options: dict[str, Any] = {
        "--threads": settings.threads,
        "--max-inflight": settings.max_inflight,
        "--max-connections": settings.max_connections,
        "--interface": settings.interface,
        "--lifespan": settings.lifespan,
        "--loop": settings.loop,
        "--app-dir": settings.app_dir,
        "--env-file": settings.env_file,
        "--drain-timeout": settings.drain_timeout,
        "--pools": ",".join(settings.pools) or None,
        "--channels": ",".join(settings.channels) or None,
        "--processes": 1,  # said, as WEB_CONCURRENCY is inherited
        "--log-level": log_level,
    }
    flags = {"--factory": settings.factory, "--insecure-tcp": settings.config.insecure_tcp}
    return [
        *(f"{name}={value}" for name, value in options.items() if value is not None),
        *(f"--bridge={url}" for url in settings.urls),
        *(name for name, is_set in flags.items() if is_set),
        settings.app,
    ]
