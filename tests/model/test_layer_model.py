"""Two bridges, two workers and another process that share groups, under any sequence of sends and faults.

What is promised, and asserted here:

* a message of a group reaches no member twice, and each member gets what one sender has sent in that order. One
  exception: a process that has lost its home may get what was under way at that moment from its next home as well;
* what a turn sends happens if and only if its commit was applied;
* a channel that is a member when the message is sent, and stays one until all has come to rest, gets it: at the
  bridge where the turn was applied, whatever ends; elsewhere, as long as no process that lives has lost its link with
  that bridge, or is still making it (a process that ends is no such case: what it had to hand on goes through another);
* every call has one answer, and at the end nothing is left in any table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from channels_bridge.bridge.core.connection import Connection
from channels_bridge.shared.frames import GroupAdd, GroupDiscard, GroupSend, LayerFrame
from channels_bridge.shared.names import owned_channel, parse_owned, parse_process
from channels_bridge.testing.neighbours import PATIENCE, Asked, Bridge, Link, Neighbours, Process, reply_channel
from channels_bridge.testing.playbook import leftovers
from channels_bridge.worker.core.calls import TIMEOUT

T = TypeVar("T")
PICK = st.integers(0, 11)  # which one of those that there are
GROUP = "room"


def pick(items: Sequence[T], number: int) -> T:
    return items[number % len(items)]


@dataclass
class Sent:
    """A message for the group."""

    text: bytes
    sender: str
    mark: bytes = b""  # what the client of a turn gets if the turn was applied; empty: it was sent outside of one
    conn: tuple[Bridge, int] | None = None
    owed: set[str] = field(default_factory=set[str])  # channels that have to get it


class TwoBridges(RuleBasedStateMachine):
    """``got`` is kept by channel: what clients were written, and what channels of processes were given."""

    def __init__(self) -> None:
        super().__init__()
        self.all = Neighbours()
        self.sent: list[Sent] = []
        self.got: dict[str, list[bytes]] = {}
        self.asked: list[Asked] = []
        self.open: list[tuple[Bridge, Connection]] = []
        self.joins: list[tuple[str, Asked]] = []  # what became of each join outside of turns
        self.leaving: set[str] = set()  # channels that are members no more, as some may not know yet
        self.cut: set[Process] = set()  # that have lost a link: what they ask may have to wait for the next
        self.doubtful: set[tuple[str, bytes]] = set()  # (channel, message): it may come once more
        self.shaky: set[int] = set()  # boots of bridges with which a link was lost, or is being made

    # -- those that there are ----------------------------------------------------------------------------------

    @initialize()
    def all_are_there(self) -> None:
        for slots in (8, 8, 0):
            self.all.process(slots=slots)
        self.all.settle()
        for number in range(4):
            self.a_client_comes(number)
        self.all.settle()

    @property
    def living(self) -> list[Process]:
        return [process for process in self.all.processes if process.alive]

    @property
    def linked(self) -> list[Process]:
        return [process for process in self.living if process.ready]

    @property
    def turns(self) -> list[Link]:
        """Links with a turn that may commit."""
        links = (link for process in self.linked for link in process.ready.values())
        return [link for link in links if any(box.queue and not box.over for box in link.hosted)]

    def home(self, channel: str) -> int:
        """Say which bridge has to pass on what is for this channel; 0: none."""
        owned, boot = parse_owned(channel), parse_process(channel)
        if owned is not None:
            return owned.bridge
        bridges = next((p.exchange.bridges for p in self.living if p.hello.boot == boot), list[int]())
        return bridges[0] if bridges else 0

    def members(self) -> set[str]:
        """Give the channels that are in the group as of now, as all that have a part in it know."""
        found: set[str] = set()
        for bridge in self.all.bridges:
            groups = bridge.core.layer.groups
            members = groups.members(GROUP, ())
            found |= {reply_channel(bridge, conn) for _, conn in members if not (conn.finished or conn.closing)}
            for process in self.living:
                at_home = process.exchange.bridges[:1] == [bridge.boot]
                if at_home and any(link.hello.boot == process.hello.boot for link in groups.processes(GROUP)):
                    found |= {name for name, one in process.exchange.channels.items() if GROUP in one.groups}
        return found - self.leaving - {channel for channel, asked in self.joins if asked.by.alive and not asked.over}

    def pardon(self, channels: set[str]) -> None:
        """Note that these may miss what is under way, and what is sent until all know that they are leaving."""
        self.leaving |= channels
        for sent in self.sent:
            sent.owed -= channels

    def of_process(self, process: Process) -> set[str]:
        return {name for name in self.got if parse_process(name) == process.hello.boot}

    # -- who comes and speaks ----------------------------------------------------------------------------------

    @precondition(lambda self: len(self.open) < 6)
    @rule(number=PICK)
    def a_client_comes(self, number: int) -> None:
        bridge = pick(self.all.bridges, number)
        self.open.append((bridge, bridge.open()))

    @precondition(lambda self: self.open)
    @rule(number=PICK)
    def a_client_speaks(self, number: int) -> None:
        bridge, conn = pick(self.open, number)
        bridge.core.event(conn, b"more")

    @precondition(lambda self: self.open)
    @rule(number=PICK)
    def a_client_goes(self, number: int) -> None:
        bridge, conn = self.open.pop(number % len(self.open))
        self.pardon({reply_channel(bridge, conn)})
        bridge.close(conn)

    # -- turns -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.turns)
    @rule(number=PICK, joins=st.booleans(), sends=st.integers(0, 2), leaves=st.sampled_from([False, False, True]))
    def a_turn_commits(self, number: int, joins: bool, sends: int, leaves: bool) -> None:
        link = pick(self.turns, number)
        box = next(box for box in link.hosted if box.queue and not box.over)
        own = owned_channel("reply", link.bridge.boot, box.conn)
        effects: list[LayerFrame | bytes] = [GroupAdd(GROUP, own, [])] if joins else []
        for _ in range(sends):
            sent = self.new(own, {link.bridge.boot} | (set(link.process.ready) - self.shaky))
            sent.mark, sent.conn = b"mark " + sent.text, (link.bridge, box.conn)
            effects += [GroupSend(GROUP, sent.text, [], [], []), sent.mark]
        if leaves:
            self.pardon({own})
            effects.append(GroupDiscard(GROUP, own, []))
        assert link.commit(*effects)

    def new(self, sender: str, bridges: set[int]) -> Sent:
        """Make a message that these bridges will have."""
        owed = {channel for channel in self.members() if self.home(channel) in bridges}
        sent = Sent(b"said %d" % len(self.sent), sender, owed=owed)
        self.sent.append(sent)
        return sent

    # -- outside of turns --------------------------------------------------------------------------------------

    @precondition(lambda self: self.linked)
    @rule(number=PICK)
    def a_process_sends(self, number: int) -> None:
        process = pick(self.linked, number)
        sent = self.new(process.hello.name, set(process.ready) - self.shaky)
        self.ask(process, GroupSend(GROUP, sent.text, [], [], []))

    @precondition(lambda self: self.living and len(self.got) < 8)
    @rule(number=PICK)
    def a_process_joins(self, number: int) -> None:
        process = pick(self.living, number)
        channel = process.channel()
        self.got[channel] = []
        self.ask(process, GroupAdd(GROUP, channel, []))

    def ask(self, process: Process, frame: LayerFrame) -> None:
        asked = process.ask(frame)
        self.asked.append(asked)
        if isinstance(frame, GroupAdd):
            self.joins.append((frame.channel, asked))

    @precondition(lambda self: self.got and self.linked)
    @rule(number=PICK, by=PICK, leaves=st.booleans())
    def a_process_has_anothers_channel_join_or_leave(self, number: int, by: int, leaves: bool) -> None:
        names = [*self.got, *(reply_channel(bridge, conn) for bridge, conn in self.open)]
        channel = pick(names, number)
        if leaves:
            self.pardon({channel})
        frame: LayerFrame = GroupDiscard(GROUP, channel, []) if leaves else GroupAdd(GROUP, channel, [])
        self.ask(pick(self.linked, by), frame)

    # -- faults ------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.living) < 3)
    @rule(slots=st.sampled_from([0, 8]))
    def a_process_starts(self, slots: int) -> None:
        self.all.process(slots=slots)
        self.shaky = {bridge.boot for bridge in self.all.bridges}

    @precondition(lambda self: self.living)
    @rule(number=PICK)
    def a_process_is_killed(self, number: int) -> None:
        self.kill(pick(self.living, number))

    def kill(self, process: Process) -> None:
        self.pardon(self.of_process(process))
        self.leaving |= {channel for channel, asked in self.joins if asked.by is process and not asked.over}
        for link in process.links:
            for box in link.hosted:  # their sockets end with it
                self.pardon({owned_channel("reply", link.bridge.boot, box.conn)})
        process.kill()

    @precondition(lambda self: self.turns)
    @rule(number=PICK, arrives=st.booleans(), later=st.booleans())
    def a_worker_dies_with_a_relay_under_way(self, number: int, arrives: bool, later: bool) -> None:
        """``arrives``: the other bridge has it, and the one that wants it relayed does not know that."""
        link = pick(self.turns, number)
        self.a_turn_commits(number, joins=False, sends=2, leaves=False)
        while link.cable.up or link.cable.down:
            link.cable.step()
        self.kill(link.process)
        others = [other.cable for other in link.process.links if other is not link]
        for cable in others * arrives + [link.cable] + others * later:
            while cable.moves:
                cable.step()

    @precondition(lambda self: self.linked)
    @rule(number=PICK, which=PICK)
    def a_link_is_cut(self, number: int, which: int) -> None:
        process = pick(self.linked, number)
        link = pick(list(process.ready.values()), which)
        self.shaky.add(link.bridge.boot)
        self.cut.add(process)
        for sent in self.sent:  # what was under way to that bridge, from others
            if sent.conn is None or sent.conn[0] is not link.bridge:
                sent.owed = {channel for channel in sent.owed if self.home(channel) != link.bridge.boot}
        self.pardon({owned_channel("reply", link.bridge.boot, box.conn) for box in link.hosted})
        if process.exchange.bridges[0] == link.bridge.boot:
            self.pardon(self.of_process(process))
            self.doubtful |= {(channel, sent.text) for channel in self.of_process(process) for sent in self.sent}
        link.lose()

    # -- what moves --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.all.moving)
    @rule(number=PICK, count=st.integers(1, 3))
    def messages_arrive(self, number: int, count: int) -> None:
        for _ in range(count):
            if self.all.moving:
                pick(self.all.moving, number).step()

    @rule()
    def all_is_delivered(self) -> None:
        self.all.settle()
        if all(asked.over for asked in self.asked if asked.by.alive):
            self.leaving.clear()

    @rule(seconds=st.sampled_from([0.1, 0.3, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.all.pass_time(seconds)
        self.all_is_delivered()
        if all(len(process.ready) == len(self.all.bridges) for process in self.living):
            self.shaky.clear()

    # -- what holds after every step ---------------------------------------------------------------------------

    @invariant()
    def no_member_gets_a_message_twice_nor_a_senders_in_another_order(self) -> None:
        for process in self.all.processes:
            for channel in self.of_process(process):
                if channel in process.exchange.channels:
                    for text in process.received(channel):
                        if text not in self.got[channel] or (channel, text) not in self.doubtful:
                            self.got[channel].append(text)
        numbers = {sent.text: number for number, sent in enumerate(self.sent)}
        for got in [*self.got.values(), *(got for bridge in self.all.bridges for got in bridge.clients.values())]:
            said = [numbers[text] for text in got if text in numbers]
            assert len(said) == len(set(said)), "twice"
            for sender in {self.sent[number].sender for number in said}:
                of_sender = [number for number in said if self.sent[number].sender == sender]
                assert of_sender == sorted(of_sender), "order"

    # -- the end -----------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if self.all.processes:
            self.it_comes_to_rest()
            self.what_is_sent_now_reaches_all()
            self.every_message_has_reached_whom_it_was_owed_to()
            self.nothing_is_left()

    def it_comes_to_rest(self) -> None:
        self.all.settle()
        if not self.living:
            self.all.process(slots=8)  # there has to be one to hand on what waits
        self.time_passes(PATIENCE + 2.0)
        assert not self.shaky

    def what_is_sent_now_reaches_all(self) -> None:
        """All processes have their memberships at the bridge that is their home now."""
        channels = (one for process in self.living for one in process.exchange.channels.values())
        members = {channel.name for channel in channels if GROUP in channel.groups}
        assert members <= self.members()
        self.a_process_sends(0)
        self.all.settle()
        self.no_member_gets_a_message_twice_nor_a_senders_in_another_order()

    def every_message_has_reached_whom_it_was_owed_to(self) -> None:
        for sent in self.sent:
            receivers = {channel for channel, got in self.got.items() if sent.text in got}
            for bridge in self.all.bridges:
                clients = {conn for conn, got in bridge.clients.items() if sent.text in got}
                receivers |= {owned_channel("reply", bridge.boot, conn) for conn in clients}
            if sent.conn is not None:
                bridge, conn = sent.conn
                if sent.mark not in bridge.clients[conn]:
                    assert not receivers, "its turn was not applied"
                    continue
            assert sent.owed <= receivers, f"{sent} is missing at {sent.owed - receivers}"

    def nothing_is_left(self) -> None:
        results = [(asked.result, asked.by in self.cut) for asked in self.asked if asked.by.alive]
        assert all(result is not None for result, _ in results), "every call is over"
        assert not any(result == TIMEOUT and not was_cut for result, was_cut in results), "and has its answer"
        for process in self.living:
            process.exchange.flush()
        for bridge, conn in self.open:
            bridge.close(conn)
        self.all.settle()
        for process in self.living:
            assert (len(process.exchange.calls), len(process.exchange.relays), len(process.exchange.groups)) == (
                0,
                0,
                0,
            )
        for bridge in self.all.bridges:
            assert leftovers(bridge.core) == []
            assert not any(link.asked for link in bridge.core.supervisor.links.values())


TestTwoBridges = TwoBridges.TestCase
TestTwoBridges.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
