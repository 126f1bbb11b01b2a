"""Codes as exceptions that users catch."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from channels_bridge.shared.errors import BridgeUnavailable, ChannelFull, ChannelUnknown
from channels_bridge.worker import outcomes
from channels_bridge.worker.core.calls import CLOSED, DONE, FULL, TIMEOUT, UNKNOWN


class Links:
    urls = ("ipc:///a/", "ipc:///b/")
    ready = False


class Hub:
    def __init__(self) -> None:
        self.links = Links()

    def why_no_answer(self, timeout: float) -> str:
        return f"nobody in {timeout:g} s"


def check(code: object, *, require: bool = False, is_request: bool = False, ready: bool = False) -> None:
    hub: Any = Hub()
    hub.links.ready = ready
    outcomes.check(code, "c", hub, 2.5, require=require, is_request=is_request)


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Give a module that stands for Channels' exceptions."""
    module = ModuleType("channels.exceptions")
    monkeypatch.setitem(sys.modules, "channels.exceptions", module)
    return module


def test_what_is_done_is_no_error() -> None:
    check(DONE)
    check(DONE, require=True)


def test_nobody_there_is_an_error_to_who_asks_for_it() -> None:
    check(UNKNOWN)
    with pytest.raises(ChannelUnknown, match="nobody is behind the channel 'c'"):
        check(UNKNOWN, require=True)


@pytest.mark.parametrize("code", [TIMEOUT, CLOSED, None])
def test_no_answer_is_a_bridge_that_cannot_be_had(code: object) -> None:
    with pytest.raises(BridgeUnavailable, match=r"nobody in 2.5 s"):
        check(code)
    with pytest.raises(ConnectionError):
        check(code)


def test_a_request_with_too_little_time_says_so_unless_there_is_no_bridge() -> None:
    with pytest.raises(TimeoutError, match=r"no answer to the request on 'c' within 2.5 s"):
        check(TIMEOUT, is_request=True, ready=True)
    with pytest.raises(BridgeUnavailable):
        check(TIMEOUT, is_request=True, ready=False)


def test_full_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "channels.exceptions", raising=False)
    with pytest.raises(ChannelFull, match="the channel 'c' is full") as raised:
        check(FULL)
    assert type(raised.value) is ChannelFull


def test_full_is_channels_error_too_where_that_is_loaded(channels: ModuleType) -> None:
    class Theirs(Exception):
        pass

    vars(channels)["ChannelFull"] = Theirs
    with pytest.raises(Theirs) as first:
        check(FULL)
    with pytest.raises(ChannelFull) as second:
        check(FULL)
    assert isinstance(first.value, type(second.value))
    assert type(first.value).__name__ == "ChannelFull"


@pytest.mark.parametrize("theirs", [None, 5, ChannelFull, object])
def test_full_is_our_error_where_theirs_is_none_or_ours(channels: ModuleType, theirs: Any) -> None:
    vars(channels)["ChannelFull"] = theirs
    with pytest.raises(ChannelFull) as raised:
        check(FULL)
    assert type(raised.value) is ChannelFull


def test_a_closed_channel_says_where_it_was() -> None:
    hub: Any = Hub()
    assert str(outcomes.closed(hub)) == "the channel layer at ipc:///a/, ipc:///b/ was closed"
