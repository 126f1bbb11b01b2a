import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.shared import names
from channels_bridge.shared.errors import LocalProtocolError

BOOTS = st.integers(0, 2**64 - 1)
CONNS = st.integers(1, 2**63 - 1)
ROLES = st.sampled_from(["consumer", "reply"])


@pytest.mark.parametrize("name", ["a", "room", "room-1_x.Y", "0", ".", "x" * 99])
def test_names_of_groups(name: str) -> None:
    assert names.check_group(name) == name
    assert names.check_channel(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 100, "a b", "a!b", "ä", "a\n", "room\x00", "a/b", "a:b", "٣", None, 7, b"a"]
)
def test_what_is_no_name_of_a_group_is_refused_with_the_rule(name: object) -> None:
    with pytest.raises(LocalProtocolError, match=re.escape(names.RULE)) as caught:
        names.check_group(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["specific.abc!xyz", "a!", "consumer.00000000000000b0!12", "x" * 97 + "!y"])
def test_a_channel_may_have_one_exclamation_mark(name: str) -> None:
    assert names.check_channel(name) == name


@pytest.mark.parametrize("name", ["", "!", "!a", "a!b!c", "a!b c", "x" * 98 + "!y", "a\n", "a!b\n", None, b"a"])
def test_what_is_no_name_of_a_channel_is_refused_with_the_rule(name: object) -> None:
    with pytest.raises(LocalProtocolError, match=re.escape(names.RULE)):
        names.check_channel(name)


@given(ROLES, BOOTS, CONNS)
def test_names_that_a_bridge_gives_can_be_taken_apart(role: str, bridge: int, conn: int) -> None:
    name = names.owned_channel(role, bridge, conn)
    assert names.check_channel(name) == name
    assert names.parse_owned(name) == names.Owned(role, bridge, conn)


@given(st.tuples(ROLES, BOOTS, CONNS), st.tuples(ROLES, BOOTS, CONNS))
def test_no_two_channels_share_a_name(one: tuple[str, int, int], other: tuple[str, int, int]) -> None:
    assert (names.owned_channel(*one) == names.owned_channel(*other)) == (one == other)


@pytest.mark.parametrize(
    "name",
    [
        "", "room", "consumer", "consumer.b0!1", "consumer.00000000000000B0!1", "server.00000000000000b0!1",
        "consumer.00000000000000b0!", "consumer.00000000000000b0!-1", "consumer.00000000000000b0!1\n",
        "consumer.00000000000000b0!" + "1" * 20, "consumer.00000000000000b0!١", " consumer.00000000000000b0!1",
    ],
)  # fmt: skip
def test_other_names_are_not_taken_apart(name: str) -> None:
    assert names.parse_owned(name) is None


@given(st.text())
def test_no_text_breaks_the_parser(name: str) -> None:
    owned = names.parse_owned(name)
    assert owned is None or names.check_channel(name) == name
