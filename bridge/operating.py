"""What an operator asks, and what becomes of it: QUERY in, REPORTs out. The shell's own: it has clock and store."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ..shared import frames, wire
from ..shared.endpoint import now
from ..shared.errors import LocalProtocolError
from . import figures
from .core import actions
from .core.core import Core

if TYPE_CHECKING:
    from .engines.engine import Engine

ROWS = 256  # of a list in one REPORT: a piece is far below what a frame may have

Answer = dict[str, Any]


class Operating:
    """An operator's end of a bridge process. ``send`` queues a frame for its peer."""

    def __init__(self, core: Core, send: Callable[[actions.Send], None], engine: Engine | None) -> None:
        self._core = core
        self._send = send
        self._engine = engine
        self._url = ""
        self._started_at = 0.0
        self._answers: dict[str, Callable[[actions.Asked], Iterator[Answer]]] = {
            "status": self._status,
        }

    def start(self, url: str) -> None:
        """Note where this process listens, and since when."""
        self._url, self._started_at = url, now()

    def asked(self, action: actions.Asked) -> None:
        """Answer, at once."""
        answer = self._answers.get(action.query.what)
        if answer is None:
            text = f"this bridge does not know {action.query.what[:40]!r}: it is of another release"
            self.report(action, {"type": "operator.error", "text": text}, more=False)
            return
        pieces = list(answer(action))
        for left, piece in enumerate(pieces, 1 - len(pieces)):
            self.report(action, {"type": f"operator.{action.query.what}", **piece}, more=left < 0)

    def report(self, action: actions.Asked, piece: Answer, *, more: bool) -> None:
        """Send a piece of an answer."""
        try:
            event = wire.pack_event(piece)
        except LocalProtocolError as error:  # a value of a server's scope that does not travel
            event = wire.pack_event({"type": "operator.error", "text": str(error)})
        self._send(actions.Send(action.peer, action.link_epoch, frames.Report(action.query.call, event, more)))

    def _status(self, action: actions.Asked) -> Iterator[Answer]:
        core = self._core
        yield {
            "boot": f"{core.boot:016x}",
            "pid": os.getpid(),
            "url": self._url,
            "version": version(),
            "uptime": now() - self._started_at,
            "statistics": figures.statistics(core),
            "engine": figures.engine(self._engine),
        }
        yield from pieces("workers", figures.workers(core))
        yield from pieces("pools", figures.pools(core))


def pieces(key: str, rows: list[figures.Row]) -> Iterator[Answer]:
    """Cut a list that may be long; an empty one is a piece too."""
    for start in range(0, max(len(rows), 1), ROWS):
        yield {key: rows[start : start + ROWS]}


@functools.cache
def version() -> str:
    """Give the release of this package."""
    return metadata.version("channels-bridge")
