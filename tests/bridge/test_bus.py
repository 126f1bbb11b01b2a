"""A bridge's end of its engine: what the core wants and what the engine tells, through bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from channels_bridge.bridge import bus as bus_module
from channels_bridge.bridge.bus import COMPLAIN, EngineEnd
from channels_bridge.bridge.core.actions import Join, Leave, Publish
from channels_bridge.bridge.core.bus import ALL, bridge_topic, group_topic
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.engines.engine import Listener, Statistics
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import Config
from channels_bridge.shared.frames import ChannelSend, GroupAdd, GroupSend, Relay
from channels_bridge.shared.loop import Loop
from channels_bridge.shared.names import owned_channel
from fake_endpoint import Clock, FakeLoop

BOOT, FAR = 0xB0, 0xC0
SAID = GroupSend("room", b"said", [], [], [])


class FakeEngine:
    """An engine that does nothing by itself."""

    url = "fake://nowhere"
    connected = True
    problem = ""
    statistics = Statistics()

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.published: list[frames.Frame] = []
        self.takes = True
        self.confirm: dict[str, Callable[[], None]] = {}

    def start(self, loop: Loop, listener: Listener) -> None:
        assert isinstance(listener, EngineEnd)
        self.asked.append("start")

    def publish(self, topic: str, data: bytes) -> bool:
        self.asked.append(f"publish {topic}")
        self.published.append(wire.unpack_frame(data))
        return self.takes

    def subscribe(self, topic: str, done: Callable[[], None]) -> None:
        self.asked.append(f"subscribe {topic}")
        self.confirm[topic] = done

    def unsubscribe(self, topic: str) -> None:
        self.asked.append(f"unsubscribe {topic}")

    def stop(self) -> None:
        self.asked.append("stop")


class Bench:
    """A core, its end of the engine, and what clients and processes were told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(bus_module, "now", self.clock)
        self.engine = FakeEngine()
        self.end = EngineEnd(self.engine)
        self.answers: list[tuple[list[int], str]] = []
        self.written: list[bytes] = []
        self.core = Core(BOOT, Config(), self._perform, has_engine=True)

    def start(self) -> None:
        loop: Any = FakeLoop()
        self.end.start(loop, self.core)

    def _perform(self, action: Any) -> None:
        if isinstance(action, Join | Leave | Publish):
            self.end.perform(action)
        elif isinstance(getattr(action, "frame", None), frames.Answer):
            self.answers.append((action.frame.route, action.frame.code))
        elif hasattr(action, "conns"):
            self.written.append(action.event)

    def client(self, group: str) -> None:
        """Open a socket whose client is in the group, and a process with link 1 that asks for that."""
        self.core.receive(b"p", 0, [frames.Hello("layer", 1, "p", [], False, 0, 0)], self.clock())
        conn = self.core.connection("websocket", "default", b"", True, None)
        self.core.open(conn, b"connect", self.clock())
        self.core.receive(b"p", 1, [GroupAdd(group, owned_channel("reply", BOOT, conn.id), [7])], self.clock())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give a bridge whose engine is started."""
    bench = Bench(monkeypatch)
    bench.start()
    bench.engine.asked.clear()
    return bench


def test_what_was_wanted_before_the_start_is_done_then_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.end.perform(Publish("t", SAID))
    bench.end.perform(Leave("t"))
    assert bench.engine.asked == []
    bench.start()
    wanted = [f"subscribe {ALL}", f"subscribe {bridge_topic(BOOT)}", "publish t", "unsubscribe t"]
    assert bench.engine.asked == ["start", *wanted]
    bench.end.perform(Leave("t"))
    assert bench.engine.asked[5:] == ["unsubscribe t"]


def test_who_joins_is_answered_when_the_engine_has_the_subscription(bench: Bench) -> None:
    bench.client("room")
    assert bench.engine.asked == [f"subscribe {group_topic('room')}"]
    assert bench.answers == []
    bench.engine.confirm[group_topic("room")]()
    assert bench.answers == [([7], "")]


def test_what_another_bridge_has_published_reaches_the_members(bench: Bench) -> None:
    bench.client("room")
    bench.end.message(group_topic("room"), wire.pack_frame(Relay(FAR, 1, [], [SAID])))
    assert bench.written == [b"said"]


def test_missing_numbers_are_a_gap_that_is_told_once(bench: Bench) -> None:
    bench.client("bridge.gap")
    for number in (1, 2, 5, 8, 9):
        bench.end.message(bridge_topic(BOOT), wire.pack_frame(Relay(FAR, number, [], [SAID])))
    assert (bench.core.statistics.missed, bench.core.statistics.gaps, len(bench.written)) == (2, 1, 1)
    assert wire.unpack_event(bench.written[0])["type"] == "bridge.gap"


def test_missing_numbers_are_told_once_a_second_at_most(bench: Bench) -> None:
    bench.client("bridge.gap")
    for number in (1, 3, 4, 6):
        bench.end.message(bridge_topic(BOOT), wire.pack_frame(Relay(FAR, number, [], [SAID])))
    assert (bench.core.statistics.missed, bench.core.statistics.gaps) == (2, 1)
    bench.clock.now += 1.0
    bench.end.message(bridge_topic(BOOT), wire.pack_frame(Relay(FAR, 8, [], [SAID])))
    assert (bench.core.statistics.missed, bench.core.statistics.gaps, len(bench.written)) == (3, 2, 2)


def test_what_an_outage_has_cost_is_not_told_twice(bench: Bench) -> None:
    bench.client("bridge.gap")
    bench.end.message(bridge_topic(BOOT), wire.pack_frame(Relay(FAR, 1, [], [SAID])))
    bench.end.gap("reconnected")
    bench.end.message(bridge_topic(BOOT), wire.pack_frame(Relay(FAR, 9, [], [SAID])))
    assert (bench.core.statistics.missed, bench.core.statistics.gaps, len(bench.written)) == (0, 1, 1)


def test_a_question_that_the_engine_does_not_take_is_answered_at_once(bench: Bench) -> None:
    bench.client("room")
    bench.engine.takes = False
    question = ChannelSend(owned_channel("reply", FAR, 1), b"hi", 0, 0.0, [8])
    bench.core.receive(b"p", 1, [question], bench.clock())
    assert bench.engine.published == [Relay(BOOT, 1, [], [question._replace(route=[8, 1, BOOT])])]
    assert bench.answers == [([8], "unknown")]
    assert bench.core.statistics.unpublished == 1


def test_what_cannot_be_read_is_counted_and_told_now_and_then(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for data in (b"", b"\xc1", wire.pack_frame(SAID)[:-1]):
        bench.end.message(ALL, data)
    assert bench.core.statistics.malformed == 3
    assert caplog.text.count("a malformed message of the engine was dropped") == 1
    bench.clock.now += COMPLAIN
    bench.end.message(ALL, b"\xc1")
    assert caplog.text.count("a malformed message of the engine was dropped") == 2


def test_whether_it_is_connected_is_told_to_the_operator(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench.end.up()
    bench.end.down("refused")
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
        ("INFO", "the engine at fake://nowhere is connected"),
        ("WARNING", "the engine at fake://nowhere is lost (refused): groups and channels reach this machine only"),
    ]


def test_a_gap_is_told_to_the_operator_and_to_who_asked(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.client("bridge.gap")
    bench.end.gap("away for 3 s")
    assert [wire.unpack_event(event) for event in bench.written] == [{"type": "bridge.gap", "reason": "away for 3 s"}]
    assert "messages of other machines may have been lost: away for 3 s" in caplog.text
    assert bench.core.statistics.gaps == 1


def test_after_the_stop_nothing_comes_of_anything(bench: Bench) -> None:
    bench.client("bridge.gap")
    bench.end.stop()
    bench.engine.asked.clear()
    bench.end.message(ALL, b"\xc1")
    bench.end.gap("late")
    bench.end.perform(Publish("t", SAID))
    assert (bench.engine.asked, bench.written, bench.core.statistics.malformed) == ([], [], 0)
