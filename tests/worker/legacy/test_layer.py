"""The layer of Channels 1 at a bridge: in turns, and what travels. What any layer does is in test_conformance.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from channels_bridge import Bridge, SyncChannelLayer
from channels_bridge.shared.errors import ConfigurationError, InvalidName, LocalProtocolError
from channels_bridge.shared.names import CHANNELS1
from channels_bridge.worker.done import DONE, Done
from channels_bridge.worker.legacy import layer as layer_module
from channels_bridge.worker.legacy.channel import Channel, Group
from channels_bridge.worker.legacy.layer import ASIDE, BridgeLayer, Turn, content_of
from channels_bridge.worker.legacy.message import pending_message_store
from halves import directory
from layers.site import loop_thread

REPLY = "reply.0123456789abcdef!7"


class Noting:
    """A layer, or what sends to a client: it notes what is done with it."""

    def __init__(self, name: str, done: list[Any]) -> None:
        self._name, self._done = name, done

    def send(self, channel: str, message: Any) -> None:
        self._done.append((self._name, channel, message))

    send_group = send

    def __call__(self, message: Any) -> Done:
        self._done.append((self._name, message))
        return DONE

    def flush(self) -> Done:
        self._done.append((self._name, "flush"))
        return DONE


class Bench:
    """A layer whose parts note what is done with them."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.layer = BridgeLayer("ipc:///tmp/nobody/")
        at_once: Any = Noting("at once", self.done)
        self.layer._layer = at_once

    def turn(self, *, has_client: bool = True, subprotocol: str = "") -> Turn:
        at_commit: Any = Noting("at commit", self.done)
        client: Any = Noting("client", self.done) if has_client else None
        return Turn(at_commit, client, REPLY if has_client else "", subprotocol)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give one; nothing is kept when the test is over."""
    yield Bench()
    pending_message_store.send_and_flush()


def event(**content: Any) -> dict[str, Any]:
    return {"type": CHANNELS1, **content}


# -- turns -----------------------------------------------------------------------------------------------------


def test_outside_of_turns_all_happens_at_once(bench: Bench) -> None:
    bench.layer.send("a", {"n": 1})
    bench.layer.send_group("g", {"n": 2})
    bench.layer.send(REPLY, {"n": 3})
    assert bench.done == [("at once", "a", event(n=1)), ("at once", "g", event(n=2)), ("at once", REPLY, event(n=3))]


def test_what_a_consumer_has_sent_is_part_of_its_commit_in_order(bench: Bench) -> None:
    with bench.layer.in_turn(bench.turn()):
        pending_message_store.prepare()
        Channel(REPLY, channel_layer=bench.layer).send({"text": "1"})
        Channel("a", channel_layer=bench.layer).send({"n": 2})
        Group("g", channel_layer=bench.layer).send({"n": 3})
        assert bench.done == []
        pending_message_store.send_and_flush()
    assert bench.done == [
        ("client", event(text="1")),
        ("at commit", "a", event(n=2)),
        ("at commit", "g", event(n=3)),
    ]


def test_immediately_goes_past_the_commit(bench: Bench) -> None:
    with bench.layer.in_turn(bench.turn()):
        pending_message_store.prepare()
        Channel(REPLY, channel_layer=bench.layer).send({"text": "1"}, immediately=True)
        Channel("a", channel_layer=bench.layer).send({"n": 2}, immediately=True)
        Group("g", channel_layer=bench.layer).send({"n": 3}, immediately=True)
    assert bench.done == [
        ("client", event(text="1")),
        ("client", "flush"),
        ("at once", "a", event(n=2)),
        ("at once", "g", event(n=3)),
    ]


def test_clients_of_others_are_reached_as_any_channel_is(bench: Bench) -> None:
    with bench.layer.in_turn(bench.turn()):
        bench.layer.send("reply.0123456789abcdef!8", {"n": 1})
    with bench.layer.in_turn(bench.turn(has_client=False)):
        bench.layer.send(REPLY, {"n": 2})
    assert bench.done == [("at once", "reply.0123456789abcdef!8", event(n=1)), ("at once", REPLY, event(n=2))]


def test_the_subprotocol_goes_along_with_what_is_for_the_client(bench: Bench) -> None:
    with bench.layer.in_turn(bench.turn(subprotocol="soap")):
        bench.layer.send(REPLY, {"accept": True})
    assert bench.done[0] == ("client", event(accept=True, subprotocol="soap"))


def test_a_turn_ends_and_is_that_of_its_thread(bench: Bench) -> None:
    with bench.layer.in_turn(bench.turn()):
        thread = threading.Thread(target=bench.layer.send, args=(REPLY, {"n": 1}))
        thread.start()
        thread.join()
    with pytest.raises(KeyError), bench.layer.in_turn(bench.turn()):
        raise KeyError
    bench.layer.send(REPLY, {"n": 2})
    assert bench.done == [("at once", REPLY, event(n=1)), ("at once", REPLY, event(n=2))]


# -- what travels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "travels"),
    [
        ({"n": 1}, {"type": CHANNELS1, "n": 1}),
        ({"type": "chat.message", "n": 1}, {"type": "chat.message", "n": 1}),
        ({"type": 5, "n": 1}, {"type": CHANNELS1, ASIDE: 5, "n": 1}),
        ({"type": None}, {"type": CHANNELS1, ASIDE: None}),
    ],
)
def test_messages_arrive_as_they_were_sent_whatever_their_type_is(
    bench: Bench, content: dict[str, Any], travels: dict[str, Any]
) -> None:
    bench.layer.send("a", content)
    assert bench.done == [("at once", "a", travels)]
    assert content_of(travels) == content


def test_what_is_no_message_is_refused(bench: Bench) -> None:
    wrong: Any = 5
    with pytest.raises(TypeError):
        bench.layer.send("a", wrong)


# -- at a bridge -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give the URL of a bridge."""
    with ExitStack() as stack:
        url = stack.enter_context(directory())
        portal = stack.enter_context(loop_thread("asyncio"))
        bridge = Bridge(url)
        portal.call(bridge.start)
        stack.callback(lambda: portal.call(bridge.stop))
        yield url


