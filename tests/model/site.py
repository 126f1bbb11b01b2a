"""What the state machine of the model moves: a bridge, its clients, workers and what they host; and how it recovers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.shared.frames import Effect
from channels_bridge.shared.names import owned_channel
from channels_bridge.testing.pair import Cable, Client, Pair, Worker
from channels_bridge.testing.playbook import leftovers
from channels_bridge.testing.scripted import Host
from model.story import DISCONNECT, TURN_WINDOW, Story

T = TypeVar("T")

CONFIG = Config(
    journal_messages=3, journal_bytes=40, window_bytes=60, buffered_bytes=150, turn_window=TURN_WINDOW, max_links=9,
    http_queue=4.0,
)  # fmt: skip
ON_LOSS = {"turns": "", "asgi": "", "replay": "replay", "skip": "skip", "close": "close", "saves": "replay"}
WITHOUT_TURNS = ("asgi", "saves")
PICK = st.integers(0, 11)  # which one of those that there are
WANTED = st.lists(st.sampled_from(["write", "write", "join", "join as client", "leave", "group", "psst"]), max_size=4)


def pick(items: Sequence[T], number: int) -> T:
    return items[number % len(items)]


JUMP = 2.9  # seconds: a bridge that was not awake for longer than `suspect` forgives those who were silent


class Site(RuleBasedStateMachine):
    """One bridge, and pools named after what is in them.

    "turns" has consumers, "asgi" applications without turns, "saves" such that commit; the others have resumable
    consumers with this ``on_loss``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.use(Pair(CONFIG))
        self.stories: dict[tuple[int, int], Story] = {}  # (bridge, conn) -> story
        self.authors: dict[bytes, Host] = {}  # output -> who has named it
        self.silent: set[bytes] = set()  # peers that the bridge has given up for their silence
        self.pools: list[str] = ["turns"]
        self.effects = 0  # numbers what hosts send
        self.steps = 0

    def use(self, pair: Pair) -> None:
        self.pair = pair
        pair.watch = self.see

    def see(self, client: Client, events: Sequence[bytes]) -> None:
        for event in events:
            self.story(client.conn.id).written(event)

    def story(self, conn: int) -> Story:
        return self.stories[self.pair.core.boot, conn]

    # -- those that there are ----------------------------------------------------------------------------------

    @property
    def open(self) -> list[Story]:
        """Clients of this bridge whose ASGI call is not over."""
        stories = (self.story(client.conn.id) for client in self.pair.clients)
        return [story for story in stories if not story.closed]

    @property
    def talking(self) -> list[Story]:
        return [s for s in self.open if s.client.may_send and DISCONNECT not in s.sent[-1:]]

    @property
    def running(self) -> list[Worker]:
        return [worker for worker in self.pair.workers if worker.alive and not worker.frozen]

    @property
    def hosts(self) -> list[Host]:
        """Those that can do something."""
        return [h for h in self.pair.hosts if not h.ended and h.worker.alive and not h.worker.frozen]

    @property
    def in_turn(self) -> list[Host]:
        return [host for host in self.hosts if host.turn is not None]

    @property
    def idle(self) -> list[Host]:
        return [host for host in self.hosts if host.turn is None]

    @property
    def ready(self) -> list[Host]:
        return [host for host in self.idle if host.may_take]

    @property
    def savers(self) -> list[Host]:
        return [host for host in self.idle if host.worker.saves and host.lives]

    @property
    def rising(self) -> list[Cable]:
        return [cable for cable in self.pair.cables.values() if cable.up]

    @property
    def falling(self) -> list[Cable]:
        return [c for c in self.pair.cables.values() if c.down and c.worker.alive and not c.worker.frozen]

    @property
    def cut(self) -> list[Cable]:
        return [cable for cable in self.pair.cables.values() if cable.cut and not cable.noticed]

    # -- what they do ------------------------------------------------------------------------------------------

    def come(self, pool: str, kind: str = "websocket", *, again: bool = True, waits: bool = False) -> Story:
        """Let a client come. Its story is there before the bridge knows of it, as it may be answered at once."""
        core = self.pair.core
        client = Client(self.pair, kind, pool, again)
        story = self.stories[core.boot, client.conn.id] = Story(client, core.boot, ON_LOSS[pool], self.authors)
        self.pair.clients.append(client)
        client.may_send = not waits
        story.sent += [] if waits else [b"0"]
        core.open(client.conn, None if waits else b"0", self.pair.now)
        return story

    def say(self, story: Story, size: int = 1, *, last: bool = False) -> None:
        """Let a client send."""
        story.sent.append(DISCONNECT if last else b"%d" % len(story.sent) + b" " * size)
        story.client.send(story.sent[-1], last=last)

    def leave(self, story: Story) -> None:
        """Let the ASGI call of a client be over."""
        story.holds()
        story.closed = True
        story.client.close()

    def start(self, pool: str, slots: int = 2, limit: int = 0) -> Worker:
        """Start a worker; its HELLO is under way."""
        slots = 0 if pool in WITHOUT_TURNS else max(1, slots)
        return self.pair.worker(slots=slots, connections=limit, pools=[pool], on_loss=ON_LOSS[pool])

    def take(self, host: Host) -> None:
        """Let a host take its next message, which it may not do once its bridge has given it up for its silence."""
        assert host.peer not in self.silent, "who is frozen stops before its connections are another's"
        host.take()
        self.stories[host.boot, host.mailbox.conn].taken(host)

    def name(self, host: Host) -> bytes:
        """Name an output, so that a client can be seen to get it."""
        self.effects += 1
        event = b"own %d" % self.effects
        self.authors[event] = host
        return event

    def commit(
        self, host: Host, wanted: Sequence[str] = (), to: int = 0, *, done: bool = True, keep: bool = True
    ) -> None:
        """Let a turn commit. It always sends something, so that it can be seen to have been applied."""
        host.commit(self.name(host), *(self.effect(host, what, to) for what in wanted), done=done, keeps=keep)

    def effect(self, host: Host, what: str, to: int) -> Effect:
        self.effects += 1
        own = owned_channel("reply" if what == "join as client" else "consumer", host.boot, host.mailbox.conn)
        other = owned_channel("reply" if to % 2 else "consumer", host.boot, to)
        match what:
            case "write":
                return self.name(host)
            case "join" | "join as client":
                return frames.GroupAdd(f"g{to % 2}", own, [])
            case "leave":
                return frames.GroupDiscard(f"g{to % 2}", own, [])
            case "group":
                return frames.GroupSend(f"g{to % 2}", b"group %d" % self.effects, [other], [], [])
            case _:
                return frames.ChannelSend(other, b"psst %d" % self.effects, 0, 0.0, [])

    def work_off(self, hosts: Sequence[Host], wanted: Sequence[str] = (), to: int = 0) -> None:
        """Let these do what they have to, one message each."""
        for host in hosts:
            if not host.may_take:
                continue
            self.take(host)
            if host.worker.has_turns:
                self.commit(host, wanted, to)
            elif host.worker.saves:
                host.save(self.name(host))

    def let_time_pass(self, seconds: float) -> None:
        """Let so much time be noticed by everybody who runs, in jumps that are no standstill of the bridge."""
        pair, end = self.pair, self.pair.now + seconds
        while pair.now < end:
            pair.now = min(end, pair.now + JUMP)
            for worker in pair.workers:
                worker.tick()
            before = set(pair.core.supervisor.links)
            pair.core.tick(pair.now)
            self.silent |= before - set(pair.core.supervisor.links)

    def seconds_pass(self, seconds: int) -> None:
        """Let time pass while all that can move arrives, so that who lives is heard."""
        for _ in range(seconds):
            self.let_time_pass(1.0)
            self.pair.settle()

    # -- when all faults are over ------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let the faults be over, and see that everything comes to its end; not where a step has failed."""
        if sys.exc_info()[0] is not None:
            return
        self.recover()
        for story in self.open:
            conn = story.conn
            assert conn.finished or (conn.owner is not None and not conn.journal), "all that was accepted was handled"
            assert conn.finished or (story.client.may_send and not conn.closing)
            self.leave(story)
        self.pair.settle()
        assert leftovers(self.pair.core) == []
        assert all(not worker.session.mailboxes for worker in self.running)

    def recover(self) -> None:
        """Let every worker run on, start one more for each pool, and handle everything."""
        for worker in self.pair.workers:
            worker.frozen = False
        for link in list(self.pair.core.supervisor.links.values()):
            if not self.pair.cables[link.peer].worker.alive:
                self.pair.cables[link.peer].cut = True
        for worker in self.running[: -CONFIG.max_links + len(self.pools)]:
            worker.kill()
        self.seconds_pass(12)
        for pool in self.pools:
            self.start(pool, slots=3)
        for _ in range(100):
            self.pair.settle()
            if not self.work():
                break
            self.let_time_pass(0.05)
        self.seconds_pass(5)

    def is_waiting(self, host: Host) -> bool:
        """Say whether its client waits to be asked for its first message."""
        client = self.stories[host.boot, host.mailbox.conn].client
        return not client.may_send and not client.conn.seq

    def work(self) -> bool:
        """Let every host do one thing, and every client read. False: there was nothing to do."""
        busy = bool(self.pair.core.dispatcher.holding.held)
        for story in self.open:
            busy |= bool(story.client.queue)
            story.client.take(100)
        for host in self.in_turn:
            self.commit(host)
            busy = True
        for host in self.idle:
            if host.adopted and host.worker.may_act:
                host.resume()
                busy = True
            elif host.may_take:
                self.work_off([host])
                busy = True
            elif host.is_unsaved and host.lives:
                host.save(self.name(host))
                busy = True
            elif not host.worker.has_turns and host.lives and self.is_waiting(host):
                host.ask()
                busy = True
            elif not host.worker.has_turns and host.handled and host.handled[-1][1] == DISCONNECT:
                host.end(self.name(host))
                busy = True
        return busy
