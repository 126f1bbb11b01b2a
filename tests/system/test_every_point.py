"""A worker is killed at every point of a turn, and of an adoption: what a client sees happens once, whatever the point.

The worker counts its own calls, from the moment at which a message has arrived until all that it has to say has left,
and kills itself at the k-th. Which calls are tried is a question of time alone: a turn has about 300;
$CHANNELS_BRIDGE_TEST_SCALE multiplies those that are, and 100 tries each of them (ten minutes).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import POLL, ServerProcess, WorkerProcess
from halves import directory

pytestmark = pytest.mark.system

MEASURED = "COVERAGE_PROCESS_CONFIG" in os.environ  # coverage follows every line of every process
POINTS = max(4, int(12 * float(os.environ.get("CHANNELS_BRIDGE_TEST_SCALE", "0.5" if MEASURED else "1"))))
PATIENCE = 20.0  # seconds for an answer
NEVER = 1_000_000  # calls: it only counts
# before the handler, after its first send, after the database, after group_add, before and after the commit leaves
TELLING = ("websocket_receive", "group_add", "send_group", "flush", "_commit", "tick", "restore", "bridge_resumed")

BRIDGE = "from channels_bridge import Bridge\napplication = Bridge()\n"

APP = """
import os, pathlib, signal, sqlite3, sys
from channels_bridge import AsyncConsumer

HERE = pathlib.Path(__file__).parent
OURS = ("channels_bridge/worker/", "channels_bridge/shared/", "every_point_app")
SAID = ("_commit", "_restored")  # by then it has said all, and after the next look at the time it has left

class Killer:
    "Counts calls from the one that `armed` names, and kills this process at the one that it tells."

    def __init__(self):
        self.calls = None  # names, once it counts
        self.is_done = False

    def __call__(self, frame, event, _):
        code = frame.f_code
        if event != "call" or not any(place in code.co_filename for place in OURS):
            return
        if self.calls is None and not self.begins(code.co_name):
            return
        self.calls.append(code.co_name)
        if len(self.calls) == self.last:
            (HERE / "killed").write_text(code.co_name)
            os.kill(os.getpid(), signal.SIGKILL)
        self.is_done |= code.co_name in SAID
        if self.is_done and code.co_name == "tick":
            (HERE / "counting").write_text(" ".join(self.calls))
            (HERE / "counting").rename(HERE / "counted")
            self.calls, self.is_done = None, False

    def begins(self, name):
        try:
            begin, last = (HERE / f"armed{name}").read_text().split()
            (HERE / f"armed{name}").unlink()
        except FileNotFoundError:
            return False
        self.calls, self.last = [], int(last)
        return True

class Booking(AsyncConsumer):
    resumable = True
    flushes = False

    async def websocket_connect(self, message):
        self.count = 0

    async def websocket_receive(self, message):
        number = message["text"]
        (HERE / "host").write_text(str(os.getpid()))
        self.count += 1
        await self.send({"type": "websocket.send", "text": f"begun {number} {self.count}"})
        with sqlite3.connect(HERE / "bookings", isolation_level=None) as database:
            database.execute("INSERT INTO bookings VALUES (?)", (int(number),))
        database.close()
        await self.channel_layer.group_add("all", self.consumer_channel)
        await self.channel_layer.send_group("all", {"type": "booked", "number": number})
        if self.flushes:
            await self.flush()
        await self.send({"type": "websocket.send", "text": f"done {number} {self.count}"})

    async def booked(self, message):
        await self.send({"type": "websocket.send", "text": f"booked {message['number']} {self.count}"})

    async def bridge_resumed(self, message):
        self.seen = self.count

class Flushing(Booking):
    flushes = True

