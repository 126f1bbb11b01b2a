"""The pump: owns the endpoint and the clock, feeds the core and performs what it decides.

Everything for a worker that is queued during one turn of the event loop leaves as one ZeroMQ message. The pump
never waits for a client and never for a worker.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..shared import frames, wire
from ..shared.addresses import Address
from ..shared.config import MIB, Config
from ..shared.endpoint import PeerGone, now, sleep
from ..shared.errors import RemoteProtocolError
from ..shared.loop import Loop, Task
from .bus import EngineEnd
from .core import actions
from .core.core import Core
from .letters import open_letters
from .operating import Operating
from .slots import Listener, listen

if TYPE_CHECKING:
    from .engines.engine import Engine

logger = logging.getLogger("channels_bridge.bridge")

PROBES = (0.002, 0.01, 0.05, 0.2)  # seconds; the first finds nearly all
COMPLAIN = 1.0  # seconds between two log lines about malformed messages
GOODBYE_LINGER = 0.5  # seconds for the last frames of a bridge that stops


class Link:
    """One bridge process's end of all its links. Make it, :meth:`start` it in the server's loop, :meth:`stop` it."""

    def __init__(
        self, address: Address, config: Config, engine: Engine | None = None, dead_letters: Path | None = None
    ) -> None:
        self.config = config
        self._bus = None if engine is None else EngineEnd(engine)
        self._address = address
        self._listener: Listener | None = None
        self._ticker: Task | None = None
        self._prober: Task | None = None
        self._probes: deque[float] = deque()  # seconds between the probes that are still to come
        self._complained_at = -COMPLAIN
        self._dirty = False  # a flush is due at the end of this turn of the loop
        self._outboxes: dict[bytes, tuple[int, wire.Outbox]] = {}  # peer -> link epoch, what waits
        self._inboxes: dict[bytes, wire.Inbox] = {}  # peer -> what has arrived of a long frame
        self._on_tick: Callable[[float], None] = lambda now: None
        self._performers: dict[type[Any], Callable[[Any], None]] = {
            actions.Send: self._send,
            actions.Write: _write,
            actions.WriteAll: _write_all,
            actions.DropOldest: _drop_oldest,
            actions.Finish: _finish,
            actions.Room: _room,
            actions.Forget: self._forget,
            actions.Join: self._to_bus,
            actions.Leave: self._to_bus,
            actions.Publish: self._to_bus,
            actions.Log: _log,
        }
        boot = int.from_bytes(os.urandom(8), "big")
        self.core = Core(boot, config, self._perform, has_engine=engine is not None)
        self.operating = Operating(self.core, self._send, open_letters(dead_letters, config), engine)
        self._performers[actions.Asked] = self.operating.asked
        self._performers[actions.SetAside] = self.operating.set_aside

    @property
    def url(self) -> str:
        """Where this process listens; empty before :meth:`start`."""
        return "" if self._listener is None else self._listener.url

    def start(self, loop: Loop, on_tick: Callable[[float], None]) -> None:
        """Bind and begin. ``on_tick`` is called every ``config.tick`` seconds. Raises ``AddressError``."""
        self._listener = listen(self._address, self.config.insecure_tcp)
        self._loop, self._on_tick = loop, on_tick
        self.operating.start(loop, self.url)
        endpoint = self._listener.endpoint
        endpoint.start(loop, self._receive)
        endpoint.on_disconnect(self._hint)
        self._ticker = loop.spawn(self._tick())
        if self._bus is not None:
            self._bus.start(loop, self.core)
        logger.info("listening for workers on %s", self.url)

    def stop(self, reason: str) -> None:
        """Say goodbye to the workers, which end this bridge's consumers, and close. Never waits."""
        if self._listener is None:
            return
        self._dirty = True  # flushed below: the loop may be closed already
        if self._loop.is_current():
            self.core.stop()
        for worker in self.core.supervisor.links.values():
            self._send(actions.Send(worker.peer, worker.link_epoch, frames.Goodbye(reason)))
        self._flush()
        for task in filter(None, (self._ticker, self._prober)):
            task.cancel()
        if self._bus is not None:
            self._bus.stop()
        self.operating.stop()
        self._listener.close(GOODBYE_LINGER)
        self._listener = None

    def forget(self) -> None:
        """In a forked child: give up what is inherited of the slot; the parent keeps it."""
        self.operating.stop()
        if self._listener is not None:
            self._listener.forget()
            self._listener = None

    # -- in ----------------------------------------------------------------------------------------------------

    def _receive(self, message: list[bytes]) -> None:
        peer, moment = message[0], now()
        inbox = self._inboxes.get(peer)
        if inbox is None:
            inbox = self._inboxes[peer] = wire.Inbox(max(self.config.max_message_bytes, self.config.turn_bytes) + MIB)
        try:
            link_epoch, received = inbox.decode(message[1:])
        except RemoteProtocolError as error:
            if moment - self._complained_at >= COMPLAIN:
                self._complained_at = moment
                logger.warning("a malformed message was dropped: %s", error)
            self.core.malformed(peer, wire.peek_version(message[1:]), moment)
            received = []
        else:
            if received:
                self.core.receive(peer, link_epoch, received, moment)
        if peer not in self.core.supervisor.links:
            self._inboxes.pop(peer, None)

    def _hint(self) -> None:
        """A peer's connection has ended, and nobody says whose."""
        self._probe()
        self._probes.clear()
        self._probes.extend(PROBES)
        if self._prober is None:
            self._prober = self._loop.spawn(self._probe_again())

    async def _probe_again(self) -> None:
        """Probe a few times more: libzmq tells of the end before it takes the pipe down; until then sends succeed."""
        probes = self._probes
        while probes:
            await sleep(probes.popleft())
            self._probe()
        self._prober = None

    def _probe(self) -> None:
        """Read what the peer may have left, send each worker a beat, and see."""
        if self._listener is not None:
            self._listener.endpoint.drain()
        for worker in list(self.core.supervisor.links.values()):
            beat = frames.Beat(now(), 0.0, 0.0)
            self._send(actions.Send(worker.peer, worker.link_epoch, beat))

    async def _tick(self) -> None:
        while True:
            await sleep(self.config.tick)
            moment = now()
            self.core.tick(moment)
            self.operating.replays.tick(moment)
            self._on_tick(moment)

    # -- out ---------------------------------------------------------------------------------------------------

    def _perform(self, action: actions.Action) -> None:
        self._performers[type(action)](action)

    def _send(self, action: actions.Send) -> None:
        entry = self._outboxes.get(action.peer)
        if entry is None or entry[0] != action.link_epoch:
            self._flush()  # what is left for an older link of this peer
            entry = self._outboxes[action.peer] = (action.link_epoch, wire.Outbox())
        entry[1].add(action.frame)
        if not self._dirty:
            self._dirty = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._dirty = False
        if self._listener is None:
            return
        for peer, (link_epoch, outbox) in list(self._outboxes.items()):
            if outbox:
                self._flush_peer(self._listener, peer, link_epoch, outbox)
            if peer not in self.core.supervisor.links:
                self._outboxes.pop(peer, None)

    def _flush_peer(self, listener: Listener, peer: bytes, link_epoch: int, outbox: wire.Outbox) -> None:
        try:
            for message in outbox.batches(link_epoch):
                if not listener.endpoint.send([peer, *message]):
                    # 10,000 messages unread (endpoint.py): credit would have stopped us, were it alive
                    logger.warning("a worker has stopped reading")
                    raise PeerGone
        except PeerGone:
            listener.endpoint.drain()  # what it said before its end still counts
            self.core.lost(peer, now())

    def _to_bus(self, action: actions.Join | actions.Leave | actions.Publish) -> None:
        if self._bus is not None:
            self._bus.perform(action)

    def _forget(self, action: actions.Forget) -> None:
        self._outboxes.pop(action.peer, None)
        self._inboxes.pop(action.peer, None)


def _write(action: actions.Write) -> None:
    client: Any = action.conn.edge  # a Client: bridge/app.py put it there
    client.write(action.events)


def _write_all(action: actions.WriteAll) -> None:
    event = action.event
    for conn in action.conns:
        client: Any = conn.edge
        client.write_broadcast(event)


def _drop_oldest(action: actions.DropOldest) -> None:
    client: Any = action.conn.edge
    client.drop_oldest()


def _finish(action: actions.Finish) -> None:
    client: Any = action.conn.edge
    client.finish(action.outcome, action.text, action.events)


def _room(action: actions.Room) -> None:
    client: Any = action.conn.edge
    client.changed.set()


def _log(action: actions.Log) -> None:
    logger.log(logging.WARNING if action.level == "warning" else logging.INFO, "%s", action.text)
