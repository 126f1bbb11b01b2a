"""Consumers as classes: one instance per message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import AnonymousUser

from channels1_project.recorder import Recorder, recording
from channels_bridge.worker.legacy.generic import BaseConsumer
from channels_bridge.worker.legacy.routing import Router, route_class

pytestmark = pytest.mark.usefixtures("empty_tables")


@pytest.fixture
def layer() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


class Chat(BaseConsumer):
    """Keeps what its methods were called with."""

    method_mapping: ClassVar[dict[str, str]] = {"chat.receive": "said", "chat.leave": "left"}
    greeting = "hello"
    seen: Any = None

    def said(self, message: Any, **kwargs: Any) -> None:
        self.seen = ("said", message, kwargs)

    def left(self, message: Any, **kwargs: Any) -> None:
        self.seen = ("left", message, kwargs)


def test_making_one_is_to_let_it_consume(layer: Recorder) -> None:
    message = layer.message("chat.receive", None, text="x")
    made = Chat(message, room="lobby")
    assert made.seen == ("said", message, {"room": "lobby"})
    assert made.message is message
    assert made.kwargs == {"room": "lobby"}
    assert Chat(layer.message("chat.leave", None)).seen[0] == "left"


def test_it_says_which_channels_it_is_for(layer: Recorder) -> None:
    assert Chat.channel_names() == {"chat.receive", "chat.leave"}
    with pytest.raises(KeyError, match=r"chat\.other"):
        Chat(layer.message("chat.other", None))


def test_it_is_routed_as_a_class(layer: Recorder) -> None:
    for route in (route_class(Chat, room="^(?P<room>[a-z]+)$"), Chat.as_route(room="^(?P<room>[a-z]+)$")):
        match = Router([route]).match(layer.message("chat.leave", None, room="lobby"))
        assert match == (Chat, {"room": "lobby"})


def test_a_route_may_change_attributes() -> None:
    route = Chat.as_route(attrs={"greeting": "moin"}, room="lobby")
    consumer: Any = route.consumer
    assert issubclass(consumer, Chat)
    assert (consumer.__name__, consumer.__module__, consumer.greeting, Chat.greeting) == (
        "Chat", Chat.__module__, "moin", "hello",
    )  # fmt: skip
    assert route.channel_names() == Chat.channel_names()


def test_flags_give_its_methods_a_session_and_a_user(layer: Recorder) -> None:
    plain = Chat(layer.message("chat.receive", "reply.a!1"))
    assert not hasattr(plain.message, "channel_session")

    class WithSession(Chat):
        channel_session = True

    class WithUser(Chat):
        channel_session_user = True

        def said(self, message: Any, **kwargs: Any) -> None:
            message.channel_session["count"] = message.channel_session.get("count", 0) + 1

    assert not hasattr(WithSession(layer.message("chat.receive", "reply.a!1")).message, "user")
    for count in (1, 2):
        made = WithUser(layer.message("chat.receive", "reply.a!1"))
        assert isinstance(made.message.user, AnonymousUser)
        assert made.message.channel_session["count"] == count
    assert WithSession(layer.message("chat.receive", "reply.a!1")).message.channel_session["count"] == 2


def test_it_is_ordered_unless_it_says_no() -> None:
    """A host looks at this attribute of what is routed."""
    assert BaseConsumer.ordered is True
    assert Chat.as_route(attrs={"ordered": False}).consumer.ordered is False  # type: ignore[attr-defined]