sys.setprofile(Killer())
"""


class Site:
    """A server, two workers, and a socket. Whoever is killed is replaced."""

    def __init__(self, folder: Path, stack: ExitStack, app: str) -> None:
        (folder / "every_point_bridge.py").write_text(BRIDGE)
        (folder / "every_point_app.py").write_text(APP)
        with sqlite3.connect(folder / "bookings", isolation_level=None) as database:
            database.execute("CREATE TABLE bookings (number INTEGER)")
        database.close()
        self._folder, self._app, self._stack = folder, app, stack
        self._url = stack.enter_context(directory())
        bridge, env = "every_point_bridge:application", {"CHANNELS_BRIDGE_URL": self._url}
        server = stack.enter_context(ServerProcess("uvicorn", bridge, env=env, pythonpath=[folder]))
        self._workers = [self._start(), self._start()]
        for worker in self._workers:
            worker.wait_for_log("connected to the bridge")
        self._socket: ClientConnection = stack.enter_context(connect(server.ws_url))
        self._numbers = 0
        self.killed: list[str] = []  # the functions that were not run

    def _start(self) -> WorkerProcess:
        worker = WorkerProcess(f"every_point_app:{self._app}", self._url, pythonpath=[self._folder])
        return self._stack.enter_context(worker)

    def replace(self, *, kills: bool = False) -> bool:
        """Have two workers again; ``kills``: end the one that has the socket first. False: nobody has died."""
        if kills:
            self._host().kill()
        dead = [worker for worker in self._workers if not worker.alive]
        self._workers = [worker for worker in self._workers if worker.alive]
        while len(self._workers) < 2:
            self._workers.append(self._start())
            self._workers[-1].wait_for_log("connected to the bridge")
        return bool(dead)

    def _host(self) -> WorkerProcess:
        """Give the worker that has the socket: it says so in a file when it is asked to book."""
        pid = int((self._folder / "host").read_text())
        return next(worker for worker in self._workers if worker.pid == pid)

    def arm(self, begin: str, last: int) -> None:
        """Have the next worker that calls this function count from there, and end at this call."""
        for name in ("killed", "counted"):
            (self._folder / name).unlink(missing_ok=True)
        whole = self._folder / "being written"
        whole.write_text(f"{begin} {last}")
        whole.rename(self._folder / f"armed{begin}")

    def outcome(self) -> list[str]:
        """Wait for what the counting came to: all calls, or, if it has ended there, the one that was not run."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if (killed := self._folder / "killed").exists() and (call := killed.read_text()):
                self.killed.append(call)
                return self.killed[-1:]
            if (counted := self._folder / "counted").exists():
                return counted.read_text().split()
            assert time.monotonic() < deadline, "nothing was counted"
            time.sleep(POLL)

    def book(self) -> list[str]:
        """Send a message; give what comes back, but for the numbers, which have to be right."""
        self._numbers += 1
        number = str(self._numbers)
        self._socket.send(number)
        said: list[str] = []
        while "booked" not in said:
            what, which, count = str(self._socket.recv(timeout=PATIENCE)).split()
            assert (which, count) == (number, number), f"{what} {which} {count} instead of {number}: {self.killed}"
            said.append(what)
        return said

    def bookings(self) -> dict[int, int]:
        """Give how often each message was booked."""
        with sqlite3.connect(self._folder / "bookings", isolation_level=None) as database:
            rows = database.execute("SELECT number FROM bookings").fetchall()
        database.close()
        return Counter(number for (number,) in rows)

    def check_bookings(self) -> None:
        """Check that each message was booked, and none more often than it was begun."""
        bookings = self.bookings()
        assert set(bookings) == set(range(1, self._numbers + 1))
        assert max(bookings.values()) <= 2


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def points(calls: list[str]) -> list[int]:
    """Choose the calls at which to die: as many as there is time for, with the first, the last and telling ones."""
    spread = {1 + number * (len(calls) - 1) // (POINTS - 1) for number in range(POINTS)}
    return sorted(spread | {calls.index(name) + 1 for name in TELLING if name in calls})


@pytest.mark.parametrize("app", ["Booking", "Flushing"])
def test_a_worker_dies_at_every_point_of_a_turn(app: str, tmp_path: Path, stack: ExitStack) -> None:
    """A turn that flushes is done with its first half: what comes after is not run again by another worker."""
    site = Site(tmp_path, stack, app)
    site.book()
    site.arm("_message", NEVER)
    assert site.book() == ["begun", "done", "booked"]
    calls = site.outcome()
    wanted = [["begun", "done", "booked"]] + [["begun", "booked"]] * (app == "Flushing")
    for point in points(calls):
        site.arm("_message", point)
        said = site.book()
        assert said in wanted, f"{said}, killed at call {point} of {len(calls)}: {site.outcome()}"
        site.outcome()
        site.replace()
    site.check_bookings()
    assert len(site.killed) >= POINTS // 2, f"{len(site.killed)} died at {points(calls)} of {len(calls)} calls"


def test_a_worker_dies_at_every_point_of_an_adoption(tmp_path: Path, stack: ExitStack) -> None:
    """Nothing was in its hands: so a third worker gets the connection, and nobody is blamed."""
    site = Site(tmp_path, stack, "Booking")
    site.book()
    site.arm("_adopt", NEVER)
    site.replace(kills=True)
    calls = site.outcome()
    for point in points(calls):
        assert site.book() == ["begun", "done", "booked"], f"after {site.killed}"
        site.arm("_adopt", point)
        site.replace(kills=True)
        site.outcome()
        site.replace()
    assert site.book() == ["begun", "done", "booked"]
    site.check_bookings()
    assert len(site.killed) >= POINTS // 2, f"{len(site.killed)} died at {points(calls)} of {len(calls)} calls"
