"""Links: who is let in, who is alive, who is told to start over. Time is what the playbook says it is."""

import pytest

from channels_bridge.bridge.core.actions import Action, Asked, Log, Send
from channels_bridge.bridge.core.core import Core
from channels_bridge.bridge.core.pool import Worker
from channels_bridge.bridge.core.supervision import KNOWN_POOLS, POOL_NAME, POOLS, PROCESS_NAME, STRANGERS
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import Config
from channels_bridge.shared.transitions import Link
from channels_bridge.testing.playbook import Playbook, leftovers


def state(worker: Worker) -> Link:
    return worker.state


# -- who is let in ---------------------------------------------------------------------------------------------


def test_a_worker_that_says_hello_is_welcome() -> None:
    book = Playbook()
    book.worker("a", pools=("default", "cpu"))
    book.worker("b")
    assert book.lines() == ["a <- WELCOME 1", "b <- WELCOME 2"]
    assert book.logs == ["info: worker a serves default, cpu", "info: worker b serves default"]


def test_welcome_says_what_holds_for_both() -> None:
    """In floats, whole seconds too: a worker takes nothing else for a time."""
    sent: list[Action] = []
    core = Core(7, Config(lease=6, beat=1, max_message_bytes=99, turn_bytes=999).check(), sent.append)
    core.receive(b"a", 0, [frames.Hello("worker", 1, "a", ["default"], False, 0, 0)], 0.0)
    assert sent[0] == Send(b"a", 1, frames.Welcome(1, 7, 6.0, 1.0, 99, 999))
    [welcome] = wire.encode(1, [action.frame for action in sent if isinstance(action, Send)])
    assert wire.Inbox(1000).decode(welcome) == (1, [frames.Welcome(1, 7, 6.0, 1.0, 99, 999)])


def test_what_is_no_worker_is_refused() -> None:
    book = Playbook()
    book.says("x", frames.Hello("bridge", 1, "x", ["default"], False, 0, 0))
    assert book.lines() == ["x <- REFUSE role"]
    assert book.logs == ["warning: refused x: a bridge serves workers and channel layers, not a 'bridge'"]
    assert book.core.supervisor.links == {}


@pytest.mark.parametrize("role", ["operator", "layer"])
def test_only_a_worker_may_serve_pools(role: str) -> None:
    """It would be handed connections, and none of ours knows what to do with them."""
    book = Playbook()
    book.says("x", frames.Hello(role, 1, "x", ["default"], False, 0, 0))
    book.open("hello")
    assert book.lines() == ["x <- REFUSE role"]
    assert book.logs == [f"warning: refused x: only a worker serves pools, not a process of the role {role!r}"]


def names(count: int, start: int = 0) -> list[str]:
    return [f"pool {number}" for number in range(start, start + count)]


@pytest.mark.parametrize("pools", [names(POOLS), ["p" * POOL_NAME], []])
def test_a_worker_with_as_many_pools_as_it_may_have_is_welcome(pools: list[str]) -> None:
    book = Playbook()
    book.worker("a", pools=tuple(pools))
    assert book.lines() == ["a <- WELCOME 1"]


@pytest.mark.parametrize("pools", [names(POOLS + 1), ["p" * (POOL_NAME + 1)], ["good", ""]])
def test_a_worker_with_too_many_pools_or_too_long_ones_is_refused(pools: list[str]) -> None:
    book = Playbook()
    book.says("x", frames.Hello("worker", 1, "x", pools, False, 0, 0))
    assert book.lines() == ["x <- REFUSE pools"]
    assert book.core.dispatcher.pools == {}


