"""Faults in the order in which they hurt most. Left to chance, their steps would seldom come one after the other."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from channels_bridge.shared import frames
from channels_bridge.shared.names import owned_channel
from channels_bridge.testing.scripted import Host
from model.rules import Faults
from model.site import CONFIG, PICK, WANTED, WITHOUT_TURNS, pick

HOW = st.sampled_from(["killed", "cut off", "given up"])


class Dramas(Faults):
    """Each begins with a connection that has come far enough, and leaves everything in motion at its end."""

    @property
    def linked_in_turn(self) -> list[Host]:
        links = self.pair.core.supervisor.links
        return [host for host in self.in_turn if host.peer in links and host.worker.cable.peer == host.peer]

    @property
    def turn_pools(self) -> list[str]:
        return [pool for pool in self.pools if pool not in WITHOUT_TURNS]

    def in_a_turn(self, number: int) -> Host | None:
        """Give a host in the middle of a turn: have one begin with it if there is none. None: none can."""
        if not self.linked_in_turn:
            speakers = [s for s in self.talking if s.conn.pool.name in self.turn_pools and s.conn.owner is not None]
            if speakers:
                self.say(pick(speakers, number))
            else:
                self.come(pick(self.turn_pools, number))
            self.pair.settle()
            for host in [host for host in self.ready if host.worker.has_turns][:1]:
                self.take(host)
        return pick(self.linked_in_turn, number) if self.linked_in_turn else None

    def another_takes_over(self, host: Host, *, then: bool = True) -> list[Host]:
        """Start a worker of the same pool, and let it have what was lost, and begin with it; ``then``: handle it."""
        if len(self.running) < 8:
            self.start(host.worker.hello.pools[0])
        self.pair.settle()
        self.let_time_pass(0.06)  # those that are held are placed
        self.pair.settle()
        key = (host.boot, host.mailbox.conn)
        heirs = [heir for heir in self.ready if (heir.boot, heir.mailbox.conn) == key]
        if then:
            self.work_off(heirs)
            return heirs
        for heir in heirs:
            self.take(heir)
        return heirs

    @precondition(lambda self: self.turn_pools)
    @rule(number=PICK, how=HOW, times=st.sampled_from([1, 1, 2, 4]), crowded=st.booleans())
    def workers_die_of_a_message(self, number: int, how: str, times: int, crowded: bool) -> None:
        """The next one begins with it as well. ``crowded``: behind it the journal is full."""
        host = self.in_a_turn(number)
        if host is None:
            return
        story = self.stories[host.boot, host.mailbox.conn]
        for _ in range(CONFIG.journal_messages if crowded else 0):
            if story in self.talking:
                self.say(story)
        self.pair.settle()
        for _ in range(times):
            self.lose(host.worker, how)
            heirs = self.another_takes_over(host, then=False)
            if not heirs:
                return
            host = heirs[0]

    @precondition(lambda self: self.turn_pools)
    @rule(number=PICK, how=HOW, early=st.booleans(), first=st.booleans())
    def a_commit_is_overtaken(self, number: int, how: str, early: bool, first: bool) -> None:
        """It is under way when its worker is lost or given up; it arrives before that is known, or long after."""
        host = self.in_a_turn(number)
        if host is None:
            return
        cable = host.worker.cable
        self.commit(host, ["write"], done=not early)
        cable.held = True
        self.lose(host.worker, how)
        while first and cable.up:
            cable.deliver_up(self.pair.core, self.pair.now)
        if cable.cut and not cable.noticed:
            self.pair.notice(cable)
        self.another_takes_over(host)
        cable.held = False
        self.pair.settle()

    @precondition(lambda self: any(story.conn.owner is not None for story in self.talking))
    @rule(number=PICK, begun=st.booleans())
    def a_worker_is_frozen_for_too_long(self, number: int, begun: bool) -> None:
        """It has messages in its hands, its connections go to others, then it thaws, and goes on if it may."""
        story = pick([s for s in self.talking if s.conn.owner is not None], number)
        self.say(story)
        self.pair.settle()
        mine = [h for h in self.ready if (h.boot, h.mailbox.conn) == (story.boot, story.conn.id)]
        for host in mine[:1]:
            if begun and host.worker.has_turns:
                self.take(host)
            host.worker.frozen = True
            self.seconds_pass(11)
            self.another_takes_over(host)
            host.worker.frozen = False
            for turn in [h for h in self.in_turn if h is host]:
                self.commit(turn)
            self.work_off([other for other in self.ready if other.worker is host.worker])

    @precondition(lambda self: self.movable)
    @rule(number=PICK, reads=st.booleans())
    def an_output_is_overtaken_by_a_move(self, number: int, reads: bool) -> None:
        """A consumer sends between two turns, and is another worker's when that arrives: it comes too late."""
        host = pick(self.movable, number)
        story = self.stories[host.boot, host.mailbox.conn]
        cable = host.worker.cable
        cable.held = True
        host.send(self.name(host))
        self.seconds_pass(4)  # long enough to be suspected, not for the verdict
        if reads:
            story.client.take(100)
        self.say(story)
        self.another_takes_over(host)
        cable.held = False
        self.pair.settle()

    @property
    def movable(self) -> list[Host]:
        """Hosts whose connection goes elsewhere if its worker is silent and its client sends."""
        found: list[Host] = []
        for story in self.talking:
            owner = story.conn.owner
            if owner is None or not story.conn.is_movable or not story.conn.turns or story.conn.journal:
                continue
            worker = self.pair.cables[owner.peer].worker
            host = worker.hosts.get((story.conn.id, story.conn.epoch))
            if worker in self.running and host in self.idle and host.boot == story.boot and not host.mailbox.over:
                found.append(host)
        return found

    @precondition(lambda self: self.restorable)
    @rule(number=PICK)
    def a_worker_cannot_read_a_state(self, number: int) -> None:
        """It is of another release, and gives the connection back."""
        pick(self.restorable, number).refuse()

    @property
    def restorable(self) -> list[Host]:
        return [host for host in self.idle if host.mailbox.state and not host.handled and not host.mailbox.over]

    @precondition(lambda self: self.turn_pools)
    @rule(number=PICK, size=st.integers(1, 3), wanted=WANTED, early=st.booleans())
    def a_worker_drains_in_a_turn(self, number: int, size: int, wanted: list[str], early: bool) -> None:
        """More messages wait behind the turn. Perhaps nobody else takes connections; perhaps it has committed early."""
        host = self.in_a_turn(number)
        if host is None:
            return
        story = self.stories[host.boot, host.mailbox.conn]
        for _ in range(size):
            if story in self.talking:
                self.say(story)
        if early:
            self.commit(host, done=False)
            self.start(host.worker.hello.pools[0])
            self.pair.settle()
        host.worker.drain()
        self.pair.settle()
        if host in self.in_turn:
            self.commit(host, wanted, number)
        self.pair.settle()

    @precondition(lambda self: self.turn_pools)
    @rule(number=PICK, others=st.integers(1, 3))
    def a_client_leaves_in_a_turn(self, number: int, others: int) -> None:
        """Others may wait for the slot that this gives back."""
        host = self.in_a_turn(number)
        if host is None:
            return
        for _ in range(min(others, 6 - len(self.open))):
            self.come(host.worker.hello.pools[0])
        self.pair.settle()
        story = self.stories[host.boot, host.mailbox.conn]
        if not story.closed:
            self.leave(story)

    @precondition(lambda self: self.turn_pools)
    @rule(number=PICK, early=st.booleans(), to=PICK)
    def a_turn_speaks_to_itself(self, number: int, early: bool, to: int) -> None:
        """It is in a group, and sends to it, while its worker has no other slot and another worker has."""
        host = self.in_a_turn(number)
        if host is None:
            return
        self.commit(host, ["join"], to, done=False)
        self.pair.settle()
        self.start(host.worker.hello.pools[0])
        self.pair.settle()
        conn = host.mailbox.conn
        if host in self.in_turn:
            own = frames.ChannelSend(owned_channel("consumer", host.boot, conn), b"psst 0%d" % self.effects, 0, 0.0, [])
            host.record(own)
            self.commit(host, ["group"], to, done=not early)
        self.pair.settle()

    @precondition(lambda self: self.savers)
    @rule(number=PICK)
    def an_application_drains_at_its_end(self, number: int) -> None:
        """Its client has left, it has saved that, and has not ended yet."""
        host = pick(self.savers, number)
        story = self.stories[host.boot, host.mailbox.conn]
        if story in self.talking:
            self.say(story, last=True)
        self.pair.settle()
        while host.may_take:
            self.take(host)
        if host in self.savers:
            host.save(self.name(host))
        self.start(host.worker.hello.pools[0])
        host.worker.drain()
        self.pair.settle()
