"""A bridge's decisions from end to end: events and frames in, actions out. Each scenario says what it proves."""

import pytest

from channels_bridge.bridge.core.connection import Connection
from channels_bridge.shared import frames
from channels_bridge.shared.config import PROTOCOL
from channels_bridge.testing.playbook import Playbook, channel, leftovers


@pytest.fixture
def turns() -> Playbook:
    """Give a bridge with a worker "a" for consumers."""
    book = Playbook()
    book.worker("a", slots=8)
    book.lines()
    return book


@pytest.fixture
def asgi() -> Playbook:
    """Give a bridge with a worker "a" for ASGI applications."""
    book = Playbook()
    book.worker("a")
    book.lines()
    return book


def state(conn: Connection) -> tuple[int, int, int, int, bytes]:
    return conn.acked, conn.sent, conn.seq, conn.received, b" ".join(conn.journal)


# -- a life ----------------------------------------------------------------------------------------------------


def test_the_life_of_a_socket_of_a_consumer(turns: Playbook) -> None:
    one = turns.open("connect", "websocket")
    assert turns.lines() == ["a <- ADOPT 1.1", "a <- MESSAGE 1.1 #1 'connect'"]
    turns.commit("a", one, 1, "accept")
    turns.event(one, "hello")
    assert turns.lines() == ["client 1 <- 'accept'", "a <- MESSAGE 1.1 #2 'hello'"]
    turns.commit("a", one, 2, "hello", "you")
    assert turns.lines() == ["client 1 <- 'hello'", "client 1 <- 'you'"]
    turns.event(one, "disconnect", last=True)
    turns.commit("a", one, 3)
    assert turns.lines() == ["a <- MESSAGE 1.1 #3 'disconnect'", "client 1 ends: returned"]
    turns.core.close(one)
    assert turns.lines() == ["a <- CANCEL 1.1 closed"]
    assert leftovers(turns.core) == []


def test_the_life_of_a_request_of_an_application(asgi: Playbook) -> None:
    one = asgi.open("request")
    asgi.output("a", one, acked=1)
    asgi.output("a", one, "start", "body", outcome="returned")
    assert asgi.lines() == ["a <- ADOPT 1.1 'request'", "client 1 <- 'start' 'body'", "client 1 ends: returned"]
    asgi.core.close(one)
    assert asgi.lines() == []  # its application has ended by itself
    assert leftovers(asgi.core) == []


@pytest.mark.parametrize("outcome", ["returned", "raised", "disconnected"])
def test_how_an_application_ends_is_passed_on(asgi: Playbook, outcome: str) -> None:
    one = asgi.open("request")
    asgi.lines()
    asgi.says("a", frames.Output(one.id, 1, 1, [], outcome, "ValueError: no"))
    assert asgi.lines() == [f"client 1 ends: {outcome}, ValueError: no"]


def test_a_consumer_may_send_outside_of_its_turns(turns: Playbook) -> None:
    one = turns.open("connect", "websocket")
    turns.commit("a", one, 1)
    turns.lines()
    turns.output("a", one, "by the way")
    assert turns.lines() == ["client 1 <- 'by the way'"]


def test_connections_are_numbered_and_no_number_is_used_again(asgi: Playbook) -> None:
    first = asgi.open()
    asgi.core.close(first)
    assert [asgi.open().id, asgi.open().id] == [2, 3]


# -- the commit rule -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "seq", "epoch"),
    [
        ("a", 1, 0), ("a", 1, 2), ("a", 0, 1), ("a", 2, 1), ("a", 3, 1), ("a", -1, 1), ("b", 1, 1), ("b", 1, 2),
    ],
)  # fmt: skip
def test_a_commit_counts_only_from_the_owner_under_its_epoch_and_in_order(
    turns: Playbook, name: str, seq: int, epoch: int
) -> None:
    """Else nothing of it happens: no output, no group, no acknowledgement, no slot."""
    one = turns.open("1", "websocket")
    worker = turns.core.supervisor.links[b"a"]
    turns.worker("b", slots=8)
    before = state(one), worker.turns_out
    turns.lines()
    turns.commit(name, one, seq, "no", frames.GroupAdd("room", channel(one), []), epoch=epoch)
    assert turns.lines() == []
    assert (state(one), worker.turns_out) == before
    assert (turns.core.statistics.fenced, len(turns.core.layer.groups)) == (1, 0)
    turns.commit("a", one, 1, "yes")
    assert turns.lines() == ["client 1 <- 'yes'"]


