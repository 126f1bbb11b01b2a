"""Groups: broadcast to consumers, clients and channels of processes, wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from channels_bridge.shared.errors import ChannelUnknown
from layers.cases import bridged, every, few, made, out_of_turns
from layers.seats import RemoteSeat, Seat, until
from layers.site import Client

HELLO = {"type": "heard", "text": "hello"}
LAST = {"type": "heard", "text": "last"}
MARK = {"type": "heard", "text": "mark"}


class Settle:
    """Waits until what a seat has done has come about. What a turn does is only on its way when the turn is over."""

    def __init__(self, site: Any, name: str) -> None:
        self._site = site
        self._group = f"{name}.settled"

    def __call__(self, seat: Seat, *own: tuple[Seat, str]) -> None:
        """Go the ways of what was done, behind it: to these channels, given with their owners, and to their home."""
        for owner, channel in own:
            seat.send(channel, MARK)
            assert owner.receive(channel) == MARK
            direct = self._site.seat("outside") if owner.in_turns else owner
            direct.group_add(self._group, channel)  # of the same process, but it waits for an answer
        seat.group_send(self._group, MARK)
        for owner, channel in own:
            assert owner.receive(channel) == MARK


@pytest.fixture
def settle(site: Any, name: str) -> Settle:
    return Settle(site, name)


class Members:
    """One of each kind: two consumers at the first and the last bridge, a client, channels of two processes."""

    def __init__(self, near: Seat, far: Seat, connect: Callable[..., Client]) -> None:
        self.clients = [connect(bridge=0), connect(bridge=-1), connect(bridge=-1)]
        self.own = [(near, near.new_channel()), (far, far.new_channel())]
        self._consumers = [client.consumer for client in self.clients[:2]]
        self.reply = self.clients[2].reply
        self.channels = [*self._consumers, self.reply, *(channel for _, channel in self.own)]

    def heard(self) -> list[Any]:
        """Give the next message of each member."""
        messages: list[Any] = [client.hear_message() for client in self.clients[:2]]
        return [*messages, self.clients[2].hear(), *(owner.receive(channel) for owner, channel in self.own)]

    def say(self, seat: Seat, group: str, text: str, exclude: Sequence[str] = ()) -> None:
        """Send one message that suits consumers and channels, and one that suits clients."""
        rest = [channel for channel in self.channels if channel != self.reply]
        seat.send_group(group, {"type": "heard", "text": text}, [self.reply, *exclude])
        seat.send_group(group, {"type": "websocket.send", "text": text}, [*rest, *exclude])

    def check_nothing_else(self, seat: Seat, settle: Settle) -> None:
        """See that nothing is on its way to any of them but this."""
        settle(seat, *self.own)
        for channel in self._consumers:
            seat.send(channel, MARK)
        seat.send(self.reply, {"type": "websocket.send", "text": "mark"})
        assert [client.hear_message() for client in self.clients[:2]] == [MARK] * 2
        assert self.clients[2].hear() == "mark"


def all_heard(text: str) -> list[Any]:
    message = {"type": "heard", "text": text}
    return [message, message, text, message, message]


@pytest.fixture
def members(near: Seat, far: Seat, connect: Callable[..., Client]) -> Members:
    return Members(near, far, connect)


@every
def test_a_group_of_own_channels(near: Seat, far: Seat, name: str, settle: Settle) -> None:
    here, there = near.new_channel(), far.new_channel()
    near.group_add(name, here)
    far.group_add(name, there)
    settle(near, (near, here))
    for sender in (near, far):
        sender.group_send(name, HELLO)
        assert (near.receive(here), far.receive(there)) == (HELLO, HELLO)
    near.group_discard(name, here)
    settle(near, (near, here))
    for sender in (near, far):
        sender.group_send(name, HELLO)
        assert far.receive(there) == HELLO
        settle(sender, (near, here), (far, there))


@bridged
@pytest.mark.parametrize("adder", ["near", "far"])
def test_all_kinds_of_members_are_told(
    near: Seat, far: Seat, members: Members, name: str, settle: Settle, adder: str
) -> None:
    """Whoever has added them, whoever sends."""
    adding = far if adder == "far" else near
    for channel in members.channels:
        adding.group_add(name, channel)
    members.check_nothing_else(adding, settle)
    for sender in (near, far):
        members.say(sender, name, "hello")
        assert members.heard() == all_heard("hello")
        members.check_nothing_else(sender, settle)


@bridged
@pytest.mark.parametrize("adder", ["near", "far"])
def test_who_was_discarded_hears_nothing(
    near: Seat, far: Seat, members: Members, name: str, settle: Settle, adder: str
) -> None:
    """And one discard is enough, however often a channel was added: it was one member."""
    adding, other = (far, near) if adder == "far" else (near, far)
    for seat in (near, far, near):
        for channel in members.channels:
            seat.group_add(name, channel)
        members.check_nothing_else(seat, settle)
    members.say(other, name, "once")
    assert members.heard() == all_heard("once")
    members.check_nothing_else(other, settle)
    for channel in members.channels:
        adding.group_discard(name, channel)
    members.check_nothing_else(adding, settle)
    for sender in (near, far):
        members.say(sender, name, "nobody hears it")
        members.check_nothing_else(sender, settle)


@bridged
def test_who_is_excluded_hears_nothing(near: Seat, far: Seat, members: Members, name: str, settle: Settle) -> None:
    for channel in members.channels:
        near.group_add(name, channel)
    members.check_nothing_else(near, settle)
    for sender in (near, far):
        members.say(sender, name, "nobody hears it", exclude=members.channels)
        members.check_nothing_else(sender, settle)
        for number in range(5):
            others = members.channels[:number] + members.channels[number + 1 :]
            members.say(sender, name, "hello", exclude=others)
        assert members.heard() == all_heard("hello")
        members.check_nothing_else(sender, settle)


@every
def test_groups_are_kept_apart(near: Seat, far: Seat, name: str, settle: Settle) -> None:
    channels = {f"{name}.a": near.new_channel(), f"{name}.b": near.new_channel()}
    own = [(near, channel) for channel in channels.values()]
    for group, channel in channels.items():
        near.group_add(group, channel)
    settle(near, *own)
    for group in channels:
        far.group_send(group, {"type": "heard", "text": group})
    for group, channel in channels.items():
        assert near.receive(channel) == {"type": "heard", "text": group}
    settle(far, *own)


@every
def test_one_channel_in_many_groups(near: Seat, far: Seat, name: str, settle: Settle) -> None:
    channel = near.new_channel()
    groups = [f"{name}.{number}" for number in range(20)]
    for group in groups:
        near.group_add(group, channel)
    settle(near, (near, channel))
    for group in groups:
        far.group_send(group, {"type": "heard", "text": group})
    assert [message["text"] for message in near.take(channel, 20)] == groups


@every
def test_what_is_nobodys_is_no_error(near: Seat, far: Seat, name: str) -> None:
    near.group_send(name, HELLO)
    near.group_discard(name, far.new_channel())
    near.group_discard(name, near.new_channel())


@bridged
def test_group_sends_keep_their_order(near: Seat, far: Seat, name: str) -> None:
    channel = far.new_channel()
    far.group_add(name, channel)
    near.do("each", "group_send", *[(name, {"type": "heard", "n": number}) for number in range(300)])
    assert [message["n"] for message in far.take(channel, 300)] == list(range(300))


@made()
def test_a_full_member_misses_what_does_not_fit(make: Callable[..., Seat], name: str) -> None:
    layer = make(capacity=2)
    channels = [layer.new_channel(), layer.new_channel()]
    for channel in channels:
        layer.group_add(name, channel)
    for number in range(3):
        layer.group_send(name, {"type": "heard", "n": number})
        layer.receive(channels[0])
    layer.do("take", channels[1], 2)
    layer.send(channels[1], LAST)
    assert layer.receive(channels[1]) == LAST


@out_of_turns
def test_a_client_that_has_left(near: Seat, site: Any, connect: Callable[..., Client], name: str) -> None:
    """What is sent to it is counted; who wants to know is told."""
    client = connect()
    for channel in (client.consumer, client.reply):
        near.group_add(name, channel)
    near.send(client.consumer, HELLO, require=True)
    assert client.hear_message() == HELLO
    client.close()
    before = site.counted("unknown")
    near.send(client.consumer, HELLO)
    near.group_send(name, HELLO)
    assert site.counted("unknown") == before + 1
    for channel in (client.consumer, client.reply):
        with pytest.raises(ChannelUnknown, match=channel):
            near.send(channel, HELLO, require=True)


@bridged
def test_in_a_turn_it_can_be_required_as_well(near: Seat, far: Seat, connect: Callable[..., Client]) -> None:
    client = connect()
    client.close()
    for channel in (client.consumer, client.reply):
        with pytest.raises(ChannelUnknown, match=channel):
            near.send(channel, HELLO, require=True)
    channel = far.new_channel()
    near.send(channel, HELLO, require=True)
    assert far.receive(channel) == HELLO


@bridged
def test_a_named_channel_keeps_what_is_required_for_whoever_will_listen(near: Seat, far: Seat, name: str) -> None:
    near.send(name, HELLO, require=True)
    assert far.receive(name) == HELLO


@few
def test_a_process_that_has_ended(near: Seat, site: Any, name: str) -> None:
    ended = RemoteSeat(site.urls)
    channel = ended.new_channel()
    ended.group_add(name, channel)
    near.send(channel, HELLO, require=True)
    ended.kill()

    def unknown() -> bool:
        try:
            near.send(channel, HELLO, require=True)
        except ChannelUnknown:
            return True
        return False

    until(unknown)
    near.send(channel, HELLO)
    near.group_send(name, HELLO)


@made(memory=False)
def test_a_layer_that_was_closed(make: Callable[..., Seat], site: Any, name: str) -> None:
    layer, other = make(), site.seat("sync")
    channel = layer.new_channel()
    layer.group_add(name, channel)
    other.send(channel, HELLO, require=True)
    layer.close()
    with pytest.raises(ChannelUnknown, match=channel):
        other.send(channel, HELLO, require=True)
    other.group_send(name, HELLO)


@made()
def test_flush_forgets_all(make: Callable[..., Seat], name: str) -> None:
    layer = make()
    channel = layer.new_channel()
    layer.group_add(name, channel)
    layer.send(channel, HELLO)
    layer.do("flush")
    layer.group_send(name, HELLO)
    fresh = layer.new_channel()
    layer.group_add(name, fresh)
    layer.group_send(name, LAST)
    assert layer.receive(fresh) == LAST
