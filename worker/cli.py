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
from .sizes import size
from .supervisor import Supervisor
from .time_limits import limits

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
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help=f"For sync consumers.  [default: {DEFAULTS['threads']} here; 1 with --interface channels1, as in runworker]",
)
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
@click.option(
    "--only-channels",
    multiple=True,
    metavar="PATTERN",
    help="Of a Channels 1 routing, listen on these channels only, as in 'websocket.*'; may be repeated.",
)
@click.option(
    "--exclude-channels",
    multiple=True,
    metavar="PATTERN",
    help="Of a Channels 1 routing, do not listen on these channels; may be repeated.",
)
@click.option("--django-shims", is_flag=True, help="For code of old: bring back django.utils.six and its like.")
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
@click.option(
    "--soft-time-limit",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="For a turn: then an async handler is cancelled, and SoftTimeLimitExceeded raised in a sync one.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="For a turn: then it is given up; if its handler cannot be ended, the process is replaced.",
)
@click.option(
    "--max-memory-per-child",
    type=size,
    default=DEFAULTS["max_memory_per_child"],
    metavar="BYTES",
    help="Replace a process that has more, resident; with k, M or G behind the number. 0: no bound.",
)
@click.option(
    "--max-turns-per-child",
    type=click.IntRange(0),
    default=DEFAULTS["max_turns_per_child"],
    metavar="N",
    help="Replace a process after N turns, or connections of an ASGI application. 0: never.",
)
@click.option(
    "--max-turns-jitter",
    type=click.IntRange(0),
    default=DEFAULTS["max_turns_jitter"],
    metavar="N",
    help="Up to N turns more, at random for each process.",
)
@click.option("--reload", is_flag=True, help="Replace the processes when a *.py file changes.")
@click.option("--reload-dir", "reload_dirs", type=FOLDER, multiple=True, help="Where to look.  [default: --app-dir]")
@click.option("--insecure-tcp", is_flag=True, help="Allow tcp:// off the loopback: a firewall keeps strangers out.")
@click.option("-l", "--log-level", type=click.Choice(logs.LEVELS), default="info")
@click.option("--supervise", is_flag=True, hidden=True, allow_from_autoenv=False)
@click.option("--parent-fd", type=click.IntRange(0), hidden=True, allow_from_autoenv=False)
@click.version_option(package_name="channels-bridge")
def main(**options: Any) -> None:
    """Host APP (module:attribute) for the bridges of protocol servers.

    SIGTERM or Ctrl-C ends it warmly: what is in progress is finished. A second one ends it at once. SIGHUP replaces
    the processes of a supervisor one after the other. Exit code 3 says that APP cannot be started.
    """
    settings = settings_of(options)
    logs.set_up(options["log_level"])
    if needs_supervisor(settings, options):
        sys.exit(supervise(settings, options))
    if settings.env_file is not None:
        importlib.import_module("dotenv").load_dotenv(settings.env_file)
    from .process import run  # the loop and ZeroMQ: a supervisor needs neither

    sys.exit(run(settings))


def needs_supervisor(settings: Settings, options: dict[str, Any]) -> bool:
    """Say whether this process is to start others, and not to be a worker itself."""
    if settings.parent_fd is not None:  # a child does what it is told, whatever the environment says
        return bool(options["supervise"])
    ends = settings.time_limit or settings.max_memory_per_child or settings.max_turns_per_child
    return options["processes"] > 1 or options["supervise"] or options["reload"] or bool(ends)  # somebody restarts it


def supervise(settings: Settings, options: dict[str, Any]) -> int:
    """Keep processes up until told to stop; give the exit code."""
    command = [sys.executable, "-m", "channels_bridge.worker", *arguments(settings, options["log_level"])]
    supervisor = Supervisor(
        command,
        options["processes"],
        drain_timeout=settings.drain_timeout,
        parent_fd=settings.parent_fd,
        persistent=options["reload"],
    )
    if options["reload"]:
        from .reloading import Watch  # only here: it loads an event loop's library

        Watch(options["reload_dirs"] or (settings.app_dir,)).start()
    return supervisor.run()


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
    given = {name: options[name] for name in names - {"urls", "pools", "channels", "threads"}}
    is_channels1 = options["interface"] == "channels1"
    if not is_channels1 and (options["only_channels"] or options["exclude_channels"] or options["django_shims"]):
        raise click.UsageError("--only-channels, --exclude-channels and --django-shims go with --interface channels1")
    given["threads"] = options["threads"] or (1 if is_channels1 else DEFAULTS["threads"])
    channels = _channels(options["channels"])
    try:
        limits(options["soft_time_limit"], options["time_limit"])
    except ConfigurationError as error:
        raise click.UsageError(f"--soft-time-limit: {error}") from None
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
        "--soft-time-limit": settings.soft_time_limit,
        "--time-limit": settings.time_limit,
        "--max-memory-per-child": settings.max_memory_per_child,
        "--max-turns-per-child": settings.max_turns_per_child,
        "--max-turns-jitter": settings.max_turns_jitter,
        "--pools": ",".join(settings.pools) or None,
        "--channels": ",".join(settings.channels) or None,
        "--processes": 1,  # said, as WEB_CONCURRENCY is inherited
        "--log-level": log_level,
    }
    flags = {
        "--factory": settings.factory,
        "--insecure-tcp": settings.config.insecure_tcp,
        "--django-shims": settings.django_shims,
    }
    return [
        *(f"{name}={value}" for name, value in options.items() if value is not None),
        *(f"--only-channels={pattern}" for pattern in settings.only_channels),
        *(f"--exclude-channels={pattern}" for pattern in settings.exclude_channels),
        *(f"--bridge={url}" for url in settings.urls),
        *(name for name, is_set in flags.items() if is_set),
        settings.app,
    ]
