"""The network of a site, in memory. Each message that arrives is a step.

What ZeroMQ promises holds here: a connection's messages arrive in order, each once, until the connection ends; what
is sent to a peer that has gone raises ``PeerGone``. One step is taken per turn of the event loop, in the order in which
the messages were sent, but for what a fault holds up.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from channels_bridge.shared import wire
from channels_bridge.shared.config import MIB
from channels_bridge.shared.endpoint import Endpoint, PeerGone
from channels_bridge.shared.errors import AddressError, RemoteProtocolError
from channels_bridge.shared.loop import Loop
from channels_bridge.testing.faults.owned import Actors
from channels_bridge.testing.faults.sockets import Socket

if TYPE_CHECKING:
    from channels_bridge.testing.faults.worker import FaultyWorker

MAX_FRAME = 256 * MIB  # what the site's own look at messages takes; the halves have their own limits


class Message:
    """What is under way."""

    __slots__ = ("content", "number", "step")

    def __init__(self, number: int, content: list[bytes]) -> None:
        self.number = number  # in the order of sending
        self.content = content
        self.step: Step | None = None  # once its turn has come; a fault may hold it up then


class Lane:
    """One direction of a cable: what is under way, oldest first."""

    def __init__(self, arrow: str) -> None:
        self.arrow = arrow  # as people see it
        self.queue: deque[Message] = deque()
        self.held = False  # until somebody lets it go
        self._inbox = wire.Inbox(MAX_FRAME)

    def describe(self, message: list[bytes]) -> list[str]:
        """Name the frames of the next message that arrives."""
        try:
            return [type(frame).__name__ for frame in self._inbox.decode(message)[1]] or ["Part"]
        except RemoteProtocolError as error:  # a defect of the half that sent it, which will hear of it
            return [f"malformed: {error}"]


class Cable:
    """One connection between a worker's socket and the bridge's. ``of``: the worker; None: a layer's, outside."""

    def __init__(self, network: Cables, peer: bytes, of: FaultyWorker | None) -> None:
        self.peer = peer
        self.of = of
        self.socket = Socket(network.look, self.say, lambda linger: self.end(keeps=linger > 0))
        self.up = Lane("→ bridge")
        self.down = Lane("← bridge")
        self.linked = False  # the bridge's socket knows it
        self.ending = False  # nothing more goes in; what is in it may still come out at the bridge
        self._network = network

    @property
    def worker(self) -> FaultyWorker:
        """Whose it is; for steps that are counted."""
        assert self.of is not None
        return self.of

    @property
    def stands(self) -> bool:
        """Say whether nothing moves on it: its worker is frozen."""
        return self.of is not None and self.of.frozen

    def say(self, message: list[bytes]) -> None:
        """Send what the worker says."""
        self.put(self.up, message)

    def put(self, lane: Lane, message: list[bytes]) -> None:
        """Send."""
        if not self.ending:
            lane.queue.append(Message(self._network.number(), message))
            self._network.look()

    def end(self, *, keeps: bool) -> None:
        """End it from the worker's side. ``keeps``: what the worker has said still arrives."""
        self.ending = True
        self.down.queue.clear()
        if not keeps:
            self.up.queue.clear()
        self._network.look()

    def cut(self) -> None:
        """End it in the middle: what was under way is lost, and both ends hear of it."""
        self.end(keeps=False)
        self.socket.tell_disconnect()


class Step:
    """A message that is about to arrive. ``number``: counted from 1 since the site was complete; 0: earlier."""

    def __init__(self, number: int, cable: Cable, lane: Lane, frames: list[str]) -> None:
        self.number = number
        self.cable = cable
        self.lane = lane
        self.frames = frames  # the names of what the message has, as in docs/protocol.md

    def __str__(self) -> str:
        who = self.cable.of.name if self.cable.of is not None else "layer"
        return f"step {self.number}: {who} {self.lane.arrow}: {', '.join(self.frames)}"


