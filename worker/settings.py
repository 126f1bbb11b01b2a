"""What one worker process is told to do; ``worker/cli.py`` makes it from the command line."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from ..shared.config import Config

INTERFACES = ("auto", "asgi3", "asgi2", "consumer", "function", "channels1")
LOOPS = ("auto", "asyncio", "uvloop", "trio")
LIFESPANS = ("auto", "on", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a worker process needs to know. Times are seconds."""

    app: str  # module:attribute
    urls: tuple[str, ...]  # of bridges
    pools: tuple[str, ...] = ("default",)  # none: no connections, only named channels
    channels: tuple[str, ...] = ()  # named channels to listen on
    threads: int = min(32, (os.cpu_count() or 1) + 4)  # as the standard library's thread pool: for sync consumers
    max_inflight: int | None = None  # turns at once; None: the threads (sync consumers), 64 (async consumers)
    max_connections: int = 0  # 0: no bound
    interface: str = "auto"
    only_channels: tuple[str, ...] = ()  # of a Channels 1 routing: patterns; none: all
    exclude_channels: tuple[str, ...] = ()  # of these, not those that fit one of these patterns
    django_shims: bool = False  # Django's removed helpers are there again, for code of the time of Channels 1
    lifespan: str = "auto"
    loop: str = "auto"  # uvloop where it is installed, else asyncio
    app_dir: Path = field(default_factory=Path)
    factory: bool = False  # APP is a function that returns the application
    env_file: Path | None = None
    drain_timeout: float = 30.0  # after SIGTERM: how long connections may take to end by themselves
    soft_time_limit: float | None = None  # of a turn: then its handler is told; None, 0: no limit
    time_limit: float | None = None  # then nobody waits for it any more
    max_memory_per_child: int = 0  # bytes resident; beyond them the process is replaced; 0: no bound
    max_turns_per_child: int = 0  # after so many it is replaced; 0: never
    max_turns_jitter: int = 0  # up to so many more, so that not all are replaced at once
    parent_fd: int | None = None  # a pipe whose other end the supervisor holds: it is gone when this closes
    config: Config = field(default_factory=Config)
