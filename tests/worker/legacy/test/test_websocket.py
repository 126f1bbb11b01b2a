"""The client of WebSocket consumers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings

from channels_bridge.worker.legacy.auth import channel_session_user, channel_session_user_from_http
from channels_bridge.worker.legacy.routing import route
from channels_bridge.worker.legacy.security.websockets import allowed_hosts_only
from channels_bridge.worker.legacy.sessions import channel_session, enforce_ordering, http_session
from channels_bridge.worker.legacy.test.base import ChannelTestCase, apply_routes
from channels_bridge.worker.legacy.test.websocket import WSClient

SEEN: list[Any] = []


def connect(message: Any, **arguments: str) -> None:
    SEEN.append({**message.content, **arguments})
    message.reply_channel.send({"accept": True})


def receive(message: Any) -> str:
    SEEN.append(message.content)
    for content in message.get("answers", ()):
        message.reply_channel.send(content)
    return "returned"


@apply_routes([route("websocket.connect", connect, path=r"^/(?P<room>\w*)"), route("websocket.receive", receive)])
class TestMessages(ChannelTestCase):
    """What is sent, and what is received."""

    def setUp(self) -> None:
        SEEN.clear()
        self.bot = WSClient()

    def test_to_connect_is_to_be_accepted(self) -> None:
        self.bot.send_and_consume("websocket.connect", path="/blue")
        assert SEEN[0]["room"] == "blue"
        assert SEEN[0]["path"] == "/blue"
        assert SEEN[0]["reply_channel"] == self.bot.reply_channel
        assert self.bot.receive() is None
        self.bot.send_and_consume("websocket.connect", check_accept=False)
        assert self.bot.receive() == {"accept": True}
        self.bot.send("websocket.connect")
        self.bot.consume("websocket.connect", check_accept=False)
        assert self.bot.receive() == {"accept": True}

    def test_what_is_not_accepted_fails(self) -> None:
        for answers in ([], [{"close": True}], [{"accept": True, "text": "more"}], [{"text": "x"}]):
            with (
                apply_routes([route("websocket.connect", receive)]),
                pytest.raises(AssertionError, match="the connection was not accepted"),
            ):
                self.bot.send_and_consume("websocket.connect", {"answers": answers})

    def test_text(self) -> None:
        sent = {"raw": "raw", '{"a": 1}': {"a": 1}, "[1]": [1], "5": 5, "": ""}
        for expected, text in sent.items():
            assert self.bot.send_and_consume("websocket.receive", text=text) == "returned"
            assert SEEN[-1]["text"] == expected
        self.bot.send_and_consume("websocket.receive")
        assert "text" not in SEEN[-1]
        with pytest.raises(TypeError):
            self.bot.send("websocket.receive", text=b"bytes")

    def test_content_of_its_own_comes_first(self) -> None:
        self.bot.send_and_consume("websocket.receive", {"path": "/own", "headers": [], "bytes": b"x"}, path="/other")
        assert {key: SEEN[-1][key] for key in ("path", "headers", "bytes")} == {
            "path": "/own",
            "headers": [],
            "bytes": b"x",
        }

    def test_answers(self) -> None:
        answers = [{"text": '{"a": 1}'}, {"text": "5", "close": True}, {"bytes": b"x"}, {"close": True}]
        self.bot.send_and_consume("websocket.receive", {"answers": [*answers, {"text": "no JSON"}]})
        assert [self.bot.receive() for _ in answers] == [{"a": 1}, 5, {"bytes": b"x"}, {"close": True}]
        with pytest.raises(json.JSONDecodeError):
            self.bot.receive()
        self.bot.send_and_consume("websocket.receive", {"answers": [*answers, {"text": "no JSON"}]})
        received = [self.bot.receive(json=False) for _ in range(6)]
        assert received == ['{"a": 1}', "5", {"bytes": b"x"}, {"close": True}, "no JSON", None]

    def test_without_a_message(self) -> None:
        assert self.bot.consume("websocket.receive", fail_on_none=False) is None
        with pytest.raises(AssertionError, match="there is no message"):
            self.bot.consume("websocket.receive")

    def test_numbers(self) -> None:
        bot = WSClient(ordered=True)
        bot.send_and_consume("websocket.connect")
        bot.send_and_consume("websocket.receive")
        assert [content["order"] for content in SEEN] == [0, 1]
        with pytest.raises(ValueError, match='leave "order" out'):
            bot.send("websocket.receive", {"order": 2})
        self.bot.send_and_consume("websocket.receive", {"order": 7})
        assert SEEN[-1]["order"] == 7
        self.bot.send_and_consume("websocket.receive")
        assert "order" not in SEEN[-1]

    def test_headers_are_sent_as_a_server_sends_them(self) -> None:
        self.bot.set_header("Origin", "http://example.com")
        self.bot.set_header(b"x-raw", b"\xff")
        self.bot.set_cookie("a", "1")
        self.bot.set_cookie("sessionid", "key")
        self.bot.send_and_consume("websocket.connect")
        headers = [[b"origin", b"http://example.com"], [b"x-raw", b"\xff"], [b"cookie", b"a=1; sessionid=key"]]
        assert self.bot.headers == SEEN[0]["headers"] == headers
        assert self.bot.get_cookies() == {"a": "1", "sessionid": "key"}


@enforce_ordering
@channel_session_user_from_http
def log_in(message: Any) -> None:
    message.channel_session["greeted"] = True
    message.reply_channel.send({"accept": True})
    SEEN.append(message.user.username)


@enforce_ordering
@channel_session_user
def speak(message: Any) -> None:
    SEEN.append((message.user.username, message.channel_session["greeted"]))


@http_session
def count(message: Any) -> None:
    SEEN.append(message.http_session.get("count", 0))
    message.http_session["count"] = SEEN[-1] + 1


@allowed_hosts_only
def guarded(message: Any) -> None:
    message.reply_channel.send({"accept": True})


@channel_session
def note(message: Any) -> None:
    message.channel_session["noted"] = 1


class TestSessions(ChannelTestCase):
    """Who it is."""

    def setUp(self) -> None:
        SEEN.clear()
        self.bot = WSClient()
        self.user = get_user_model().objects.create_user("bob", password="secret")

    @apply_routes([route("websocket.connect", log_in), route("websocket.receive", speak)])
    def test_users(self) -> None:
        bot = WSClient(ordered=True)
        bot.send_and_consume("websocket.connect")
        bot.send_and_consume("websocket.receive")
        assert SEEN == ["", ("", True)]
        backend = "django.contrib.auth.backends.ModelBackend"
        ways: list[tuple[str, dict[str, Any]]] = [
            ("force_login", {"user": self.user}),
            ("force_login", {"user": self.user, "backend": backend}),
            ("login", {"username": "bob", "password": "secret"}),
        ]
        for method, arguments in ways:
            SEEN.clear()
            bot = WSClient(ordered=True)
            assert getattr(bot, method)(**arguments) is not False
            bot.send_and_consume("websocket.connect")
            bot.send_and_consume("websocket.receive")
            assert SEEN == ["bob", ("bob", True)]

    def test_who_cannot_log_in(self) -> None:
        assert self.bot.login(username="bob", password="wrong") is False
        assert "_auth_user_id" not in self.bot.session

    @apply_routes([route("websocket.receive", count)])
    def test_the_browsers_session(self) -> None:
        session = self.bot.session
        session["count"] = 5
        session.save()
        self.bot.send_and_consume("websocket.receive")
        self.bot.send_and_consume("websocket.receive")
        assert SEEN == [5, 6]
        assert self.bot.session["count"] == 7
        assert self.bot.session.session_key == self.bot.get_cookies()["sessionid"]

    @apply_routes([route("websocket.receive", note)])
    def test_the_connections_session_can_be_looked_at(self) -> None:
        self.bot.send_and_consume("websocket.receive")
        assert self.bot.session["noted"] == 1

    @apply_routes([route("websocket.connect", guarded)])
    def test_origins(self) -> None:
        self.bot.set_header("origin", "http://example.com")
        self.bot.send_and_consume("websocket.connect")

    @override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies")
    def test_sessions_in_cookies(self) -> None:
        assert self.bot.get_cookies() == {}
        assert self.bot.headers == []
        self.bot.force_login(self.user)
        assert self.bot.session["_auth_user_id"] == str(self.user.pk)
