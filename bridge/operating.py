"""What an operator asks, and what becomes of it: QUERY in, REPORTs out; and dead letters on their way to the store.

The shell's own: the core has no wall clock and no store.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ..shared import frames, wire
from ..shared.config import MIB
from ..shared.endpoint import now
from ..shared.errors import LocalProtocolError, RemoteProtocolError
from ..shared.loop import Loop
from . import figures
from .core import actions
from .core.core import Core
from .letters import Kept, Letters, make_id
from .replays import Outcome, Replays

if TYPE_CHECKING:
    from .engines.engine import Engine

logger = logging.getLogger("channels_bridge.bridge")

ROWS = 256  # of a list in one REPORT: a piece is far below what a frame may have
PATH = 200  # characters of a path in a list
RATE = 8 * MIB  # bytes of answers in a second, over a while
SHARE = 0.1  # of the loop's time that goes into answers, over a while: clients and workers have the rest
AHEAD = 10.0  # seconds' worth of both that may be had at once: 80 MiB, or a second of the loop

Answer = dict[str, Any]


class Allowance:
    """What all operators together may cost: a question of a few bytes can have an answer of megabytes, again and again.

    An answer is paid with time: that which its size takes at RATE, and that which it held up the loop divided by SHARE.
    """

    def __init__(self) -> None:
        self._paid_at = 0.0  # when all that was answered is paid

    @property
    def is_spent(self) -> bool:
        """Say whether the next question has to wait."""
        return self._paid_at - now() > AHEAD

    def pay(self, size: int = 0, seconds: float = 0.0) -> None:
        """Note what an answer cost. A pause of the whole machine in the midst of one is not paid for long."""
        moment = now()
        paid_at = max(self._paid_at, moment) + size / RATE + seconds / SHARE
        self._paid_at = min(paid_at, moment + 2 * AHEAD)


class Operating:
    """An operator's end of a bridge process. ``send`` queues a frame for its peer."""

    def __init__(
        self, core: Core, send: Callable[[actions.Send], None], letters: Letters, engine: Engine | None
    ) -> None:
        self._core = core
        self._send = send
        self.engine = engine
        self.letters = letters
        self.replays = Replays(core, letters)
        self._allowance = Allowance()
        self._url = ""
        self._started_at = 0.0
        self._answers: dict[str, Callable[[list[str]], Iterator[Answer]]] = {
            "status": self._status,
            "letters": self._list,
            "letter": self._letter,
            "drop": self._drop,
        }

    def start(self, loop: Loop, url: str) -> None:
        """Begin, in the bridge's loop; ``url``: where this process listens."""
        self._url, self._started_at = url, now()
        self.replays.start(loop)

    def stop(self) -> None:
        """Let go of letters that are being replayed: they are there again. In a forked child, too."""
        self.replays.stop()

    # -- questions ---------------------------------------------------------------------------------------------

    def asked(self, action: actions.Asked) -> None:
        """Answer; at once, but for replays, whose outcomes are told as they come."""
        began = now()
        query = action.query
        names = list(dict.fromkeys(query.names))
        answer = self._answers.get(query.what)
        wrong = self._refusal(query.what, names)
        if wrong:
            self.report(action, {"type": "operator.error", "text": wrong}, more=False)
        elif answer is None:
            self._replay(action, names)
        else:
            self._report_all(action, answer(names), more=False)
        self._allowance.pay(seconds=now() - began)

    def _refusal(self, what: str, names: list[str]) -> str:
        """Say why a question is not answered; empty: it is."""
        most = self._core.config.dead_letters + ROWS  # the store may be over its bound while letters are replayed
        if what not in self._answers and (what != "replay" or not names):
            return f"this bridge does not know {what[:40]!r}: it is of another release"
        if len(names) > most:
            return f"this bridge looks for at most {most} letters at once, not for {len(names)}"
        if self._allowance.is_spent:
            return "this bridge has answered so much that its clients come first: ask again in a few seconds"
        return ""

    def _report_all(self, action: actions.Asked, answer: Iterable[Answer], *, more: bool) -> None:
        """Send an answer piece by piece. ``more``: whether something follows the last one."""
        pieces = list(answer)
        for left, piece in enumerate(pieces, 1 - len(pieces)):
            self.report(action, {"type": f"operator.{action.query.what}", **piece}, more=more or left < 0)

    def report(self, action: actions.Asked, piece: Answer, *, more: bool) -> None:
        """Send a piece of an answer."""
        try:
            event = wire.pack_event(piece)
        except LocalProtocolError as error:  # a value of a server's scope that does not travel
            event = wire.pack_event({"type": "operator.error", "text": str(error)})
        self._allowance.pay(len(event))
        self._send(actions.Send(action.peer, action.link_epoch, frames.Report(action.query.call, event, more)))

    def _status(self, _: list[str]) -> Iterator[Answer]:
        core = self._core
        yield {
            "boot": f"{core.boot:016x}",
            "pid": os.getpid(),
            "url": self._url,
            "version": version(),
            "uptime": now() - self._started_at,
            "statistics": figures.statistics(core),
            "engine": figures.engine(self.engine),
            "dead_letters": figures.letters(self.letters),
        }
        yield from pieces("workers", figures.workers(core))
        yield from pieces("pools", figures.pools(core))
        yield from pieces("channels", figures.channels(core))
        yield from pieces("ledgers", figures.ledgers(core))

    def _list(self, _: list[str]) -> Iterator[Answer]:
        return pieces("letters", [row(kept) for kept in self.letters.all()])

    def _letter(self, names: list[str]) -> Iterator[Answer]:
        found = (self.letters.get(name) for name in names)
        yield {"letters": []}  # there may be none
        for kept in found:  # each may be as large as a message can be
            if kept is not None:
                yield {"letters": [whole(kept)]}

    def _drop(self, names: list[str]) -> Iterator[Answer]:
        outcomes: list[figures.Row] = []
        for name in names:
            taken = self.letters.take(name)
            if taken is not None:
                self.letters.remove(name)
                logger.info("dead letter %s was dropped by an operator", name)
            outcomes.append({"id": name, "outcome": "unknown" if taken is None else "dropped", "text": ""})
        return pieces("letters", outcomes)

    def _replay(self, action: actions.Asked, names: list[str]) -> None:
        left = len(names)

        def told(outcomes: Sequence[Outcome]) -> None:
            nonlocal left
            left -= len(outcomes)
            for name, outcome, text in outcomes:
                if outcome != "unknown":  # nothing has happened to it
                    logger.info("the replay of dead letter %s: %s", name, f"{outcome}, {text}" if text else outcome)
            rows = [outcome._asdict() for outcome in outcomes]
            self._report_all(action, pieces("letters", rows), more=left > 0)

        self.replays.add(names, told)

    # -- dead letters ------------------------------------------------------------------------------------------

    def set_aside(self, action: actions.SetAside) -> None:
        """Keep a letter, and say so."""
        letter, at = action.letter, time.time()
        kept = Kept(make_id(at), at, self.replays.of(letter.conn), letter)
        self.letters.add(kept)
        self.replays.superseded(letter.conn, kept.id)
        what = row(kept)
        logger.warning(
            "dead letter %s is message %d of connection %d (%s, %s %s, pool %s)",
            kept.id, letter.seq, letter.conn, what["event"], letter.kind, what["path"], letter.pool,
        )  # fmt: skip


