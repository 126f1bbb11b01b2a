"""What may happen, fault or not, in any order: the rules of the model's state machine."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.pool import Worker as Link
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import PROTOCOL
from channels_bridge.shared.errors import RemoteProtocolError
from channels_bridge.testing.pair import Cable, Pair, Worker
from model.site import CONFIG, ON_LOSS, PICK, WANTED, Site, pick

SLOTS = st.integers(1, 3)
LIMIT = st.integers(0, 2)  # connections of a worker; 0: no bound
KINDS: list[type[frames.Frame]] = sorted(get_args(frames.Frame), key=str)
SAID = st.sampled_from(["commit", "output", "failed", "unresumable", "save"])
RARELY = st.sampled_from([False, False, False, True])
JUNK = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"", b"\xcb\x01\x00\x00\x00\x00", b"\xcb\x7f\x00\x00\x00\x01\x91\x91\x01"]),
    st.lists(st.integers(0, 40), max_size=9).map(bytes),
)


class Usual(Site):
    """Clients come, send, read and leave; workers handle what comes; frames arrive one at a time; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0  # the step in which time passed last

    @initialize(
        pools=st.lists(st.sampled_from(sorted(ON_LOSS)), min_size=1, max_size=3, unique=True),
        slots=SLOTS,
        limit=LIMIT,
        slow_member=st.sampled_from(["drop_new", "drop_old", "close"]),
    )
    def workers_are_there(self, pools: list[str], slots: int, limit: int, slow_member: str) -> None:
        self.use(Pair(dataclasses.replace(CONFIG, slow_member=slow_member)))
        self.pools = pools
        for pool in [*pools, *pools]:
            self.start(pool, slots, limit)
        self.pair.settle()

    # -- clients -----------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.open) < 6)
    @rule(number=PICK, kind=st.sampled_from(["http", "websocket"]), again=RARELY, waits=RARELY)
    def a_client_comes(self, number: int, kind: str, again: bool, waits: bool) -> None:
        self.come(pick(self.pools, number), kind, again=not again, waits=waits)

    @precondition(lambda self: self.talking)
    @rule(number=PICK, size=st.integers(1, 30), last=RARELY)
    def a_client_sends(self, number: int, size: int, last: bool) -> None:
        self.say(pick(self.talking, number), size, last=last)

    @precondition(lambda self: any(story.client.queue for story in self.open))
    @rule(number=PICK, count=st.integers(1, 3))
    def a_client_reads(self, number: int, count: int) -> None:
        pick([story for story in self.open if story.client.queue], number).client.take(count)

    @precondition(lambda self: any(host.adopted for host in self.idle))
    @rule(number=PICK)
    def a_host_resumes(self, number: int) -> None:
        pick([host for host in self.idle if host.adopted], number).resume()

    @precondition(lambda self: self.open)
    @rule(number=PICK, how=st.sampled_from(["over", "over", "gone", "refused"]))
    def a_client_is_over(self, number: int, how: str) -> None:
        story = pick(self.open, number)
        if how == "gone":
            self.pair.core.gone(story.conn)
        elif how == "refused":
            self.pair.core.refuse(story.conn, "too-big")
        else:
            self.leave(story)

    # -- what workers host -------------------------------------------------------------------------------------

    @precondition(lambda self: self.ready)
    @rule(number=PICK)
    def a_host_takes_a_message(self, number: int) -> None:
        self.take(pick(self.ready, number))

    @precondition(lambda self: self.in_turn)
    @rule(number=PICK)
    def a_turn_sends(self, number: int) -> None:
        host = pick(self.in_turn, number)
        host.record(self.name(host))

    @precondition(lambda self: self.in_turn)
    @rule(number=PICK, early=RARELY, same=RARELY, wanted=WANTED, to=PICK)
    def a_turn_commits(self, number: int, early: bool, same: bool, wanted: list[str], to: int) -> None:
        self.commit(pick(self.in_turn, number), wanted, to, done=not early, keep=not same)

    @precondition(lambda self: self.savers)
    @rule(number=PICK, count=st.integers(1, 2))
    def an_application_saves(self, number: int, count: int) -> None:
        host = pick(self.savers, number)
        host.save(*(self.name(host) for _ in range(count)))

    @precondition(lambda self: self.talking)
    @rule(number=PICK, size=st.integers(1, 30), wanted=WANTED, to=PICK)
    def a_message_goes_all_the_way(self, number: int, size: int, wanted: list[str], to: int) -> None:
        """What goes well most of the time, in one step: else a run would not come far."""
        self.a_client_sends(number, size, last=False)
        self.pair.settle()
        self.work_off(self.ready, wanted, to)
        self.pair.settle()

    @precondition(lambda self: self.in_turn)
    @rule(number=PICK)
    def a_turn_fails(self, number: int) -> None:
        pick(self.in_turn, number).fail()

    @precondition(lambda self: self.idle)
    @rule(number=PICK, ends=RARELY)
    def a_host_sends(self, number: int, ends: bool) -> None:
        host = pick(self.idle, number)
        if ends and not host.worker.has_turns:
            host.end(self.name(host))
        elif not host.worker.saves:
            host.send(self.name(host))

    @precondition(lambda self: any(not host.worker.has_turns for host in self.idle))
    @rule()
    def applications_ask(self) -> None:
        for host in self.idle:
            if host.mailbox.next_seq == 1 and not host.worker.has_turns:
                host.ask()

    # -- what moves --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.rising)
    @rule(number=PICK, count=st.integers(1, 3))
    def messages_reach_the_bridge(self, number: int, count: int) -> None:
        cable = pick(self.rising, number)
        for _ in range(min(count, len(cable.up))):
            cable.deliver_up(self.pair.core, self.pair.now)

    @precondition(lambda self: self.falling)
    @rule(number=PICK, count=st.integers(1, 3))
    def messages_reach_a_worker(self, number: int, count: int) -> None:
        cable = pick(self.falling, number)
        for _ in range(min(count, len(cable.down))):
            cable.deliver_down()

    @precondition(lambda self: self.rising or self.falling)
    @rule()
    def all_is_delivered(self) -> None:
        self.pair.settle()

    @precondition(lambda self: self.steps >= self.slept + 3)  # it is always possible, and would be half of all steps
    @rule(seconds=st.sampled_from([0.05, 0.05, 1.0, 1.0, 2.9, 4.0, 7.9]))
    def time_passes(self, seconds: float) -> None:
        self.slept = self.steps
        self.let_time_pass(seconds)


