"""The channel layer: what it makes of calls, in turns and outside; groups over consumers and bridges.

tests/layers holds all flavours to one contract, over real bridges.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from channels_bridge import AsyncConsumer, BridgeUnavailable, ChannelLayer, InvalidName, SyncChannelLayer, SyncConsumer
from channels_bridge.shared import frames
from channels_bridge.shared.config import Config
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.shared.errors import AddressError, LocalProtocolError
from channels_bridge.shared.wire import MAX_ARRAY, unpack_event
from channels_bridge.testing import bridged
from channels_bridge.worker.hub import Hub
from channels_bridge.worker.links import Links, make_hello
from halves import bridging, directory, hosting, is_idle
from played_server import Call, Event, eventually, websocket_scope

pytestmark = pytest.mark.anyio

CONSUMER, OTHERS = "consumer.00000000000000b0!1", "specific.00000000000000b0!p1"
MESSAGE = {"type": "chat.message", "n": 1}


# -- alone -----------------------------------------------------------------------------------------------------


class Turn:
    """What a consumer's layer records in its turn, or does not outside of one."""

    def __init__(self) -> None:
        self.recorded: list[frames.LayerFrame] = []
        self.goes_on = True

    def __call__(self, frame: frames.LayerFrame) -> bool:
        if self.goes_on:
            self.recorded.append(frame)
        return self.goes_on


@pytest.fixture
def hub() -> Hub:
    return Hub(Links(("ipc:///nowhere/",), make_hello("worker"), Config(max_message_bytes=10_000)))


@pytest.fixture
def turn() -> Turn:
    return Turn()


@pytest.fixture(params=[ChannelLayer, SyncChannelLayer])
def layer(request: pytest.FixtureRequest, hub: Hub, turn: Turn) -> Any:
    return request.param.of_turns(hub, turn)


