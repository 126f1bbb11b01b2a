"""How connections end, beyond what test_core.py and test_adoption.py say of it."""

from channels_bridge.bridge.core import actions
from channels_bridge.bridge.core.letters import Letter
from channels_bridge.shared import frames
from channels_bridge.testing.playbook import Playbook

LETTER = Letter("default", "websocket", b"scope", b"one", "replay", True, 2, b"poison", 2, ["a", "b"], 1)


def test_a_letter_is_its_message_and_all_that_its_consumer_is_made_of() -> None:
    book = Playbook()
    kept: list[Letter] = []
    emit = book.core.endings._emit

    def keep(action: actions.Action) -> None:
        if isinstance(action, actions.SetAside):
            kept.append(action.letter)
        emit(action)

    book.core.endings._emit = keep
    book.worker("a", slots=1)
    conn = book.open("connect", "websocket")
    book.commit("a", conn, 1, state="one", on_loss="replay")
    book.event(conn, "poison", "behind")
    book.lost("a")
    book.worker("b", slots=1)
    book.pass_time(0.1)
    book.lost("b")
    assert kept == [LETTER]


def test_a_turn_that_took_too_long_ends_its_connection_with_that_outcome() -> None:
    book = Playbook()
    book.worker("a", slots=1)
    conn = book.open("connect", "websocket")
    book.lines()
    book.says("a", frames.Failed(conn.id, 1, 1, "timeout", "Chat.websocket_connect: 5 s"))
    assert book.lines() == ["client 1 ends: timeout, Chat.websocket_connect: 5 s"]