def test_a_commit_counts_once(turns: Playbook) -> None:
    one = turns.open("1", "websocket")
    turns.commit("a", one, 1, "yes")
    turns.lines()
    turns.commit("a", one, 1, "yes")
    assert (turns.lines(), turns.core.statistics.fenced) == ([], 1)
    assert turns.core.supervisor.links[b"a"].turns_out == 0


def test_a_commit_for_a_message_that_was_not_given_out_is_none(turns: Playbook) -> None:
    """The journal holds it, but it waits for a slot: nobody can have handled it."""
    one = turns.open("1", "websocket")
    turns.core.supervisor.links[b"a"].turns_out = 8  # others have them all
    turns.event(one, "2")
    turns.commit("a", one, 1)
    turns.core.supervisor.links[b"a"].turns_out = 8
    turns.event(one, "3")
    turns.lines()
    turns.commit("a", one, 3, "no")
    assert (turns.lines(), turns.core.statistics.fenced) == ([], 1)


def test_a_commit_for_a_connection_that_has_closed_is_none(turns: Playbook) -> None:
    one = turns.open("1", "websocket")
    turns.core.close(one)
    turns.lines()
    turns.commit("a", one, 1, "no")
    assert (turns.lines(), turns.core.statistics.fenced) == ([], 1)


def test_what_comes_after_the_end_is_fenced(turns: Playbook) -> None:
    one = turns.open("disconnect", "websocket")
    one.closing = True
    turns.commit("a", one, 1)
    turns.lines()
    turns.output("a", one, "no")
    turns.commit("a", one, 2, "no")
    assert (turns.lines(), turns.core.statistics.fenced) == ([], 2)


def test_all_of_a_commit_happens_in_the_order_of_its_effects(turns: Playbook) -> None:
    one, two = turns.open("1", "websocket"), turns.open("1", "websocket")
    turns.commit("a", two, 1, frames.GroupAdd("room", channel(two, "reply"), []))
    turns.lines()
    turns.commit(
        "a",
        one,
        1,
        "one",
        frames.GroupSend("room", b"all", [], [], []),
        "two",
        frames.ChannelSend(channel(two), b"psst", 0, 0.0, []),
    )
    assert turns.lines() == [
        "client 1 <- 'one'",
        "client 2 <- 'all'",
        "client 1 <- 'two'",
        "a <- MESSAGE 2.1 #2 'psst'",
    ]


# -- early commits ---------------------------------------------------------------------------------------------


def test_a_turn_may_commit_early_any_number_of_times_and_holds_its_slot(turns: Playbook) -> None:
    worker = turns.core.supervisor.links[b"a"]
    one = turns.open("1", "websocket")
    turns.lines()
    turns.commit("a", one, 1, "a", done=False)
    turns.commit("a", one, 1, "b", done=False)
    assert (worker.turns_out, one.acked, turns.lines()) == (1, 1, ["client 1 <- 'a'", "client 1 <- 'b'"])
    turns.commit("a", one, 1, "c")
    assert (worker.turns_out, turns.lines()) == (0, ["client 1 <- 'c'"])
    turns.commit("a", one, 1, "d")
    assert (worker.turns_out, turns.lines(), turns.core.statistics.fenced) == (0, [], 1)


def test_no_other_turn_commits_while_one_is_open(turns: Playbook) -> None:
    one = turns.open("1", "websocket")
    turns.event(one, "2")
    turns.commit("a", one, 1, "a", done=False)
    turns.lines()
    turns.commit("a", one, 2, "no")
    assert (turns.lines(), turns.core.statistics.fenced) == ([], 1)
    turns.commit("a", one, 1)
    turns.commit("a", one, 2, "yes")
    assert turns.lines() == ["client 1 <- 'yes'"]


