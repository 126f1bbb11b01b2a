"""Operators ask, a bridge answers: in pieces that fit, and never with an exception."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from channels_bridge.bridge import operating as operating_module
from channels_bridge.bridge.core import actions
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.core.letters import Letter
from channels_bridge.bridge.letters import InMemory, Kept
from channels_bridge.bridge.operating import AHEAD, RATE, ROWS, Allowance, Operating, pieces, whole
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import MIB, Config
from channels_bridge.shared.endpoint import now
from fake_endpoint import Clock, FakeLoop

SCOPE = {"type": "websocket", "path": "/chat/", "headers": [(b"host", b"h")]}
EVENT = {"type": "websocket.receive", "text": "poison"}
LETTER = Letter(
    "default", "websocket", wire.pack_scope(SCOPE), b"\x80", "replay", True, 3, wire.pack_event(EVENT), 2, ["a", "b"], 7
)


class Desk:
    """A bridge's core and an operator at it."""

    def __init__(self) -> None:
        self.sent: list[actions.Send] = []
        self.loop = FakeLoop()
        self.core = Core(0xB0, Config().check(), self._perform)
        self.letters = InMemory(Config())
        self.operating = Operating(self.core, self.sent.append, self.letters, None)
        loop: Any = self.loop
        self.operating.start(loop, "ipc:///run/x/bridge-0.sock")

    def _perform(self, action: actions.Action) -> None:
        if isinstance(action, actions.Finish):
            edge: Any = action.conn.edge
            edge.finish(action.outcome, action.text, action.events)

    def set_aside(self, letter: Letter) -> str:
        """Let the core set a message aside; give its id."""
        self.operating.set_aside(actions.SetAside(letter))
        return self.letters.all()[-1].id

    def ask(self, what: str, *names: str) -> list[tuple[dict[str, Any], bool]]:
        """Give the pieces of the answer, each with whether more follow."""
        self.sent.clear()
        self.operating.asked(actions.Asked(b"o", 3, frames.Query(7, what, list(names))))
        return self.reports()

    def turn(self) -> None:
        for _ in range(3):
            self.loop.turn()

    def reports(self) -> list[tuple[dict[str, Any], bool]]:
        reports = [action.frame for action in self.sent if isinstance(action.frame, frames.Report)]
        assert {(action.peer, action.link_epoch) for action in self.sent} <= {(b"o", 3)}
        assert {report.call for report in reports} <= {7}
        return [(dict(wire.unpack_event(report.event)), report.more) for report in reports]


def test_status_says_who_it_is_and_what_it_has() -> None:
    desk = Desk()
    (about, more), (workers, _), (pools, _), (channels, _), (ledgers, last) = desk.ask("status")
    assert (about["boot"], about["pid"], about["url"]) == (f"{0xB0:016x}", os.getpid(), "ipc:///run/x/bridge-0.sock")
    assert about["version"].count(".") >= 1
    assert 0.0 <= about["uptime"] < 60.0
    assert about["statistics"]["malformed"] == 0
    assert about["engine"]["url"] == ""
    assert about["dead_letters"] == {"count": 0, "dropped": 0}
    assert [(row["pool"], row["balance"]) for row in ledgers["ledgers"]] == [("#channels", 0)]
    assert channels == {"type": "operator.status", "channels": []}
    assert (workers, pools) == (
        {"type": "operator.status", "workers": []},
        {"type": "operator.status", "pools": []},
    )
    assert (more, last) == (True, False)


def test_what_it_does_not_know_is_said() -> None:
    [(answer, more)] = Desk().ask("dance")
    assert answer == {
        "type": "operator.error",
        "text": "this bridge does not know 'dance': it is of another release",
    }
    assert not more