def test_there_is_a_bound_on_the_pools_that_are_ever_named() -> None:
    """A pool is not forgotten with its workers: it has a ledger."""
    book = Playbook()
    for boot in range(KNOWN_POOLS // POOLS + 2):
        book.says("x", frames.Hello("worker", boot, "x", names(POOLS, POOLS * boot), False, 0, 0))
    assert book.lines()[-2:] == ["x <- REFUSE pools", "x <- REFUSE pools"]
    assert len(book.core.dispatcher.pools) == KNOWN_POOLS
    book.worker("a", pools=tuple(names(POOLS)))
    assert book.lines() == ["a <- WELCOME 17"]  # what is known is no more to remember


def test_a_process_with_an_endless_name_is_refused_and_cut_in_the_log() -> None:
    book = Playbook()
    book.says("x", frames.Hello("layer", 1, "n" * (PROCESS_NAME + 1), [], False, 0, 0))
    assert book.lines() == ["x <- REFUSE name"]
    assert book.logs == [f"warning: refused {'n' * PROCESS_NAME}: the name of a process has at most 300 characters"]


def test_an_operator_is_let_in_and_what_it_asks_is_handed_on() -> None:
    asked: list[Action] = []
    core = Core(7, Config().check(), asked.append)
    core.receive(b"o", 0, [frames.Hello("operator", 1, "o", [], False, 0, 0)], 0.0)
    query = frames.Query(1, "status", [])
    core.receive(b"o", 1, [query], 0.0)
    assert asked[1:] == [Log("info", "operator o looks"), Asked(b"o", 1, query)]


def test_nobody_else_may_ask() -> None:
    book = Playbook()
    book.worker("a")
    book.says("a", frames.Query(1, "status", []))
    assert book.core.statistics.malformed == 1
    assert book.lines() == ["a <- WELCOME 1"]


def test_a_worker_says_how_old_its_oldest_turn_is() -> None:
    book = Playbook()
    book.worker("a")
    book.says("a", frames.Beat(book.now, 0.0, 2.5))
    assert [worker.oldest for worker in book.core.supervisor.links.values()] == [2.5]


def test_there_is_a_bound_on_workers() -> None:
    book = Playbook(max_links=1)
    book.worker("a")
    book.says("b", frames.Hello("worker", 99, "b", ["default"], False, 0, 0))
    assert book.lines() == ["a <- WELCOME 1", "b <- REFUSE links"]
    assert "max_links = 1" in book.logs[-1]
    book.lost("a")
    book.worker("b")
    assert book.lines() == ["forget a", "b <- WELCOME 2"]


def test_a_process_that_says_hello_again_has_a_new_link_and_its_old_one_is_over() -> None:
    """It has lost its socket or its lease; what it had is another's now, and be it its own."""
    book = Playbook()
    book.worker("a", boot=7, peer="socket 1")
    book.open("x")
    book.lines()
    book.worker("a'", boot=7, peer="socket 2")
    book.pass_time(0.1)
    assert book.lines() == ["forget a", "a' <- WELCOME 2", "a' <- ADOPT 1.2 'x' attempt 2"]
    book.says("a", frames.Output(1, 1, 0, [b"late"], "", ""))
    assert book.lines() == ["a <- RESET no link of this bridge"]
    assert [worker.hello.name for worker in book.core.dispatcher.pool("default").workers] == ["a'"]


def test_a_process_that_says_hello_again_is_let_in_although_there_is_no_more_room() -> None:
    book = Playbook(max_links=1)
    book.worker("a", boot=7, peer="socket 1")
    book.worker("a'", boot=7, peer="socket 2")
    assert book.lines() == ["a <- WELCOME 1", "forget a", "a' <- WELCOME 2"]


# -- beats and silence -----------------------------------------------------------------------------------------


def test_a_beat_is_answered_with_the_workers_own_time() -> None:
    """Its lease runs from there; what the bridge's clock shows is no business of it."""
    book = Playbook()
    book.worker("a")
    book.lines()
    book.says("a", frames.Beat(123.25, 0.0, 0.0))
    assert book.lines() == [f"a <- BEAT {book.now:g} echo 123.25"]


@pytest.mark.parametrize("said", [frames.Beat(1.0, 0.0, 0.0), frames.GroupAdd("g", "named", [])])
def test_whatever_a_worker_says_is_a_sign_of_life(said: frames.Frame) -> None:
    book = Playbook()
    worker = book.worker("a")
    for _ in range(10):
        book.pass_time(2.9)
        book.says("a", said)
    assert state(worker) is Link.READY
    assert len(book.logs) == 1


def test_a_silent_worker_is_suspected_and_then_dead() -> None:
    """Suspected for 3 s: nothing new. Dead for 10 s: what it has is given away, and it stays dead."""
    book = Playbook()
    worker = book.worker("a")
    book.open("x")
    book.pass_time(2.9)
    assert state(worker) is Link.READY
    book.pass_time(0.2)
    assert state(worker) is Link.SUSPECT
    assert book.logs[-1] == "warning: worker a is silent: it gets no new work"
    book.pass_time(6.8)
    assert book.lines() == ["a <- WELCOME 1", "a <- ADOPT 1.1 'x'"]
    book.pass_time(0.2)
    assert state(worker) is Link.DEAD
    assert book.lines() == ["forget a"]
    assert book.logs[-1] == "warning: worker a is lost, with 1 connections"
    assert book.core.statistics.lost_workers == 1
    book.says("a", frames.Beat(1.0, 0.0, 0.0))
    assert (worker.state, book.lines()) == (Link.DEAD, ["a <- RESET no link of this bridge"])


def test_a_suspected_worker_gets_no_new_connections_until_it_is_heard() -> None:
    book = Playbook()
    book.worker("a")
    book.pass_time(3.1)
    book.lines()
    book.open("x")
    assert book.lines() == []
    book.says("a", frames.Beat(1.0, 0.0, 0.0))
    assert book.lines() == ["a <- ADOPT 1.1 'x'", f"a <- BEAT {book.now:g} echo 1"]


def test_a_silent_worker_gets_no_new_turns_until_it_is_heard() -> None:
    book = Playbook()
    book.worker("a", slots=4)
    one = book.open("1", "websocket")
    book.commit("a", one, 1)
    book.pass_time(3.1)
    book.lines()
    book.event(one, "2")
    assert book.lines() == []
    book.says("a", frames.Beat(1.0, 0.0, 0.0))
    assert book.lines()[0] == "a <- MESSAGE 1.1 #2 '2'"


def test_an_application_without_turns_gets_its_messages_from_a_suspected_bridge_too() -> None:
    """They are for a connection that stays with it whatever comes; nobody else can have them."""
    book = Playbook()
    book.worker("a")
    one = book.open("1")
    book.pass_time(3.1)
    book.lines()
    book.event(one, "2")
    assert book.lines() == ["a <- MESSAGE 1.1 #2 '2'"]


def test_a_draining_worker_dies_of_silence_too() -> None:
    book = Playbook()
    worker = book.worker("a")
    book.says("a", frames.Drain())
    book.pass_time(9.9)
    assert state(worker) is Link.DRAINING
    book.pass_time(0.2)
    assert state(worker) is Link.DEAD


def test_workers_that_die_in_one_tick_are_not_given_each_others_connections() -> None:
    """After a pause of the whole machine all links are silent at once: who comes back gets the connections."""
    book = Playbook()
    book.worker("a")
    book.worker("b")
    book.open("x")
    book.lines()
    book.now += 60.0
    book.core.tick(book.now)
    assert book.lines() == ["forget a", "forget b"]
    book.worker("c")
    book.pass_time(0.1)
    assert book.lines() == ["c <- WELCOME 3", "c <- ADOPT 1.2 'x' attempt 2"]


# -- draining --------------------------------------------------------------------------------------------------


def test_a_draining_worker_gets_nothing_new_and_finishes_what_it_has() -> None:
    book = Playbook()
    book.worker("a", slots=4)
    one = book.open("1", "websocket")
    book.says("a", frames.Drain())
    assert book.logs[-1] == "info: worker a is draining"
    book.lines()
    book.open("new")
    book.commit("a", one, 1, "hello")
    book.event(one, "2")
    assert book.lines() == ["client 1 <- 'hello'", "a <- MESSAGE 1.1 #2 '2'"]


def test_draining_twice_is_draining() -> None:
    book = Playbook()
    worker = book.worker("a")
    book.says("a", frames.Drain(), frames.Drain())
    assert state(worker) is Link.DRAINING


def test_what_a_worker_leaves_behind_is_closed_as_drained() -> None:
    """A worker that had drained says GOODBYE when its patience is over."""
    book = Playbook()
    book.worker("a")
    one = book.open("1", "websocket")
    book.output("a", one, "hello", acked=1)
    book.lines()
    book.says("a", frames.Goodbye("stopped"))
    assert book.lines() == ["forget a", "client 1 ends: drain"]
    assert book.core.statistics.lost_workers == 0


def test_what_a_leaving_worker_has_not_read_goes_to_another_and_counts_as_no_attempt() -> None:
    book = Playbook()
    book.worker("a")
    book.open("1")
    book.worker("b")
    book.lines()
    book.says("a", frames.Goodbye("stopped"))
    assert book.lines() == ["forget a", "b <- ADOPT 1.2 '1'"]


# -- strangers -------------------------------------------------------------------------------------------------


def test_strangers_are_told_to_start_over_but_not_more_than_once_a_second() -> None:
    """Answers must not outnumber questions: two processes would keep each other busy."""
    book = Playbook()
    for _ in range(5):
        book.says("x", frames.Beat(1.0, 0.0, 0.0))
    assert book.lines() == ["x <- RESET no link of this bridge"]
    book.now += 0.9
    book.says("x", frames.Beat(1.0, 0.0, 0.0))
    assert book.lines() == []
    book.says("y", frames.Beat(1.0, 0.0, 0.0))
    assert book.lines() == ["y <- RESET no link of this bridge"]
    book.now += 0.1
    book.says("x", frames.Beat(1.0, 0.0, 0.0))
    assert book.lines() == ["x <- RESET no link of this bridge"]
    assert book.core.statistics.fenced == 8


def test_a_known_worker_under_an_old_link_epoch_is_a_stranger() -> None:
    book = Playbook()
    book.worker("a")
    one = book.open("x")
    book.lines()
    book.says("a", frames.Output(one.id, 1, 1, [b"no"], "", ""), link_epoch=7)
    assert book.lines() == ["a <- RESET no link of this bridge"]
    assert (one.acked, book.core.statistics.fenced) == (0, 1)


def test_any_number_of_strangers_is_remembered_in_bounded_space() -> None:
    book = Playbook()
    for number in range(3 * STRANGERS):
        book.says(f"x{number}", frames.Drain())
    assert len(book.core.supervisor._reset_at) <= STRANGERS
    assert len(book.lines()) == 3 * STRANGERS


def test_a_stranger_that_introduces_itself_is_a_stranger_no_more() -> None:
    book = Playbook()
    book.says("a", frames.Drain())
    book.worker("a")
    assert book.core.supervisor._reset_at == {}


# -- the end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["lost", "goodbye", "hello"])
def test_nothing_is_sent_to_a_link_that_is_over(how: str) -> None:
    book = Playbook()
    book.worker("a", slots=1, boot=7)
    conns = [book.open(str(number), "websocket") for number in range(3)]
    book.lines()
    if how == "lost":
        book.lost("a")
    elif how == "goodbye":
        book.says("a", frames.Goodbye(""))
    else:
        book.worker("a'", boot=7, slots=1)
    for conn in conns:
        book.event(conn, "more")
        book.core.gone(conn)
        book.core.close(conn)
    book.pass_time(20.0)
    assert [line for line in book.lines() if line.startswith("a <-")] == []
    assert leftovers(book.core) == []


def test_losing_a_peer_that_is_no_worker_is_nothing() -> None:
    book = Playbook()
    book.core.lost(b"nobody", book.now)
    book.worker("a")
    book.lost("a")
    book.lost("a")
    assert (book.lines(), book.core.statistics.lost_workers) == (["a <- WELCOME 1", "forget a"], 1)
