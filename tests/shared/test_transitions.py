"""The tables of states: every pair is walked, and docs/architecture.md shows what they say."""

import itertools
import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from channels_bridge.shared.errors import LocalProtocolError
from channels_bridge.shared.transitions import LINK, SESSION, Link, LinkEvent, Session, SessionEvent, may, step

Table = dict[tuple[Any, Any], Any]
DOC = Path(__file__).parents[2] / "docs" / "architecture.md"
TABLES: dict[str, tuple[Table, type[Enum], type[Enum]]] = {
    "link": (LINK, Link, LinkEvent),
    "session": (SESSION, Session, SessionEvent),
}
PAIRS = [
    pytest.param(table, state, event, id=f"{name}-{state.value}-{event.value}")
    for name, (table, states, events) in TABLES.items()
    for state, event in itertools.product(states, events)
]


@pytest.mark.parametrize(("table", "state", "event"), PAIRS)
def test_every_pair_is_in_the_table_or_an_error(table: Table, state: Enum, event: Enum) -> None:
    if (state, event) in table:
        assert may(table, state, event)
        assert type(step(table, state, event)) is type(state)
    else:
        assert not may(table, state, event)
        with pytest.raises(LocalProtocolError, match=re.escape(f"{event} cannot happen in {state}")):
            step(table, state, event)


@pytest.mark.parametrize("name", TABLES)
def test_every_state_is_reached_and_every_event_happens(name: str) -> None:
    table, states, events = TABLES[name]
    reached = {next(iter(states))}
    while more := {to for (state, _), to in table.items() if state in reached} - reached:
        reached |= more
    assert reached == set(states)
    assert {event for _, event in table} == set(events)


@pytest.mark.parametrize("end", [Link.DEAD, Link.GONE])
def test_what_is_dead_stays_dead(end: Link) -> None:
    """A worker that comes back says HELLO, on a link of its own."""
    assert not any(may(LINK, end, event) for event in LinkEvent)


@pytest.mark.parametrize("end", [Session.FENCED, Session.CLOSED])
def test_a_session_ends_for_good(end: Session) -> None:
    assert not any(may(SESSION, end, event) for event in SessionEvent)


@pytest.mark.parametrize("name", TABLES)
def test_from_every_other_state_it_can_end(name: str) -> None:
    table, states, events = TABLES[name]
    lost = events["LOST"]
    ends = {state for state in states if not any((state, event) in table for event in events)}
    assert {state for state in states if (state, lost) in table} == set(states) - ends


def mermaid(name: str) -> str:
    """Draw a table; the text stands in docs/architecture.md."""
    table, states, _ = TABLES[name]
    labels: dict[tuple[str, str], list[str]] = {}  # (from, to) -> events
    for (state, event), to in table.items():
        labels.setdefault((state.value, to.value), []).append(event.value)
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(states)).value}"]
    lines += [f"    {source} --> {to}: {', '.join(events)}" for (source, to), events in labels.items()]
    lines += [f"    {s.value} --> [*]" for s in states if not any(source == s for source, _ in table)]
    return "\n".join(lines)


@pytest.mark.parametrize("name", TABLES)
def test_the_page_shows_this_table(name: str) -> None:
    """Where it fails: paste what it expects between the markers."""
    drawn = re.search(rf"<!-- table: {name} -->\n```mermaid\n(.*?)\n```\n<!-- end -->", DOC.read_text(), re.DOTALL)
    assert drawn is not None, f"docs/architecture.md has no diagram of {name}"
    assert drawn[1] == mermaid(name)
