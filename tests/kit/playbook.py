"""A bridge's core alone, with a clock of its own: events and frames in, what it decided out, as lines of text.

::

    book = Playbook()
    book.worker("a")
    book.lines()
    one = book.open("hello")
    book.event(one, "more")
    assert book.lines() == ["a <- ADOPT 1.1 'hello'", "a <- MESSAGE 1.1 #2 'more'"]

``1.2 #3`` reads: connection 1, epoch 2, message 3. What is as usual is not said: the first window, the first attempt,
messages from the first on. What the core writes in its log is kept apart, in ``logs``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from channels_bridge.bridge.core import actions
from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.core.dispatcher import FIRST_WINDOW
from channels_bridge.bridge.core.pool import Worker
from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.shared.frames import Effect, Frame
from channels_bridge.shared.names import owned_channel

BOOT = 0xB0  # of the bridge


class Playbook:
    """A core, its clock and what it decided. ``settings`` are those of ``Config``."""

    def __init__(self, *, has_engine: bool = False, **settings: object) -> None:
        self.now = 1000.0
        self.logs: list[str] = []
        self._lines: list[str] = []
        self._names: dict[bytes, str] = {}  # peer -> name of the worker
        self._epochs: dict[str, int] = {}  # name -> link epoch that it was last given
        config = Config(**settings).check()  # type: ignore[arg-type]
        self.core = Core(BOOT, config, self._take, has_engine=has_engine)

    # -- what was decided --------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """Give what was decided since the last call."""
        lines, self._lines = self._lines, []
        return lines

    def _take(self, action: actions.Action) -> None:
        if isinstance(action, actions.Log):
            self.logs.append(f"{action.level}: {action.text}")
            return
        if isinstance(action, actions.Send) and isinstance(action.frame, frames.Welcome):
            self._epochs[self._name(action.peer)] = action.frame.link_epoch
        if isinstance(action, actions.Finish) and action.events:
            self._lines.append(f"client {action.conn.id} <- {_texts(action.events)}")
        self._lines.append(self._line(action))

    def _line(self, action: actions.Action) -> str:  # noqa: C901, PLR0911 - a table
        match action:
            case actions.Send(peer, _, frame):
                return f"{self._name(peer)} <- {show(frame)}"
            case actions.Write(conn, events):
                return f"client {conn.id} <- {_texts(events)}"
            case actions.WriteAll(conns, event):
                who = " ".join(str(conn.id) for conn in conns)
                return f"client{'s' * (len(conns) > 1)} {who} <- {_texts([event])}"
            case actions.DropOldest(conn):
                return f"client {conn.id} drops its oldest"
            case actions.Join(topic):
                return f"joins {topic}"
            case actions.Leave(topic):
                return f"leaves {topic}"
            case actions.Publish(topic, frame):
                return f"publishes {topic}: {show(frame)}"
            case actions.Finish(conn, outcome, text, _):
                return f"client {conn.id} ends: {outcome}" + (f", {text}" if text else "")
            case actions.SetAside(letter):
                what = f"{letter.conn} #{letter.seq} '{letter.event.decode()}', state '{letter.state.decode()}'"
                return f"set aside: {what}, lost with {' '.join(letter.workers)}"
            case actions.Room(conn):
                return f"client {conn.id} may send"
            case actions.Forget(peer):
                return f"forget {self._name(peer)}"
            case _:
                raise AssertionError(action)

    def _name(self, peer: bytes) -> str:
        return self._names.get(peer, peer.decode())

    # -- the ASGI side -----------------------------------------------------------------------------------------

    def open(
        self, text: str | None = "first", kind: str = "http", pool: str = "default", *, idempotent: bool = True
    ) -> Connection:
        """Begin a connection with its first message; None: its client waits to be asked. Its scope is b"scope"."""
        conn = self.core.connection(kind, pool, b"scope", idempotent, None)
        self.core.open(conn, None if text is None else text.encode(), self.now)
        return conn

    def event(self, conn: Connection, *texts: str, last: bool = False) -> bool:
        """Let the client send messages; ``last``: the last of them is its disconnect. False: it may not go on."""
        room = True
        for number, text in enumerate(texts, 1):
            room = self.core.event(conn, text.encode(), last=last and number == len(texts))
        return room

    # -- the workers' side -------------------------------------------------------------------------------------

    def worker(  # one keyword for each field of HELLO
        self,
        name: str,
        *,
        pools: tuple[str, ...] = ("default",),
        turns: bool = False,
        slots: int = 0,
        connections: int = 0,
        kinds: tuple[str, ...] = (),
        boot: int | None = None,
        peer: str = "",
    ) -> Worker:
        """Let a worker say HELLO. ``slots`` more than 0 makes it one that has turns."""
        route = (peer or name).encode()
        self._names[route] = name
        boot = len(self._names) if boot is None else boot
        bounds = slots, connections
        hello = frames.Hello("worker", boot, name, list(pools), turns or slots > 0, *bounds, list(kinds))
        self.core.receive(route, 0, [hello], self.now)
        return self.core.supervisor.links[route]

    def says(self, name: str, *said: Frame, link_epoch: int | None = None) -> None:
        """Let a worker send a batch, under the link epoch that it was given, or under another."""
        peer = next((peer for peer, known in self._names.items() if known == name), name.encode())
        epoch = self._epochs.get(name, 0) if link_epoch is None else link_epoch
        self.core.receive(peer, epoch, said, self.now)

    def commit(
        self,
        name: str,
        conn: Connection,
        seq: int,
        *effects: Effect | str,
        epoch: int | None = None,
        done: bool = True,
        state: str = "",
        on_loss: str = "",
    ) -> None:
        """Let a worker commit a turn; an effect that is a text is a message for the client."""
        said: list[Effect] = [effect.encode() if isinstance(effect, str) else effect for effect in effects]
        epoch = conn.epoch if epoch is None else epoch
        self.says(name, frames.Commit(conn.id, epoch, seq, done, said, state.encode(), on_loss))

    def output(self, name: str, conn: Connection, *texts: str, acked: int = 0, outcome: str = "") -> None:
        """Let an ASGI application receive up to ``acked``, send to its client, and end."""
        self.says(name, frames.Output(conn.id, conn.epoch, acked, [text.encode() for text in texts], outcome, ""))

    def resumed(self, name: str, conn: Connection) -> None:
        """Let a worker say that it goes on with the state of a connection."""
        self.says(name, frames.Resumed(conn.id, conn.epoch))

    def lost(self, name: str) -> None:
        """Let the socket say that a worker's connection has ended."""
        peer = next(peer for peer, known in self._names.items() if known == name)
        self.core.lost(peer, self.now)

    # -- time --------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float, *beating: str) -> None:
        """Let time pass in ticks; those named go on beating, once a second. Answers to beats are not shown."""
        config, beat = self.core.config, self.now
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + config.tick)
            if self.now >= beat:
                beat += config.beat
                for name in beating:
                    self.says(name, frames.Beat(self.now, 0.0, 0.0))
                    self._lines.remove(f"{name} <- BEAT {self.now:g} echo {self.now:g}")
            self.core.tick(self.now)


