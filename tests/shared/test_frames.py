"""Frames are what docs/protocol.md says; how they become bytes is in test_wire.py."""

import inspect
import typing
from enum import Enum
from typing import Any

import pytest

from channels_bridge.shared import frames

KINDS = [cls for _, cls in inspect.getmembers(frames, inspect.isclass) if cls.__module__ == frames.__name__]


def test_every_kind_is_a_frame_but_for_the_piece_of_one() -> None:
    assert set(KINDS) - set(typing.get_args(frames.Frame)) == {frames.Part}


def test_what_a_commit_may_hold() -> None:
    layer = {frames.GroupAdd, frames.GroupDiscard, frames.GroupSend, frames.ChannelSend}
    assert set(typing.get_args(frames.LayerFrame)) == layer
    assert set(typing.get_args(frames.Effect)) == {bytes, *layer}


@pytest.mark.parametrize("kind", [frames.Commit, frames.Adopt])
def test_a_state_is_bytes_that_the_bridge_does_not_look_into(kind: type) -> None:
    assert typing.get_type_hints(kind)["state"] is bytes


def test_messages_stand_last_in_what_adopts() -> None:
    """State and scope are set before the first of them is handled."""
    assert list(typing.get_type_hints(frames.Adopt))[-2:] == ["state", "events"]


def test_a_relay_may_hold_what_is_for_nobodys_client() -> None:
    hints = typing.get_type_hints(frames.Relay)
    assert hints["effects"] == list[frames.LayerFrame]


@pytest.mark.parametrize("kind", [*typing.get_args(frames.LayerFrame), frames.Subscribe])
def test_what_can_be_answered_carries_its_route_last(kind: type) -> None:
    """And whoever passes it on can replace the route without knowing the kind."""
    assert list(typing.get_type_hints(kind).items())[-1] == ("route", list[int])


def test_an_answer_begins_with_the_route() -> None:
    assert list(typing.get_type_hints(frames.Answer)) == ["route", "code"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_a_plain_tuple_of_plain_fields(kind: type[Any]) -> None:
    """Nothing that msgpack would have to be taught."""
    assert kind.__mro__ == (kind, tuple, object)
    assert kind.__doc__
    hints = typing.get_type_hints(kind)
    assert {typing.get_origin(hint) or hint for hint in hints.values()} <= {int, str, float, bytes, bool, list}
    assert not any(isinstance(hint, type) and issubclass(hint, Enum) for hint in hints.values())


@pytest.mark.parametrize(
    "kind",
    [
        frames.Adopt, frames.Message, frames.Credit, frames.Cancel, frames.Output, frames.Commit, frames.Failed,
        frames.Unresumable, frames.Save, frames.Resumed,
    ],
)  # fmt: skip
def test_what_is_about_a_connection_names_connection_and_epoch_first(kind: type) -> None:
    assert list(typing.get_type_hints(kind))[:2] == ["conn", "epoch"]
