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


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_a_plain_tuple_of_plain_fields(kind: type[Any]) -> None:
    """Nothing that msgpack would have to be taught."""
    assert kind.__mro__ == (kind, tuple, object)
    assert kind.__doc__
    hints = typing.get_type_hints(kind)
    assert {typing.get_origin(hint) or hint for hint in hints.values()} <= {int, str, float, bytes, bool, list}
    assert not any(isinstance(hint, type) and issubclass(hint, Enum) for hint in hints.values())


@pytest.mark.parametrize("kind", [frames.Message, frames.Adopt, frames.Commit, frames.Output, frames.Credit])
def test_what_is_about_a_connection_names_connection_and_epoch_first(kind: type) -> None:
    assert list(typing.get_type_hints(kind))[:2] == ["conn", "epoch"]