class Faults(Usual):
    """Workers are killed, frozen, cut off and given up while they live, frames come twice or are none; bridges end."""

    @precondition(lambda self: len(self.running) < 8)
    @rule(number=PICK, slots=SLOTS, limit=LIMIT, there=RARELY)
    def a_worker_starts(self, number: int, slots: int, limit: int, there: bool) -> None:
        self.start(pick(self.pools, number), slots, limit)
        if not there:
            self.pair.settle()

    @precondition(lambda self: len(self.running) > 1)
    @rule(number=PICK, how=st.sampled_from(["killed", "frozen", "draining", "leaving", "cut off", "given up", "mad"]))
    def a_worker_is(self, number: int, how: str) -> None:
        worker = pick(self.running, number)
        match how:
            case "frozen":
                worker.frozen = True
            case "draining":
                worker.drain()
            case "leaving":
                worker.goodbye()
            case "mad":
                self.pair.core.malformed(worker.cable.peer, PROTOCOL, self.pair.now)
            case _:
                self.lose(worker, how)

    def lose(self, worker: Worker, how: str) -> None:
        if how == "killed":
            worker.kill()
        elif how == "cut off":
            worker.cable.cut = True
            worker.session.lost("cut")
        else:
            self.pair.core.lost(worker.cable.peer, self.pair.now)

    @precondition(lambda self: any(worker.frozen for worker in self.pair.workers))
    @rule()
    def all_workers_thaw(self) -> None:
        for worker in self.pair.workers:
            worker.frozen = False

    @precondition(lambda self: self.cut)
    @rule(number=PICK)
    def the_bridge_notices(self, number: int) -> None:
        """Whether or not all that was under way has been read."""
        self.pair.notice(pick(self.cut, number))

    @precondition(lambda self: self.steps > 12 and self.pair.core.connections)
    @rule(noticed=st.booleans(), really=RARELY)
    def the_bridge_restarts(self, noticed: bool, really: bool) -> None:
        """Nothing that is under way from the time of the old one may have an effect in the new one."""
        if really:
            self.pair.restart(noticed=noticed)

    # -- frames that ought not to be ---------------------------------------------------------------------------

    @property
    def repeatable(self) -> list[Cable]:
        """Cables with a COMMIT in front that ends a turn; an early one has no number of its own."""
        fronts = ((cable, self.front(cable)) for cable in self.rising)
        return [cable for cable, frame in fronts if isinstance(frame, frames.Commit) and frame.done]

    @staticmethod
    def front(cable: Cable) -> frames.Frame | None:
        """Give the frame that arrives next; None where it is junk."""
        with contextlib.suppress(RemoteProtocolError):
            return wire.Inbox(1000).decode(cable.up[0])[1][0]
        return None

    @precondition(lambda self: self.repeatable)
    @rule(number=PICK)
    def a_commit_arrives_twice(self, number: int) -> None:
        """No transport of ours does that; what guards against it guards against much else."""
        cable = pick(self.repeatable, number)
        cable.up.appendleft(cable.up[0])
        cable.deliver_up(self.pair.core, self.pair.now)

    @precondition(lambda self: self.is_time_for_noise and self.others)
    @rule(number=PICK, other=PICK, kind=SAID)
    def a_worker_speaks_for_another(self, number: int, other: int, kind: str) -> None:
        """It knows the connection and its present epoch, and has no right to it."""
        conn, links = pick(self.others, number)
        self.is_fenced(pick(links, other), conn, conn.epoch, kind)

    @precondition(lambda self: self.adopted_again)
    @rule(number=PICK, kind=SAID)
    def an_owner_speaks_of_an_earlier_time(self, number: int, kind: str) -> None:
        """It had the connection before another had it, and has it again: what it said then comes now."""
        conn = pick(self.adopted_again, number)
        assert conn.owner is not None
        self.is_fenced(conn.owner, conn, conn.epoch - 1, kind)

    @property
    def adopted_again(self) -> list[Connection]:
        return [s.conn for s in self.open if s.conn.owner is not None and s.conn.epoch > 1]

    def is_fenced(self, worker: Link, conn: Connection, epoch: int, kind: str) -> None:
        """Have a worker say something of a connection, and check that it is counted, and has no effect."""
        core = self.pair.core
        said: dict[str, frames.Frame] = {
            "commit": frames.Commit(conn.id, epoch, conn.acked + 1, True, [b"forged"], b"forged", ""),
            "output": frames.Output(conn.id, epoch, 0, [b"forged"], "", ""),
            "failed": frames.Failed(conn.id, epoch, conn.acked + 1, "raised", ""),
            "unresumable": frames.Unresumable(conn.id, epoch, ""),
            "save": frames.Save(conn.id, epoch, 0, [b"forged"], b"forged"),
        }
        fenced, finished = core.statistics.fenced, conn.finished
        core.receive(worker.peer, worker.link_epoch, [said[kind]], self.pair.now)
        assert core.statistics.fenced == fenced + 1, "it counted"
        assert conn.finished == finished

    @property
    def is_time_for_noise(self) -> bool:
        """Say yes now and then: what is always possible would be most of what happens."""
        return self.steps % 8 == 0

    @property
    def others(self) -> list[tuple[Connection, list[Link]]]:
        """Connections, and links that are not theirs."""
        links = list(self.pair.core.supervisor.links.values())
        found = [(s.conn, [link for link in links if link is not s.conn.owner]) for s in self.open]
        return [(conn, strangers) for conn, strangers in found if strangers]

    @precondition(lambda self: self.is_time_for_noise and self.running)
    @rule(number=PICK, junk=JUNK, body=st.booleans(), up=st.booleans())
    def junk_is_under_way(self, number: int, junk: bytes, body: bool, up: bool) -> None:
        """Bytes that are no frame, or of another version, end a link and never raise."""
        cable = pick(self.running, number).cable
        (cable.up if up else cable.down).append([junk, b""] if body else [junk])

    @precondition(lambda self: self.is_time_for_noise)
    @rule(kind=st.sampled_from(KINDS), number=PICK, epoch=PICK, stranger=st.booleans())
    def a_frame_is_out_of_place(self, kind: type[frames.Frame], number: int, epoch: int, stranger: bool) -> None:
        """Of somebody without a link, or of a worker that says what only bridges say: it has no effect at all."""
        core = self.pair.core
        links = list(core.supervisor.links.values())
        frame = blank(kind, number, epoch)
        if stranger or not links:
            frame = frame._replace(role="?") if isinstance(frame, frames.Hello) else frame
            core.receive(b"stranger", epoch, [frame], self.pair.now)
        elif kind in OF_BRIDGES:
            worker = pick(links, number)
            malformed = core.statistics.malformed
            core.receive(worker.peer, worker.link_epoch, [frame], self.pair.now)
            assert core.statistics.malformed == malformed + 1


OF_BRIDGES = (
    frames.Welcome, frames.Refuse, frames.Reset, frames.Adopt, frames.Message, frames.Credit, frames.Cancel,
    frames.FanOut, frames.Listening,
)  # fmt: skip


def blank(kind: type[frames.Frame], conn: int, epoch: int) -> frames.Frame:
    """Make a frame of a kind, its numbers these, the rest empty."""
    values: dict[str, Any] = {"int": 1, "str": "", "bytes": b"", "float": 0.0, "bool": True}
    numbers: dict[str, Any] = {"conn": conn, "epoch": epoch}
    fields = [numbers.get(name, values.get(str(kind.__annotations__[name]), [])) for name in kind._fields]
    make: Callable[..., frames.Frame] = kind
    return make(*fields)