class Cables:
    """The network of one site. ``before`` is asked at each step and says how often its message arrives: mostly once."""

    def __init__(self, loop: Loop, actors: Actors, before: Callable[[Step], int]) -> None:
        self.steps: list[Step] = []  # that were counted
        self.counts = False
        self.errors: list[Exception] = []  # a half failed over a message
        self._loop = loop
        self._actors = actors
        self._before = before
        self._numbers = itertools.count(1)
        self._bridge: Socket | None = None
        self._cables: dict[bytes, Cable] = {}
        self._looks = False  # it is scheduled

    # -- what the halves call ----------------------------------------------------------------------------------

    def bind(self, url: str) -> Endpoint:
        """Make the bridge's socket."""
        if self._bridge is not None:
            raise AddressError(f"cannot listen on {url}: a site has one bridge")
        self._bridge = Socket(self.look, self._say, lambda linger: self._unbind(), self._take_leavings)
        return self._bridge

    def _unbind(self) -> None:
        """Let the bridge's socket go: all connections end."""
        self._bridge = None
        for cable in list(self._cables.values()):
            cable.cut()

    def connect(self, url: str) -> Endpoint:
        """Make a worker's socket; it belongs to who runs now."""
        if not self._loop.is_current():
            raise AddressError(f"cannot connect to {url}: what is outside of the site's event loop does not reach it")
        cable = Cable(self, b"peer-%d" % self.number(), cast("FaultyWorker | None", self._actors.now))
        self._cables[cable.peer] = cable
        return cable.socket

    def number(self) -> int:
        """Count."""
        return next(self._numbers)

    def _say(self, message: list[bytes]) -> None:
        """Send what the bridge says to the peer that is named first."""
        cable = self._cables.get(message[0])
        if cable is None or cable.ending or not cable.linked:
            raise PeerGone
        cable.put(cable.down, message[1:])

    def of(self, worker: object) -> list[Cable]:
        """Give the connections of a worker."""
        return [cable for cable in self._cables.values() if cable.of is worker]

    # -- steps -------------------------------------------------------------------------------------------------

    @property
    def held(self) -> list[Lane]:
        """What a fault holds up, and could let go."""
        return [lane for cable in self._cables.values() for lane in (cable.up, cable.down) if lane.held]

    def look(self) -> None:
        """See, soon, what is to be done."""
        self._actors.moves += 1
        if not self._looks:
            self._looks = True
            self._loop.call_soon(self._go)

    def _go(self) -> None:
        self._looks = False
        try:
            if self._link() or self._step() or self._bury():
                self.look()
        except Exception as error:
            self.errors.append(error)
            self.look()

    def _thawed(self) -> list[Cable]:
        return [cable for cable in self._cables.values() if not cable.stands]

    def _link(self) -> bool:
        """Connect what waits for it."""
        for cable in self._thawed() if self._bridge is not None and self._bridge.started else ():
            if cable.socket.started and not cable.linked and not cable.ending:
                cable.linked = True
                cable.socket.tell_writable()
                return True
            if cable.linked and not cable.ending:
                cable.socket.tell_writable()
        return False

    def _step(self) -> bool:
        """Let the message arrive that was sent first."""
        lanes = [(cable, lane) for cable in self._thawed() for lane in (cable.up, cable.down)]
        ready = [(cable, lane) for cable, lane in lanes if lane.queue and not lane.held and cable.linked]
        if not ready:
            return False
        cable, lane = min(ready, key=lambda each: each[1].queue[0].number)
        self._arrive(cable, lane)
        return True

    def _arrive(self, cable: Cable, lane: Lane) -> None:
        message, times = lane.queue[0], 1
        if message.step is None:
            message.step = self._count(cable, lane, message)
            times = self._before(message.step)
        if lane.held or cable.stands or message not in lane.queue:
            return  # a fault holds it up, or has lost it
        lane.queue.popleft()
        for _ in range(times):
            self._deliver(cable, lane, message.content)

    def _count(self, cable: Cable, lane: Lane, message: Message) -> Step:
        counts = self.counts and cable.of is not None
        step = Step(len(self.steps) + 1 if counts else 0, cable, lane, lane.describe(message.content))
        if counts:
            self.steps.append(step)
        return step

    def _deliver(self, cable: Cable, lane: Lane, message: list[bytes]) -> None:
        if lane is cable.down:
            cable.socket.take(list(message))
        elif self._bridge is not None:
            self._bridge.take([cable.peer, *message])

    def _bury(self) -> bool:
        """Let the bridge's socket notice a connection that has ended, behind all that it brought."""
        for cable in self._thawed():
            if cable.ending and not cable.up.queue:
                del self._cables[cable.peer]
                if cable.linked and self._bridge is not None:
                    self._bridge.tell_disconnect()
                return True
        return False

    def _take_leavings(self) -> None:
        """Let all arrive that those who have gone have left."""
        for cable in self._thawed():
            while cable.ending and cable.up.queue:
                self._deliver(cable, cable.up, cable.up.queue.popleft().content)
