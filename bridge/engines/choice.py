"""Which engine a URL means."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

from ...shared.errors import ConfigurationError
from .engine import Engine
from .local import LocalEngine
from .nats import Nats
from .redis import Redis
from .session import PING, Plan
from .thread import ThreadedEngine
from .url import EngineUrl, parse


class _Kind(NamedTuple):
    library: str  # import name
    extra: str  # of this distribution, which brings it
    client: Callable[[EngineUrl], Nats | Redis]


NATS = _Kind("nats", "nats", Nats)
REDIS = _Kind("coredis", "redis", Redis)
KINDS = {
    "nats": NATS,
    "tls": NATS,
    "redis": REDIS,
    "rediss": REDIS,
    "redis+cluster": REDIS,
    "rediss+cluster": REDIS,
}


def open_engine(url: str, *, ping: float = PING) -> Engine:
    """Make the engine of this URL; :meth:`Engine.start` it next.

    ``local://name``, ``nats://`` and ``tls://`` (NATS), ``redis://`` and ``rediss://``, ``redis+cluster://`` and
    ``rediss+cluster://``. ``ping``: seconds between two signs of life, and for an answer to one. Raises
    ``ConfigurationError`` that says what is wrong with the URL or what has to be installed, without its secrets.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme == "local":
        return LocalEngine(parse(url).shown)
    kind = KINDS.get(scheme)
    if kind is None:
        known = ", ".join(f"{name}://" for name in ("local", *KINDS))
        raise ConfigurationError(
            f"there is no engine for {f'{scheme}://' if scheme else 'this URL'}; there are {known}"
        )
    if find_spec(kind.library) is None:
        raise ConfigurationError(f"{scheme}:// needs a library: pip install channels-bridge[{kind.extra}]")
    parts = parse(url)
    return ThreadedEngine(Plan(parts, kind.client(parts).connect, ping))
