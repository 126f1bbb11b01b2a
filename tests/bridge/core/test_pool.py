import pytest

from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.pool import Pool, Worker
from channels_bridge.shared.frames import Hello
from channels_bridge.shared.transitions import Link


def worker(
    name: str = "w",
    *,
    turns: bool = True,
    slots: int = 4,
    limit: int = 0,
    conns: int = 0,
    out: int = 0,
    queued: int = 0,
) -> Worker:
    made = Worker(name.encode(), 1, Hello("worker", 1, name, ["default"], turns, slots, limit), 0.0)
    made.state = Link.READY
    made.turns_out = out
    for number in range(conns):
        made.conns[number] = Connection(number, "http", Pool("default"), b"", True, None)
    made.waiting.extend(Connection(number, "http", Pool("default"), b"", True, None) for number in range(queued))
    return made


@pytest.mark.parametrize(("slots", "out", "free"), [(4, 0, 4), (4, 3, 1), (4, 4, 0)])
def test_free_slots(slots: int, out: int, free: int) -> None:
    assert worker(slots=slots, out=out).free_slots == free


def test_slots_without_a_bound() -> None:
    assert worker(slots=0, out=1000).free_slots > 1000


@pytest.mark.parametrize("state", Link)
def test_only_a_ready_worker_takes_connections(state: Link) -> None:
    one = worker()
    one.state = state
    assert one.takes_connections is (state is Link.READY)


@pytest.mark.parametrize("state", Link)
def test_a_worker_that_drains_takes_turns_and_a_silent_one_does_not(state: Link) -> None:
    one = worker()
    one.state = state
    assert one.takes_turns is (state in (Link.READY, Link.DRAINING))


def test_without_a_free_slot_no_turn() -> None:
    assert worker(slots=2, out=1).takes_turns
    assert not worker(slots=2, out=2).takes_turns


@pytest.mark.parametrize(("limit", "conns", "takes"), [(0, 9, True), (2, 1, True), (2, 2, False), (2, 3, False)])
def test_the_bound_on_connections(limit: int, conns: int, takes: bool) -> None:
    assert worker(limit=limit, conns=conns).takes_connections is takes


@pytest.mark.parametrize(
    ("workers", "best"),
    [
        ([worker("a"), worker("b")], "a"),  # who came first
        ([worker("a", out=1), worker("b")], "b"),
        ([worker("a", queued=1), worker("b")], "b"),  # who waits for a slot counts as a turn
        ([worker("a", out=1), worker("b", conns=50)], "b"),  # turns first ...
        ([worker("a", out=1, conns=2), worker("b", out=1, conns=1)], "b"),  # ... then connections
        ([worker("a", limit=1, conns=1), worker("b", out=3)], "b"),  # a full one is no choice
        ([worker("a", limit=1, conns=1)], None),
        ([worker("a", out=2), worker("b", out=1), worker("c", out=3)], "b"),
        ([], None),
    ],
)
def test_the_least_loaded_worker_is_picked(workers: list[Worker], best: str | None) -> None:
    pool = Pool("default")
    pool.workers.extend(workers)
    picked = pool.least_loaded("http")
    assert (picked.hello.name if picked is not None else None) == best
