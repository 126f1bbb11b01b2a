"""The test cases, the client, and routes for a test."""

from __future__ import annotations

import io
import unittest
from typing import Any

import pytest
from django.db import connection
from django.test import SimpleTestCase, TestCase, TransactionTestCase, override_settings

from channels1_project.models import Counter
from channels_bridge.worker.legacy import test as public
from channels_bridge.worker.legacy.asgi import channel_layers
from channels_bridge.worker.legacy.channel import Channel, Group
from channels_bridge.worker.legacy.exceptions import ConsumeLater, DenyConnection, WebsocketCloseException
from channels_bridge.worker.legacy.memory import ChannelLayer
from channels_bridge.worker.legacy.message import Message, pending_message_store
from channels_bridge.worker.legacy.routing import include, route
from channels_bridge.worker.legacy.signals import consumer_finished
from channels_bridge.worker.legacy.test.base import (
    ChannelTestCase,
    ChannelTestCaseMixin,
    Client,
    TransactionChannelTestCase,
    apply_routes,
)


def outcome(case: type[unittest.TestCase]) -> unittest.TestResult:
    """Run the tests of a class."""
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    return unittest.TextTestRunner(stream=io.StringIO()).run(suite)


def succeed(case: type[unittest.TestCase], count: int = 1) -> None:
    """Run them, and see that so many have passed."""
    result = outcome(case)
    problems = [text for _, text in [*result.errors, *result.failures]]
    assert not problems, problems[0]
    assert result.testsRun == count


def echo(message: Any, **arguments: str) -> str:
    """Be a consumer."""
    message.reply_channel.send({"text": f"{message.get('text')} {arguments}"})
    return "returned"


def other(message: Any) -> None:
    """Be another one."""


def test_the_names_are_those_of_channels_1() -> None:
    assert set(public.__all__) == {
        "ChannelLiveServerTestCase", "ChannelTestCase", "Client", "HttpClient", "TransactionChannelTestCase",
        "WSClient", "apply_routes",
    }  # fmt: skip
    assert issubclass(ChannelTestCase, TestCase)
    assert issubclass(TransactionChannelTestCase, TransactionTestCase)
    assert ChannelTestCaseMixin.test_channel_aliases == ["default"]


# -- test cases ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [ChannelTestCase, TransactionChannelTestCase])
def test_each_test_has_a_layer_of_its_own(base: Any) -> None:
    before = channel_layers["default"]
    seen: list[Any] = []

    class Case(base):
        def setUp(self) -> None:
            seen.append(channel_layers["default"])
            assert self.get_next_message("a") is None

        def test_one(self) -> None:
            Channel("a").send({"n": 1})
            Channel("a").send({"n": 2})
            message = self.get_next_message("a", require=True)
            assert isinstance(message, Message)
            assert (message.content, message.channel.name) == ({"n": 1}, "a")
            assert message.channel_layer is channel_layers["default"]
            assert self.get_next_message("a", "default")["n"] == 2
            Counter.objects.create(name="of this test")

        test_two = test_one

        def test_nothing_is_left_by_others(self) -> None:
            assert not Counter.objects.exists()
            with pytest.raises(AssertionError, match="expected a message on the channel a, and there is none"):
                self.get_next_message("a", require=True)

    succeed(Case, 3)
    assert len({*seen, before}) == 4
    assert all(isinstance(layer.channel_layer, ChannelLayer) for layer in seen)
    assert channel_layers["default"] is before


def test_it_is_there_outside_of_a_result_as_well() -> None:
    before = channel_layers["default"]

    class Case(ChannelTestCase):
        def test(self) -> None:
            assert channel_layers["default"] is not before

    Case("test").debug()
    assert channel_layers["default"] is before


def test_which_layers_are_replaced_can_be_said() -> None:
    backend = {"BACKEND": "channels_bridge.worker.legacy.ChannelLayer", "ROUTING": [route("a", echo)]}

    class Case(ChannelTestCaseMixin, SimpleTestCase):
        test_channel_aliases = ["one", "two"]  # noqa: RUF012 - as projects write it

        def test(self) -> None:
            Channel("a", "one").send({"n": 1})
            assert self.get_next_message("a", alias="two") is None
            assert self.get_next_message("a", alias="one") is not None
            assert Client("two").get_consumer_by_channel("a") is echo

    with override_settings(CHANNEL_LAYERS={"one": backend, "two": backend}):
        succeed(Case)
        assert "one" not in channel_layers.backends


# -- the client ------------------------------------------------------------------------------------------------------

ROUTES = [
    route("a", echo),
    route("filtered", echo, path=r"/(?P<name>\w+)"),
    route("close", lambda message: _raise(WebsocketCloseException(4000))),
    route("deny", lambda message: _raise(DenyConnection())),
    route("later", lambda message: _raise(ConsumeLater())),
    route("fail", lambda message: _raise(KeyError("failed"))),
]


def _raise(error: Exception) -> None:
    Channel("sent.before").send({"n": 1})
    raise error


