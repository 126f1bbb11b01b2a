"""A group's message on its way to many consumers: one frame per worker, slots respected, nobody's order changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.bridge.core import actions, handing
from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.core import Core
from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.shared.frames import GroupAdd, GroupSend
from channels_bridge.shared.wire import MAX_ARRAY
from channels_bridge.testing.playbook import BOOT, Playbook, channel, leftovers


def say(book: Playbook, *texts: str) -> None:
    book.says("a", *(GroupSend("room", text.encode(), [], [], []) for text in texts))


def members(book: Playbook, count: int) -> list[Connection]:
    """Open sockets that join; their workers have nothing to do then."""
    made: list[Connection] = []
    for _ in range(count):
        conn = book.open("connect", "websocket")
        owner = conn.owner
        assert owner is not None
        join = GroupAdd("room", channel(conn), [])
        if conn.turns:
            book.commit(owner.hello.name, conn, 1, join)
        else:
            book.output(owner.hello.name, conn, acked=1)
            book.says(owner.hello.name, join)
        made.append(conn)
    book.lines()
    return made


# -- one frame per worker --------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [0, 100])
def test_a_message_for_many_travels_once_to_each_worker(slots: int) -> None:
    book = Playbook()
    for name in "ab":
        book.worker(name, slots=slots)
    members(book, 5)
    say(book, "said")
    assert book.lines() == ["a <- FAN_OUT 'said' to 1.1#2 3.1#2 5.1#2", "b <- FAN_OUT 'said' to 2.1#2 4.1#2"]


@pytest.mark.parametrize(("slots", "line"), [(0, "FAN_OUT 'said' to 1.1#2"), (9, "MESSAGE 1.1 #2 'said'")])
def test_a_group_of_one(slots: int, line: str) -> None:
    book = Playbook()
    book.worker("a", slots=slots)
    members(book, 1)
    say(book, "said")
    assert book.lines() == [f"a <- {line}"]


def test_who_has_no_worker_gets_it_from_the_journal_later() -> None:
    book = Playbook()
    book.worker("a", connections=1)
    members(book, 1)
    waiting = book.open("connect", "websocket")
    book.says("a", GroupAdd("room", channel(waiting), []))
    say(book, "said")
    assert book.lines() == ["a <- FAN_OUT 'said' to 1.1#2"]
    book.worker("b")
    assert book.lines() == ["b <- WELCOME 2", "b <- ADOPT 2.1 'connect' 'said'"]


def test_a_frame_holds_no_more_targets_than_the_wire_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert handing.FAN_OUT <= MAX_ARRAY
    assert handing.FAN_OUT % 3 == 0
    monkeypatch.setattr(handing, "FAN_OUT", 6)
    for slots in (0, 100):
        book = Playbook()
        book.worker("a", slots=slots)
        members(book, 5)
        say(book, "said")
        assert book.lines() == [f"a <- FAN_OUT 'said' to {to}" for to in ("1.1#2 2.1#2", "3.1#2 4.1#2", "5.1#2")]


# -- slots -----------------------------------------------------------------------------------------------------


def test_a_thousand_members_over_64_slots() -> None:
    """No more turns are out than there are slots; what a batch of commits frees is given out in one frame."""
    book = Playbook()
    worker = book.worker("a", slots=64)
    conns = members(book, 1000)
    say(book, "said")
    frames_sent, served = 0, 0
    while lines := book.lines():
        assert len(lines) == 1
        out = [conn for conn in conns if conn.out]
        assert lines[0] == "a <- FAN_OUT 'said' to " + " ".join(f"{conn.id}.1#2" for conn in out)
        assert len(out) == worker.turns_out == min(64, 1000 - served)
        served += len(out)
        frames_sent += 1
        book.says("a", *(frames.Commit(conn.id, 1, 2, True, [], b"", "") for conn in out))
    assert (served, frames_sent, worker.turns_out) == (1000, 16, 0)
    for conn in conns:
        book.core.close(conn)
    assert leftovers(book.core) == []


def test_a_silent_worker_gets_it_when_it_is_heard_of_again() -> None:
    book = Playbook()
    book.worker("a", slots=9)
    book.worker("b")
    members_of_a = [conn for conn in members(book, 4) if conn.turns]
    book.pass_time(3.5, "b")
    book.lines()
    book.says("b", GroupSend("room", b"said", [], [], []))
    assert [line for line in book.lines() if line.startswith("a ")] == []
    book.says("a", frames.Beat(1.0, 0.0, 0.0))
    to = " ".join(f"{conn.id}.1#2" for conn in members_of_a)
    assert f"a <- FAN_OUT 'said' to {to}" in book.lines()


# -- order -----------------------------------------------------------------------------------------------------


def test_a_group_message_waits_behind_what_came_before_it() -> None:
    book = Playbook()
    book.worker("a", slots=2)
    one, two = members(book, 2)
    book.event(one, "own")
    assert book.lines() == ["a <- MESSAGE 1.1 #2 'own'"]
    say(book, "said")
    assert book.lines() == ["a <- MESSAGE 2.1 #2 'said'"]
    book.commit("a", one, 2)
    assert book.lines() == ["a <- MESSAGE 1.1 #3 'said'"]
    assert (one.seq, two.seq) == (3, 2)


def test_only_what_is_next_to_each_other_is_merged() -> None:
    """Who asks for a slot between two that get the same message keeps its place."""
    book = Playbook()
    book.worker("a", slots=4)
    one, two, three, four = members(book, 4)
    for conn in (one, two, three, four):
        book.event(conn, "busy")
    book.lines()
    book.event(two, "own")
    say(book, "x", "y")
    assert book.lines() == []
    book.says("a", *(frames.Commit(conn.id, 1, 2, True, [], b"", "") for conn in (one, two, three, four)))
    assert book.lines() == [
        "a <- MESSAGE 1.1 #3 'x'", "a <- MESSAGE 2.1 #3 'own'", "a <- FAN_OUT 'x' to 3.1#3 4.1#3",
    ]  # fmt: skip
    book.says("a", *(frames.Commit(conn.id, 1, 3, True, [], b"", "") for conn in (three, one, four, two)))
    assert book.lines() == ["a <- FAN_OUT 'y' to 1.1#4 3.1#4 4.1#4", "a <- MESSAGE 2.1 #4 'x'"]


# -- attempts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [0, 9])
def test_who_is_at_its_second_attempt_gets_one_message_at_a_time(slots: int) -> None:
    book = Playbook()
    book.worker("b", slots=slots)
    moved = book.open("connect", "websocket")
    book.worker("a", slots=slots)
    book.says("b", GroupAdd("room", channel(moved), []))
    book.lost("b")
    book.pass_time(0.1)
    members(book, 1)
    say(book, "said")
    others = "a <- MESSAGE 2.1 #2 'said'" if slots else "a <- FAN_OUT 'said' to 2.1#2"
    assert book.lines() == [others]  # the first one's connect may be what the worker was lost by
    if slots:
        book.commit("a", moved, 1)
        assert book.lines() == ["a <- MESSAGE 1.2 #2 'said'"]
    else:
        book.output("a", moved, acked=1)
        assert book.lines() == ["a <- MESSAGE 1.2 #2 'said'"]


# -- any sequence ----------------------------------------------------------------------------------------------

COUNT = 4  # members
STEPS = st.lists(
    st.tuples(st.sampled_from(["group", "group", "own", "commit", "commit", "silent", "heard"]), st.integers(0, 3)),
    max_size=50,
)


class Stage:
    """A worker and its consumers, who note what they get under which number."""

    def __init__(self, policy: str, slots: int) -> None:
        self.config = Config(slow_member=policy, journal_messages=1, journal_bytes=40, http_queue=1000.0, park=1000.0)
        self.core = Core(BOOT, self.config.check(), self._take)
        self.slots = slots
        self.now = 1000.0
        self.got: dict[int, list[tuple[int, bytes]]] = {}  # conn -> (seq, event)
        self.core.receive(b"a", 0, [frames.Hello("worker", 1, "a", ["default"], True, slots, 0)], self.now)
        self.conns = [self.core.connection("websocket", "default", b"", True, None) for _ in range(COUNT)]
        for conn in self.conns:
            self.got[conn.id] = []
            self.core.open(conn, b"00 own", self.now)
            self.says(GroupAdd("room", channel(conn), []))

    def _take(self, action: actions.Action) -> None:
        if isinstance(action, actions.Send):
            for conn, seq, event in _messages(action.frame):
                self.got[conn].append((seq, event))

    def says(self, *said: frames.Frame) -> None:
        self.core.receive(b"a", 1, said, self.now)

    def commit(self, conn: Connection) -> None:
        if conn.out:
            self.says(frames.Commit(conn.id, 1, conn.acked + 1, True, [], b"", ""))


def _messages(frame: frames.Frame) -> Iterator[tuple[int, int, bytes]]:
    if isinstance(frame, frames.Message):
        yield frame.conn, frame.seq, frame.event
    elif isinstance(frame, frames.FanOut):
        for index in range(0, len(frame.targets), 3):
            conn, epoch, seq = frame.targets[index : index + 3]
            assert epoch == 1
            yield conn, seq, frame.event


@given(st.sampled_from(["drop_new", "drop_old"]), st.integers(1, 20), STEPS)
def test_each_consumer_gets_numbers_without_a_gap_and_messages_in_order(
    policy: str, slots: int, steps: list[tuple[str, int]]
) -> None:
    """Whatever is merged, whatever is dropped; and every message was delivered or is counted as dropped."""
    stage = Stage(policy, slots)
    worker = stage.core.supervisor.links[b"a"]
    sent = COUNT
    for number, (step, which) in enumerate(steps, 1):
        conn = stage.conns[which]
        if step == "group":
            stage.says(GroupSend("room", b"%02d group" % number, [], [], []))
            sent += COUNT
        elif step == "own":
            stage.core.event(conn, b"%02d own" % number)
            sent += 1
        elif step == "commit":
            stage.commit(conn)
        elif step == "silent":
            stage.now = worker.last_received + 3.5
            stage.core.tick(stage.now)
        else:
            stage.says(frames.Beat(stage.now, 0.0, 0.0))
        assert 0 <= worker.turns_out == sum(conn.out for conn in stage.conns) <= slots
    while any(conn.journal for conn in stage.conns):
        for conn in stage.conns:
            stage.commit(conn)
    for got in stage.got.values():
        assert [seq for seq, _ in got] == list(range(1, len(got) + 1))
        assert [event for _, event in got] == sorted({event for _, event in got})
    assert sum(map(len, stage.got.values())) + stage.core.statistics.dropped == sent
    for conn in stage.conns:
        stage.core.close(conn)
    assert leftovers(stage.core) == []