def test_the_last_turn_may_commit_early_too(turns: Playbook) -> None:
    one = turns.open("disconnect", "websocket")
    one.closing = True
    turns.lines()
    turns.commit("a", one, 1, done=False)
    assert turns.lines() == []
    turns.commit("a", one, 1)
    assert turns.lines() == ["client 1 ends: returned"]


def test_a_worker_that_dies_in_a_turn_that_has_committed_early_holds_nothing(turns: Playbook) -> None:
    worker = turns.core.supervisor.links[b"a"]
    one = turns.open("1", "websocket")
    turns.commit("a", one, 1, "early", done=False)
    turns.lines()
    turns.lost("a")
    assert turns.lines() == ["forget a", "client 1 ends: worker-lost"]
    turns.core.close(one)
    assert (worker.turns_out, leftovers(turns.core)) == (0, [])


# -- acknowledgements ------------------------------------------------------------------------------------------


def test_an_application_acknowledges_what_it_has_received_several_at_once(asgi: Playbook) -> None:
    one = asgi.open("1")
    asgi.event(one, "2", "3")
    asgi.output("a", one, acked=2)
    assert (one.acked, list(one.journal)) == (2, [b"3"])
    asgi.output("a", one, acked=1)
    assert (one.acked, list(one.journal)) == (2, [b"3"])


@pytest.mark.parametrize("acked", [2, 99, -1])
def test_what_was_not_sent_cannot_be_acknowledged(asgi: Playbook, acked: int) -> None:
    one = asgi.open("1")
    asgi.lines()
    asgi.output("a", one, acked=acked)
    assert (one.acked, asgi.lines()) == (0, [])
    asgi.output("a", one, acked=1)
    assert one.acked == 1


@pytest.mark.parametrize("epoch", [0, 2])
def test_an_output_under_another_epoch_is_fenced(asgi: Playbook, epoch: int) -> None:
    one = asgi.open("1")
    asgi.lines()
    asgi.says("a", frames.Output(one.id, epoch, 1, [b"no"], "returned", ""))
    assert (asgi.lines(), one.acked, asgi.core.statistics.fenced) == ([], 0, 1)


# -- workers that are lost -------------------------------------------------------------------------------------


@pytest.mark.parametrize("book", ["asgi", "turns"])
def test_what_was_not_read_goes_to_another_worker_under_a_new_epoch(book: str, request: pytest.FixtureRequest) -> None:
    """All of it, counted as the second attempt; what the lost one still says is fenced."""
    play: Playbook = request.getfixturevalue(book)
    has_turns = book == "turns"
    one = play.open("1")
    play.event(one, "2")
    play.worker("b", slots=8 if has_turns else 0)
    play.lines()
    play.lost("a")
    play.pass_time(0.1)
    assert play.lines() == (
        [
            "forget a",
            "b <- ADOPT 1.2 attempt 2",
            "b <- MESSAGE 1.2 #1 '1' attempt 2",
        ]
        if has_turns
        else ["forget a", "b <- ADOPT 1.2 '1' attempt 2"]
    )
    play.output("a", one, "late", outcome="returned")
    assert play.lines() == ["a <- RESET no link of this bridge"]


def test_with_no_other_worker_it_waits_for_one(asgi: Playbook) -> None:
    asgi.open("1")
    asgi.lines()
    asgi.lost("a")
    asgi.pass_time(4.0)
    assert asgi.lines() == ["forget a"]
    asgi.worker("b")
    assert asgi.lines() == ["b <- WELCOME 2", "b <- ADOPT 1.2 '1' attempt 2"]


def test_after_two_lost_workers_it_is_given_to_no_third(asgi: Playbook) -> None:
    """What kills whoever reads it must not go through the whole pool."""
    asgi.open("1")
    asgi.worker("b")
    asgi.worker("c")
    asgi.lost("a")
    asgi.pass_time(0.1)
    asgi.lines()
    asgi.lost("b")
    assert asgi.lines() == ["forget b", "set aside: 1 #1 '1', state '', lost with a b", "client 1 ends: poison"]


def test_who_has_sent_nothing_yet_leaves_no_letter(asgi: Playbook) -> None:
    asgi.open(None)
    asgi.worker("b")
    asgi.lost("a")
    asgi.pass_time(0.1)
    asgi.lines()
    asgi.lost("b")
    assert asgi.lines() == ["forget b", "client 1 ends: poison"]


