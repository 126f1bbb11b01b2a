"""The contract as types: what the implementations have in common is checked where they are assigned."""

from channels_bridge.bridge.engines.engine import Engine, Listener, Statistics
from channels_bridge.bridge.engines.local import LocalEngine
from channels_bridge.bridge.engines.thread import ThreadedEngine
from engine_members import Member

ENGINES: list[type[Engine]] = [LocalEngine, ThreadedEngine]
LISTENERS: list[type[Listener]] = [Member]


def public(one: type) -> set[str]:
    return {name for name in vars(one) if not name.startswith("_")}


def test_every_engine_and_listener_has_what_the_contract_asks_for() -> None:
    for engine in ENGINES:
        assert public(Engine) - public(engine) <= {"url", "statistics"}  # attributes of the instance
    for listener in LISTENERS:
        assert public(Listener) <= public(listener)


def test_counters_begin_at_zero() -> None:
    assert Statistics() == Statistics(published=0, received=0, dropped=0, gaps=0, reconnects=0)
