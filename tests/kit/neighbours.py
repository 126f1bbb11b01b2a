"""Several bridges of one machine and the processes that are linked with all of them, on one virtual clock.

A :class:`Process` has one session and one cable per bridge, and an ``Exchange`` for its end of the channel layer. As a
worker it hosts consumers as well. Everything passes through the real codec. Nothing moves by itself: a test
delivers one message at a time, or calls :meth:`Neighbours.settle`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from channels_bridge.bridge.core import actions as out
from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.core import Core
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import MIB, Config
from channels_bridge.shared.frames import Effect, Frame, LayerFrame
from channels_bridge.shared.names import owned_channel, process_channel
from channels_bridge.worker.core import actions as inner
from channels_bridge.worker.core.channels import Bounds, Parcel, Waiter
from channels_bridge.worker.core.exchange import Exchange
from channels_bridge.worker.core.mailbox import Mailbox
from channels_bridge.worker.core.session import Session

BOOTS = (0xB1, 0xB2)  # of the bridges
PATIENCE = 5.0  # seconds until a call is over
BOUNDS = Bounds(10_000, 3600.0, 3600.0)


class Asked(Waiter):
    """Somebody who waits, and is told at once. ``by``: the process."""

    __slots__ = ("by",)

    def __init__(self, by: Process) -> None:
        super().__init__()
        self.by = by

    @property
    def over(self) -> bool:
        """Say whether there is a result."""
        return self.result is not None

    def settle(self) -> bool:
        """Look at ``result``."""
        return True


class Cable:
    """One connection between a process and a bridge; ``up`` leads to the bridge. Oldest first."""

    def __init__(self, peer: bytes, bridge: Bridge, link: Link) -> None:
        self.peer = peer
        self.bridge = bridge
        self.link = link
        self.up: deque[list[bytes]] = deque()
        self.down: deque[list[bytes]] = deque()
        self.cut = False  # nothing more goes in; what is in it still comes out at the bridge
        self.noticed = False  # the bridge knows
        self._at_bridge = wire.Inbox(64 * MIB)
        self._at_process = wire.Inbox(64 * MIB)

    @property
    def moves(self) -> bool:
        """Say whether something is under way that will arrive, or be noticed."""
        return bool(self.up or self.down) or (self.cut and not self.noticed)

    def step(self) -> None:
        """Deliver one message; at the end of a cut one, let the bridge notice."""
        now = self.bridge.around.now
        if self.up:
            link_epoch, received = self._at_bridge.decode(self.up.popleft())
            self.bridge.core.receive(self.peer, link_epoch, received, now)
        elif self.down:
            link_epoch, received = self._at_process.decode(self.down.popleft())
            if self.link.cable is self:
                self.link.session.receive(link_epoch, received)
        else:
            self.noticed = True
            self.bridge.core.lost(self.peer, now)


class Bridge:
    """One bridge and what its clients have got."""

    def __init__(self, around: Neighbours, boot: int) -> None:
        self.around = around
        self.boot = boot
        self.core = Core(boot, around.config, self._perform)
        self.cables: dict[bytes, Cable] = {}
        self.clients: dict[int, list[bytes]] = {}  # conn -> what its client was written
        self.over: set[int] = set()  # connections that were told to end

    def open(self) -> Connection:
        """Let a client come."""
        conn = self.core.connection("websocket", "default", b"scope", True, None)
        self.clients[conn.id] = []
        self.core.open(conn, b"connect", self.around.now)
        return conn

    def close(self, conn: Connection) -> None:
        """End the ASGI call."""
        self.core.close(conn)

    def _perform(self, action: out.Action) -> None:
        match action:
            case out.Send(peer, link_epoch, frame):
                cable = self.cables.get(peer)
                if cable is not None and not cable.cut:
                    cable.down.extend(wire.encode(link_epoch, [frame]))
            case out.Write(conn, events):
                self._write(conn, events)
            case out.WriteAll(conns, event):
                for conn in conns:
                    self._write(conn, [event])
            case out.Finish(conn):
                self.over.add(conn.id)
            case _:
                pass

    def _write(self, conn: Connection, events: Iterable[bytes]) -> None:
        for event in events:
            self.clients[conn.id].append(event)
            self.core.written(conn, len(event))


class Link:
    """A process's end of its link with one bridge, over all its sessions."""

    def __init__(self, process: Process, bridge: Bridge) -> None:
        self.process = process
        self.bridge = bridge
        self.sockets = 0
        self.reopen_at: float | None = None
        self.hosted: deque[Mailbox] = deque()  # connections, oldest first
        self.open()

    def open(self) -> None:
        """Begin a session on a new cable."""
        self.sockets += 1
        self.reopen_at = None
        around = self.bridge.around
        self.session = Session(self.process.hello, around.config, self._perform)
        self.cable = Cable(f"{self.process.hello.name}/{self.sockets}".encode(), self.bridge, self)
        self.bridge.cables[self.cable.peer] = self.cable
        self.session.connected(around.now)

    def put(self, frame: Frame) -> None:
        """Send, if anything may be sent."""
        if not self.cable.cut:
            self.cable.up.extend(wire.encode(self.session.link_epoch, [frame]))

    def lose(self) -> None:
        """Cut the cable."""
        self.cable.cut = True
        self.cable.down.clear()
        self.session.lost("cut")

    def commit(self, *effects: Effect) -> bool:
        """End the oldest turn with this. False: there is none."""
        for mailbox in self.hosted:
            if mailbox.queue and not mailbox.over:
                message = mailbox.queue.popleft()
                self.put(frames.Commit(message.conn, message.epoch, message.seq, True, list(effects), b"", ""))
                return True
        return False

    def _perform(self, action: inner.Action) -> None:
        process, now = self.process, self.bridge.around.now
        match action:
            case inner.Send(frame):
                self.put(frame)
            case inner.Start(mailbox):
                self.hosted.append(mailbox)
            case inner.Up(bridge):
                process.ready[bridge] = self
                process.exchange.up(bridge, now)
            case inner.Over(bridge):
                del process.ready[bridge]
                process.exchange.over(bridge, now)
            case inner.Hear(bridge, frame):
                process.exchange.hear(bridge, frame, now)
            case inner.Reconnect(delay):
                self.cable.cut = True
                self.reopen_at = now + delay
            case _:
                pass