@pytest.mark.parametrize("case", ["read", "answered", "not idempotent"])
def test_what_was_read_or_answered_or_is_not_idempotent_is_lost_with_its_worker(asgi: Playbook, case: str) -> None:
    one = asgi.open("1", idempotent=case != "not idempotent")
    asgi.worker("b")
    if case == "read":
        asgi.output("a", one, acked=1)
    elif case == "answered":
        asgi.output("a", one, "start")
    asgi.lines()
    asgi.lost("a")
    assert asgi.lines() == ["forget a", "client 1 ends: worker-lost"]
    asgi.event(one, "more")
    asgi.core.close(one)
    assert leftovers(asgi.core) == []


def test_a_connection_whose_end_was_told_is_not_moved_again(asgi: Playbook) -> None:
    one = asgi.open("1")
    asgi.worker("b")
    asgi.core.refuse(one, "too-big")
    asgi.lines()
    asgi.lost("a")
    assert asgi.lines() == ["forget a"]


def test_a_connection_that_has_ended_by_itself_is_not_ended_again(turns: Playbook) -> None:
    one = turns.open("1", "websocket")
    turns.event(one, "disconnect", last=True)
    turns.commit("a", one, 1)
    turns.commit("a", one, 2)
    turns.lines()
    turns.lost("a")
    assert turns.lines() == ["forget a"]
    turns.core.close(one)
    assert leftovers(turns.core) == []


# -- ends ------------------------------------------------------------------------------------------------------


def test_a_disconnect_is_the_last_message_whoever_else_sends(turns: Playbook) -> None:
    one = turns.open("1", "websocket")
    turns.event(one, "disconnect", last=True)
    turns.event(one, "ghost")
    turns.event(one, "disconnect", last=True)
    turns.says("a", frames.ChannelSend(channel(one), b"psst", 0, 0.0, []))
    assert one.seq == 2


def test_a_disconnect_waits_behind_what_came_before(turns: Playbook) -> None:
    one = turns.open("1", "websocket")
    turns.event(one, "2", "disconnect", last=True)
    turns.commit("a", one, 1)
    turns.commit("a", one, 2, "answer")
    turns.lines()
    turns.commit("a", one, 3)
    assert turns.lines() == ["client 1 ends: returned"]


def test_a_client_may_be_gone_with_its_first_message(turns: Playbook) -> None:
    one = turns.core.connection("http", "default", b"", True, None)
    turns.core.open(one, b"disconnect", turns.now, last=True)
    turns.event(one, "ghost")
    turns.lines()
    turns.commit("a", one, 1)
    assert turns.lines() == ["client 1 ends: returned"]


def test_the_worker_is_told_that_the_client_is_gone(asgi: Playbook) -> None:
    one = asgi.open("1")
    asgi.lines()
    asgi.core.gone(one)
    assert asgi.lines() == ["a <- CANCEL 1.1 gone"]
    asgi.lost("a")
    asgi.core.gone(one)


def test_a_connection_is_refused_once(asgi: Playbook) -> None:
    one = asgi.open("1")
    asgi.lines()
    asgi.core.refuse(one, "too-big")
    asgi.core.refuse(one, "too-big")
    assert asgi.lines() == ["a <- CANCEL 1.1 closed", "client 1 ends: too-big"]
    asgi.core.close(one)
    assert leftovers(asgi.core) == []


def test_a_connection_that_is_refused_while_it_waits_is_given_to_nobody() -> None:
    book = Playbook()
    one = book.open("1")
    book.core.refuse(one, "too-big")
    book.worker("a")
    book.pass_time(10.0, "a")
    assert book.lines() == ["client 1 ends: too-big", "a <- WELCOME 1"]


def test_a_bridge_that_stops_ends_every_connection_and_tells_their_workers(turns: Playbook) -> None:
    one = turns.open("1", "websocket")
    turns.commit("a", one, 1)
    turns.open("2")
    turns.open("3", pool="nobody serves it")
    turns.lines()
    turns.core.stop()
    assert turns.lines() == [
        "a <- CANCEL 1.1 closed", "client 1 ends: drain", "a <- CANCEL 2.1 closed", "client 2 ends: drain",
        "client 3 ends: drain",
    ]  # fmt: skip
    turns.core.stop()
    assert turns.lines() == []


