"""What consumers raise."""

from __future__ import annotations

from typing import Any

import pytest

from channels_bridge.worker.legacy import exceptions
from channels_bridge.worker.legacy.exceptions import ChannelSocketException, WebsocketCloseException
from channels_bridge.worker.legacy.memory import ChannelLayer
from channels_bridge.worker.legacy.message import Message


@pytest.mark.parametrize(
    "name",
    [
        "ConsumeLater", "ResponseLater", "RequestTimeout", "RequestAborted", "DenyConnection", "ChannelSocketException",
        "WebsocketCloseException", "SendNotAvailableOnDemultiplexer",
    ],
)  # fmt: skip
def test_each_can_be_raised_without_arguments(name: str) -> None:
    kind = getattr(exceptions, name)
    with pytest.raises(kind):
        raise kind


@pytest.mark.parametrize(("code", "sent"), [(None, True), (1000, 1000), (3000, 3000), (4999, 4999)])
def test_closing_a_socket_works_whatever_its_reply_channel_is_called(code: int | None, sent: object) -> None:
    layer = ChannelLayer()
    message = Message({"reply_channel": "daphne.response.a!b"}, "websocket.receive", layer)
    error = WebsocketCloseException(code)
    assert isinstance(error, ChannelSocketException)
    error.run(message)
    assert layer.receive(["daphne.response.a!"]) == ("daphne.response.a!b", {"close": sent})


@pytest.mark.parametrize("code", [0, 999, 1001, 2999, 5000, "1000", 1000.5, True, b"1000"])
def test_other_codes_are_refused_where_they_are_written(code: Any) -> None:
    with pytest.raises(ValueError, match="may close with 1000, or 3000 to 4999"):
        WebsocketCloseException(code)


def test_a_message_without_a_socket_cannot_close_one() -> None:
    with pytest.raises(ValueError, match=r"a message on chat\.receive has no socket to close"):
        WebsocketCloseException().run(Message({}, "chat.receive", ChannelLayer()))


def test_the_base_does_nothing() -> None:
    ChannelSocketException().run(Message({}, "chat.receive", ChannelLayer()))