def pieces(key: str, rows: list[figures.Row]) -> Iterator[Answer]:
    """Cut a list that may be long; an empty one is a piece too."""
    for start in range(0, max(len(rows), 1), ROWS):
        yield {key: rows[start : start + ROWS]}


def row(kept: Kept) -> figures.Row:
    """Give what a list says of a letter. ``at``: seconds since 1970; ``size``: bytes."""
    letter = kept.letter
    return {
        "id": kept.id,
        "at": kept.at,
        "again_of": kept.again_of,
        "pool": letter.pool,
        "kind": letter.kind,
        "path": str(_scope(kept).get("path", ""))[:PATH],
        "event": str(_event(kept).get("type", "")),
        "seq": letter.seq,
        "attempts": letter.attempts,
        "workers": list(letter.workers),
        "size": kept.size,
    }


def whole(kept: Kept) -> figures.Row:
    """Give all of a letter."""
    letter = kept.letter
    return {
        **row(kept),
        "on_loss": letter.on_loss,
        "state": _state(letter.state),
        "scope": _scope(kept),
        "message": _event(kept),
    }


def _scope(kept: Kept) -> dict[str, Any]:
    try:
        return wire.unpack_scope(kept.letter.scope)
    except RemoteProtocolError:  # a file that was tampered with
        return {}


def _event(kept: Kept) -> dict[str, Any]:
    try:
        return dict(wire.unpack_event(kept.letter.event))
    except RemoteProtocolError:
        return {}


def _state(packed: bytes) -> Any:
    """Give what was kept, out of its worker's envelope (worker/resuming.py, saving.py); as bytes if that is none.

    Dates and times in it are as they travel: maps under a bytes key.
    """
    try:
        envelope = wire.unpack_event(packed)
    except RemoteProtocolError:  # there is none, or it is of another release
        return packed
    return envelope.get("state", packed)


@functools.cache
def version() -> str:
    """Give the release of this package."""
    return metadata.version("channels-bridge")