async def call(layer: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """Call a method of either flavour."""
    result = getattr(layer, method)(*arguments, **options)
    assert inspect.isawaitable(result) == layer.is_async
    return await result if layer.is_async else result


async def test_what_a_turn_asks_for_is_recorded_in_order_and_wants_no_answer(layer: Any, turn: Turn) -> None:
    await call(layer, "group_add", "room", CONSUMER)
    await call(layer, "group_discard", "room", CONSUMER)
    await call(layer, "send", CONSUMER, MESSAGE)
    await call(layer, "send_group", "room", MESSAGE, exclude=[CONSUMER])
    await call(layer, "group_send", "room", MESSAGE)
    add, discard, send, group, again = turn.recorded
    assert (add, discard) == (frames.GroupAdd("room", CONSUMER, []), frames.GroupDiscard("room", CONSUMER, []))
    assert isinstance(send, frames.ChannelSend)
    assert unpack_event(send.event) == MESSAGE
    assert send._replace(event=b"") == frames.ChannelSend(CONSUMER, b"", 0, 0.0, [])
    assert group == frames.GroupSend("room", send.event, [CONSUMER], [], [])
    assert again == frames.GroupSend("room", send.event, [], [], [])


async def test_what_is_required_and_what_is_outside_of_a_turn_goes_by_the_hub(hub: Hub, turn: Turn) -> None:
    layer = ChannelLayer.of_turns(hub, turn)
    hub.open(running_loop())
    channel = await layer.new_channel()
    await layer.send(channel, MESSAGE, require=True)
    turn.goes_on = False
    await layer.send(channel, MESSAGE)
    assert [await layer.receive(channel), await layer.receive(channel)] == [MESSAGE, MESSAGE]
    assert turn.recorded == []


async def test_a_sync_layer_in_the_loop_that_it_waits_for_says_so(hub: Hub, turn: Turn) -> None:
    layer = SyncChannelLayer.of_turns(hub, turn)
    hub.open(running_loop())
    channel = layer.new_channel()
    with pytest.raises(LocalProtocolError, match="would block the event loop that it waits for: use a ChannelLayer"):
        layer.receive(channel)
    with pytest.raises(LocalProtocolError, match="would block"):
        layer.send(channel, MESSAGE, require=True)


async def test_a_named_channel_cannot_be_in_a_group(layer: Any, turn: Turn) -> None:
    for method in ("group_add", "group_discard"):
        with pytest.raises(InvalidName, match="'thumbnails' cannot be in a group"):
            await call(layer, method, "g", "thumbnails")
    assert turn.recorded == []


@pytest.mark.parametrize(
    ("channel", "whose"), [(CONSUMER, "a consumer or client"), (OTHERS, "another process"), ("a!b", "another process")]
)
async def test_nobody_receives_on_a_channel_of_others(hub: Hub, turn: Turn, channel: str, whose: str) -> None:
    hub.open(running_loop())
    layer = ChannelLayer.of_turns(hub, turn)
    with pytest.raises(LocalProtocolError, match=f"belongs to {whose}: here nobody can receive on it"):
        await layer.receive(channel)


async def test_what_the_reader_would_refuse_is_refused_here(layer: Any, turn: Turn) -> None:
    with pytest.raises(LocalProtocolError, match="longer than max_message_bytes, 10000"):
        await call(layer, "send", CONSUMER, {"type": "x", "data": bytes(12_000)})
    with pytest.raises(LocalProtocolError, match=f"exclude takes at most {MAX_ARRAY} channels"):
        await call(layer, "send_group", "g", MESSAGE, exclude=[CONSUMER] * (MAX_ARRAY + 1))
    with pytest.raises(LocalProtocolError, match="exclude takes a list of channels"):
        await call(layer, "send_group", "g", MESSAGE, exclude=CONSUMER)
    with pytest.raises(LocalProtocolError, match="a message needs a 'type'"):
        await call(layer, "send", CONSUMER, {"text": "x"})
    assert turn.recorded == []


async def test_what_was_closed_is_said_to_who_waits(hub: Hub, turn: Turn) -> None:
    hub.open(running_loop())
    layer = ChannelLayer.of_turns(hub, turn)
    channel = await layer.new_channel()
    hub.over = True
    with pytest.raises(BridgeUnavailable, match="the channel layer at ipc:///nowhere/ was closed"):
        await layer.receive(str(channel))


@pytest.mark.parametrize("flavour", [ChannelLayer, SyncChannelLayer])
def test_what_channels_asks_of_a_backend(flavour: Any) -> None:
    layer = flavour("ipc:///nowhere/", capacity=5, expiry=7, group_expiry=9, channel_capacity={"x*": 1}, timeout=2)
    assert (layer.capacity, layer.expiry, layer.group_expiry, layer.channel_capacity) == (5, 7.0, 9.0, {"x*": 1})
    assert (layer.extensions, layer.MAX_NAME_LENGTH, layer.timeout) == (["groups", "flush"], 100, 2.0)
    assert (flavour().capacity, flavour().expiry, flavour().group_expiry) == (100, 60.0, 86400.0)
    with pytest.raises(AddressError, match="redis://localhost"):
        flavour(["ipc:///a/", "redis://localhost"])


# -- by the hub ------------------------------------------------------------------------------------------------


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


async def test_a_cancelled_receive_takes_nothing_with_it(url: str) -> None:
    import anyio

    with bridging(url):
        layer = ChannelLayer(url)
        channel = await layer.new_channel()
        for name in (channel, str(channel), "named"):
            with anyio.move_on_after(0.02) as scope:
                await layer.receive(name)
            assert scope.cancelled_caught
            await layer.send(name, MESSAGE)
            assert await layer.receive(name) == MESSAGE
        await layer.close()


async def test_receivers_of_a_groups_message_do_not_share_it(url: str) -> None:
    with bridging(url):
        layer = ChannelLayer(url)
        channels = [await layer.new_channel() for _ in range(3)]
        for channel in channels:
            await layer.group_add("g", channel)
        for message in ({"type": "flat", "n": 1}, {"type": "deep", "list": [1]}):
            await layer.group_send("g", message)
            got = [await layer.receive(channel) for channel in channels]
            assert got == [message] * 3
            got[0]["n"] = 2
            got[0].setdefault("list", []).append(2)
            assert got[1:] == [message] * 2
        await layer.close()


async def test_a_request_is_answered_or_says_that_it_was_not(url: str) -> None:
    import anyio

    async def serve(listener: ChannelLayer) -> None:
        async for request in listener.listen("jobs"):
            await request.reply({"type": "done", "n": request.message["n"] * 2})

    with bridging(url):
        layer = ChannelLayer(url)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, layer)
            assert await layer.request("jobs", {"type": "job", "n": 21}) == {"type": "done", "n": 42}
            tasks.cancel_scope.cancel()
        with pytest.raises(TimeoutError, match=r"no answer to the request on 'jobs' within 0.05 s"):
            await layer.request("jobs", {"type": "job", "n": 1}, timeout=0.05)
        await layer.close()


