"""What can be in a message, and what is said of what cannot."""

from __future__ import annotations

import re
from typing import Any

import pytest

from channels_bridge.shared.errors import InvalidName, LocalProtocolError
from layers.cases import bridged, every, few
from layers.seats import Seat
from layers.site import MemorySite

CONTENTS: dict[str, Any] = {
    "unicode": "Grüße, 世界 🦆 \u0000 \u2028 \U0010ffff",
    "bytes": bytes(range(256)),
    "numbers": [0, -1, 2**63, -(2**63), 2**64 - 1, 1.5, -0.0, 1e300],
    "constants": [None, True, False],
    "empty": [{}, [], "", b""],
    "nested": {"a": {"b": [{"c": [1, [2, [3]]]}]}},
}
RULE = "a name is 1 to 99 ASCII letters, digits, hyphens, underscores and full stops"
BAD_GROUPS = ["", "with space", "ü", "x" * 100, "a!b", "a/b", None, 5, b"bytes"]
BAD_CHANNELS = ["", "with space", "ü", "x" * 100, "a!b!c", "!", "a/b", None, 5, b"bytes"]
BAD_VALUES = [object(), {1, 2}, 1j, {5: "x"}, [object()], 2**64, "\ud800", {"deep": {"deeper": print}}]


@every
def test_contents_arrive_as_they_were_sent(near: Seat, far: Seat, name: str) -> None:
    there, here = far.new_channel(), near.new_channel()
    for content in CONTENTS.values():
        message = {"type": "heard", "content": content}
        for sender, channel, receiver in ((near, there, far), (far, here, near), (near, name, far)):
            sender.send(channel, message)
            assert repr(receiver.receive(channel)) == repr(message)


@few
@pytest.mark.parametrize("megabyte", ["é" * (512 * 1024), b"\xff" * (1024 * 1024)], ids=["text", "bytes"])
def test_a_megabyte(near: Seat, far: Seat, name: str, megabyte: str | bytes) -> None:
    message = {"type": "heard", "content": megabyte}
    there, here = far.new_channel(), near.new_channel()
    far.group_add(name, there)
    for sender, channel, receiver in ((near, there, far), (far, here, near), (near, name, far)):
        sender.send(channel, message)
        assert receiver.receive(channel) == message
    near.group_send(name, message)
    assert far.receive(there) == message


@every
def test_a_message_may_be_changed_after_it_was_sent(near: Seat, far: Seat, name: str) -> None:
    message: dict[str, Any] = {"type": "heard", "list": [1], "dict": {"inner": {}}}
    here, there = near.new_channel(), far.new_channel()
    near.do("change_after_send", "send", here, eval(repr(message)))
    assert near.receive(here) == message
    near.do("change_after_send", "send", there, eval(repr(message)))
    assert far.receive(there) == message
    near.do("change_after_send", "send", name, eval(repr(message)))
    assert far.receive(name) == message
    near.group_add(name, here)
    near.do("change_after_send", "group_send", name, eval(repr(message)))
    assert near.receive(here) == message


@every
def test_a_message_may_be_changed_by_one_of_its_receivers(near: Seat, name: str) -> None:
    channels = [near.new_channel() for _ in range(3)]
    for channel in channels:
        near.group_add(name, channel)
    message: dict[str, Any] = {"type": "heard", "list": [1], "dict": {"inner": {}}}
    near.group_send(name, message)
    assert near.do("take_and_change", *channels) == [repr(message)] * 3


@bridged
def test_a_value_that_cannot_be_sent_is_named(near: Seat, far: Seat, name: str) -> None:
    """And nothing of it was sent, to anybody."""
    channel = far.new_channel()
    far.group_add(name, channel)
    for value in BAD_VALUES:
        bad = {"type": "heard", "good": 1, "bad": value}
        for method, to in (("send", channel), ("send", name), ("group_send", name), ("send_group", name)):
            with pytest.raises(LocalProtocolError, match="'bad'"):
                near.do(method, to, bad)
    for to in (channel, name):
        near.send(to, {"type": "last"})
        assert far.receive(to) == {"type": "last"}


@bridged
def test_what_is_no_message_is_refused(near: Seat, far: Seat, name: str) -> None:
    channel = far.new_channel()
    no_messages: list[Any] = [None, "text", 5, [], b"x"]
    for message in no_messages:
        for method, to in (("send", channel), ("group_send", name)):
            with pytest.raises(LocalProtocolError):
                near.do(method, to, message)
    near.send(channel, {"type": "last"})
    assert far.receive(channel) == {"type": "last"}


@every
def test_names_of_groups(near: Seat, site: Any) -> None:
    channel = near.new_channel()
    for bad in BAD_GROUPS:
        refused(near, site, bad, "group_add", bad, channel)
        refused(near, site, bad, "group_discard", bad, channel)
        refused(near, site, bad, "group_send", bad, {"type": "x"})


@every
def test_names_of_channels(near: Seat, site: Any, name: str) -> None:
    for bad in BAD_CHANNELS:
        refused(near, site, bad, "send", bad, {"type": "x"})
        refused(near, site, bad, "receive", bad)
        refused(near, site, bad, "group_add", name, bad)
        refused(near, site, bad, "group_discard", name, bad)


def refused(seat: Seat, site: Any, bad: Any, *call: Any) -> None:
    """See a call refused. Our errors show what was wrong and what would be right; Channels says it in other words."""
    with pytest.raises(TypeError) as error:
        seat.do(*call)
    if not isinstance(site, MemorySite):
        assert isinstance(error.value, InvalidName)
        assert isinstance(error.value, LocalProtocolError)
        assert repr(bad) in str(error.value)
        assert RULE in str(error.value)


@bridged
def test_what_channels_lets_pass(near: Seat, site: Any) -> None:
    """A line's end is no part of a name."""
    refused(near, site, "line\n", "group_send", "line\n", {"type": "x"})
    refused(near, site, "line\n", "send", "line\n", {"type": "x"})


@bridged
def test_prefixes_of_channels(near: Seat) -> None:
    for bad in ("", "a!b", "with space", "x" * 65, None, 5):
        with pytest.raises(InvalidName, match=re.escape(repr(bad))):
            near.new_channel(bad)


@bridged
def test_exclude_is_a_list_of_names(near: Seat, name: str) -> None:
    """A string is an iterable of strings: each of its letters would be a fine channel name."""
    with pytest.raises(LocalProtocolError, match="exclude"):
        near.send_group(name, {"type": "x"}, "thumbnails")
    with pytest.raises(InvalidName, match="with space"):
        near.send_group(name, {"type": "x"}, ["with space"])


@bridged
def test_what_a_request_cannot_say(near: Seat, name: str) -> None:
    with pytest.raises(LocalProtocolError, match="'bad'"):
        near.do("request", name, {"type": "x", "bad": object()}, timeout=0.1)
    with pytest.raises(InvalidName, match="with space"):
        near.do("request", "with space", {"type": "x"}, timeout=0.1)