class Process:
    """A worker with consumers (``slots``), or another process with a layer (0)."""

    def __init__(self, around: Neighbours, boot: int, slots: int) -> None:
        self.around = around
        self.alive = True
        role, pools = ("worker", ["default"]) if slots else ("layer", [])
        self.hello = frames.Hello(role, boot, f"{role}{boot}", pools, slots > 0, slots, 0)
        self.exchange = Exchange(boot, self._perform)
        self.ready: dict[int, Link] = {}  # boot of the bridge -> link
        self.links = [Link(self, bridge) for bridge in around.bridges]
        self._channels = 0

    def channel(self) -> str:
        """Make a channel of its own."""
        self._channels += 1
        name = process_channel("specific", self.hello.boot, self._channels)
        self.exchange.open(name, 1, BOUNDS)
        return name

    def received(self, channel: str) -> list[bytes]:
        """Give what has come for one of its channels and was not given yet."""
        queue = self.exchange.channels[channel].queue
        got = [content.event if isinstance(content, Parcel) else content for _, content in queue]
        queue.clear()
        return got

    def ask(self, frame: LayerFrame) -> Asked:
        """Do something outside of a turn; the result of what is returned says what became of it."""
        asked = Asked(self)
        self.exchange.call(frame, asked, self.around.now + PATIENCE, self.around.now)
        return asked

    def kill(self) -> None:
        """End the process at once. What it had sent may still arrive."""
        self.alive = False
        for link in self.links:
            link.cable.cut = True
            link.cable.down.clear()

    def tick(self) -> None:
        """Look at the timers."""
        if not self.alive:
            return
        for link in self.links:
            link.session.tick(self.around.now, 0.0)
            if link.reopen_at is not None and self.around.now >= link.reopen_at:
                link.open()
        self.exchange.tick(self.around.now)

    def _perform(self, action: inner.LayerAction) -> None:
        if isinstance(action, inner.Settle):
            for waiter in action.waiters:
                assert waiter.settle()
        elif (link := self.ready.get(action.bridge)) is not None:
            link.put(action.frame)


class Neighbours:
    """The bridges, the processes and their clock."""

    def __init__(self, config: Config | None = None, boots: Sequence[int] = BOOTS) -> None:
        self.config = (config or Config()).check()
        self.now = 1000.0
        self.processes: list[Process] = []
        self.bridges = [Bridge(self, boot) for boot in boots]

    def process(self, *, slots: int = 0) -> Process:
        """Start a process; its HELLOs are under way then."""
        process = Process(self, len(self.processes) + 1, slots)
        self.processes.append(process)
        return process

    @property
    def moving(self) -> list[Cable]:
        """Cables on which something is under way."""
        return [cable for bridge in self.bridges for cable in bridge.cables.values() if cable.moves]

    def settle(self) -> None:
        """Deliver until nothing is under way."""
        for _ in range(10_000):
            moving = self.moving
            if not moving:
                return
            for cable in moving:
                cable.step()
        raise AssertionError("it does not come to rest")

    def pass_time(self, seconds: float) -> None:
        """Let time pass in steps of a tenth of a second, and all that is under way arrive."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.1)
            for process in self.processes:
                process.tick()
            self.settle()
            for bridge in self.bridges:
                bridge.core.tick(self.now)
            self.settle()


def reply_channel(bridge: Bridge, conn: Connection) -> str:
    """Name the channel of a client."""
    return owned_channel("reply", bridge.boot, conn.id)