def show(frame: Frame) -> str:  # noqa: PLR0911 - a table
    """Give a frame that a bridge sends as a line."""
    match frame:
        case frames.Welcome(link_epoch):
            return f"WELCOME {link_epoch}"
        case frames.Refuse(code) | frames.Reset(code) | frames.Goodbye(code):
            return f"{type(frame).__name__.upper()} {code}"
        case frames.Beat(sent_at, echo):
            return f"BEAT {sent_at:g} echo {echo:g}"
        case frames.Adopt(conn, epoch, _, next_seq, window, attempt, state, events):
            parts = [f"state {state.decode()!r}"] * bool(state)
            parts += [_texts(events)] * bool(events) + [f"from {next_seq}"] * (next_seq > 1)
            parts += [f"window {window}"] * (window != FIRST_WINDOW) + [f"attempt {attempt}"] * (attempt > 1)
            return " ".join([f"ADOPT {conn}.{epoch}", *parts])
        case frames.Message(conn, epoch, seq, attempt, event):
            return f"MESSAGE {conn}.{epoch} #{seq} {event.decode()!r}" + (f" attempt {attempt}" if attempt > 1 else "")
        case frames.Credit(conn, epoch, total):
            return f"CREDIT {conn}.{epoch} {total}"
        case frames.Cancel(conn, epoch, reason):
            return f"CANCEL {conn}.{epoch} {reason}"
        case frames.FanOut(event, targets):
            to = zip(targets[::3], targets[1::3], targets[2::3], strict=True)
            return f"FAN_OUT {event.decode()!r} to " + " ".join(f"{conn}.{epoch}#{seq}" for conn, epoch, seq in to)
        case _:
            return _show_layer(frame)


def _show_layer(frame: Frame) -> str:
    match frame:
        case frames.GroupSend(group, event, exclude):
            return f"GROUP_SEND {group} {event.decode()!r}" + (f" but {' '.join(exclude)}" if exclude else "")
        case frames.ChannelSend(name, event, capacity, expiry, route):
            bounds = f" at most {capacity}" * bool(capacity) + f" for {expiry:g} s" * bool(expiry)
            return f"CHANNEL_SEND {name} {event.decode()!r}{bounds}" + (f" by {route}" if route else "")
        case frames.GroupAdd(group, name, route) | frames.GroupDiscard(group, name, route):
            return f"{kind_name(frame)} {group} {name}" + (f" by {route}" if route else "")
        case frames.Answer(route, code):
            return f"ANSWER {route} {code or 'done'}"
        case frames.Relay(origin, number, to, effects):
            return f"RELAY {origin:x}/{number} to {to}: " + ", ".join(show(effect) for effect in effects)
        case frames.Listening(bridge, channels):
            return f"LISTENING {bridge:x} {' '.join(channels)}"
        case frames.Relayed(origin, number):
            return f"RELAYED {origin:x}/{number}"
        case _:
            raise AssertionError(f"no bridge sends {frame}")


def kind_name(frame: Frame) -> str:
    """Give the name of a frame's kind as the documents write it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(frame).__name__).upper()


def _texts(events: Sequence[bytes]) -> str:
    return " ".join(repr(event.decode()) for event in events)


def channel(conn: Connection, role: str = "consumer") -> str:
    """Name a channel of a connection of this playbook's bridge."""
    return owned_channel(role, BOOT, conn.id)


def leftovers(core: Core) -> list[str]:
    """Name every table of the core that is not empty, links and pools apart: after the last close there is none."""
    workers = {id(worker): worker for pool in core.dispatcher.pools.values() for worker in pool.workers}.values()
    found = {
        "connections": len(core.connections),
        "groups": len(core.layer.groups),
        "named channels": len(core.layer.background),
        "relays": len(core.layer.relays),
        "journal_bytes": core.dispatcher.journal_bytes,
        "buffered": core.dispatcher.buffered,
        "pool.waiting": sum(len(pool.waiting) for pool in core.dispatcher.pools.values()),
        "worker.conns": sum(len(worker.conns) for worker in workers),
        "worker.waiting": sum(len(worker.waiting) for worker in workers),
        "turns_out": sum(abs(worker.turns_out) for worker in workers),
        "balance": sum(map(abs, core.balance().values())),
    }
    return [f"{name}: {count}" for name, count in found.items() if count]
