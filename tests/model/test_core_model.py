"""A bridge's core and workers' sessions under any sequence of events and faults that Hypothesis can think of.

Frames are delivered one at a time and pass through the real codec. Workers are killed, frozen, thawed, drained, cut off
and given up while they live; clients come, send, stop reading and vanish; time passes. After every step the invariants
hold, and when all faults are over, everything comes to its end. Pool "kept" has resumable consumers, which move with
their state: it is the list of the turns that were committed, so that a lost one, a doubled one or one out of order
shows. The others move while nothing of them was read. What a client may see is told by the names of the messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from channels_bridge.bridge.core.connection import GROUP_SHARE
from channels_bridge.bridge.core.dispatcher import FIRST_WINDOW
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import PROTOCOL, Config
from channels_bridge.shared.frames import Effect
from channels_bridge.shared.names import owned_channel
from channels_bridge.testing.pair import BOOT, Cable, Client, Host, Pair, Worker
from channels_bridge.testing.playbook import leftovers

T = TypeVar("T")

CONFIG = Config(
    journal_messages=3, journal_bytes=40, window_bytes=60, buffered_bytes=150, turn_window=2, max_links=5,
    http_queue=4.0,
)  # fmt: skip
PICK = st.integers(0, 11)  # which one of those that there are
WANTED = st.lists(st.sampled_from(["write", "write", "join", "join as client", "leave", "group", "psst"]), max_size=4)
DISCONNECT = b"disconnect"
LONGEST = 40  # bytes of one message here, and more


def pick(items: Sequence[T], number: int) -> T:
    return items[number % len(items)]


class BridgeAndWorkers(RuleBasedStateMachine):
    """One bridge; pool "turns" has consumers, "kept" resumable ones, pool "asgi" has applications without turns."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(CONFIG)
        self.core = self.pair.core
        self.sent: dict[int, list[bytes]] = {}  # conn -> what its client has sent, in order
        self.gone: set[int] = set()  # connections whose ASGI call is over
        self.epochs: dict[int, int] = {}  # conn -> highest epoch seen
        self.effects = 0  # numbers what hosts send
        self.steps = 0
        self.slept = 0  # the step in which time passed last

    # -- those that there are ----------------------------------------------------------------------------------

    @property
    def clients(self) -> list[Client]:
        return [client for client in self.pair.clients if client.conn.id not in self.gone]

    @property
    def talking(self) -> list[Client]:
        return [c for c in self.clients if c.may_send and DISCONNECT not in self.sent[c.conn.id]]

    @property
    def running(self) -> list[Worker]:
        return [worker for worker in self.pair.workers if worker.alive and not worker.frozen]

    def hosts(self, *, turns: bool, in_turn: bool = False) -> list[Host]:
        hosts = (host for worker in self.running if worker.has_turns is turns for host in worker.hosts.values())
        return [host for host in hosts if not host.ended and (host.turn is not None) is in_turn]

    # -- clients -----------------------------------------------------------------------------------------------

    @initialize(slots=st.integers(1, 3), limit=st.integers(0, 2))
    def two_workers_are_there(self, slots: int, limit: int) -> None:
        self.pair.worker(slots=slots, connections=limit, pools=["turns"])
        self.pair.worker(connections=limit, pools=["asgi"])
        self.pair.worker(slots=slots, connections=limit, pools=["kept"], on_loss="replay")
        self.pair.settle()

    @precondition(lambda self: len(self.clients) < 6)
    @rule(
        pool=st.sampled_from(["turns", "asgi", "kept", "kept"]),
        kind=st.sampled_from(["http", "websocket"]),
        again=st.sampled_from([True, True, True, False]),
        waits=st.sampled_from([False, False, False, True]),
    )
    def a_client_comes(self, pool: str, kind: str, again: bool, waits: bool) -> None:
        client = self.pair.open(None if waits else b"0", kind, pool, idempotent=again)
        self.sent[client.conn.id] = [] if waits else [b"0"]

    @precondition(lambda self: self.talking)
    @rule(number=PICK, size=st.integers(1, 30), last=st.sampled_from([False, False, False, True]))
    def a_client_sends(self, number: int, size: int, last: bool) -> None:
        client = pick(self.talking, number)
        sent = self.sent[client.conn.id]
        sent.append(DISCONNECT if last else b"%d" % len(sent) + b" " * size)
        client.send(sent[-1], last=last)

    @precondition(lambda self: any(client.queue for client in self.clients))
    @rule(number=PICK, count=st.integers(1, 3))
    def a_client_reads(self, number: int, count: int) -> None:
        pick([client for client in self.clients if client.queue], number).take(count)

    @precondition(lambda self: self.clients)
    @rule(number=PICK, how=st.sampled_from(["over", "over", "gone", "refused"]))
    def a_client_is_over(self, number: int, how: str) -> None:
        client = pick(self.clients, number)
        if how == "gone":
            self.core.gone(client.conn)
        elif how == "refused":
            self.core.refuse(client.conn, "too-big")
        else:
            client.close()
            self.gone.add(client.conn.id)

    # -- what workers host -------------------------------------------------------------------------------------

    @precondition(lambda self: self.ready_hosts)
    @rule(number=PICK)
    def a_host_takes_a_message(self, number: int) -> None:
        pick(self.ready_hosts, number).take()

    @property
    def ready_hosts(self) -> list[Host]:
        return [host for host in self.idle if host.may_take]

    @precondition(lambda self: self.hosts(turns=True, in_turn=True))
    @rule(number=PICK, done=st.sampled_from([True, True, False]), wanted=WANTED, to=PICK)
    def a_turn_commits(self, number: int, done: bool, wanted: list[str], to: int) -> None:
        host = pick(self.hosts(turns=True, in_turn=True), number)
        host.commit(*(self.effect(host, what, to) for what in wanted), done=done)

    @precondition(lambda self: self.talking)
    @rule(number=PICK, size=st.integers(1, 30), wanted=WANTED, to=PICK, odd=st.booleans())
    def a_message_goes_all_the_way(self, number: int, size: int, wanted: list[str], to: int, odd: bool) -> None:
        """What goes well most of the time, in one step: else a run would not come far.

        ``odd``: commits arrive twice, and applications send without having received.
        """
        self.a_client_sends(number, size, last=False)
        self.pair.settle()
        for host in self.ready_hosts:
            if host.worker.has_turns:
                host.take()
                host.commit(*(self.effect(host, what, to) for what in wanted))
                if odd and self.repeatable:
                    self.a_commit_arrives_twice(0)
            else:
                self.effects += 1
                host.send(self.name(host, 0))
                if not odd:
                    host.take()
        self.pair.settle()

    def effect(self, host: Host, what: str, to: int) -> Effect:
        self.effects += 1
        own = owned_channel("reply" if what == "join as client" else "consumer", BOOT, host.mailbox.conn)
        other = owned_channel("reply" if to % 2 else "consumer", BOOT, to)
        match what:
            case "write":
                return self.name(host, host.turn.seq if host.turn is not None else 0)
            case "join" | "join as client":
                return frames.GroupAdd(f"g{to % 2}", own, [])
            case "leave":
                return frames.GroupDiscard(f"g{to % 2}", own, [])
            case "group":
                return frames.GroupSend(f"g{to % 2}", b"group %d" % self.effects, [other], [], [])
            case _:
                return frames.ChannelSend(other, b"psst %d" % self.effects, 0, 0.0, [])

    def name(self, host: Host, seq: int) -> bytes:
        """Name an output so that the client can be seen to get it once and in order."""
        return b"own %d %d %d" % (host.mailbox.epoch, seq, self.effects)

    @precondition(lambda self: self.hosts(turns=True, in_turn=True))
    @rule(number=PICK)
    def a_turn_fails(self, number: int) -> None:
        pick(self.hosts(turns=True, in_turn=True), number).fail()

    @precondition(lambda self: self.idle)
    @rule(number=PICK, ends=st.sampled_from([False, False, False, True]))
    def a_host_sends(self, number: int, ends: bool) -> None:
        host = pick(self.idle, number)
        self.effects += 1
        if ends and not host.worker.has_turns:
            host.end(self.name(host, 0))
        else:
            host.send(self.name(host, 0))

    @property
    def idle(self) -> list[Host]:
        return [*self.hosts(turns=True), *self.hosts(turns=False)]

    @precondition(lambda self: self.hosts(turns=False))
    @rule()
    def applications_ask(self) -> None:
        for host in self.hosts(turns=False):
            if host.mailbox.next_seq == 1:
                host.ask()

    # -- faults ------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.running) < 5)
    @rule(slots=st.integers(0, 3), limit=st.integers(0, 2), kept=st.booleans(), there=st.booleans())
    def a_worker_starts(self, slots: int, limit: int, kept: bool, there: bool) -> None:
        pool = "asgi" if not slots else "kept" if kept else "turns"
        self.pair.worker(slots=slots, connections=limit, pools=[pool], on_loss="replay" if pool == "kept" else "")
        if there:
            self.pair.settle()

    @precondition(lambda self: len(self.running) > 1)
    @rule(number=PICK, how=st.sampled_from(["killed", "frozen", "draining", "leaving", "cut off", "given up", "mad"]))
    def a_worker_is(self, number: int, how: str) -> None:
        worker = pick(self.running, number)
        match how:
            case "killed":
                worker.kill()
            case "frozen":
                worker.frozen = True
            case "draining":
                worker.drain()
            case "leaving":
                worker.goodbye()
            case "cut off":
                worker.cable.cut = True
                worker.session.lost("cut")
            case "given up":
                self.core.lost(worker.cable.peer, self.pair.now)
            case _:
                self.core.malformed(worker.cable.peer, PROTOCOL, self.pair.now)

    @precondition(lambda self: any(worker.frozen for worker in self.pair.workers))
    @rule()
    def all_workers_thaw(self) -> None:
        for worker in self.pair.workers:
            worker.frozen = False

    @precondition(lambda self: self.repeatable)
    @rule(number=PICK)
    def a_commit_arrives_twice(self, number: int) -> None:
        """No transport of ours does that; what guards against it guards against much else."""
        cable = pick(self.repeatable, number)
        cable.up.appendleft(cable.up[0])
        cable.deliver_up(self.core, self.pair.now)

    @property
    def repeatable(self) -> list[Cable]:
        """Cables with a COMMIT in front that ends a turn; an early one has no number of its own."""
        fronts = ((cable, wire.Inbox(1000).decode(cable.up[0])[1][0]) for cable in self.rising)
        return [cable for cable, frame in fronts if isinstance(frame, frames.Commit) and frame.done]

    @precondition(lambda self: self.cut)
    @rule(number=PICK)
    def the_bridge_notices(self, number: int) -> None:
        """Whether or not all that was under way has been read."""
        self.pair.notice(pick(self.cut, number))

    @property
    def cut(self) -> list[Cable]:
        return [cable for cable in self.pair.cables.values() if cable.cut and not cable.noticed]

    # -- what moves --------------------------------------------------------------------------------------------

    @property
    def rising(self) -> list[Cable]:
        return [cable for cable in self.pair.cables.values() if cable.up]

    @property
    def falling(self) -> list[Cable]:
        return [cable for cable in self.pair.cables.values() if cable.down and cable.worker in self.running]

    @precondition(lambda self: self.rising)
    @rule(number=PICK, count=st.integers(1, 3))
    def messages_reach_the_bridge(self, number: int, count: int) -> None:
        cable = pick(self.rising, number)
        for _ in range(min(count, len(cable.up))):
            cable.deliver_up(self.core, self.pair.now)

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
        pair, self.slept = self.pair, self.steps
        pair.now += seconds
        for worker in pair.workers:
            worker.tick()
        before = set(self.core.supervisor.links)
        self.core.tick(pair.now)
        for peer in before - set(self.core.supervisor.links):
            cable = pair.cables[peer]
            assert cable.worker.cable is not cable or not cable.worker.session.may_act(pair.now), "lease before verdict"

    # -- what holds after every step ---------------------------------------------------------------------------

    @invariant()
    def all_holds(self) -> None:
        self.steps += 1
        self.every_connection_has_one_owner_and_its_epoch_only_grows()
        self.clients_see_each_turn_once_and_in_order_and_of_one_owner_only()
        self.consumers_get_what_their_clients_sent_in_order_without_a_gap()
        self.the_state_is_that_of_all_turns_that_were_committed()
        self.slots_are_kept_and_counted()
        self.whoever_has_no_owner_waits_for_one_or_is_at_its_end()
        self.every_queue_is_within_its_bound()
        self.groups_have_no_ghosts()

    def every_connection_has_one_owner_and_its_epoch_only_grows(self) -> None:
        links = self.core.supervisor.links
        for conn in self.core.connections.values():
            assert conn.epoch >= self.epochs.get(conn.id, 0)
            self.epochs[conn.id] = conn.epoch
            if conn.owner is not None:
                assert links[conn.owner.peer] is conn.owner
                assert conn.owner.conns[conn.id] is conn
        owned = [conn.id for link in links.values() for conn in link.conns.values()]
        assert len(owned) == len(set(owned))
        assert all(self.core.connections[conn].owner is not None for conn in owned)
        boots = [link.hello.boot for link in links.values()]
        assert len(boots) == len(set(boots)), "no process has two links"
        hosted = [key for worker in self.pair.workers for key in worker.hosts]
        assert len(hosted) == len(set(hosted)), "no epoch of a connection was ever given to two workers"

    def clients_see_each_turn_once_and_in_order_and_of_one_owner_only(self) -> None:
        for client in self.pair.clients:
            own = [tuple(map(int, e.split()[1:])) for e in [*client.got, *client.queue] if e.startswith(b"own")]
            assert all(one[2] < other[2] for one, other in pairwise(own)), "in the order in which they were sent"
            turns = [seq for _, seq, _ in own if seq]
            assert turns == sorted(turns)
            if client.conn.on_loss:
                assert [epoch for epoch, _, _ in own] == sorted(epoch for epoch, _, _ in own)
                by_turn = {(seq, epoch) for epoch, seq, _ in own if seq}
                assert len(by_turn) == len({seq for seq, _ in by_turn}), "what a turn sent is of one run of it"
            else:
                assert len({epoch for epoch, _, _ in own}) <= 1

    def the_state_is_that_of_all_turns_that_were_committed(self) -> None:
        for conn in self.core.connections.values():
            if conn.on_loss and not conn.finished:
                assert [int(seq) for seq in conn.state.split()] == list(range(1, conn.acked + 1))

    def consumers_get_what_their_clients_sent_in_order_without_a_gap(self) -> None:
        for worker in self.pair.workers:
            for (conn, _), host in worker.hosts.items():
                from_client = [e for _, e in host.handled if not e.startswith((b"group", b"psst"))]
                before = self.sent[conn].index(from_client[0]) if from_client else 0
                assert from_client == self.sent[conn][before : before + len(from_client)]
                assert before == 0 or worker.on_loss, "only a resumable consumer begins in the middle"
                assert all(after == seq + 1 for (seq, _), (after, _) in pairwise(host.handled))
                assert DISCONNECT not in [event for _, event in host.handled[:-1]], "a disconnect is the last"

    def slots_are_kept_and_counted(self) -> None:
        for link in self.core.supervisor.links.values():
            turns = sum(conn.turns_held for conn in link.conns.values()) if link.has_turns else 0
            assert link.turns_out == turns
            assert turns <= link.hello.slots
            assert not link.hello.connections or len(link.conns) <= link.hello.connections
            assert sorted(conn.id for conn in link.waiting) == sorted(c.id for c in link.conns.values() if c.queued)

    def whoever_has_no_owner_waits_for_one_or_is_at_its_end(self) -> None:
        pools = self.core.dispatcher.pools
        waiting = sorted(conn.id for pool in pools.values() for conn in pool.waiting)
        homeless = [c.id for c in self.core.connections.values() if c.owner is None and not c.finished]
        assert sorted([*waiting, *(conn.id for conn in self.core.dispatcher.held)]) == sorted(homeless)
        for name, pool in pools.items():
            assert {link.peer for link in pool.workers} == {
                peer for peer, link in self.core.supervisor.links.items() if name in link.hello.pools
            }
            assert not pool.waiting or pool.least_loaded() is None, "nobody waits while a worker would take it"

    def every_queue_is_within_its_bound(self) -> None:
        dispatcher = self.core.dispatcher
        for conn in self.core.connections.values():
            assert 0 <= conn.acked <= conn.sent <= conn.seq
            assert len(conn.journal) == conn.seq - conn.acked <= CONFIG.journal_messages + GROUP_SHARE + 1
            assert conn.journal_bytes == sum(map(len, conn.journal)) <= 2 * CONFIG.journal_bytes + LONGEST
            assert 0 <= conn.buffered <= FIRST_WINDOW + 2 * CONFIG.window_bytes
        assert dispatcher.journal_bytes == sum(conn.journal_bytes for conn in self.core.connections.values())
        assert dispatcher.buffered == sum(conn.buffered for conn in self.core.connections.values())
        assert len(self.core.supervisor.links) <= CONFIG.max_links

    def groups_have_no_ghosts(self) -> None:
        listed = {
            (group, role, conn)
            for group, members in self.core.layer.groups._members.items()
            for (role, conn), member in members.items()
            if self.core.connections[conn] is member
        }
        assert listed == {(*key, conn.id) for conn in self.core.connections.values() for key in conn.groups}
        assert all(self.core.layer.groups._members.values())

    # -- when all faults are over ------------------------------------------------------------------------------

    def teardown(self) -> None:
        self.recover()
        for client in self.clients:
            conn = client.conn
            assert conn.finished or (conn.owner is not None and not conn.journal), "all that was accepted was handled"
            assert conn.finished or (client.may_send and not conn.closing)
            client.close()
        self.pair.settle()
        assert leftovers(self.core) == []
        assert all(not worker.session.mailboxes for worker in self.running)

    def recover(self) -> None:
        """Let every worker run on, start one more for each pool, and handle everything."""
        for worker in self.pair.workers:
            worker.frozen = False
        for link in list(self.core.supervisor.links.values()):
            if not self.pair.cables[link.peer].worker.alive:
                self.pair.cables[link.peer].cut = True
        for worker in self.running[:-2]:  # max_links
            worker.kill()
        self.pair.pass_time(12.0)
        self.pair.worker(slots=3, pools=["turns"])
        self.pair.worker(pools=["asgi"])
        self.pair.worker(slots=3, pools=["kept"], on_loss="replay")
        for round_ in range(100):
            self.pair.settle()
            if not self.work(first=round_ == 0):
                break
        self.pair.pass_time(5.0)

    def work(self, *, first: bool) -> bool:
        """Let every host do one thing, and every client read. False: there was nothing to do."""
        busy = False
        for client in self.clients:
            busy |= bool(client.queue)
            client.take(100)
        for host in self.hosts(turns=True, in_turn=True):
            host.commit()
            busy = True
        for host in self.idle:
            if host.may_take:
                host.take()
                busy = True
            elif first and not host.worker.has_turns and host.mailbox.next_seq == 1:
                host.ask()
                busy = True
            elif not host.worker.has_turns and host.handled and host.handled[-1][1] == DISCONNECT:
                host.end()
                busy = True
        return busy


TestBridgeAndWorkers = BridgeAndWorkers.TestCase
TestBridgeAndWorkers.settings = settings(
    max_examples=300,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
