"""A delayed message is sent and deleted, or neither."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone

from channels_bridge.shared.errors import BridgeUnavailable
from channels_bridge.worker.legacy.delay.models import DelayedMessage
from channels_bridge.worker.legacy.memory import ChannelLayer
from channels_bridge.worker.legacy.message import pending_message_store

pytestmark = pytest.mark.usefixtures("empty_tables")


def delayed(content: Any = None, delay: float = 0, channel: str = "mail") -> DelayedMessage:
    message = DelayedMessage(channel_name=channel, content=json.dumps(content or {"a": 1}))
    message.delay = delay
    message.save()
    return message


def test_the_table_is_that_of_channels_1() -> None:
    meta: Any = apps.get_model("channels_delay", "DelayedMessage")._meta
    assert (meta.db_table, meta.app_label) == ("channels.delay_delayedmessage", "channels_delay")
    assert {field.column for field in meta.fields} == {"id", "due_date", "channel_name", "content"}


def test_a_delay_is_counted_from_now() -> None:
    message = DelayedMessage(channel_name="mail")
    message.delay = 5000
    assert timedelta(seconds=4) < message.due_date - timezone.now() <= timedelta(seconds=5)
    assert 4000 < message.delay <= 5000
    assert str(message).startswith("for mail at 20")


def test_which_are_due() -> None:
    delayed(delay=60_000)
    due = delayed(delay=-1)
    assert list(DelayedMessage.objects.is_due()) == [due]


def test_it_is_sent_and_gone() -> None:
    layer = ChannelLayer()
    delayed({"text": "é", "n": [1, None]}).send(layer)
    assert layer.receive(["mail"]) == ("mail", {"text": "é", "n": [1, None]})
    assert DelayedMessage.objects.count() == 0


def test_it_is_sent_at_once_within_a_consumer() -> None:
    layer = ChannelLayer()
    pending_message_store.prepare()
    try:
        delayed().send(layer)
        assert layer.receive(["mail"]) == ("mail", {"a": 1})
    finally:
        pending_message_store.send_and_flush()


def test_what_another_process_has_sent_is_not_sent_again() -> None:
    layer, message = ChannelLayer(), delayed()
    DelayedMessage.objects.get(pk=message.pk).send(layer)
    message.send(layer)
    assert layer.receive(["mail"])[0] == "mail"
    assert layer.receive(["mail"])[0] is None


def test_it_is_due_again_if_its_channel_is_full() -> None:
    layer = ChannelLayer(capacity=1)
    layer.send("mail", {})
    message = delayed()
    message.send(layer, requeue_delay=5000)
    kept = DelayedMessage.objects.get(pk=message.pk)
    assert 4000 < kept.delay <= 5000
    assert not DelayedMessage.objects.is_due().exists()
    message.send(layer)
    assert DelayedMessage.objects.get(pk=message.pk).delay <= 1000


def test_it_is_kept_if_it_cannot_be_sent() -> None:
    class Away(ChannelLayer):
        def send(self, channel: str, message: Any) -> None:
            raise BridgeUnavailable("nobody")

    message = delayed()
    with pytest.raises(BridgeUnavailable):
        message.send(Away())
    assert DelayedMessage.objects.get() == message
