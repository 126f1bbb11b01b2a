"""The layer in memory, beyond what test_conformance.py asks of any layer."""

from __future__ import annotations

import re
import threading

import pytest

from channels_bridge.shared.errors import ChannelFull
from channels_bridge.worker.legacy.memory import BaseChannelLayer, ChannelLayer


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_reaches_this_process_only() -> None:
    assert ChannelLayer.local_only
    assert isinstance(ChannelLayer(), BaseChannelLayer)
    assert set(ChannelLayer.extensions) == {"groups", "flush", "statistics"}
    assert str(ChannelLayer()) == "ChannelLayer(in memory)"


def test_the_oldest_message_of_several_channels_comes_first() -> None:
    layer = ChannelLayer()
    for number, channel in enumerate(("b", "a", "c", "b")):
        layer.send(channel, {"number": number})
    taken = [layer.receive(["a", "b"]) for _ in range(4)]
    assert taken == [("b", {"number": 0}), ("a", {"number": 1}), ("b", {"number": 3}), (None, None)]
    assert layer.receive_many(["c"]) == ("c", {"number": 2})


def test_capacities_go_by_the_first_pattern_that_fits() -> None:
    layer = ChannelLayer(capacity=3, channel_capacity={"http.*": 1, re.compile(r"^x{2}"): 2})
    assert [layer.get_capacity(name) for name in ("http.request", "xx.y", "x", "a.http.x")] == [1, 2, 3, 3]
    layer.send("http.request", {})
    with pytest.raises(ChannelFull, match=r"http\.request has no room: 1 messages wait there"):
        layer.send("http.request", {})
    assert BaseChannelLayer().get_capacity("x") == 100
    assert ChannelLayer().get_capacity("x") == 10


def test_a_blocking_receive_wakes_up_when_a_message_comes() -> None:
    layer = ChannelLayer()
    taken: list[object] = []
    threads = [threading.Thread(target=lambda: taken.append(layer.receive(["a", "b!"], block=True))) for _ in range(2)]
    for thread in threads:
        thread.start()
    layer.send("b!1", {"one": 1})
    layer.send("a", {"two": 2})
    for thread in threads:
        thread.join()
    assert sorted(map(str, taken)) == ["('a', {'two': 2})", "('b!1', {'one': 1})"]


def test_a_blocking_receive_comes_back_without_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels_bridge.worker.legacy.memory.BLOCK", 0.01)
    assert ChannelLayer().receive(["a"], block=True) == (None, None)
    assert ChannelLayer().receive([], block=True) == (None, None)


def test_threads_may_share_it() -> None:
    layer = ChannelLayer(capacity=1000)
    taken: list[object] = []

    def send() -> None:
        for _ in range(100):
            layer.send("a", {})
            layer.group_add("g", layer.new_channel("reply?"))

    def receive() -> None:
        while len(taken) < 400:
            message = layer.receive(["a"])
            if message[0]:
                taken.append(message)

    threads = [threading.Thread(target=target) for target in (send, send, send, send, receive, receive)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 400
    assert len(layer.group_channels("g")) == 400


def test_names_of_new_channels_keep_their_beginning() -> None:
    layer = ChannelLayer()
    one, other, local = layer.new_channel("reply?"), layer.new_channel("reply?"), layer.new_channel("server!")
    assert one != other
    assert re.fullmatch(r"reply\?[A-Za-z]{12}", one)
    assert re.fullmatch(r"server![A-Za-z]{12}", local)


@pytest.mark.parametrize("name", ["", "with space", "ä", b"bytes", None, "a" * 100, "a!b!c", "a?b?c", "a!b?c", "new\n"])
def test_names_of_channels(name: object) -> None:
    layer = ChannelLayer()
    for call in (layer.send, layer.group_discard):
        with pytest.raises(TypeError, match=r"is no (channel|group)'s name"):
            call(name, {})  # type: ignore[arg-type]
    for method in (layer.group_add, layer.group_discard):
        with pytest.raises(TypeError, match="is no channel's name"):
            method("group", name)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is no channel's name"):
        layer.receive([name])  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["", "a!b", "a?b", "with space", None, "a" * 100])
def test_names_of_groups(name: object) -> None:
    layer = ChannelLayer()
    for call in (layer.group_channels, layer.valid_group_name):
        with pytest.raises(TypeError, match="is no group's name"):
            call(name)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is no group's name"):
        layer.send_group(name, {})  # type: ignore[arg-type]


def test_what_is_no_message_is_refused() -> None:
    layer = ChannelLayer()
    with pytest.raises(TypeError, match="a message has to be a dict, not str"):
        layer.send("a", "text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'__asgi_channel__' is a key that"):
        layer.send("a", {"__asgi_channel__": "b"})
    with pytest.raises(TypeError, match="a message has to be a dict"):
        layer.send_group("nobody", [])  # type: ignore[arg-type]


def test_each_member_of_a_group_has_its_own_copy() -> None:
    layer = ChannelLayer()
    for channel in ("a", "b"):
        layer.group_add("g", channel)
    layer.send_group("g", {"list": []})
    layer.receive(["a"])[1]["list"].append(1)  # type: ignore[index]
    assert layer.receive(["b"]) == ("b", {"list": []})


def test_a_channel_that_nobody_reads_leaves_its_groups() -> None:
    clock = Clock()
    layer = ChannelLayer(expiry=60, clock=clock)
    layer.group_add("g", "unread")
    layer.group_add("g", "server!1")
    layer.group_add("g", "server!2")
    layer.send("unread", {})
    layer.send("server!1", {})
    clock.now += 59.9
    assert layer.group_channels("g") == ["unread", "server!1", "server!2"]
    clock.now += 0.1
    assert layer.group_channels("g") == ["server!2"]
    clock.now += 86400
    assert layer.group_channels("g") == []
    assert layer._groups == {}
    assert layer._channels == {}


def test_adding_again_begins_anew() -> None:
    clock = Clock()
    layer = ChannelLayer(group_expiry=10, clock=clock)
    layer.group_add("g", "a")
    clock.now += 9
    layer.group_add("g", "a")
    clock.now += 9
    assert layer.group_channels("g") == ["a"]
    layer.group_discard("g", "a")
    layer.group_discard("g", "a")
    assert layer._groups == {}


def test_statistics() -> None:
    clock = Clock()
    layer = ChannelLayer(capacity=2, clock=clock)
    layer.send("a", {})
    layer.send("server!1", {})
    clock.now += 4
    layer.send("server!2", {})
    for _ in range(2):
        with pytest.raises(ChannelFull):
            layer.send("server!3", {})
    layer.receive(["a"])
    assert layer.channel_statistics("server!9") == {
        "messages_count": 2,
        "messages_count_per_second": 0.5,
        "messages_pending": 2,
        "messages_max_age": 4,
        "channel_full_count": 2,
        "channel_full_count_per_second": 0.5,
    }
    assert layer.global_statistics() == {
        "messages_count": 3,
        "messages_count_per_second": 0.75,
        "messages_pending": 2,
        "messages_max_age": 4,
        "channel_full_count": 2,
        "channel_full_count_per_second": 0.5,
    }
    assert layer.channel_statistics("a")["messages_max_age"] == 0
    layer.flush()
    assert set(layer.global_statistics().values()) == {0}
