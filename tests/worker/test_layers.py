"""The channel layer of a consumer: groups over consumers and bridges, channels of consumers and of clients."""

from __future__ import annotations

import pytest

from channels_bridge import AsyncConsumer, ChannelLayer, SyncConsumer
from channels_bridge.testing import bridged
from halves import bridging, directory, hosting, is_idle
from played_server import Call, Event, eventually, websocket_scope

pytestmark = pytest.mark.anyio

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