def test_dead_letters_are_listed_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    assert desk.ask("letters") == [({"type": "operator.letters", "letters": []}, False)]
    name = desk.set_aside(LETTER)
    assert caplog.messages == [
        f"dead letter {name} is message 3 of connection 7 (websocket.receive, websocket /chat/, pool default)"
    ]
    [(answer, _)] = desk.ask("letters")
    [row] = answer["letters"]
    assert abs(row.pop("at") - time.time()) < 60.0
    assert row == {
        "id": name, "again_of": "", "pool": "default", "kind": "websocket", "path": "/chat/",
        "event": "websocket.receive", "seq": 3, "attempts": 2, "workers": ["a", "b"], "size": row["size"],
    }  # fmt: skip


def test_one_is_shown_whole() -> None:
    desk = Desk()
    name = desk.set_aside(LETTER)
    (nothing, more), (answer, last) = desk.ask("letter", name, "0" * 16)
    [letter] = answer["letters"]
    assert (nothing["letters"], more, last) == ([], True, False)
    assert letter["scope"]["headers"] == [[b"host", b"h"]]
    assert letter["message"] == {"type": "websocket.receive", "text": "poison"}
    assert (letter["state"], letter["on_loss"]) == (b"\x80", "replay")
    assert desk.ask("letter", "0" * 16)[0][0]["letters"] == []


@pytest.mark.parametrize(
    ("packed", "shown"),
    [
        (wire.pack_event({"type": "state", "sent": [], "state": {"total": 3}}), {"total": 3}),
        (
            wire.pack_event({"type": "app", "sent": [], "state": [1, {b"date": "2026-01-02"}]}),
            [1, {b"date": "2026-01-02"}],
        ),
        (wire.pack_event({"type": "of another release"}), wire.pack_event({"type": "of another release"})),
        (b"", b""),
    ],
)
def test_the_state_is_taken_out_of_its_envelope_where_it_is_one(packed: bytes, shown: object) -> None:
    assert whole(Kept("id", 1.0, "", LETTER._replace(state=packed)))["state"] == shown


def test_one_that_cannot_be_read_is_shown_as_far_as_it_can() -> None:
    desk = Desk()
    name = desk.set_aside(LETTER._replace(scope=b"x", event=b"x"))
    letter = desk.ask("letter", name)[-1][0]["letters"][0]
    assert (letter["scope"], letter["message"], letter["path"], letter["event"]) == ({}, {}, "", "")


def test_some_are_dropped() -> None:
    desk = Desk()
    name = desk.set_aside(LETTER)
    [(answer, _)] = desk.ask("drop", name, "0" * 16)
    assert [row["outcome"] for row in answer["letters"]] == ["dropped", "unknown"]
    assert desk.letters.all() == []


def test_a_replay_is_told_as_its_outcome_is_known() -> None:
    desk = Desk()
    one, two = desk.set_aside(LETTER), desk.set_aside(LETTER._replace(pool="cpu"))
    assert desk.ask("replay", one, two, "0" * 16) == []
    desk.turn()
    [(answer, more)] = desk.reports()
    assert (answer["letters"][0]["id"], answer["letters"][0]["outcome"], more) == ("0" * 16, "unknown", True)
    desk.core.tick(now() + 60.0)  # nobody serves these pools
    desk.turn()
    found = [(answer["letters"][0]["id"], answer["letters"][0]["outcome"], more) for answer, more in desk.reports()[1:]]
    assert found == [(one, "no-worker", True), (two, "no-worker", False)]


def test_a_replay_of_nothing_is_refused() -> None:
    [(answer, _)] = Desk().ask("replay")
    assert answer["type"] == "operator.error"


def test_what_is_replayed_when_the_bridge_stops_is_there_again() -> None:
    desk = Desk()
    name = desk.set_aside(LETTER)
    desk.ask("replay", name)
    desk.turn()
    desk.operating.stop()
    assert desk.letters.take(name) is not None


# -- what a question may cost ------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["letter", "drop", "replay"])
def test_a_letter_that_is_named_many_times_is_one(what: str) -> None:
    desk = Desk()
    name = desk.set_aside(LETTER)
    desk.ask(what, *[name] * 500)
    desk.turn()
    desk.core.tick(now() + 60.0)
    desk.turn()
    assert [row["id"] for answer, _ in desk.reports() for row in answer["letters"]] == [name]
    assert [more for _, more in desk.reports()][-1] is False


