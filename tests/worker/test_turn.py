"""What one turn has done so far, and how it counts when its time is over."""

import pytest

from channels_bridge.shared import frames
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.shared.errors import LocalProtocolError
from channels_bridge.shared.wire import MAX_ARRAY
from channels_bridge.worker.overseer import Overseer, Run
from channels_bridge.worker.time_limits import Limits
from channels_bridge.worker.turn import EFFECT, Turn


def test_effects_are_kept_in_order_up_to_a_size() -> None:
    turn = Turn(1, 0.0)
    join = frames.GroupAdd("group", "channel", [])
    turn.record(b"one", 1000)
    turn.record(join, 1000)
    assert turn.effects == [b"one", join]
    with pytest.raises(LocalProtocolError, match=r"more than turn_bytes, 1000, before its commit: flush\(\)"):
        turn.record(b"x" * 1000, 1000)


def test_the_size_counts_what_is_around_each() -> None:
    turn = Turn(1, 0.0)
    turn.record(b"12345", EFFECT + 5)
    with pytest.raises(LocalProtocolError):
        turn.record(b"", EFFECT + 5)


def test_there_are_no_more_messages_in_a_turn_than_in_a_frame() -> None:
    turn = Turn(1, 0.0)
    turn.effects = [b""] * MAX_ARRAY
    with pytest.raises(LocalProtocolError, match=f"this turn has sent {MAX_ARRAY} messages"):
        turn.record(b"", 1000)


def test_what_is_taken_for_an_early_commit_is_no_longer_there() -> None:
    turn = Turn(3, 1.0)
    turn.record(b"one", 1000)
    turn.state = b"state"
    early = turn.take()
    assert (early.seq, early.since, early.effects, early.state) == (3, 1.0, [b"one"], b"state")
    assert (turn.effects, turn.state, turn.size) == ([], b"", 0)


@pytest.mark.anyio
async def test_it_is_a_timeout_once_its_handler_was_told() -> None:
    overseer = Overseer(running_loop(), 1.0, lambda reason: None)
    run = Run(overseer, object(), "a turn", Limits(1.0), lambda run: None)
    turn = Turn(1, 0.0)
    assert (turn.outcome, turn.given_up) == ("raised", False)
    turn.run = run
    assert (turn.outcome, turn.given_up) == ("raised", False)
    run.interrupted = True
    assert (turn.outcome, turn.given_up) == ("timeout", False)
    run.given_up = True
    assert (turn.outcome, turn.given_up) == ("timeout", True)
