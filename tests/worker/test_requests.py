"""Messages that want an answer."""

from __future__ import annotations

from typing import Any

import pytest

from channels_bridge.shared.errors import LocalProtocolError
from channels_bridge.worker.requests import Request, Requests, SyncRequest, wanting_reply

pytestmark = pytest.mark.anyio


class Sent:
    """A layer as far as a request uses it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def send(self, channel: str, message: Any) -> None:
        self.sent.append((channel, message))


class AsyncSent(Sent):
    async def send(self, channel: str, message: Any) -> None:  # type: ignore[override]
        super().send(channel, message)


def test_the_answers_channel_travels_in_the_message() -> None:
    message = {"type": "job", "n": 1}
    assert wanting_reply(message, "here") == {"type": "job", "n": 1, "reply_channel": "here"}
    assert message == {"type": "job", "n": 1}


@pytest.mark.parametrize("wrong", [{"type": "job", "reply_channel": "mine"}, None, "text"])
def test_what_cannot_be_a_request_is_said(wrong: Any) -> None:
    with pytest.raises(LocalProtocolError, match="'reply_channel'"):
        wanting_reply(wrong, "here")


async def test_who_listens_answers_to_there() -> None:
    layer: Any = AsyncSent()
    request = Request(layer, "jobs", {"type": "job", "reply_channel": "here"})
    assert (request.channel, request.message, request.wants_reply) == ("jobs", {"type": "job"}, True)
    await request.reply({"type": "done"})
    assert layer.sent == [("here", {"type": "done"})]


@pytest.mark.parametrize("nothing", [{}, {"reply_channel": ""}, {"reply_channel": 5}])
async def test_where_no_answer_is_wanted_none_is_sent(nothing: dict[str, Any]) -> None:
    layer: Any = AsyncSent()
    request = Request(layer, "jobs", {"type": "job", **nothing})
    assert not request.wants_reply
    await request.reply({"type": "done"})
    assert layer.sent == []


class Received:
    """A layer on which one message after the other comes."""

    def __init__(self) -> None:
        self.count = 0

    async def receive(self, channel: str) -> dict[str, Any]:
        self.count += 1
        return {"type": channel, "n": self.count}


async def test_a_loop_over_requests_may_be_left_at_any_time() -> None:
    """On trio a generator that is left so would be a warning."""
    layer: Any = Received()
    got: list[int] = []
    for _ in range(2):
        async for request in Requests(layer, "jobs"):
            got.append(request.message["n"])
            if len(got) % 2 == 0:
                break
    assert got == [1, 2, 3, 4]


def test_the_same_without_awaiting() -> None:
    layer: Any = Sent()
    SyncRequest(layer, "jobs", {"type": "job", "reply_channel": "here"}).reply({"type": "done"})
    SyncRequest(layer, "jobs", {"type": "job"}).reply({"type": "done"})
    assert layer.sent == [("here", {"type": "done"})]
