"""Every counter is moved by what it is meant for, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields

import pytest

from channels_bridge.bridge.core.relays import KEEP
from channels_bridge.bridge.core.statistics import Statistics
from channels_bridge.shared import frames
from channels_bridge.shared.frames import ChannelSend, GroupAdd, GroupSend, Peers, Relay
from channels_bridge.shared.names import owned_channel
from channels_bridge.testing.playbook import BOOT, Playbook

OTHER = 0xB1
SAID = GroupSend("room", b"1234567890", [], [], [])


def fenced(book: Playbook) -> None:
    book.commit("a", book.open(), 1, epoch=9)


def malformed(book: Playbook) -> None:
    book.says("a", frames.Reset("only bridges say that"))


def dropped(book: Playbook) -> None:
    conn = book.open()
    book.says("a", GroupAdd("room", owned_channel("reply", BOOT, conn.id), []), SAID, SAID)


def unknown(book: Playbook) -> None:
    book.says("a", ChannelSend(owned_channel("reply", BOOT, 99), b"", 0, 0.0, []))


def full(book: Playbook) -> None:
    book.says("a", *[ChannelSend("jobs", b"", 1, 0.0, [])] * 2)


def unrelayed(book: Playbook) -> None:
    book.says("a", Peers([BOOT, OTHER]))
    book.commit("a", book.open(), 1, SAID)
    book.pass_time(KEEP + 0.3, "a")


def unpublished(book: Playbook) -> None:
    book.core.layer.unpublished(Relay(BOOT, 1, [], [SAID]))


def missed(book: Playbook) -> None:
    for number in (1, 3):
        book.core.layer.by_engine("all", Relay(OTHER, number, [], [SAID]), book.now)


def gaps(book: Playbook) -> None:
    book.core.layer.gap(b"", book.now)


def lost_workers(book: Playbook) -> None:
    book.lost("a")


def skipped(book: Playbook) -> None:
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, on_loss="skip")
    book.event(conn, "in flight")
    book.lost("a")


def cut_turns(book: Playbook) -> None:
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, state="one", on_loss="replay", done=False)
    book.lost("a")


CAUSES: dict[str, Callable[[Playbook], None]] = {
    cause.__name__: cause
    for cause in (
        fenced, malformed, dropped, unknown, full, unrelayed, unpublished, missed, gaps, lost_workers, skipped,
        cut_turns,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_a_counter_is_moved_by_its_cause_alone(name: str) -> None:
    book = Playbook(has_engine=True, window_bytes=10)
    book.worker("a", slots=100)
    CAUSES[name](book)
    counted = {counter: count for counter, count in asdict(book.core.statistics).items() if count}
    if name != "lost_workers":
        counted.pop("lost_workers", None)  # what some of the others come by
    assert counted == {name: 1}


def test_no_counter_is_without_a_cause() -> None:
    assert {field.name for field in fields(Statistics)} == set(CAUSES)


def test_the_end_of_a_process_that_hosts_nothing_is_no_lost_worker() -> None:
    book = Playbook()
    book.core.receive(b"script", 0, [frames.Hello("layer", 7, "script", [], False, 0, 0)], book.now)
    book.core.lost(b"script", book.now)
    assert (book.core.statistics.lost_workers, book.logs[1:]) == (0, [])
