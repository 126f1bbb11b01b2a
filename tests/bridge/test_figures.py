"""What a bridge says of itself: plain values that agree with what it has."""

from __future__ import annotations

import pytest

from channels_bridge.bridge import figures
from channels_bridge.bridge.core.letters import Letter
from channels_bridge.bridge.engines import open_engine
from channels_bridge.bridge.letters import InMemory, Kept
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import Config
from channels_bridge.testing.playbook import Playbook


def test_workers_are_rows_with_what_they_have() -> None:
    book = Playbook()
    book.worker("a", pools=("default", "cpu"), turns=True, slots=2)
    book.open("x")
    book.open("y")
    assert figures.workers(book.core) == [
        {
            "name": "a", "role": "worker", "state": "ready", "pools": ["default", "cpu"],
            "connections": 2, "turns_out": 2, "slots": 2, "oldest": 0.0,
        }
    ]  # fmt: skip


def test_pools_are_rows_with_what_waits() -> None:
    book = Playbook()
    book.open("x")
    book.event(book.open("y"), "z")
    assert figures.pools(book.core) == [
        {"name": "default", "workers": 0, "connections": 2, "waiting": 2, "queue": 3},
    ]
    book.worker("a")
    assert figures.pools(book.core) == [
        {"name": "default", "workers": 1, "connections": 2, "waiting": 0, "queue": 0},
    ]


def test_named_channels_are_rows_and_those_without_a_listener_come_first() -> None:
    book = Playbook()
    book.worker("a")
    assert figures.channels(book.core) == []
    mistyped = [frames.ChannelSend(name, b"", 0, 0.0, []) for name in ("thumbnial", "jbos", "jbos")]
    book.says("a", frames.Listen("jobs", 5), *mistyped)
    assert figures.channels(book.core) == [
        {"name": "jbos", "listeners": 0, "waiting": 2},
        {"name": "thumbnial", "listeners": 0, "waiting": 1},
        {"name": "jobs", "listeners": 1, "waiting": 0},
    ]
    book.says("a", *(frames.ChannelSend(f"user-{number}", b"", 0, 0.0, []) for number in range(figures.MOST)))
    assert len(figures.channels(book.core)) == figures.MOST


def test_counters_are_those_of_the_core() -> None:
    book = Playbook()
    book.core.statistics.malformed = 3
    assert figures.statistics(book.core)["malformed"] == 3


@pytest.mark.parametrize("url", ["", "local://figures"])
def test_an_engine_has_a_state(url: str) -> None:
    row = figures.engine(open_engine(url) if url else None)
    assert row["url"].startswith(url)
    assert row["connected"] is False


def test_ledgers_balance() -> None:
    book = Playbook()
    book.worker("a", slots=1)
    conn = book.open("x")
    book.event(conn, "y")
    book.commit("a", conn, 1)
    default, channels = figures.ledgers(book.core)
    assert default == {
        "pool": "default", "accepted": 2, "delivered": 1, "shed": 0, "expired": 0, "dead_lettered": 0, "in_flight": 1,
        "balance": 0, "refused": {},
    }  # fmt: skip
    assert (channels["pool"], channels["accepted"], channels["balance"]) == ("#channels", 0, 0)


def test_ledgers_say_what_was_refused() -> None:
    book = Playbook()
    book.core.refuse(book.open("x"), "overload")
    assert figures.ledgers(book.core)[0]["refused"] == {"overload": 1}


def test_letters_are_counted() -> None:
    letters = InMemory(Config(dead_letters=1))
    for name in ("a", "b"):
        letters.add(Kept(name, 1.0, "", Letter("p", "http", b"", b"", "", True, 1, b"", 2, [], 1)))
    assert figures.letters(letters) == {"count": 1, "dropped": 1}


def test_all_of_it_can_travel() -> None:
    book = Playbook()
    book.worker("a")
    book.open("x")
    core = book.core
    of_core: dict[str, object] = {
        "workers": figures.workers(core),
        "pools": figures.pools(core),
        "channels": figures.channels(core),
        "statistics": figures.statistics(core),
    }
    of_core["ledgers"] = figures.ledgers(core)
    answer = {"type": "x", **of_core, "engine": figures.engine(None)}
    assert wire.unpack_event(wire.pack_event(answer)) == answer
