from dataclasses import fields

import pytest

from channels_bridge.shared.config import KIB, Config
from channels_bridge.shared.errors import ConfigurationError

SECONDS = (
    "beat", "suspect", "lease", "verdict", "hello", "tick", "http_queue", "park", "drain", "channel_expiry",
    "queue_delay", "slow_client",
)  # fmt: skip
AT_LEAST_ONE = (
    "max_message_bytes", "journal_messages", "journal_bytes", "window_bytes", "turn_bytes", "state_bytes",
    "turn_window", "capacity", "channel_bytes", "background_bytes", "max_handshakes", "max_queue", "dead_letters",
    "dead_letter_bytes",
)  # fmt: skip


def config(**settings: float) -> Config:
    given: dict[str, object] = dict(settings)
    return Config(**given)  # type: ignore[arg-type]


def test_the_defaults_agree_with_each_other() -> None:
    default = Config()
    assert default.check() is default


def test_the_defaults_are_those_of_the_design() -> None:
    default = Config()
    assert (default.beat, default.suspect, default.lease, default.verdict) == (1.0, 3.0, 8.0, 10.0)
    assert (default.http_queue, default.park, default.drain) == (5.0, 30.0, 30.0)


def test_deadlines_are_looked_at_more_often_than_beats_are_sent() -> None:
    """Else a lease could end, and be noticed only after the verdict."""
    assert Config().tick < Config().beat
    assert Config().lease + 2 * Config().tick < Config().verdict


def test_a_state_fits_where_a_turn_fits() -> None:
    """It travels in the turn's COMMIT, and the reader bounds that by what a turn may send."""
    assert Config().state_bytes == 64 * KIB
    assert Config().state_bytes < Config().turn_bytes


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_times_are_more_than_nothing(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be more than 0 seconds"):
        config(**{name: value}).check()


@pytest.mark.parametrize("name", AT_LEAST_ONE)
def test_bounds_are_at_least_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be at least 1"):
        config(**{name: 0}).check()


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"lease": 10.0}, "1.0, 3.0, 10.0 and 10.0"),
        ({"lease": 12.0}, "1.0, 3.0, 12.0 and 10.0"),
        ({"suspect": 8.0}, "1.0, 8.0, 8.0 and 10.0"),
        ({"beat": 3.0}, "3.0, 3.0, 8.0 and 10.0"),
    ],
)
def test_the_lease_ends_before_the_verdict_falls(settings: dict[str, float], shown: str) -> None:
    with pytest.raises(ConfigurationError, match="beat < suspect < lease < verdict") as caught:
        config(**settings).check()
    assert shown in str(caught.value)


def test_each_pattern_has_a_capacity_of_at_least_one() -> None:
    assert Config(channel_capacity={"thumbnails": 1, "*": 10}).check().channel_capacity["*"] == 10
    with pytest.raises(ConfigurationError, match=r"channel_capacity must be at least 1 .*'mail\*': 0"):
        Config(channel_capacity={"thumbnails": 1, "mail*": 0}).check()


def test_no_bound_on_connections_is_a_bound_of_none() -> None:
    assert Config(max_connections=0).check().max_connections == 0
    with pytest.raises(ConfigurationError, match="max_connections must be 0, for no bound, or more"):
        Config(max_connections=-1).check()


@pytest.mark.parametrize("what", ["drop_new", "drop_old", "close"])
def test_what_a_slow_member_may_lose(what: str) -> None:
    assert Config(slow_member=what).check().slow_member == what


@pytest.mark.parametrize("name", ["handshake", "answer"])
def test_an_application_may_take_its_time_or_so_many_seconds(name: str) -> None:
    assert getattr(config(**{name: 0.0}).check(), name) == 0.0
    with pytest.raises(ConfigurationError, match="handshake and answer must be 0 seconds, for no limit, or more"):
        config(**{name: -1.0}).check()


def test_what_else_a_slow_member_may_not() -> None:
    with pytest.raises(ConfigurationError, match="slow_member is one of drop_new, drop_old, close, not 'wait'"):
        Config(slow_member="wait").check()


def test_no_setting_escapes_the_check_unseen() -> None:
    """A new setting is either checked, or named here with the reason why any value of it is sound."""
    free = {
        "retry_after",  # a number in a header
        "max_connections",  # checked, above: 0 is no bound
        "handshake",  # the same
        "answer",
        "buffered_bytes",  # 0: every connection keeps to one message
        "max_links",  # 0: no worker is let in, as told
        "insecure_tcp",
    }
    elsewhere = {"channel_capacity", "slow_member"}  # checked, above: not by a bound
    assert {field.name for field in fields(Config)} == {*SECONDS, *AT_LEAST_ONE, *elsewhere} | free
