"""A bridge in a thread of its own, for commands that are run in this one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from click.testing import CliRunner, Result

from channels_bridge.bridge.app import Bridge
from channels_bridge.bridge.cli import main
from channels_bridge.bridge.core.actions import SetAside
from channels_bridge.bridge.core.letters import Letter
from channels_bridge.bridge.operating import Operating
from channels_bridge.shared import wire
from channels_bridge.shared.config import Config

HEADERS = [(b"host", b"h"), (b"cookie", b"session=1")]
SCOPE = {"type": "websocket", "path": "/chat/", "query_string": b"", "headers": HEADERS}
EVENT = {"type": "websocket.receive", "text": "poison", "bytes": b"\xff"}


def letter(pool: str = "default") -> Letter:
    """Make a dead letter."""
    scope, event = wire.pack_scope(dict(SCOPE)), wire.pack_event(EVENT)
    return Letter(pool, "websocket", scope, b"\x80", "replay", True, 3, event, 2, ["a", "b"], 7)


class Site:
    """A running bridge."""

    def __init__(self, url: str, operating: Operating, call: Callable[..., Any]) -> None:
        self.url = url
        self.operating = operating
        self._call = call  # in its thread

    def set_aside(self, one: Letter | None = None) -> str:
        """Let it have a dead letter; give its id."""
        return str(self._call(self._set_aside, one or letter()))

    def _set_aside(self, one: Letter) -> str:
        self.operating.set_aside(SetAside(one))
        return self.operating.letters.all()[-1].id

    def letters(self) -> list[str]:
        return [kept.id for kept in self._call(self.operating.letters.all)]


@contextlib.contextmanager
def running(*urls: str, config: Config | None = None, **options: Any) -> Generator[list[Site], None, None]:
    """Run a bridge for each of these URLs."""
    with start_blocking_portal() as portal, contextlib.ExitStack() as stack:
        sites: list[Site] = []
        for url in urls:
            bridge = Bridge(url, config=config, **options)
            operating = portal.call(bridge.start).link.operating
            stack.callback(_stop, portal, bridge)
            sites.append(Site(bridge.url, operating, portal.call))
        yield sites


def _stop(portal: BlockingPortal, bridge: Bridge) -> None:
    portal.call(bridge.stop)


def command(*args: str) -> Result:
    """Run ``channels-bridge`` with these arguments."""
    return CliRunner().invoke(main, args, prog_name="channels-bridge")
