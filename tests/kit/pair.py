"""Both cores back to back, on one virtual clock: a bridge's ``Core`` on one side, workers' ``Session``s on the other.

What stands between them is a :class:`Cable` per session: two first-in-first-out queues of ZeroMQ messages, packed and
unpacked by the real codec. Nothing moves by itself: a test delivers one message at a time, or calls
:meth:`Pair.settle`. Faults are ordinary calls: cut, drop, duplicate, hold back, kill, freeze, thaw.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from channels_bridge.bridge.core import actions as out
from channels_bridge.bridge.core.connection import Broadcast, Connection
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.core.letters import Letter
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import MIB, Config
from channels_bridge.shared.errors import RemoteProtocolError
from channels_bridge.shared.frames import Frame
from channels_bridge.testing.scripted import Host
from channels_bridge.worker.core import actions as inner
from channels_bridge.worker.core.session import Session

ZmqMessage = list[bytes]
BOOT = 0xB1  # of the bridge; of those that follow it, one more each


class Cable:
    """The connection of one session. ``up`` leads to the bridge, ``down`` to the worker; oldest first."""

    def __init__(self, peer: bytes, worker: Worker) -> None:
        self.peer = peer
        self.worker = worker
        self.up: deque[ZmqMessage] = deque()
        self.down: deque[ZmqMessage] = deque()
        self.held = False  # settle() leaves it alone
        self.cut = False  # nothing more goes in; what is in it can still come out at the bridge
        self.noticed = False  # the bridge knows
        self._at_bridge = wire.Inbox(64 * MIB)
        self._at_worker = wire.Inbox(64 * MIB)

    def deliver_up(self, core: Core, now: float) -> None:
        """Hand the bridge the oldest message, as bridge/link.py does."""
        message = self.up.popleft()
        try:
            link_epoch, received = self._at_bridge.decode(message)
        except RemoteProtocolError:
            core.malformed(self.peer, wire.peek_version(message), now)
            return
        if received:
            core.receive(self.peer, link_epoch, received, now)

    def deliver_down(self) -> None:
        """Hand the worker the oldest message, unless it has another socket by now, as worker/link.py does."""
        message, session = self.down.popleft(), self.worker.session
        if self.worker.cable is not self:
            return
        try:
            link_epoch, received = self._at_worker.decode(message)
        except RemoteProtocolError:
            session.lost("malformed message")
            return
        if received:
            session.receive(link_epoch, received)


class Worker:
    """A worker process: its session, its cable, its hosts. ``wake`` is called when a mailbox changes."""

    def __init__(self, pair: Pair, hello: frames.Hello, wake: Callable[[Host], None], on_loss: str) -> None:
        self.pair = pair
        self.on_loss = on_loss
        self.saves = bool(on_loss) and not hello.turns
        self.hello = hello
        self.wake = wake
        self.alive = True
        self.frozen = False
        self.draining = False
        self.left = False  # it has said goodbye
        self.hosts: dict[tuple[int, int], Host] = {}  # (conn, epoch) -> host, those that are over among them
        self.sockets = 0
        self.reopen_at: float | None = None
        self.session: Session = Session(hello, pair.config, self._perform)
        self.cable = self._plug_in()

    @property
    def has_turns(self) -> bool:
        """True: consumers. False: ASGI applications."""
        return self.hello.turns

    @property
    def may_act(self) -> bool:
        """Say whether the process runs and its lease holds."""
        return self.alive and not self.frozen and self.session.may_act(self.pair.now)

    def send(self, frame: Frame) -> None:
        """Send as worker/link.py does: without a lease nothing leaves."""
        if self.may_act:
            self._put(frame)

    def drain(self) -> None:
        """Ask for no new connections."""
        self.draining = True
        self.session.drain()

    def goodbye(self) -> None:
        """End the process as a graceful TERM does."""
        self.left = True
        self.session.close("stopped")
        self.kill()

    def kill(self) -> None:
        """End the process at once. What it had sent may still arrive."""
        self.alive = False
        self.cable.cut = True
        self.cable.down.clear()

    def tick(self) -> None:
        """Look at the timers, unless the process is frozen or gone."""
        if not self.alive or self.frozen:
            return
        self.session.tick(self.pair.now, 0.0)
        if self.reopen_at is not None and self.pair.now >= self.reopen_at:
            self.reopen_at = None
            self.session = self.session.next()
            self.cable = self._plug_in()

    def _plug_in(self) -> Cable:
        self.sockets += 1
        self.cable = Cable(f"{self.hello.name}/{self.sockets}".encode(), self)
        self.pair.cables[self.cable.peer] = self.cable
        self.session.connected(self.pair.now)
        return self.cable

    def _put(self, frame: Frame) -> None:
        if not self.cable.cut:
            self.cable.up.extend(wire.encode(self.session.link_epoch, [frame]))

    def _perform(self, action: inner.Action) -> None:
        match action:
            case inner.Send(frame):
                self._put(frame)
            case inner.Start(mailbox):
                this: Any = self  # to pyright two classes: in tests/kit and in channels_bridge.testing
                mailbox.host = host = self.hosts[mailbox.conn, mailbox.epoch] = Host(this, mailbox)
                self.pair.hosts.append(host)
                if mailbox.queue:
                    self.wake(host)
            case inner.Wake(mailbox):
                assert isinstance(mailbox.host, Host)
                self.wake(mailbox.host)
            case inner.Reconnect(delay):
                self.cable.cut = True
                self.reopen_at = self.pair.now + delay
            case inner.Log() | inner.Up() | inner.Over() | inner.Hear():
                pass


class Client:
    """The ASGI side of a connection: what the server was given, and whether the call may end."""

    def __init__(self, pair: Pair, kind: str, pool: str, idempotent: bool) -> None:
        self._core = pair.core
        self.queue: deque[bytes] = deque()  # written by the core, and not taken by the server yet
        self.got: list[bytes] = []  # what the server has taken
        self.outcome = ""  # of Finish
        self.may_send = True  # False: the journal is full
        self.conn = self._core.connection(kind, pool, b"scope", idempotent, self)

    def send(self, event: bytes, *, last: bool = False) -> None:
        """Send to the application; ``last``: it is the disconnect."""
        self.may_send = self._core.event(self.conn, event, last=last)

    def take(self, count: int = 1) -> None:
        """Let the server take the next messages for the client."""
        for _ in range(min(count, len(self.queue))):
            event = self.queue.popleft()
            self.got.append(event)
            self._core.written(self.conn, len(event))

    def drop_oldest(self) -> None:
        """Take the oldest message of a group out of the queue, if there is one."""
        oldest = next((event for event in self.queue if type(event) is Broadcast), None)
        if oldest is not None:
            self.queue.remove(oldest)
            self._core.written(self.conn, len(oldest))

    def close(self) -> None:
        """End the ASGI call, whatever state it is in."""
        self._core.close(self.conn)


class Pair:
    """One bridge, its clients and workers, and the clock of them all. ``settings`` are those of ``Config``."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = (config or Config()).check()
        self.now = 1000.0
        self.core = Core(BOOT, self.config, self._perform)
        self.cables: dict[bytes, Cable] = {}  # peer -> cable; kept after its end
        self.workers: list[Worker] = []
        self.hosts: list[Host] = []  # of all workers, in the order in which they came
        self.clients: list[Client] = []  # of this bridge
        self.letters: list[Letter] = []  # that were set aside
        self.watch: Callable[[Client, Sequence[bytes]], None] = lambda client, events: None  # what clients are written
        self._links: dict[bytes, int] = {}  # peer -> link epoch that it was given last
        self._over: set[tuple[bytes, int]] = set()  # (peer, link epoch) of links that have ended

    def worker(
        self,
        *,
        slots: int = 0,
        connections: int = 0,
        pools: Sequence[str] = ("default",),
        wake: Callable[[Host], None] = lambda host: None,
        on_loss: str = "",
    ) -> Worker:
        """Start a worker process; ``slots`` more than 0 gives it turns. Its HELLO is under way then.

        ``on_loss``: what its consumers say in their commits; "": they are not resumable.
        """
        boot = len(self.workers) + 1
        hello = frames.Hello("worker", boot, f"w{boot}", list(pools), slots > 0, slots, connections)
        worker = Worker(self, hello, wake, on_loss)
        self.workers.append(worker)
        return worker

    def open(
        self, event: bytes | None, kind: str = "websocket", pool: str = "default", *, idempotent: bool = True
    ) -> Client:
        """Let a client come, with its first message; None: it waits to be asked for that."""
        client = Client(self, kind, pool, idempotent)
        client.may_send = event is not None
        self.clients.append(client)
        self.core.open(client.conn, event, self.now)
        return client

    def notice(self, cable: Cable) -> None:
        """Let the bridge's socket say that this connection has ended, behind all that came through it."""
        assert cable.cut
        cable.noticed = True
        self.core.lost(cable.peer, self.now)

    def restart(self, *, noticed: bool) -> None:
        """Put another bridge in the place of this one, whose clients are gone with it.

        ``noticed``: its workers' connections are cut. Else what they have sent reaches the next bridge, as it does
        where a socket keeps its queue.
        """
        for cable in self.cables.values():
            if noticed and not cable.cut:
                cable.cut = cable.noticed = True
                cable.worker.session.lost("cut")
        self.core = Core(self.core.boot + 1, self.config, self._perform)
        self.clients = []
        self._links.clear()
        self._over.clear()

    def settle(self, limit: int = 10000) -> None:
        """Deliver until nothing is under way, cables that are held and frozen workers apart."""
        for _ in range(limit):
            ready = [c for c in self.cables.values() if not c.held and (c.up or self._reads(c) or self._ends(c))]
            if not ready:
                return
            for cable in ready:
                if cable.up:
                    cable.deliver_up(self.core, self.now)
                elif self._reads(cable):
                    cable.deliver_down()
                else:
                    self.notice(cable)
        raise AssertionError("it does not come to rest")

    def pass_time(self, seconds: float) -> None:
        """Let time pass in ticks, and all that is under way arrive."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + self.config.tick)
            for worker in self.workers:
                worker.tick()
            self.settle()
            self.core.tick(self.now)
            self.settle()

    def _reads(self, cable: Cable) -> bool:
        worker = cable.worker
        return bool(cable.down) and worker.alive and not worker.frozen

    def _ends(self, cable: Cable) -> bool:
        return cable.cut and not cable.noticed

    def _perform(self, action: out.Action) -> None:  # noqa: C901, PLR0912 - a table
        match action:
            case out.Send(peer, link_epoch, frame):
                assert (peer, link_epoch) not in self._over, "nothing is sent to a link that is over"
                if isinstance(frame, frames.Welcome):
                    self._links[peer] = link_epoch
                cable = self.cables.get(peer)
                if cable is not None and not cable.cut:
                    cable.down.extend(wire.encode(link_epoch, [frame]))
            case out.Write(conn, events):
                self._write(_client(conn), events)
            case out.WriteAll(conns, event):
                for conn in conns:
                    self._write(_client(conn), [event])
            case out.DropOldest(conn):
                _client(conn).drop_oldest()
            case out.Join() | out.Leave() | out.Publish():
                raise AssertionError("this bridge has no engine")
            case out.Finish(conn, outcome, _, events):
                assert not _client(conn).outcome, "a connection ends once"
                self._write(_client(conn), events)
                _client(conn).outcome = outcome
            case out.SetAside(letter):
                self.letters.append(letter)
            case out.Room(conn):
                _client(conn).may_send = True
            case out.Forget(peer):
                self._over.add((peer, self._links[peer]))
            case out.Log() | out.Asked():
                pass

    def _write(self, client: Client, events: Sequence[bytes]) -> None:
        assert not client.outcome, "nothing is written behind the end"
        self.watch(client, events)
        client.queue.extend(events)


def _client(conn: Connection) -> Client:
    client = conn.edge
    assert isinstance(client, Client)
    return client


def echo(host: Host) -> None:
    """Answer every message with itself: a ``wake`` for workers that need no script."""
    while host.may_take:
        event = host.take()
        if host.worker.has_turns:
            host.commit(event)
        else:
            host.send(event)