# -- through bridges and workers -------------------------------------------------------------------------------


class Member(AsyncConsumer):
    """Joins a room; says there what its client says, and tells its client what others say."""

    async def websocket_connect(self, message: Event) -> None:
        await self.channel_layer.group_add("room", self.consumer_channel)
        await self.send({"type": "websocket.send", "text": self.consumer_channel})

    async def websocket_receive(self, message: Event) -> None:
        word, _, rest = message["text"].partition(" ")
        if word == "leave":
            await self.channel_layer.group_discard("room", self.consumer_channel)
        elif word == "to":
            channel, _, said = rest.partition(" ")
            await self.channel_layer.send(channel, {"type": "said", "text": said})
        elif word == "past":
            channel, _, said = rest.partition(" ")
            await self.channel_layer.send(channel, {"type": "websocket.send", "text": said})
        else:
            exclude = [self.consumer_channel] if word == "others" else []
            await self.channel_layer.send_group("room", {"type": "said", "text": message["text"]}, exclude=exclude)
        await self.send({"type": "websocket.send", "text": "ok"})

    async def said(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "text": message["text"]})


class SyncMember(SyncConsumer):
    def websocket_connect(self, message: Event) -> None:
        self.channel_layer.group_add("room", self.consumer_channel)
        self.send({"type": "websocket.send", "text": self.consumer_channel})

    def websocket_receive(self, message: Event) -> None:
        self.channel_layer.send_group("room", {"type": "said", "text": message["text"]})

    def said(self, message: Event) -> None:
        self.send({"type": "websocket.send", "text": message["text"]})


async def join(call: Call) -> str:
    assert (await call.connect())["type"] == "websocket.accept"
    return str(await call.hear())


async def test_a_group_of_two_consumers() -> None:
    async with (
        bridged(Member, same_loop=True) as bridge,
        Call(bridge, websocket_scope()) as one,
        Call(bridge, websocket_scope()) as two,
    ):
        await join(one)
        await join(two)
        one.say("hello")
        assert {await one.hear(), await one.hear()} == {"ok", "hello"}
        assert await two.hear() == "hello"
        one.say("others only")
        assert await one.hear() == "ok"
        assert await two.hear() == "others only"
        two.say("leave")
        assert await two.hear() == "ok"
        one.say("alone")
        assert {await one.hear(), await one.hear()} == {"ok", "alone"}
        two.say("to the end")
        assert await two.hear() == "ok"
        assert one.unread() == []


async def test_a_group_of_sync_consumers() -> None:
    async with (
        bridged(SyncMember, same_loop=True) as bridge,
        Call(bridge, websocket_scope()) as one,
        Call(bridge, websocket_scope()) as two,
    ):
        await join(one)
        await join(two)
        one.say("hello")
        assert await one.hear() == await two.hear() == "hello"


async def test_a_group_over_two_workers_and_two_bridges() -> None:
    with directory() as url, bridging(url) as here, bridging(url) as there:
        async with (
            hosting(Member, url, bridges=2),
            hosting(Member, url, bridges=2),
            Call(here, websocket_scope()) as a,
            Call(here, websocket_scope()) as b,
            Call(there, websocket_scope()) as c,
            Call(there, websocket_scope()) as d,
        ):
            for call in (a, b, c, d):
                await join(call)
            a.say("others hear")
            assert await a.hear() == "ok"
            for call in (b, c, d):
                assert await call.hear() == "others hear"
            assert a.unread() == []
            d.say("all")
            for call in (a, b, c):
                assert await call.hear() == "all"