def test_code_of_both_kinds_can_talk(url: str) -> None:
    old, new = BridgeLayer(url), SyncChannelLayer(url)
    new.send("old.code", {"type": "chat.message", "n": 1})
    assert old.receive(["old.code"]) == ("old.code", {"type": "chat.message", "n": 1})
    old.send("new.code", {"n": 2})
    assert new.receive("new.code") == {"type": CHANNELS1, "n": 2}


def test_several_channels_are_looked_into_one_after_the_other(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_module, "LOOK", 0.01)
    monkeypatch.setattr(layer_module, "BLOCK", 0.04)
    layer = BridgeLayer(url)
    layer.send("several.b", {"n": 1})
    assert layer.receive(["several.a", "several.b"]) == ("several.b", {"n": 1})
    assert layer.receive(["several.a", "several.b"], block=True) == (None, None)
    assert layer.receive([], block=True) == layer.receive([]) == (None, None)
    assert layer.receive_many(["several.a"]) == (None, None)


def test_new_channels_last_until_the_layer_is_flushed(url: str) -> None:
    layer = BridgeLayer(url)
    name = str(layer.new_channel("reply?"))
    layer.send(name, {"n": 1})
    assert layer.receive([name]) == (name, {"n": 1})
    layer.flush()
    assert layer._kept == {}
    with pytest.raises(InvalidName, match=r"ends in '\?'"):
        layer.new_channel("reply")


def test_what_cannot_be_sent_is_told(url: str) -> None:
    layer = BridgeLayer(url)
    with pytest.raises(LocalProtocolError, match="the value of 'x'"):
        layer.send("a", {"x": object()})
    with pytest.raises(InvalidName):
        layer.group_add("g h", layer.new_channel("a?"))


@pytest.mark.anyio
async def test_as_an_asgi_application_it_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"no ASGI application.*channels_bridge\.Bridge\(\)"):
        await BridgeLayer("ipc:///tmp/nobody/")({"type": "http"}, None, None)
