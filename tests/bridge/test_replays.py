"""Dead letters that are handed to workers again: what comes of them, how many at once, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from channels_bridge.bridge import replays as replays_module
from channels_bridge.bridge.core import actions
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.core.letters import Letter
from channels_bridge.bridge.letters import InMemory, Kept
from channels_bridge.bridge.replays import AT_ONCE, PATIENCE, UNKNOWN, Outcome, Replays
from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.testing.playbook import leftovers
from fake_endpoint import Clock, FakeLoop

LETTER = Letter("default", "websocket", b"scope", b"state", "replay", True, 3, b"event", 2, ["a", "b"], 7)


class Bench:
    """A bridge's core with its replays, a worker that a test speaks for, and a loop and a clock that it moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(replays_module, "now", self.clock)
        self.loop = FakeLoop()
        self.sent: list[frames.Frame] = []
        self.told: list[Outcome] = []
        self.core = Core(0xB0, Config().check(), self._perform)
        self.letters = InMemory(Config())
        self.replays = Replays(self.core, self.letters)
        loop: Any = self.loop
        self.replays.start(loop)

    def _perform(self, action: actions.Action) -> None:
        edge: Any
        if isinstance(action, actions.Send):
            self.sent.append(action.frame)
        elif isinstance(action, actions.Write):
            edge = action.conn.edge
            edge.write(action.events)
        elif isinstance(action, actions.Finish):
            edge = action.conn.edge
            edge.finish(action.outcome, action.text, action.events)
        elif isinstance(action, actions.SetAside):
            again = Kept("again", 1.0, self.replays.of(action.letter.conn), action.letter)
            self.letters.add(again)
            self.replays.superseded(action.letter.conn, again.id)

    def worker(self, peer: bytes = b"w") -> None:
        hello = frames.Hello("worker", peer[0], peer.decode(), ["default"], True, 64, 0)
        self.core.receive(peer, 0, [hello], self.clock())

    def replay(self, *names: str) -> None:
        for name in names:
            self.letters.add(Kept(name, 1.0, "", LETTER))
        self.replays.add(names, self.tell)
        self.loop.turn()

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        self.told += outcomes

    def says(self, *said: frames.Frame, peer: bytes = b"w") -> None:
        link_epoch = self.core.supervisor.links[peer].link_epoch
        self.core.receive(peer, link_epoch, said, self.clock())
        self.settle()

    def settle(self) -> None:
        for _ in range(3):
            self.loop.turn()

    @property
    def given(self) -> list[int]:
        """Connections that the worker was given."""
        return [frame.conn for frame in self.sent if isinstance(frame, frames.Adopt)]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def commit(seq: int, *effects: bytes, conn: int = 1) -> frames.Commit:
    return frames.Commit(conn, 1, seq, True, list(effects), b"", "replay")


def test_one_that_is_handled_ends_its_letter(bench: Bench) -> None:
    bench.worker()
    bench.replay("one")
    bench.says(commit(1, b"to nobody"))
    bench.says(commit(2))
    assert bench.told == [("one", "returned", "")]
    assert bench.letters.all() == []
    assert leftovers(bench.core) == []


def test_what_is_sent_to_nobody_is_credit_again(bench: Bench) -> None:
    """A consumer that sends much, by a handler that never ends, must not wait for a client that is none."""
    bench.worker()
    bench.replay("one")
    [conn] = bench.core.connections.values()
    bench.says(commit(1, bytes(100_000)))
    assert (conn.received, conn.written) == (100_000, 100_000)


def test_one_that_raises_keeps_its_letter(bench: Bench) -> None:
    bench.worker()
    bench.replay("one")
    bench.says(frames.Failed(1, 1, 1, "raised", "KeyError: 'x'"))
    assert bench.told == [("one", "raised", "KeyError: 'x'")]
    assert bench.letters.take("one") is not None


def test_one_that_costs_a_worker_its_life_again_is_a_new_letter(bench: Bench) -> None:
    bench.worker()
    bench.replay("one")
    bench.core.lost(b"w", bench.clock())
    bench.settle()
    assert bench.told == [("one", "poison", "it was set aside again, as again")]
    [kept] = bench.letters.all()
    assert (kept.id, kept.again_of, kept.letter.workers) == ("again", "one", ["a", "w"])