def test_closing_twice_is_closing(asgi: Playbook) -> None:
    one = asgi.open("1")
    asgi.core.close(one)
    asgi.core.close(one)
    assert asgi.lines() == ["a <- ADOPT 1.1 '1'", "a <- CANCEL 1.1 closed"]


def test_what_the_server_takes_after_the_end_is_not_counted(asgi: Playbook) -> None:
    one = asgi.open("1")
    asgi.output("a", one, "12345")
    asgi.core.close(one)
    asgi.core.written(one, 5)
    assert leftovers(asgi.core) == []


def test_nothing_is_left_of_a_connection_that_closed_while_it_waited() -> None:
    book = Playbook()
    one = book.open("1")
    book.core.close(one)
    assert leftovers(book.core) == []
    book.worker("a")
    assert book.lines() == ["a <- WELCOME 1"]


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("slots", [0, 2])
def test_nothing_is_left_of_connections_that_closed_in_any_state(slots: int, lost: bool) -> None:
    """Waiting, owned, queued, in a turn, in a flushed turn, with output under way, in groups."""
    book = Playbook()
    book.worker("a", slots=slots, connections=6)
    conns = [book.open(str(number), "websocket") for number in range(8)]
    for conn in conns[:6]:
        book.event(conn, "more", "and more")
        join = frames.GroupAdd("room", channel(conn), [])
        if not slots:
            book.output("a", conn, "out", acked=1)
            book.says("a", join)
        elif conn.out:
            book.commit("a", conn, 1, "out", join, done=conn.id % 2 == 0)
    if lost:
        book.lost("a")
    for conn in conns:
        book.core.close(conn)
    assert leftovers(book.core) == []


# -- clients that wait to be asked (100-continue) --------------------------------------------------------------


def test_an_application_asks_for_the_request_when_it_receives(asgi: Playbook) -> None:
    """An OUTPUT that says nothing else; asking again is no error."""
    one = asgi.open(None)
    assert asgi.lines() == ["a <- ADOPT 1.1"]
    asgi.output("a", one)
    asgi.output("a", one)
    assert asgi.lines() == ["client 1 may send"]
    asgi.event(one, "request")
    assert asgi.lines() == ["a <- MESSAGE 1.1 #1 'request'"]


def test_an_application_that_answers_without_asking_leaves_the_request_unread(asgi: Playbook) -> None:
    one = asgi.open(None)
    asgi.output("a", one, "417")
    asgi.output("a", one, outcome="returned")
    assert asgi.lines() == ["a <- ADOPT 1.1", "client 1 <- '417'", "client 1 ends: returned"]
    asgi.core.close(one)
    assert leftovers(asgi.core) == []


def test_a_consumer_need_not_ask(turns: Playbook) -> None:
    one = turns.open(None)
    assert turns.lines() == ["a <- ADOPT 1.1", "client 1 may send"]
    turns.event(one, "request")
    assert turns.lines() == ["a <- MESSAGE 1.1 #1 'request'"]


def test_a_client_that_waits_for_a_worker_is_asked_when_there_is_one() -> None:
    book = Playbook()
    book.open(None)
    assert book.lines() == []
    book.worker("a", slots=1)
    assert book.lines() == ["a <- WELCOME 1", "a <- ADOPT 1.1", "client 1 may send"]


def test_a_client_that_nobody_has_asked_moves_with_its_question_open(asgi: Playbook) -> None:
    one = asgi.open(None)
    asgi.worker("b")
    asgi.lines()
    asgi.lost("a")
    asgi.pass_time(0.1)
    assert asgi.lines() == ["forget a", "b <- ADOPT 1.2 attempt 2"]
    asgi.output("b", one)
    assert asgi.lines() == ["client 1 may send"]


