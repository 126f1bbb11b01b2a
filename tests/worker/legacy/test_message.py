"""Messages, and what is kept until a consumer ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from channels_bridge.worker.legacy.channel import Channel
from channels_bridge.worker.legacy.memory import ChannelLayer
from channels_bridge.worker.legacy.message import Message, PendingMessageStore, deliver, pending_message_store
from channels_bridge.worker.legacy.signals import consumer_finished, consumer_started


@pytest.fixture
def layer() -> ChannelLayer:
    """Give a layer."""
    return ChannelLayer()


def test_it_is_a_dict_with_a_few_attributes(layer: ChannelLayer) -> None:
    content: dict[str, Any] = {"text": "a", "reply_channel": "reply!1"}
    message = Message(content, "websocket.receive", layer)
    assert message.content is content
    assert message.channel_layer is layer
    assert isinstance(message.channel, Channel)
    assert (message.channel.name, message.channel.channel_layer) == ("websocket.receive", layer)
    assert isinstance(message.reply_channel, Channel)
    assert message.reply_channel.name == "reply!1"
    message["more"] = 1
    assert (message["text"], message["more"], content["more"]) == ("a", 1, 1)
    assert "more" in message
    assert "less" not in message
    assert (message.get("less"), message.get("less", 2)) == (None, 2)
    assert list(message.keys()) == list(content)
    assert list(message.values()) == list(content.values())
    assert list(message.items()) == list(content.items())


@pytest.mark.parametrize("content", [{}, {"reply_channel": ""}, {"reply_channel": None}])
def test_without_a_reply_channel(layer: ChannelLayer, content: dict[str, Any]) -> None:
    assert Message(content, "a", layer).reply_channel is None


def test_what_a_dict_can_do_beyond_that_it_cannot(layer: ChannelLayer) -> None:
    message: Any = Message({"a": 1}, "a", layer)
    with pytest.raises((AttributeError, TypeError)):
        del message["a"]
    with pytest.raises(TypeError):
        len(message)


def test_a_copy_has_a_content_of_its_own_and_nothing_of_decorators(layer: ChannelLayer) -> None:
    class Mine(Message):
        pass

    message: Any = Mine({"a": [1]}, "b", layer)
    message.user = "somebody"
    copy = message.copy()
    copy["a"].append(2)
    assert message.content == {"a": [1]}
    assert (type(copy), copy.channel.name, copy.channel_layer) == (Mine, "b", layer)
    assert not hasattr(copy, "user")


# -- what is kept ----------------------------------------------------------------------------------------------


@pytest.fixture
def sent() -> Iterator[list[str]]:
    """Give a list for what is sent; nothing is kept when the test is over."""
    yield []
    pending_message_store.send_and_flush()


def test_between_the_signals_it_is_kept_in_order(sent: list[str]) -> None:
    assert not pending_message_store.active
    consumer_started.send(sender=None, environ={})
    assert pending_message_store.active
    for name in "abc":
        pending_message_store.append(sent.append, name)
    assert sent == []
    consumer_finished.send(sender=None)
    assert sent == ["a", "b", "c"]
    assert not pending_message_store.active
    consumer_finished.send(sender=None)
    assert sent == ["a", "b", "c"]


def test_outside_of_a_consumer_there_is_nothing_to_keep() -> None:
    with pytest.raises(RuntimeError, match="outside of a consumer"):
        PendingMessageStore().append(print, "a")


def test_what_cannot_be_sent_is_logged_and_the_rest_is_sent(sent: list[str], caplog: pytest.LogCaptureFixture) -> None:
    def fail(name: str) -> None:
        raise RuntimeError(f"{name} is full")

    pending_message_store.prepare()
    pending_message_store.append(fail, "a")
    pending_message_store.append(sent.append, "b")
    pending_message_store.send_and_flush()
    assert sent == ["b"]
    assert "What a consumer has sent to a was dropped" in caplog.text
    assert "RuntimeError: a is full" in caplog.text
    deliver(lambda: 1 / 0)
    assert "What a consumer has sent to a channel was dropped" in caplog.text


def test_who_sends_can_see_that_it_was_kept() -> None:
    seen: list[bool] = []
    pending_message_store.prepare()
    pending_message_store.append(lambda: seen.append(pending_message_store.is_flushing))
    pending_message_store.send_and_flush()
    assert seen == [True]
    assert not pending_message_store.is_flushing


def test_other_threads_of_a_consumer_send_at_once() -> None:
    seen: list[bool] = []
    pending_message_store.prepare()
    thread = threading.Thread(target=lambda: seen.append(pending_message_store.active))
    thread.start()
    thread.join()
    assert pending_message_store.active
    assert seen == [False]
    pending_message_store.send_and_flush()
