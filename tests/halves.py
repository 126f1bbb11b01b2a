"""Bridges and workers in the running loop, several of either, where ``bridged()`` has one of each."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncGenerator, Generator
from typing import Any

import anyio

from channels_bridge.bridge.app import Bridge
from channels_bridge.shared.config import Config
from channels_bridge.worker.load import wrap
from channels_bridge.worker.node import Node
from channels_bridge.worker.settings import Settings
from played_server import eventually


@contextlib.contextmanager
def directory() -> Generator[str, None, None]:
    """Give the URL of a private directory; pytest's own can be too long for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="cb-") as name:
        yield f"ipc://{name}/"


@contextlib.contextmanager
def bridging(url: str, config: Config | None = None, **options: Any) -> Generator[Bridge, None, None]:
    """Run a bridge in this loop."""
    bridge = Bridge(url, config=config, **options)
    bridge.start()
    try:
        yield bridge
    finally:
        bridge.stop()


@contextlib.asynccontextmanager
async def hosting(app: object, *urls: str, bridges: int = 1, **settings: Any) -> AsyncGenerator[Node, None]:
    """Run a worker in this loop; begin once it is linked with so many bridges."""
    application = wrap(app, "auto", "app", is_background="channels" in settings)
    node = Node(application, Settings(app="app", urls=urls, **settings))
    try:
        await node.start()
        await eventually(lambda: sum(link.session.ready for link in node.links.values()) == bridges)
        yield node
    finally:
        with anyio.CancelScope(shield=True):
            await node.close("the test is over", grace=0.0)


def kill(node: Node) -> None:
    """Take a worker away without a word: what it still does reaches nobody."""
    for link in node.links.values():
        link._drop()
    node.abandon()


def is_idle(bridge: Bridge) -> bool:
    """Say whether nothing is left in a bridge of any connection."""
    core = bridge.start().link.core
    workers = core.supervisor.links.values()
    kept = [core.connections, core.layer.groups, core.dispatcher.journal_bytes, core.dispatcher.buffered]
    kept += [pool.waiting for pool in core.dispatcher.pools.values()]
    kept += [part for worker in workers for part in (worker.conns, worker.waiting, worker.turns_out)]
    kept += [*core.balance().values()]
    return not any(kept)
