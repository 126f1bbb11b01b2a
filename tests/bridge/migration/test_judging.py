"""A full name -> what becomes of it."""

from __future__ import annotations

import pytest

from channels_bridge.bridge.migration.judging import UNKNOWN, is_below, is_channels1, is_known, judge
from channels_bridge.bridge.migration.others import LATER


@pytest.mark.parametrize(
    ("name", "known", "verdict"),
    [
        ("channels", "channels", "runs"),
        ("channels.Group", "channels.Group", "runs"),
        ("channels.generic.websockets", "channels.generic.websockets", "runs"),
        ("channels.tests.Client.send", "channels.tests.Client", "runs"),
        ("channels.worker.Worker", "channels.worker.Worker", "differs"),
        ("channels.RequeueMessage", "channels.RequeueMessage", "change"),
        ("channels.nosuch.Thing", "channels.nosuch", "change"),
        ("channels.log.setup_logger", "channels.log.setup_logger", "change"),
        ("channels.layers.get_channel_layer", "channels.layers.get_channel_layer", "change"),
        ("channels.routing.ProtocolTypeRouter", "channels.routing.ProtocolTypeRouter", "change"),
        ("asgi_redis", "asgi_redis", "runs"),
        ("asgi_redis.RedisChannelLayer", "asgi_redis.RedisChannelLayer", "differs"),
        ("asgi_redis.core.UnsupportedRedis", "asgi_redis.core.UnsupportedRedis", "change"),
        ("asgiref.inmemory.ChannelLayer", "asgiref.inmemory.ChannelLayer", "runs"),
        ("asgiref.conformance.ConformanceTestCase", "asgiref.conformance.ConformanceTestCase", "change"),
        ("daphne.server.Server", "daphne.server.Server", "change"),
        ("django.utils.six.moves", "django.utils.six", "change"),
    ],
)
def test_names(name: str, known: str, verdict: str) -> None:
    found = judge(name)
    assert found is not None
    assert (found[0], found[1].verdict) == (known, verdict)


@pytest.mark.parametrize(
    "name", ["asgiref.sync.async_to_sync", "django.db.models", "json", "channelsx.Group", "asgi_redisx"]
)
def test_what_is_not_told_of(name: str) -> None:
    assert judge(name) is None


def test_three_kinds_of_names_in_channels() -> None:
    names = ("channels.Group", "channels.Nothing", "channels.consumer.SyncConsumer")
    rules = [found[1] for found in map(judge, names) if found]
    assert rules[1:] == [UNKNOWN, LATER]
    assert [is_channels1(name) for name in names] == [True, False, False]
    assert [is_known(name) for name in names] == [True, False, True]
    assert not is_channels1("django.utils.six")


def test_below() -> None:
    assert is_below("a.b", "a")
    assert is_below("a", "a")
    assert not is_below("ab", "a")
