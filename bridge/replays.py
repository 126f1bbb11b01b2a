"""Dead letters that are handed to workers again, each as a connection without a client."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..shared.endpoint import now
from ..shared.loop import Loop
from ..shared.wire import pack_event
from .letters import Kept, Letters

if TYPE_CHECKING:
    from .core.core import Core

AT_ONCE = 16  # a letter may kill its worker: the pool has others to serve
PATIENCE = 60.0  # seconds for one letter, waiting for a worker among them

FAREWELLS = {
    "http": pack_event({"type": "http.disconnect"}),
    "websocket": pack_event({"type": "websocket.disconnect", "code": 1006, "reason": ""}),  # it has vanished
}

UNKNOWN = "there is no such letter, or somebody else replays it now"


class Outcome(NamedTuple):
    """What a replay came to."""

    id: str  # of the letter
    outcome: str  # as in ``actions.Finish``, or "timeout", or "unknown"
    text: str


Told = Callable[[Sequence[Outcome]], None]


class Replay:
    """What the core takes for a client: it reads nothing, and what is sent to it goes nowhere.

    The core calls it in the middle of its own decisions, and so it answers at the end of this turn of the loop.
    """

    def __init__(self, core: Core, loop: Loop, kept: Kept, done: Callable[[Replay], None]) -> None:
        self.kept = kept
        self.outcome = ""  # once it is over: as in ``actions.Finish``, or "timeout"
        self.text = ""
        self.changed = self  # there is nothing that room could be told to
        self.deadline = now() + PATIENCE
        self._core, self._loop, self._done = core, loop, done
        self._untold = 0  # bytes "written" that the core does not know of
        self._scheduled = self._over = False
        self.conn = core.replay(kept.letter, FAREWELLS[kept.letter.kind], self, now())

    def set(self) -> None:
        """Take note that there is room."""

    def write(self, events: Sequence[bytes]) -> None:
        """Take what is for the client."""
        self._untold += sum(map(len, events))
        self._schedule()

    def write_broadcast(self, event: bytes) -> None:
        """Take a message of a group."""
        self.write((event,))

    def drop_oldest(self) -> None:
        """Drop nothing: nothing is queued."""

    def finish(self, outcome: str, text: str, events: Sequence[bytes]) -> None:
        """End it."""
        self.outcome, self.text = outcome, text or self.text
        self._schedule()

    def expire(self, moment: float) -> None:
        """Give it up if its time is over. What its consumer still does is fenced."""
        if moment >= self.deadline and not self.outcome:
            self.finish("timeout", f"its consumer was not done within {PATIENCE:g} s", ())

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        self._scheduled = False
        if self._over:
            return
        untold, self._untold = self._untold, 0
        if untold:
            self._core.written(self.conn, untold)
        if self.outcome:
            self._over = True
            self._core.close(self.conn)
            self.conn.edge = None  # no cycle is left for the garbage collector
            self._done(self)


class Replays:
    """Those that run and those that wait for their turn. One that succeeds ends its letter."""

    def __init__(self, core: Core, letters: Letters) -> None:
        self._core = core
        self._letters = letters
        self._loop: Loop | None = None
        self._running: dict[int, tuple[Replay, Told]] = {}  # conn -> replay, who is told what it came to
        self._line: dict[str, Told] = {}  # id of a letter that waits -> who is told; no longer than the store's list

    def start(self, loop: Loop) -> None:
        """Begin, in the bridge's loop."""
        self._loop = loop

    def stop(self) -> None:
        """Give back what runs: its outcome is not known, and nobody is told."""
        running, self._running = self._running, {}
        self._line.clear()
        for replay, _ in running.values():
            self._letters.put_back(replay.kept.id)

    def add(self, names: Iterable[str], told: Told) -> None:
        """Replay these letters as soon as there is room.

        ``told`` gets one outcome for each name, not from here: those of letters that are not there, or are in the line
        already, all at once.
        """
        unknown: list[Outcome] = []
        for name in names:
            if name in self._line or self._letters.get(name) is None:
                unknown.append(Outcome(name, "unknown", UNKNOWN))
            else:
                self._line[name] = told
        if unknown:
            self._later(functools.partial(told, unknown))
        self._later(self._go_on)

    def of(self, conn: int) -> str:
        """Give the id of the letter whose replay this connection is; empty: it is none."""
        entry = self._running.get(conn)
        return "" if entry is None else entry[0].kept.id

    def superseded(self, conn: int, name: str) -> None:
        """Note under which id a replay was set aside again."""
        entry = self._running.get(conn)
        if entry is not None:
            entry[0].text = f"it was set aside again, as {name}"

    def tick(self, moment: float) -> None:
        """Look at the timers."""
        for replay, _ in list(self._running.values()):
            replay.expire(moment)

    def _later(self, function: Callable[[], object]) -> None:
        assert self._loop is not None, "started before anybody can ask"
        self._loop.call_soon(function)

    def _go_on(self) -> None:
        while self._line and len(self._running) < AT_ONCE:
            name = next(iter(self._line))
            told = self._line.pop(name)
            kept = self._letters.take(name)
            if kept is None:
                told([Outcome(name, "unknown", UNKNOWN)])
                continue
            assert self._loop is not None
            replay = Replay(self._core, self._loop, kept, self._ended)
            self._running[replay.conn.id] = (replay, told)

    def _ended(self, replay: Replay) -> None:
        _, told = self._running.pop(replay.conn.id, (replay, None))
        if told is None:  # stopped
            return
        if replay.outcome in ("returned", "poison"):  # set aside again, it is a new letter that names this one
            self._letters.remove(replay.kept.id)
        else:
            self._letters.put_back(replay.kept.id)
        self._later(functools.partial(told, [Outcome(replay.kept.id, replay.outcome, replay.text)]))
        self._go_on()
