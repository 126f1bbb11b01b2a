"""What is sent arrives where it was sent to, nowhere else, and in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from layers.cases import bridged, every
from layers.seats import Seat
from layers.site import Client

MESSAGES = {"one-asyncio": 1000, "one-main-trio": 1000, "two-sync": 1000, "one-turn": 1000}
FEWER = 200  # from the other seats
OTHERS = ("asyncio", "trio", "sync", "outside", "outside-sync", "asgi")


def numbered(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"type": "heard", "n": number, **more} for number in range(count)]


@every
def test_to_a_channel_of_this_layer(near: Seat) -> None:
    channel = near.new_channel()
    near.send(channel, {"type": "heard", "text": "here"})
    assert near.receive(channel) == {"type": "heard", "text": "here"}


@every
def test_to_and_from_a_channel_of_another_process(near: Seat, far: Seat) -> None:
    there, here = far.new_channel(), near.new_channel()
    near.send(there, {"type": "heard", "text": "ping"})
    assert far.receive(there) == {"type": "heard", "text": "ping"}
    far.send(here, {"type": "heard", "text": "pong"})
    assert near.receive(here) == {"type": "heard", "text": "pong"}


@bridged
def test_between_loops_and_threads_of_one_process(near: Seat, site: Any) -> None:
    for other in OTHERS:
        there = site.seat(other)
        mine, others = near.new_channel(), there.new_channel()
        assert mine != others
        near.send(others, {"type": "heard", "text": f"ping {other}"})
        assert there.receive(others) == {"type": "heard", "text": f"ping {other}"}
        there.send(mine, {"type": "heard", "text": f"pong {other}"})
        assert near.receive(mine) == {"type": "heard", "text": f"pong {other}"}


@every
def test_a_receive_that_waits_is_given_what_comes(near: Seat, far: Seat) -> None:
    channel = near.new_channel()
    received = near.start("receive", channel)
    far.send(channel, {"type": "heard"})
    assert received.result(10) == {"type": "heard"}


@every
def test_from_a_named_channel(near: Seat, far: Seat, name: str) -> None:
    """Whether the message was there first, or who takes it."""
    far.send(name, {"type": "heard", "n": 1})
    assert near.receive(name) == {"type": "heard", "n": 1}
    received = near.start("receive", name)
    far.send(name, {"type": "heard", "n": 2})
    assert received.result(10) == {"type": "heard", "n": 2}


@every
def test_to_a_named_channel(near: Seat, far: Seat, name: str) -> None:
    near.send(name, {"type": "heard", "n": 1})
    assert far.receive(name) == {"type": "heard", "n": 1}
    received = far.start("receive", name)
    near.send(name, {"type": "heard", "n": 2})
    assert received.result(10) == {"type": "heard", "n": 2}


@bridged
def test_to_a_consumer(near: Seat, connect: Callable[..., Client]) -> None:
    for client in (connect(bridge=0), connect(bridge=-1)):
        near.send(client.consumer, {"type": "heard", "text": "consumer"})
        assert client.hear_message() == {"type": "heard", "text": "consumer"}


@bridged
def test_to_a_client_past_its_consumer(near: Seat, connect: Callable[..., Client]) -> None:
    for client in (connect(bridge=0), connect(bridge=-1)):
        near.send(client.reply, {"type": "websocket.send", "text": "client"})
        assert client.hear() == "client"
        near.send(client.reply, {"type": "websocket.send", "bytes": b"\x00\xff"})
        assert client.hear() == b"\x00\xff"


@every
def test_each_channel_has_its_own(near: Seat, far: Seat) -> None:
    channels = [near.new_channel() for _ in range(3)] + [near.new_channel("specific.other")]
    assert len(set(channels)) == 4
    for number, channel in enumerate(channels):
        far.send(channel, {"type": "heard", "n": number})
    assert [near.receive(channel)["n"] for channel in reversed(channels)] == [3, 2, 1, 0]


@bridged
def test_a_channel_is_named_as_asked(near: Seat) -> None:
    assert near.new_channel().startswith("specific.")
    assert near.new_channel("replies").startswith("replies.")


@every
def test_own_channels_keep_the_order(near: Seat, far: Seat, request: pytest.FixtureRequest) -> None:
    messages = numbered(MESSAGES.get(request.node.callspec.id, FEWER))
    sent: list[Future[Any]] = []
    for sender, receiver in ((near, far), (far, near)):
        channel = receiver.new_channel()
        sent.append(sender.start("each", "send", *[(channel, message) for message in messages]))
        assert receiver.take(channel, len(messages)) == messages
    for future in sent:
        future.result(10)


@every
def test_named_channels_keep_the_order_of_a_sender(near: Seat, far: Seat, name: str) -> None:
    sent = [near.start("each", "send", *[(name, message) for message in numbered(50, by="near")])]
    sent.append(far.start("each", "send", *[(name, message) for message in numbered(50, by="far")]))
    received = near.take(name, 100)
    for sender in ("near", "far"):
        assert [m for m in received if m["by"] == sender] == numbered(50, by=sender)
    for future in sent:
        future.result(10)