async def test_channels_of_consumers_here_and_at_another_bridge() -> None:
    with directory() as url, bridging(url) as here, bridging(url) as there:
        async with (
            hosting(Member, url, bridges=2),
            Call(here, websocket_scope()) as a,
            Call(here, websocket_scope()) as b,
            Call(there, websocket_scope()) as c,
        ):
            channels = [await join(call) for call in (a, b, c)]
            assert len(set(channels)) == 3
            for call, channel in ((b, channels[1]), (c, channels[2])):
                a.say(f"to {channel} psst")
                assert await call.hear() == "psst"
            a.say(f"to {channels[0]} myself")
            heard = [await a.hear() for _ in range(4)]
            assert sorted(map(str, heard)) == ["myself", "ok", "ok", "ok"]


async def test_a_reply_channel_goes_past_the_consumer_to_its_client() -> None:
    with directory() as url, bridging(url) as here, bridging(url) as there:
        async with (
            hosting(Member, url, bridges=2),
            Call(here, websocket_scope()) as a,
            Call(there, websocket_scope()) as b,
        ):
            await join(a)
            channel = (await join(b)).replace("consumer.", "reply.")
            a.say(f"past {channel} straight")
            assert await b.hear() == "straight"


async def test_a_channel_of_nobody_is_no_error_and_is_counted() -> None:
    async with bridged(Member, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await join(call)
        call.say("to thumbnails x", "to consumer.00000000000000b0!1 x", "to consumer.x x")
        assert [await call.hear() for _ in range(3)] == ["ok"] * 3
        statistics = bridge.start().link.core.statistics
        await eventually(lambda: statistics.unknown >= 0)


async def test_membership_ends_with_the_connection() -> None:
    async with bridged(Member, same_loop=True) as bridge, Call(bridge, websocket_scope()) as one:
        await join(one)
        async with Call(bridge, websocket_scope()) as two:
            await join(two)
            two.leave()
            await two.end()
        async with Call(bridge, websocket_scope()) as three:
            await join(three)
            three.cancel()
        groups = bridge.start().link.core.layer.groups
        await eventually(lambda: len(list(groups.members("room", ()))) == 1)
        one.leave()
        await one.end()
        assert is_idle(bridge)


async def test_an_error_in_the_middle_of_a_turn_leaves_nothing_at_others() -> None:
    class Broken(Member):
        async def websocket_receive(self, message: Event) -> None:
            await self.channel_layer.send_group("room", {"type": "said", "text": "of the broken turn"})
            await self.channel_layer.send_group("room", {"type": "said", "bad": object()})

    async with (
        bridged(Broken, same_loop=True) as bridge,
        Call(bridge, websocket_scope()) as one,
        Call(bridge, websocket_scope()) as two,
    ):
        await join(one)
        await join(two)
        one.say("go")
        assert (await one.next())["code"] == 1011
        await one.end()
        two.leave()
        await two.end()
        assert two.unread() == []


async def test_outside_of_a_turn_it_works_at_once() -> None:
    layers: list[ChannelLayer] = []

    class Consumer(Member):
        async def websocket_connect(self, message: Event) -> None:
            layers.append(self.channel_layer)
            await super().websocket_connect(message)

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        channel = await join(call)
        await eventually(lambda: len(list(bridge.start().link.core.layer.groups.members("room", ()))) == 1)
        await layers[0].send_group("room", {"type": "said", "text": "to the group"})
        assert await call.hear() == "to the group"
        await layers[0].send(channel, {"type": "said", "text": "to the channel"})
        assert await call.hear() == "to the channel"
        await layers[0].group_discard("room", channel)
        await eventually(lambda: not bridge.start().link.core.layer.groups)
