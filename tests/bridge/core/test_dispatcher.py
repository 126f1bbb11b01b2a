"""Who gets a connection, when its messages go there, and how much may be on its way to a client."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.bridge.core.actions import Action, Send
from channels_bridge.bridge.core.connection import Connection
from channels_bridge.bridge.core.dispatcher import FIRST_WINDOW, SCARCE_WINDOW
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import MIB
from channels_bridge.testing.playbook import Playbook, leftovers

# -- placement -------------------------------------------------------------------------------------------------


def test_a_connection_goes_to_the_least_loaded_worker() -> None:
    """Connections of ASGI applications: whoever has fewest; first come, first served among equals."""
    book = Playbook()
    book.worker("a")
    book.worker("b")
    book.lines()
    for _ in range(4):
        book.open("x")
    assert book.lines() == ["a <- ADOPT 1.1 'x'", "b <- ADOPT 2.1 'x'", "a <- ADOPT 3.1 'x'", "b <- ADOPT 4.1 'x'"]


def test_turns_in_flight_weigh_more_than_connections() -> None:
    book = Playbook()
    book.worker("a", slots=8)
    book.worker("b", slots=8)
    idle = [book.open() for _ in range(4)]
    for conn in idle:
        book.commit("a" if conn.id % 2 else "b", conn, 1)
    book.event(idle[0], "x", "y")  # two turns at a
    book.event(idle[1], "x")  # one at b
    book.core.close(idle[2])  # and fewer connections at a
    book.lines()
    book.open("new")
    assert book.lines() == ["b <- ADOPT 5.1", "b <- MESSAGE 5.1 #1 'new'"]


def test_a_connection_goes_to_a_worker_of_its_pool() -> None:
    book = Playbook()
    book.worker("a")
    book.worker("b", pools=("cpu", "default"))
    book.lines()
    book.open("one", pool="cpu")
    book.open("two")
    assert book.lines() == ["b <- ADOPT 1.1 'one'", "a <- ADOPT 2.1 'two'"]


def test_a_pool_that_is_named_twice_is_served_once() -> None:
    book = Playbook()
    book.worker("a", pools=("default", "default"))
    book.lines()
    book.open("x")
    book.lost("a")
    assert book.lines() == ["a <- ADOPT 1.1 'x'", "forget a"]
    assert book.core.dispatcher.pool("default").workers == []


def test_without_a_worker_it_waits_and_is_served_in_order() -> None:
    """What the client has sent meanwhile goes along, in one frame."""
    book = Playbook()
    one, two = book.open("one"), book.open("two")
    book.event(one, "more")
    book.event(two, "gone", last=True)
    assert book.lines() == []
    book.worker("a")
    assert book.lines() == ["a <- WELCOME 1", "a <- ADOPT 1.1 'one' 'more'", "a <- ADOPT 2.1 'two' 'gone'"]


def test_without_a_worker_for_long_it_is_answered_with_503() -> None:
    book = Playbook(http_queue=5.0)
    book.open()
    book.pass_time(4.9)
    book.open(kind="websocket")
    assert book.lines() == []
    book.pass_time(0.1)
    assert book.lines() == ["client 1 ends: no-worker"]
    book.pass_time(4.9)
    assert book.lines() == ["client 2 ends: no-worker"]
    book.worker("a")
    assert book.lines() == ["a <- WELCOME 1"]


def test_a_worker_of_another_pool_does_not_help() -> None:
    book = Playbook(http_queue=5.0)
    book.open(pool="cpu")
    book.worker("a")
    book.pass_time(5.0, "a")
    assert book.lines() == ["a <- WELCOME 1", "client 1 ends: no-worker"]


def test_a_bound_on_connections_is_kept_and_the_rest_waits() -> None:
    book = Playbook()
    book.worker("a", connections=2)
    book.lines()
    for text in ("one", "two", "three"):
        book.open(text)
    assert book.lines() == ["a <- ADOPT 1.1 'one'", "a <- ADOPT 2.1 'two'"]
    book.worker("b", connections=1)
    assert book.lines() == ["b <- WELCOME 2", "b <- ADOPT 3.1 'three'"]


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("how", ["closed", "returned"])
def test_a_connection_that_ends_makes_room_for_one_that_waits(how: str, turns: bool) -> None:
    book = Playbook()
    book.worker("a", connections=1, turns=turns)
    one = book.open("one")
    book.open("two")
    book.lines()
    if how == "returned":
        if turns:
            book.says("a", frames.Failed(1, 1, 1, "raised", "boom"))
        else:
            book.output("a", one, acked=1, outcome="returned")
    book.core.close(one)
    assert [line.removesuffix(" 'two'") for line in book.lines() if "ADOPT" in line] == ["a <- ADOPT 2.1"]


def test_nobody_overtakes_those_that_wait() -> None:
    book = Playbook()
    book.worker("a", connections=1)
    one = book.open("one")
    book.open("two")
    book.lines()
    book.core.close(one)
    book.open("three")
    assert book.lines() == ["a <- CANCEL 1.1 closed", "a <- ADOPT 2.1 'two'"]


# -- messages for ASGI applications ----------------------------------------------------------------------------


def test_an_application_gets_each_message_at_once() -> None:
    book = Playbook()
    book.worker("a")
    one = book.open("one")
    book.event(one, "two", "three")
    assert book.lines()[1:] == ["a <- ADOPT 1.1 'one'", "a <- MESSAGE 1.1 #2 'two'", "a <- MESSAGE 1.1 #3 'three'"]


def test_at_the_bound_the_client_is_not_read_and_then_it_is_again() -> None:
    book = Playbook(journal_messages=3)
    book.worker("a")
    one = book.open("one")
    assert book.event(one, "two")
    assert not book.event(one, "three")
    book.lines()
    book.output("a", one, acked=1)
    assert book.lines() == ["client 1 may send"]
    book.output("a", one, acked=3)
    assert book.lines() == []  # once is enough


def test_the_bound_is_of_bytes_too() -> None:
    book = Playbook(journal_bytes=10)
    book.worker("a")
    one = book.open("12345")
    assert not book.event(one, "67890")
    book.lines()
    book.output("a", one, acked=1)
    assert book.lines() == ["client 1 may send"]


def test_who_does_not_wait_is_not_told() -> None:
    book = Playbook(journal_messages=2)
    book.worker("a")
    one = book.open("one")
    book.lines()
    book.output("a", one, acked=1)
    assert book.lines() == []


def test_a_client_that_has_said_its_last_word_need_not_wait() -> None:
    book = Playbook(journal_messages=1)
    book.worker("a")
    one = book.open("one")
    book.event(one, "disconnect", last=True)
    assert book.event(one, "ghost")


def test_while_all_journals_together_are_full_each_connection_keeps_to_one_message() -> None:
    """And each still has its one: an idle neighbour is not shut out by the busy ones."""
    book = Playbook(buffered_bytes=10, journal_messages=5)
    book.worker("a")
    busy, other = book.open("12345"), book.open("1")
    assert not book.event(busy, "12345")
    book.output("a", other, acked=1)
    assert not book.event(other, "2")
    book.lines()
    book.output("a", other, acked=2)
    assert book.lines() == ["client 2 may send"]
    assert not book.event(other, "3")
    book.output("a", busy, acked=1)  # now all together have room again
    assert book.lines() == ["a <- MESSAGE 2.1 #3 '3'", "client 1 may send"]
    assert book.event(other, "4")


def test_what_waited_for_long_fits_into_what_a_worker_takes() -> None:
    """A frame for a worker is at most a message of the longest kind, and a MiB: that is what its inbox takes."""
    book = Playbook(journal_bytes=4 * MIB, max_message_bytes=MIB)
    sent: list[Action] = []
    one = book.open("first")
    for _ in range(12):
        book.event(one, "x" * 300_000)
    dispatcher = book.core.dispatcher
    take = dispatcher._emit
    dispatcher._emit = dispatcher._handing._emit = sent.append
    book.worker("a")
    dispatcher._emit = dispatcher._handing._emit = take
    given = [action.frame for action in sent if isinstance(action, Send)]
    assert max(len(wire._encode(frame)) for frame in given) <= 2 * MIB
    events = [
        e for f in given for e in (f.events if isinstance(f, frames.Adopt) else [cast("frames.Message", f).event])
    ]
    assert events == [b"first"] + [b"x" * 300_000] * 12


# -- turns -----------------------------------------------------------------------------------------------------


def test_a_worker_never_has_more_turns_than_slots() -> None:
    book = Playbook()
    book.worker("a", slots=2)
    book.lines()
    conns = [book.open(text) for text in ("one", "two", "three", "four")]
    adopted = [f"a <- ADOPT {n}.1" for n in (1, 2, 3, 4)]
    assert [line for line in book.lines() if line not in adopted] == [
        "a <- MESSAGE 1.1 #1 'one'",
        "a <- MESSAGE 2.1 #1 'two'",
    ]
    book.commit("a", conns[1], 1)
    assert book.lines() == ["a <- MESSAGE 3.1 #1 'three'"]
    book.commit("a", conns[0], 1)
    assert book.lines() == ["a <- MESSAGE 4.1 #1 'four'"]
    book.commit("a", conns[2], 1)
    book.commit("a", conns[3], 1)
    assert (book.lines(), book.core.supervisor.links[b"a"].turns_out) == ([], 0)


def test_a_busy_connection_leaves_every_second_slot_to_its_neighbours() -> None:
    """Slots go round: one turn a connection, in the order in which they asked."""
    book = Playbook()
    book.worker("a", slots=1)
    busy, calm = book.open("b1"), book.open("c1")
    book.event(busy, "b2", "b3")
    book.event(calm, "c2")
    book.lines()
    served: list[str] = []
    for _ in range(5):
        conn = busy if busy.out else calm
        book.commit("a", conn, conn.sent)
        served += [line.split("'")[1] for line in book.lines()]
    assert served == ["c1", "b2", "c2", "b3"]


def test_while_slots_are_plenty_a_connection_may_have_several_turns_under_way() -> None:
    """A round trip to the worker need not pass between two messages of one busy socket."""
    book = Playbook(turn_window=3)
    book.worker("a", slots=100)
    one = book.open("1")
    book.event(one, "2", "3", "4", "5")
    assert one.out == 3
    book.lines()
    book.commit("a", one, 1)
    assert book.lines() == ["a <- MESSAGE 1.1 #4 '4'"]


def test_while_slots_are_scarce_a_connection_has_one_turn_under_way() -> None:
    """Scarce: no more than half of them are free."""
    book = Playbook(turn_window=8)
    book.worker("a", slots=4)
    one = book.open("1")
    book.event(one, "2", "3", "4", "5")
    assert one.out == 2
    two = book.open("1")
    assert two.out == 1
    book.event(two, "2")
    assert (two.out, book.core.supervisor.links[b"a"].turns_out) == (1, 3)


def test_a_turn_that_flushed_still_counts_for_fairness() -> None:
    """Its message has left the journal, but it holds its slot."""
    book = Playbook()
    book.worker("a", slots=2)
    one = book.open("1")
    book.event(one, "2")
    book.commit("a", one, 1, "early", done=False)
    book.lines()
    book.event(one, "3")
    assert (book.lines(), book.core.supervisor.links[b"a"].turns_out) == ([], 1)
    book.commit("a", one, 1, "late")
    assert book.lines() == ["client 1 <- 'late'", "a <- MESSAGE 1.1 #2 '2'"]


def test_a_turn_that_failed_gives_its_slot_back_at_once() -> None:
    """Not when a client, slow perhaps, has taken what was queued for it."""
    book = Playbook()
    book.worker("a", slots=1)
    one = book.open("1")
    book.open("2")
    book.event(one, "never")
    book.lines()
    book.says("a", frames.Failed(1, 1, 1, "raised", "ValueError: no"))
    assert sorted(book.lines()) == ["a <- MESSAGE 2.1 #1 '2'", "client 1 ends: raised, ValueError: no"]


def test_a_connection_that_is_refused_gives_its_slot_back_at_once() -> None:
    """Its consumer is told to stop; what it still says of its turn is fenced."""
    book = Playbook()
    worker = book.worker("a", slots=1)
    one = book.open("1")
    book.open("2")
    book.lines()
    book.core.refuse(one, "too-big")
    assert sorted(book.lines()) == ["a <- CANCEL 1.1 closed", "a <- MESSAGE 2.1 #1 '2'", "client 1 ends: too-big"]
    book.commit("a", one, 1)
    book.core.close(one)
    assert (worker.turns_out, book.lines()) == (1, [])


def test_a_connection_that_closes_gives_its_slots_and_its_place_in_the_queue_back() -> None:
    book = Playbook()
    worker = book.worker("a", slots=1)
    one, two, three = book.open("1"), book.open("2"), book.open("3")
    book.core.close(two)
    book.lines()
    book.core.close(one)
    assert book.lines() == ["a <- CANCEL 1.1 closed", "a <- MESSAGE 3.1 #1 '3'"]
    book.core.close(three)
    assert (worker.turns_out, list(worker.waiting)) == (0, [])


def test_a_consumer_whose_client_is_slow_is_not_given_its_next_turn() -> None:
    book = Playbook(window_bytes=10)
    book.worker("a", slots=10)
    one = book.open("1", "websocket")
    book.event(one, "2")
    book.commit("a", one, 1, "12345", "67890")
    book.commit("a", one, 2)
    book.lines()
    book.event(one, "3")
    assert book.lines() == []
    book.core.written(one, 1)
    assert book.lines() == ["a <- MESSAGE 1.1 #3 '3'"]


# -- credit ----------------------------------------------------------------------------------------------------


def credits_of(book: Playbook) -> list[int]:
    return [int(line.split()[-1]) for line in book.lines() if "CREDIT" in line]


def test_credit_follows_what_the_client_takes() -> None:
    book = Playbook(window_bytes=FIRST_WINDOW)
    book.worker("a")
    one = book.open()
    book.output("a", one, "x" * 40_000)
    book.lines()
    book.core.written(one, 30_000)
    assert credits_of(book) == []  # more than half of the window is left
    book.core.written(one, 10_000)
    assert credits_of(book) == [40_000 + FIRST_WINDOW]


def test_without_an_owner_nobody_is_given_credit() -> None:
    """A message of a group, for a client whose worker is still to come."""
    book = Playbook()
    one = book.open()
    book.core.dispatcher.received(one, 500, from_owner=False)
    book.core.written(one, 500)
    assert (book.lines(), one.buffered) == ([], 0)


def test_after_a_message_that_overran_it_there_is_credit_again() -> None:
    """One may overrun it, so that no message is too long; the next has to wait until the client took that."""
    book = Playbook(window_bytes=1000)
    book.worker("a")
    one = book.open()
    book.output("a", one, "x" * 100_000)
    book.lines()
    book.core.written(one, 100_000)
    assert credits_of(book) == [101_000]


def test_credit_is_short_while_all_clients_together_are_slow() -> None:
    book = Playbook(buffered_bytes=1000)
    book.worker("a")
    slow, one = book.open(), book.open()
    book.output("a", slow, "x" * 1000)
    book.output("a", one, "x" * FIRST_WINDOW)
    book.lines()
    book.core.written(one, FIRST_WINDOW)
    assert credits_of(book) == [FIRST_WINDOW + SCARCE_WINDOW]


def test_a_consumer_is_given_credit_and_then_its_next_turn() -> None:
    """Credit is for what it sends outside of its turns, and for its flush()."""
    book = Playbook(window_bytes=10)
    book.worker("a", slots=1)
    one = book.open()
    book.event(one, "2")
    book.commit("a", one, 1, "x" * FIRST_WINDOW)
    book.lines()
    book.core.written(one, FIRST_WINDOW)
    assert book.lines() == [f"a <- CREDIT 1.1 {FIRST_WINDOW + 10}", "a <- MESSAGE 1.1 #2 '2'"]


def test_what_others_sent_to_a_client_uses_up_nobodys_credit() -> None:
    book = Playbook(window_bytes=1000)
    book.worker("a")
    one = book.open()
    book.core.dispatcher.received(one, 500, from_owner=False)
    book.output("a", one, "x" * FIRST_WINDOW)
    book.lines()
    book.core.written(one, FIRST_WINDOW + 500)
    assert credits_of(book) == [FIRST_WINDOW + 1000]


STEPS = st.lists(
    st.tuples(st.sampled_from(["own", "other"]), st.integers(1, 400)) | st.tuples(st.just("take"), st.integers(1, 400)),
    max_size=60,
)


@given(STEPS)
def test_credit_never_stalls_and_bounds_what_waits_for_a_client(steps: list[tuple[str, int]]) -> None:
    """An application that sends whenever it may, others that push, a client that takes as it likes.

    What waits stays within both windows and a message more; when all is taken, it may send again.
    """
    window, longest = 1000, 400
    book = Playbook(window_bytes=window)
    book.worker("a")
    one = book.open()
    book.core.dispatcher.received(one, FIRST_WINDOW, from_owner=True)
    book.core.written(one, FIRST_WINDOW)
    allowed, sent = max(credits_of(book)), FIRST_WINDOW
    for step, size in [*steps, ("take", 10**6)]:
        if step == "own" and sent < allowed:
            sent += size
            book.core.dispatcher.received(one, size, from_owner=True)
        elif step == "other" and one.buffered < window:
            book.core.dispatcher.received(one, size, from_owner=False)
        elif step == "take":
            book.core.written(one, min(size, one.buffered))
        allowed = max(allowed, *credits_of(book), 0)
        assert 0 <= one.buffered <= 2 * (window + longest)
    assert sent < allowed
    book.core.close(one)
    assert leftovers(book.core) == []


def test_the_window_of_a_connection_that_moves_counts_from_its_new_owner_on() -> None:
    """Bytes that others sent to the client before are not the new owner's."""
    book = Playbook(window_bytes=1000)
    book.worker("a")
    one = book.open()
    book.core.dispatcher.received(one, 500, from_owner=False)
    one.begun = False  # as if the new owner were to go on with it, which resumable consumers will
    book.worker("b")
    book.lines()
    book.lost("a")
    book.pass_time(0.1)
    assert book.lines() == ["forget a", f"b <- ADOPT 1.2 'first' window {FIRST_WINDOW - 500} attempt 2"]