def test_without_a_worker_it_waits_as_a_request_does(bench: Bench) -> None:
    bench.replay("one")
    bench.core.tick(bench.clock() + Config().http_queue)
    bench.settle()
    assert bench.told == [("one", "no-worker", "")]
    assert bench.letters.take("one") is not None


def test_one_that_never_ends_is_given_up(bench: Bench) -> None:
    bench.worker()
    bench.replay("one")
    bench.replays.tick(bench.clock() + PATIENCE - 1.0)
    bench.settle()
    assert bench.told == []
    bench.replays.tick(bench.clock() + PATIENCE)
    bench.replays.tick(bench.clock() + PATIENCE)
    bench.settle()
    assert bench.told == [("one", "timeout", "its consumer was not done within 60 s")]
    assert bench.sent[-1] == frames.Cancel(1, 1, "closed")
    bench.says(commit(1))
    assert bench.core.statistics.fenced == 1
    assert leftovers(bench.core) == []


def test_a_letter_that_is_not_there_is_said(bench: Bench) -> None:
    bench.replays.add(["nothing"], bench.tell)
    assert bench.told == []
    bench.settle()
    assert bench.told == [("nothing", "unknown", UNKNOWN)]


def test_all_that_are_not_there_are_said_at_once(bench: Bench) -> None:
    times: list[int] = []
    bench.replays.add([f"{number}" for number in range(1000)], lambda outcomes: times.append(len(outcomes)))
    bench.settle()
    assert times == [1000]


def test_the_line_is_no_longer_than_the_list_of_letters(bench: Bench) -> None:
    """A letter that is asked for again and again while others are replayed stands in it once."""
    bench.worker()
    bench.replay(*(f"{number}" for number in range(AT_ONCE + 1)))
    for _ in range(1000):
        bench.replays.add([f"{AT_ONCE}", "nothing"], bench.tell)
    bench.settle()
    assert [list(bench.replays._line), len(bench.told)] == [[f"{AT_ONCE}"], 2000]
    assert set(bench.told) == {(f"{AT_ONCE}", "unknown", UNKNOWN), ("nothing", "unknown", UNKNOWN)}
    bench.says(commit(1))
    bench.says(commit(2))
    assert len(bench.given) == AT_ONCE + 1


def test_one_that_was_dropped_while_it_waited_is_said(bench: Bench) -> None:
    bench.worker()
    bench.replay(*(f"{number}" for number in range(AT_ONCE + 1)))
    bench.letters.remove(f"{AT_ONCE}")
    bench.says(commit(1))
    bench.says(commit(2))
    assert bench.told == [(f"{AT_ONCE}", "unknown", UNKNOWN), ("0", "returned", "")]


def test_one_is_not_replayed_twice_at_once(bench: Bench) -> None:
    bench.worker()
    bench.replay("one")
    bench.replay("one")
    assert [outcome for _, outcome, _ in bench.told] == ["unknown"]


def test_so_many_at_once_and_the_others_after_them(bench: Bench) -> None:
    bench.worker()
    bench.replay(*(f"{number}" for number in range(AT_ONCE + 2)))
    assert len(bench.given) == AT_ONCE
    bench.says(commit(1))
    bench.says(commit(2))
    assert len(bench.given) == AT_ONCE + 1
    bench.says(commit(1, conn=2))
    bench.says(commit(2, conn=2))
    assert len(bench.given) == AT_ONCE + 2


def test_messages_of_groups_go_nowhere_too(bench: Bench) -> None:
    bench.worker()
    bench.replay("one")
    [conn] = bench.core.connections.values()
    edge: Any = conn.edge
    edge.changed.set()
    edge.drop_oldest()
    bench.core.dispatcher.received(conn, 5, from_owner=False)
    edge.write_broadcast(b"12345")
    bench.settle()
    assert (conn.received, conn.written) == (5, 5)


def test_a_bridge_that_stops_gives_letters_back(bench: Bench) -> None:
    bench.worker()
    bench.replay("one")
    bench.core.stop()
    bench.replays.stop()
    bench.settle()
    assert bench.told == []
    assert bench.letters.take("one") is not None
    assert bench.replays.of(1) == ""