def test_each_letter_is_a_piece_of_its_own() -> None:
    desk = Desk()
    shown = desk.ask("letter", desk.set_aside(LETTER), desk.set_aside(LETTER))
    assert [(len(answer["letters"]), more) for answer, more in shown] == [(0, True), (1, True), (1, False)]


@pytest.mark.parametrize("what", ["letter", "drop", "replay"])
def test_so_many_may_be_named_and_no_more(what: str, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    most = Config().dead_letters + ROWS
    names = [f"{number:016x}" for number in range(most + 1)]
    [(answer, more)] = desk.ask(what, *names)
    text = f"this bridge looks for at most {most} letters at once, not for {most + 1}"
    assert (answer, more) == ({"type": "operator.error", "text": text}, False)
    desk.turn()
    assert len(desk.reports()) == 1
    desk.ask(what, *names[:-1])
    desk.turn()
    assert desk.reports()[-1][0]["type"] == f"operator.{what}"
    assert caplog.messages == []  # of letters that are not there


def test_unknown_letters_that_shall_be_replayed_are_told_of_in_pieces() -> None:
    desk = Desk()
    desk.ask("replay", *(f"{number:016x}" for number in range(ROWS + 1)))
    desk.turn()
    told = [(len(answer["letters"]), more) for answer, more in desk.reports()]
    assert told == [(ROWS, True), (1, False)]


def test_questions_cost_no_more_memory_than_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question has 30 bytes, its answer a million: whoever does not read them all would fill the memory."""
    clock = Clock()
    monkeypatch.setattr(operating_module, "now", clock)
    desk = Desk()
    name = desk.set_aside(LETTER._replace(event=wire.pack_event({**EVENT, "text": "x" * MIB})))
    answers = [desk.ask("letter", name)[-1][0] for _ in range(100)]
    assert sum(answer["type"] == "operator.letter" for answer in answers) == AHEAD * RATE // MIB
    assert "ask again in a few seconds" in answers[-1]["text"]
    clock.now += 1.0
    assert desk.ask("status")[0][0]["type"] == "operator.status"


def test_questions_cost_no_more_time_than_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop has clients and workers to serve; a worker that is not heard for 10 s is declared dead."""
    clock = Clock()
    monkeypatch.setattr(operating_module, "now", clock)
    desk = Desk()

    def slowly() -> list[Kept]:
        clock.now += 0.2
        return []

    monkeypatch.setattr(desk.letters, "all", slowly)
    answers = [desk.ask("letters")[0][0] for _ in range(100)]
    assert sum(answer["type"] == "operator.letters" for answer in answers) == 6
    clock.now += 2 * AHEAD
    assert desk.ask("letters")[0][0]["type"] == "operator.letters"


def test_a_pause_of_the_machine_is_not_paid_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(operating_module, "now", clock)
    allowance = Allowance()
    allowance.pay(seconds=600.0)
    assert allowance.is_spent
    clock.now += AHEAD
    assert not allowance.is_spent


def test_a_value_that_cannot_travel_is_an_answer_too() -> None:
    desk = Desk()
    action = actions.Asked(b"o", 3, frames.Query(7, "letter", []))
    desk.operating.report(action, {"type": "operator.letter", "scope": object()}, more=False)
    [(answer, _)] = desk.reports()
    assert answer["type"] == "operator.error"
    assert "'scope'" in answer["text"]


def test_long_lists_are_cut() -> None:
    rows = [{"id": str(number)} for number in range(ROWS + 1)]
    cut = list(pieces("letters", rows))
    assert [len(piece["letters"]) for piece in cut] == [ROWS, 1]
    assert [row for piece in cut for row in piece["letters"]] == rows
    assert list(pieces("letters", [])) == [{"letters": []}]
