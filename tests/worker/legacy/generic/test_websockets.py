"""WebSockets as classes, and several consumers behind one socket."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore

from channels1_project.recorder import SOCKET, Recorder, recording
from channels_bridge.worker.legacy.channel import Channel
from channels_bridge.worker.legacy.exceptions import SendNotAvailableOnDemultiplexer
from channels_bridge.worker.legacy.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)

pytestmark = pytest.mark.usefixtures("empty_tables")

OTHER = "reply.00000000000000aa!2"
DAY = dt.date(2017, 11, 29)


@pytest.fixture
def layer() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


class Echo(WebsocketConsumer):
    """Sends back what it is sent, in all ways."""

    def connection_groups(self, **kwargs: Any) -> list[str]:
        return ["all", *kwargs.values()]

    def receive(self, text: Any = None, bytes: Any = None, **kwargs: Any) -> None:
        self.send(text, bytes)


class Keeping(WebsocketConsumer):
    """Keeps what its messages had."""

    seen: Any = None

    def connect(self, message: Any, **kwargs: Any) -> None:
        self.seen = message.user, message.channel_session, getattr(message, "http_session", "none")

    def receive(self, *args: Any, **kwargs: Any) -> None:
        self.connect(self.message)

    def disconnect(self, message: Any, **kwargs: Any) -> None:
        self.connect(message)


def logged_in(layer: Recorder) -> tuple[Any, Any, Any]:
    """Bob, his browser's session, and the message with which it connects."""
    bob: Any = User.objects.create_user("bob", password="secret")
    session = SessionStore()
    session.create()
    session.update({SESSION_KEY: str(bob.pk), BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend"})
    session[HASH_SESSION_KEY] = bob.get_session_auth_hash()
    session.save()
    return bob, session, layer.connect(headers=[[b"cookie", f"sessionid={session.session_key}".encode()]])


# -- one consumer ----------------------------------------------------------------------------------------------------


def test_a_socket_is_in_its_groups_before_it_is_accepted(layer: Recorder) -> None:
    Echo(layer.connect(), room="lobby")
    assert layer.taken() == [("add", "all", SOCKET), ("add", "lobby", SOCKET), ("send", SOCKET, {"accept": True})]
    Echo(layer.disconnect(), room="lobby")
    assert layer.taken() == [("discard", "all", SOCKET), ("discard", "lobby", SOCKET)]


def test_groups_may_be_an_attribute(layer: Recorder) -> None:
    class Grouped(WebsocketConsumer):
        groups = ("news",)

        def connect(self, message: Any, **kwargs: Any) -> None:
            """Decide later."""

    Grouped(layer.connect())
    assert layer.taken() == [("add", "news", SOCKET)]
    WebsocketConsumer(layer.connect())
    assert layer.taken() == [("send", SOCKET, {"accept": True})]


def test_frames_come_as_text_or_as_bytes(layer: Recorder) -> None:
    Echo(layer.frame("hi"), room="lobby")
    Echo(layer.frame(b"\xff"))
    assert layer.taken() == [("send", SOCKET, {"text": "hi"}), ("send", SOCKET, {"bytes": b"\xff"})]
    WebsocketConsumer(layer.frame("hi"))
    WebsocketConsumer(layer.disconnect())
    assert layer.taken() == []


def test_what_is_sent_may_close(layer: Recorder) -> None:
    made = WebsocketConsumer(layer.disconnect(path="/chat/"))
    assert made.path == "/chat/"
    made.send(text="", close=True)
    made.send(bytes=b"x", close=4000)
    made.close()
    made.close(4001)
    assert [message for _, _, message in layer.taken()] == [
        {"text": "", "close": True}, {"bytes": b"x", "close": 4000}, {"close": True}, {"close": 4001},
    ]  # fmt: skip
    with pytest.raises(ValueError, match="text or bytes"):
        made.send(close=True)


def test_a_group_is_sent_to_by_the_class(layer: Recorder) -> None:
    Echo.group_send("all", text="x")
    Echo.group_send("all", bytes=b"x", close=True)
    assert layer.taken() == [
        ("send_group", "all", {"text": "x"}), ("send_group", "all", {"bytes": b"x", "close": True}),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="text or bytes"):
        Echo.group_send("all")


def test_a_message_of_no_socket_is_told(layer: Recorder) -> None:
    with pytest.raises(ValueError, match="of no WebSocket"):
        WebsocketConsumer(layer.message("websocket.connect", None))


# -- sessions and users ----------------------------------------------------------------------------------------------


def test_the_browsers_user_is_known_in_all_messages(layer: Recorder) -> None:
    class Known(Keeping):
        http_user = True

    bob, _, connect = logged_in(layer)
    messages = (connect, layer.frame("x"), layer.disconnect())
    assert [Known(message).seen[0] for message in messages] == [bob] * 3
    assert Known(layer.frame("x")).seen[2] == "none"
    assert Known(layer.frame("x", OTHER)).seen[0].is_anonymous


def test_the_browsers_session_may_be_there_in_all_messages(layer: Recorder) -> None:
    class WithSession(Keeping):
        http_user_and_session = True

    bob, session, connect = logged_in(layer)
    for message in (connect, layer.frame("x"), layer.disconnect()):
        user, channel_session, http_session = WithSession(message).seen
        assert user == bob
        assert http_session.session_key == session.session_key
        assert channel_session["sessionid"] == session.session_key


def test_strict_ordering_needs_an_order_and_no_more(layer: Recorder) -> None:
    class Strict(WebsocketConsumer):
        strict_ordering = True

        def receive(self, *args: Any, **kwargs: Any) -> None:
            self.send(str("channel_session" in vars(self.message)))

    Strict(layer.frame("x", order=9))
    assert layer.taken() == [("send", SOCKET, {"text": "True"})]
    with pytest.raises(ValueError, match="has the order None"):
        Strict(layer.frame("x", order=None))


def test_slight_ordering_has_ended(layer: Recorder) -> None:
    class Slight(WebsocketConsumer):
        slight_ordering = True

    with pytest.raises(ValueError, match="slight_ordering"):
        Slight(layer.connect())


# -- JSON ------------------------------------------------------------------------------------------------------------


class Json(JsonWebsocketConsumer):
    """Sends back what it is sent."""

    def receive(self, content: Any, **kwargs: Any) -> None:
        self.send({"content": content, **kwargs}, close=content == "last")


def test_json_goes_in_and_out(layer: Recorder) -> None:
    Json(layer.frame("[1, 2]"), room="lobby")
    Json(layer.frame('"last"'))
    Json.group_send("all", {"a": 1}, close=4000)
    assert layer.taken() == [
        ("send", SOCKET, {"text": '{"content": [1, 2], "room": "lobby"}'}),
        ("send", SOCKET, {"text": '{"content": "last"}', "close": True}),
        ("send_group", "all", {"text": '{"a": 1}', "close": 4000}),
    ]
    JsonWebsocketConsumer(layer.frame("1"))
    assert layer.taken() == []


@pytest.mark.parametrize("frame", ["{", b"{}"])
def test_what_is_no_json_is_told(layer: Recorder, frame: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"text frames|Expecting"):
        Json(layer.frame(frame))
    assert layer.taken() == []


def test_json_may_be_written_in_another_way(layer: Recorder) -> None:
    with pytest.raises(TypeError, match="date"):
        Json.encode_json(DAY)

    class Dates(Json):
        @classmethod
        def encode_json(cls, content: Any) -> str:
            return json.dumps(content, default=str)

        @classmethod
        def decode_json(cls, text: str) -> Any:
            return DAY if text == "whatever" else text

    Dates(layer.frame("whatever"))
    assert layer.taken() == [("send", SOCKET, {"text": '{"content": "2017-11-29"}'})]


# -- streams ---------------------------------------------------------------------------------------------------------


def framed(stream: Any, payload: Any) -> str:
    return json.dumps({"stream": stream, "payload": payload})


class Numbers(JsonWebsocketConsumer):
    """A class behind a demultiplexer."""

    groups = ("numbers",)
    calls: ClassVar[list[Any]] = []

    def connect(self, message: Any, multiplexer: Any, **kwargs: Any) -> None:  # type: ignore[override]
        multiplexer.send({"welcome": multiplexer.stream, **kwargs})

    def receive(self, content: Any, multiplexer: Any, **kwargs: Any) -> None:  # type: ignore[override]
        if "close" in content:
            self.close(4002)
        elif "send" in content:
            self.send(content)
        else:
            multiplexer.send({"doubled": content["number"] * 2, **kwargs})

    def disconnect(self, message: Any, **kwargs: Any) -> None:
        self.calls.append((message["code"], kwargs["multiplexer"].stream))


def words(message: Any, multiplexer: Any, **_: Any) -> None:
    """A function behind a demultiplexer: it has all messages."""
    if message.channel.name == "websocket.receive":
        multiplexer.send({"heard": json.loads(message["text"]), "user": str(message.user)})


class Streams(WebsocketDemultiplexer):
    """Two streams, in one group."""

    consumers: ClassVar[dict[str, Any]] = {"numbers": Numbers, "words": words}
    groups = ("everybody",)
    channel_session_user = True


def sent(layer: Recorder) -> list[Any]:
    return [json.loads(message["text"]) for _, _, message in layer.taken()]


def test_all_streams_hear_of_a_connection(layer: Recorder) -> None:
    Streams(layer.connect(), room="lobby")
    assert layer.taken() == [
        ("add", "everybody", SOCKET),
        ("send", SOCKET, {"accept": True}),
        ("add", "numbers", SOCKET),
        ("send", SOCKET, {"text": framed("numbers", {"welcome": "numbers", "room": "lobby"})}),
    ]
    Numbers.calls.clear()
    Streams(layer.disconnect(code=4711))
    assert Numbers.calls == [(4711, "numbers")]
    assert layer.taken() == [("discard", "everybody", SOCKET), ("discard", "numbers", SOCKET)]


def test_a_frame_goes_to_its_stream_and_the_answer_names_it(layer: Recorder) -> None:
    message = layer.frame(framed("numbers", {"number": 21}))
    Streams(message, room="lobby")
    Streams(layer.frame(framed("words", {"word": "moin"})))
    assert sent(layer) == [
        {"stream": "numbers", "payload": {"doubled": 42, "room": "lobby"}},
        {"stream": "words", "payload": {"heard": {"word": "moin"}, "user": "AnonymousUser"}},
    ]
    assert message["text"] == framed("numbers", {"number": 21})


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (framed("others", {}), "no consumer"),
        (framed(["numbers"], {}), "no consumer"),
        (framed("numbers", [1]), "is no object"),
        ('{"stream": "numbers"}', "no object with a stream"),
        ("[1]", "no object with a stream"),
        ("{", "Expecting"),
        (b"x", "binary"),
    ],
)
def test_a_frame_that_is_none_is_told_here_and_not_to_the_client(
    layer: Recorder, frame: str | bytes, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Streams(layer.frame(frame))
    assert layer.taken() == []


def test_consumers_of_streams_cannot_send_without_one(layer: Recorder) -> None:
    with pytest.raises(SendNotAvailableOnDemultiplexer, match="multiplexer"):
        Streams(layer.frame(framed("numbers", {"send": True})))
    with pytest.raises(SendNotAvailableOnDemultiplexer):
        Streams(layer.disconnect()).send("x")
    with pytest.raises(SendNotAvailableOnDemultiplexer):
        Streams.group_send("everybody", "numbers", {})


def test_a_consumer_can_still_send_where_it_is_alone(layer: Recorder) -> None:
    """In Channels 1 a demultiplexer took ``send`` from the class, so from every other route to it."""
    Streams(layer.frame(framed("numbers", {"number": 1})))
    layer.taken()

    class Alone(Numbers):
        def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
            self.send(content)

    Alone(layer.frame('{"send": 1}'))
    assert layer.taken() == [("send", SOCKET, {"text": '{"send": 1}'})]
    assert "send" not in vars(Numbers)


def test_consumers_of_streams_may_close(layer: Recorder) -> None:
    Streams(layer.frame(framed("numbers", {"close": True})))
    assert layer.taken() == [("send", SOCKET, {"close": 4002})]


def test_strict_consumers_share_a_socket(layer: Recorder) -> None:
    """In Channels 1 two of them waited for one another's messages for ever."""

    class Strict(Numbers):
        strict_ordering = True

    class Both(WebsocketDemultiplexer):
        consumers: ClassVar[dict[str, Any]] = {"a": Strict, "b": Strict}

    Both(layer.connect())
    layer.taken()
    for order, stream in ((1, "a"), (2, "b"), (3, "b"), (4, "a")):
        Both(layer.frame(framed(stream, {"number": order}), order=order))
    assert [(frame["stream"], frame["payload"]["doubled"]) for frame in sent(layer)] == [
        ("a", 2), ("b", 4), ("b", 6), ("a", 8),
    ]  # fmt: skip


def test_sessions_are_those_of_the_demultiplexer(layer: Recorder) -> None:
    class Counting(JsonWebsocketConsumer):
        channel_session = True

        def connect(self, message: Any, **kwargs: Any) -> None:
            message.channel_session["count"] = 0

        def receive(self, content: Any, **kwargs: Any) -> None:
            self.message.channel_session["count"] += 1
            kwargs["multiplexer"].send({"count": self.message.channel_session["count"]})

    class Outer(WebsocketDemultiplexer):
        consumers: ClassVar[dict[str, Any]] = {"c": Counting}
        http_user = True

    Outer(layer.connect())
    layer.taken()
    for _ in range(2):
        Outer(layer.frame(framed("c", {})))
    assert [frame["payload"]["count"] for frame in sent(layer)] == [1, 2]


def test_a_multiplexer_knows_djangos_json(layer: Recorder) -> None:
    multiplexer = WebsocketMultiplexer("days", Channel(SOCKET, channel_layer=layer))
    multiplexer.send({"day": DAY})
    WebsocketMultiplexer.group_send("all", "days", {"day": DAY}, close=True)
    WebsocketMultiplexer.group_send("all", "days", {"day": DAY})
    text = framed("days", {"day": "2017-11-29"})
    assert layer.taken() == [
        ("send", SOCKET, {"text": text}),
        ("send_group", "all", {"text": text, "close": True}),
        ("send_group", "all", {"text": text}),
    ]


def test_a_demultiplexer_may_have_a_multiplexer_of_its_own(layer: Recorder) -> None:
    class Short(WebsocketMultiplexer):
        @classmethod
        def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
            return {"text": cls.encode_json([stream, payload])}

    class Own(WebsocketDemultiplexer):
        consumers: ClassVar[dict[str, Any]] = {"numbers": Numbers}
        multiplexer_class = Short

    Own(layer.frame(framed("numbers", {"number": 1})))
    assert layer.taken() == [("send", SOCKET, {"text": '["numbers", {"doubled": 2}]'})]
