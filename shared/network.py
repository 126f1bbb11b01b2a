"""Where another network can be put in ZeroMQ's place: the fault kit plays one, in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .endpoint import Endpoint


class Network(Protocol):
    """What makes sockets, as shared/endpoint.py does."""

    def bind(self, url: str) -> Endpoint:
        """Make what workers connect to. Raises ``AddressError``."""
        ...

    def connect(self, url: str) -> Endpoint:
        """Make a worker's end. Raises ``AddressError``."""
        ...


_networks: list[Network] = []  # the last one counts


def standing_in() -> Network | None:
    """Give the network that sockets are to be made in; None: it is ZeroMQ."""
    return _networks[-1] if _networks else None


@contextlib.contextmanager
def played(network: Network) -> Generator[None, None, None]:
    """Let this process, all of it, make its sockets there, until the block is left."""
    _networks.append(network)
    try:
        yield
    finally:
        _networks.remove(network)