# -- who waits for a busy worker is taken over by one that has time ----------------------------------------------


def kept(book: Playbook, name: str, *texts: str) -> list[Connection]:
    """Open sockets of resumable consumers that have ended their first turn."""
    conns = [book.open(text, "websocket") for text in texts]
    for conn in conns:
        book.commit(name, conn, 1, on_loss="replay", state="s")
    return conns


def test_what_waits_for_a_slot_goes_to_the_next_worker_that_has_one() -> None:
    book = Playbook()
    a = book.worker("a", slots=1)
    busy, waiting, third = kept(book, "a", "1", "2", "3")
    b = book.worker("b", slots=1)
    elsewhere = book.open("4", "websocket")
    book.event(busy, "slow")
    book.event(waiting, "quick")
    book.event(third, "quick")
    assert (busy.owner, waiting.owner, third.owner, elsewhere.owner) == (a, a, a, b)
    book.commit("b", elsewhere, 1)
    assert (busy.owner, waiting.owner, third.owner) == (a, b, a)
    book.commit("b", waiting, 2, epoch=2, on_loss="replay")
    assert (busy.owner, waiting.owner, third.owner) == (a, b, b)


def test_a_consumer_that_is_not_resumable_waits_for_its_worker() -> None:
    book = Playbook()
    a = book.worker("a", slots=1)
    busy, waiting = kept(book, "a", "1", "2")
    busy.on_loss = waiting.on_loss = ""
    book.event(busy, "slow")
    book.event(waiting, "quick")
    book.worker("b", slots=1)
    assert waiting.owner is a


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_what_is_new_waits_for_whoever_has_a_slot_first(kind: str) -> None:
    """No worker has seen it, so it need not be resumable."""
    book = Playbook()
    book.worker("a", slots=1)
    b = book.worker("b", slots=1)
    slow, quick = book.open("slow"), book.open("quick")
    one, other = book.open("one", kind), book.open("other", kind)
    book.commit("b", quick, 1)
    book.commit("b", other, 1)
    assert (one.owner, one.epoch, slow.out) == (b, 2, 1)