class TestClient(ChannelTestCase):
    """Its methods."""

    def setUp(self) -> None:
        routes = apply_routes(ROUTES)
        routes.enter()
        self.addCleanup(routes.exit)
        self.bot = Client()

    def test_its_reply_channel_is_its_own(self) -> None:
        assert self.bot.reply_channel != Client().reply_channel
        assert self.bot.reply_channel.startswith("default")
        assert self.bot.channel_layer is channel_layers["default"]

    def test_messages_and_answers(self) -> None:
        self.bot.send("a", {"text": "hello"})
        assert self.bot.receive() is None
        assert self.bot.consume("a") == "returned"
        assert self.bot.receive() == {"text": "hello {}"}
        assert self.bot.receive() is None
        assert self.bot.send_and_consume("a") == "returned"
        message = self.bot.get_next_message(self.bot.reply_channel)
        assert message is not None
        assert message["text"] == "None {}"
        content = {"path": "/blue"}
        assert self.bot.send_and_consume("filtered", content) == "returned"
        assert content == {"path": "/blue"}
        assert self.bot.receive() == {"text": "None {'name': 'blue'}"}
        self.bot.send_and_consume("a", {"reply_channel": "elsewhere"})
        assert self.bot.receive() is None

    def test_where_there_is_nothing(self) -> None:
        with pytest.raises(AssertionError, match="there is no message on the channel a"):
            self.bot.consume("a")
        assert self.bot.consume("a", fail_on_none=False) is None
        with pytest.raises(AssertionError, match=r"no route is for this message on the channel unrouted: .*'n': 1"):
            self.bot.send_and_consume("unrouted", {"n": 1})

    def test_consumers_can_be_found(self) -> None:
        assert self.bot.get_consumer_by_channel("a") is echo
        assert self.bot.get_consumer_by_channel("unrouted") is None

    def test_groups(self) -> None:
        self.bot.join_group("g")
        Group("g").send({"n": 1})
        assert self.bot.receive() == {"n": 1}

    def test_sockets_are_closed(self) -> None:
        assert self.bot.send_and_consume("close") is None
        assert self.bot.receive() == {"close": 4000}
        assert self.get_next_message("sent.before") is not None

    def test_errors_reach_the_test_and_what_was_sent_is_sent(self) -> None:
        for channel, error in (("deny", DenyConnection), ("later", ConsumeLater), ("fail", KeyError)):
            with pytest.raises(error):
                self.bot.send_and_consume(channel)
            assert self.get_next_message("sent.before") is not None
            assert not pending_message_store.active


# -- routes ----------------------------------------------------------------------------------------------------------


def found(channel: str, **content: Any) -> Any:
    """Find the consumer of a message."""
    layer = channel_layers["default"]
    match = layer.router.match(Message(content, channel, layer))
    return None if match is None else match[0]


@pytest.mark.parametrize(
    "routes",
    [
        [route("b", other)], (route("b", other),), route("b", other), [[route("b", other)]],
        include([route("b", other)]), {"b": other}, f"{__name__}.OTHERS",
    ],
)  # fmt: skip
def test_routes_in_a_block(routes: Any) -> None:
    assert found("b") is None
    with apply_routes(routes):
        assert found("b") is other
        assert found("a") is None
    assert found("b") is None


OTHERS = [route("b", other)]


def test_blocks_in_blocks() -> None:
    outer = apply_routes(OTHERS, aliases=["default"])
    with outer, apply_routes(ROUTES, "default"):
        assert (found("a"), found("b")) == (echo, None)
        with outer:
            assert (found("a"), found("b")) == (None, other)
        assert (found("a"), found("b")) == (echo, None)
    assert found("b") is None


def test_routes_for_a_function() -> None:
    @apply_routes(OTHERS)
    def named(value: int, *, more: int) -> tuple[Any, int, int]:
        return found("b"), value, more

    assert named.__name__ == "named"
    assert named(1, more=2) == (other, 1, 2)
    assert found("b") is None


def test_routes_for_a_class_and_others_for_one_of_its_tests() -> None:
    seen: list[str] = []

    @apply_routes(OTHERS)
    class Case(ChannelTestCase):
        def setUp(self) -> None:
            assert found("b") is other

        def tearDown(self) -> None:
            assert found("b") is other

        def test(self) -> None:
            seen.append("test")
            assert (found("a"), found("b")) == (None, other)

        @apply_routes(ROUTES)
        def test_with_others(self) -> None:
            seen.append("test_with_others")
            assert (found("a"), found("b")) == (echo, None)

    assert Case.__name__ == "Case"
    succeed(Case, 2)
    assert sorted(seen) == ["test", "test_with_others"]
    assert found("b") is None


def test_they_end_when_a_test_fails() -> None:
    with pytest.raises(KeyError), apply_routes(OTHERS):
        raise KeyError

    @apply_routes(OTHERS)
    class Case(ChannelTestCase):
        def setUp(self) -> None:
            raise KeyError

        def test(self) -> None:
            pass

    assert len(outcome(Case).errors) == 1
    assert found("b") is None


def test_a_consumer_leaves_the_connection_of_its_test_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a request, a worker closes what is not in autocommit; a test's transaction is not."""
    closed: list[None] = []
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: closed.append(None))

    class Case(ChannelTestCase):
        def test(self) -> None:
            with apply_routes([route("thing", echo)]):
                client = Client()
                client.send_and_consume("thing", {"reply_channel": client.reply_channel})
            assert closed == []
            consumer_finished.send(sender=None)
            assert len(closed) == 1

    succeed(Case)
