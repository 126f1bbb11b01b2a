"""Operators ask, a bridge answers: in pieces that fit, and never with an exception."""

from __future__ import annotations

import os
from typing import Any

from channels_bridge.bridge.core import actions
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.operating import ROWS, Operating, pieces
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import Config


class Desk:
    """A bridge's core and an operator at it."""

    def __init__(self) -> None:
        self.sent: list[actions.Send] = []
        self.core = Core(0xB0, Config().check(), lambda action: None)
        self.operating = Operating(self.core, self.sent.append, None)

    def ask(self, what: str, *names: str) -> list[tuple[dict[str, Any], bool]]:
        """Give the pieces of the answer, each with whether more follow."""
        self.sent.clear()
        self.operating.asked(actions.Asked(b"o", 3, frames.Query(7, what, list(names))))
        return self.reports()

    def reports(self) -> list[tuple[dict[str, Any], bool]]:
        reports = [action.frame for action in self.sent if isinstance(action.frame, frames.Report)]
        assert {(action.peer, action.link_epoch) for action in self.sent} <= {(b"o", 3)}
        assert {report.call for report in reports} <= {7}
        return [(dict(wire.unpack_event(report.event)), report.more) for report in reports]


def test_status_says_who_it_is_and_what_it_has() -> None:
    desk = Desk()
    desk.operating.start("ipc:///run/x/bridge-0.sock")
    (about, more), (workers, _), (pools, last) = desk.ask("status")
    assert (about["boot"], about["pid"], about["url"]) == (f"{0xB0:016x}", os.getpid(), "ipc:///run/x/bridge-0.sock")
    assert about["version"].count(".") >= 1
    assert 0.0 <= about["uptime"] < 60.0
    assert about["statistics"]["malformed"] == 0
    assert about["engine"]["url"] == ""
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
