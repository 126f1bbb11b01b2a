import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.shared import names
from channels_bridge.shared.errors import InvalidName

BOOTS = st.integers(0, 2**64 - 1)
CONNS = st.integers(1, 2**63 - 1)
ROLES = st.sampled_from(["consumer", "reply"])
PREFIXES = st.from_regex(r"[A-Za-z0-9_.\-]{1,64}", fullmatch=True) | st.sampled_from(["consumer", "reply", "specific"])
NUMBERS = st.integers(0, 10**12 - 1)
PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize("name", ["a", "room", "room-1_x.Y", "0", ".", "x" * 99])
def test_names_of_groups(name: str) -> None:
    assert names.check_group(name) == name
    assert names.check_channel(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 100, "a b", "a!b", "ä", "a\n", "room\x00", "a/b", "a:b", "٣", None, 7, b"a"]
)
def test_what_is_no_name_of_a_group_is_refused_with_the_rule(name: object) -> None:
    with pytest.raises(InvalidName, match=re.escape(names.RULE)) as caught:
        names.check_group(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["specific.abc!xyz", "a!", "consumer.00000000000000b0!12", "x" * 97 + "!y"])
def test_a_channel_may_have_one_exclamation_mark(name: str) -> None:
    assert names.check_channel(name) == name


@pytest.mark.parametrize("name", ["", "!", "!a", "a!b!c", "a!b c", "x" * 98 + "!y", "a\n", "a!b\n", None, b"a"])
def test_what_is_no_name_of_a_channel_is_refused_with_the_rule(name: object) -> None:
    with pytest.raises(InvalidName, match=re.escape(names.RULE)):
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


@given(PREFIXES, BOOTS, NUMBERS)
def test_names_that_a_process_gives_say_which_process(prefix: str, process: int, number: int) -> None:
    name = names.process_channel(prefix, process, number)
    assert names.check_channel(name) == name
    assert names.parse_process(name) == process
    assert names.parse_owned(name) is None  # whatever the prefix: a connection's number has no "p"


@given(st.tuples(PREFIXES, BOOTS, NUMBERS), st.tuples(PREFIXES, BOOTS, NUMBERS))
def test_no_two_channels_of_processes_share_a_name(one: tuple[str, int, int], other: tuple[str, int, int]) -> None:
    assert (names.process_channel(*one) == names.process_channel(*other)) == (one == other)


@given(ROLES, BOOTS, CONNS)
def test_names_that_a_bridge_gives_belong_to_no_process(role: str, bridge: int, conn: int) -> None:
    assert names.parse_process(names.owned_channel(role, bridge, conn)) is None


@pytest.mark.parametrize("prefix", ["", "x" * 65, "a b", "a!", "specific.abc!", "ä", "a\n", None, 7, b"a"])
def test_what_cannot_begin_a_name_is_refused(prefix: object) -> None:
    with pytest.raises(InvalidName, match=re.escape(f"{prefix!r} cannot begin a channel's name")):
        names.process_channel(prefix, 1, 1)


@pytest.mark.parametrize(
    "name",
    [
        "", "room", "specific", "specific.b5!p1", "specific.00000000000000B5!p1", ".00000000000000b5!p1",
        "specific.00000000000000b5!", "specific.00000000000000b5!p", "specific.00000000000000b5!1",
        "specific.00000000000000b5!p-1", "specific.00000000000000b5!p1\n", "specific.00000000000000b5!p١",
        "specific.00000000000000b5!p" + "1" * 13, "x" * 65 + ".00000000000000b5!p1", "a b.00000000000000b5!p1",
        "00000000000000b5!p1", "specific00000000000000b5!p1",
    ],
)  # fmt: skip
def test_other_names_are_of_no_process(name: str) -> None:
    assert names.parse_process(name) is None


def test_the_names_of_the_page() -> None:
    rows = dict(re.findall(r"^\| (\w+) channel \| [^|]* \| `([^`]+)` \|", PAGE, re.MULTILINE))
    assert rows == {
        "consumer": names.owned_channel("consumer", 0xB0, 7),
        "reply": names.owned_channel("reply", 0xB0, 7),
        "process": names.process_channel("specific", 0xB5, 4),
        "named": names.check_channel("thumbnails"),
    }
    assert "!" not in rows["named"]


@given(st.text())
def test_no_text_breaks_the_parsers(name: str) -> None:
    owned, process = names.parse_owned(name), names.parse_process(name)
    assert (owned is None and process is None) or names.check_channel(name) == name


def test_what_can_be_in_a_group() -> None:
    for name in (names.owned_channel("reply", 1, 2), names.process_channel("specific", 1, 2)):
        assert names.check_member(name) == name
    for name in ("thumbnails", "no name"):
        with pytest.raises(InvalidName):
            names.check_member(name)