# -- frames that cannot be -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        frames.Welcome(1, 2, 3.0, 4.0, 5, 6), frames.Refuse("", ""), frames.Reset(""),
        frames.Adopt(1, 1, b"", 1, 1, 1, b"", []),
        frames.Message(1, 1, 1, 1, b""), frames.Credit(1, 1, 1), frames.Cancel(1, 1, ""), frames.FanOut(b"", [1, 1, 1]),
    ],
)  # fmt: skip
def test_what_only_a_bridge_says_is_malformed(asgi: Playbook, frame: frames.Frame) -> None:
    one = asgi.open("1")
    asgi.lines()
    asgi.says("a", frame)
    assert (asgi.lines(), asgi.core.statistics.malformed, state(one)) == ([], 1, (0, 1, 1, 0, b"1"))


def test_frames_of_the_other_flavour_are_malformed(asgi: Playbook, turns: Playbook) -> None:
    """A worker without turns has none to commit; one with turns acknowledges by committing. Slots stay right."""
    one = asgi.open("1")
    asgi.commit("a", one, 1, "no")
    asgi.says("a", frames.Failed(one.id, 1, 1, "raised", "no"))
    assert (asgi.core.statistics.malformed, one.acked, one.finished) == (2, 0, False)
    assert asgi.core.supervisor.links[b"a"].turns_out == 0
    one = turns.open("1")
    turns.output("a", one, "no", acked=1)
    assert (turns.core.statistics.malformed, one.acked, one.received) == (1, 0, 0)
    turns.core.close(one)
    assert leftovers(turns.core) == []


def test_an_output_that_cannot_be_is_malformed(asgi: Playbook, turns: Playbook) -> None:
    one = asgi.open("1")
    asgi.lines()
    asgi.output("a", one, "no", acked=1, outcome="nonsense")
    assert (asgi.lines(), asgi.core.statistics.malformed, one.acked) == ([], 1, 0)
    one = turns.open("1")
    turns.lines()
    turns.output("a", one, "no", outcome="returned")  # a consumer ends by its last turn
    assert (turns.lines(), turns.core.statistics.malformed) == ([], 1)


def test_a_second_hello_on_one_peer_ends_the_first_whatever_process_it_names() -> None:
    book = Playbook()
    first = book.worker("a", boot=1, peer="p")
    book.open("1")
    book.lines()
    second = book.worker("b", boot=2, peer="p")
    book.pass_time(0.1)
    assert book.lines() == ["forget b", "b <- WELCOME 2", "b <- ADOPT 1.2 '1' attempt 2"]
    assert book.core.dispatcher.pool("default").workers == [second]
    assert first.conns == {}


@pytest.mark.parametrize("frame", [frames.Drain(), frames.Goodbye(""), frames.Beat(1.0, 0.0, 0.0)])
def test_what_a_worker_says_after_goodbye_is_fenced(asgi: Playbook, frame: frames.Frame) -> None:
    asgi.says("a", frames.Goodbye(""), frame, frame)
    assert (asgi.lines(), asgi.core.statistics.fenced) == (["forget a"], 2)


def test_a_peer_of_another_version_is_told_so_and_other_garbage_is_not_answered(asgi: Playbook) -> None:
    asgi.core.malformed(b"x", PROTOCOL + 1, asgi.now)
    assert asgi.lines() == ["x <- REFUSE version"]
    assert "refused a worker of protocol version 2" in asgi.logs[-1]
    asgi.core.malformed(b"x", PROTOCOL, asgi.now)
    asgi.core.malformed(b"x", None, asgi.now)
    assert (asgi.lines(), asgi.core.statistics.malformed) == ([], 3)


def test_a_worker_that_sends_garbage_is_lost(asgi: Playbook) -> None:
    """What it meant to say is not known: an answer, an acknowledgement. To go on would be to lose it in silence."""
    asgi.open("1")
    asgi.worker("b")
    asgi.lines()
    asgi.core.malformed(b"a", PROTOCOL, asgi.now)
    asgi.pass_time(0.1)
    assert asgi.lines() == ["forget a", "b <- ADOPT 1.2 '1' attempt 2"]
    asgi.says("a", frames.Beat(1.0, 0.0, 0.0))
    assert asgi.lines() == ["a <- RESET no link of this bridge"]