def test_many_that_wait_move_one_by_one_whatever_the_slots() -> None:
    """A thousand at once, so that nothing here may go by recursion."""
    book = Playbook()
    book.worker("a", slots=1)
    conns = kept(book, "a", *map(str, range(1500)))
    for conn in conns:
        book.event(conn, "work")
    b = book.worker("b", slots=1499)
    assert [conn.owner is b for conn in conns] == [False, *[True] * 1499]


def test_a_worker_for_requests_does_not_take_sockets_over() -> None:
    book = Playbook()
    a = book.worker("a", slots=1)
    busy, waiting = kept(book, "a", "1", "2")
    book.event(busy, "slow")
    book.event(waiting, "quick")
    book.worker("b", slots=1, kinds=("http",))
    assert waiting.owner is a


def test_who_moves_has_its_place_before_what_that_frees_is_given_out() -> None:
    """The old worker takes one of those that wait, and the new one must not get the other beside the one that moves."""
    book = Playbook()
    a = book.worker("a", slots=1, connections=2)
    busy, waiting = kept(book, "a", "1", "2")
    book.event(busy, "slow")
    book.event(waiting, "quick")
    book.open("3", "websocket")
    book.open("4", "websocket")
    b = book.worker("b", slots=1, connections=1)
    assert len(a.conns) <= 2
    assert len(b.conns) <= 1
