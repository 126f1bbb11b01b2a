"""Who a message's user is, and what ends that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.test.utils import override_settings

from channels1_project.recorder import SOCKET, Recorder, recording
from channels_bridge.worker.legacy.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
)
from channels_bridge.worker.legacy.sessions import channel_and_http_session, session_for_reply_channel

pytestmark = pytest.mark.usefixtures("empty_tables")

DECORATORS = [
    channel_session_user, http_session_user, channel_session_user_from_http, channel_and_http_session_user_from_http,
]  # fmt: skip
BACKEND = "django.contrib.auth.backends.ModelBackend"
OTHER_KEY = "the key of the year before"


@pytest.fixture
def layer() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def bob() -> Any:
    return User.objects.create_user("bob", password="secret")


def logged_in(user: Any) -> SessionStore:
    """A browser's session, as Django makes it when somebody logs in."""
    session = SessionStore()
    session.create()
    session.update({SESSION_KEY: str(user.pk), BACKEND_SESSION_KEY: BACKEND})
    session.update({HASH_SESSION_KEY: user.get_session_auth_hash(), "cart": [7]})
    session.save()
    return session


def connected(layer: Recorder, session: Any) -> Any:
    return layer.connect(headers=[[b"cookie", f"sessionid={session.session_key}".encode()]])


def user_of(message: Any) -> Any:
    """A consumer."""
    return message.user


def changes_password(user: Any) -> None:
    user.set_password("other")
    user.save()


def exists(session: Any) -> bool:
    return SessionStore().exists(session.session_key)


# -- who it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorator", DECORATORS)
def test_without_a_session_it_is_nobody(layer: Recorder, decorator: Any) -> None:
    for message in (layer.connect(), layer.frame("x"), layer.disconnect()):
        assert isinstance(decorator(user_of)(message), AnonymousUser)


def test_it_is_the_browsers_where_the_browser_is_seen(layer: Recorder, bob: Any) -> None:
    session = logged_in(bob)
    assert http_session_user(user_of)(connected(layer, session)) == bob
    consumer = http_session_user(lambda message: message.http_session["cart"])
    assert consumer(connected(layer, session)) == [7]
    assert http_session_user(user_of)(layer.frame("x")).is_anonymous


def test_a_connection_keeps_it(layer: Recorder, bob: Any) -> None:
    assert channel_session_user_from_http(user_of)(connected(layer, logged_in(bob))) == bob
    assert channel_session_user(user_of)(layer.frame("x")) == bob
    assert channel_session_user(user_of)(layer.disconnect()) == bob
    assert channel_session_user(user_of)(layer.frame("x", "reply.other!2")).is_anonymous


def test_one_decorator_for_all_messages(layer: Recorder, bob: Any) -> None:
    def consumer(message: Any) -> tuple[Any, Any]:
        return message.user, message.http_session["cart"]

    decorated = channel_and_http_session_user_from_http(consumer)
    session = logged_in(bob)
    messages = (connected(layer, session), layer.frame("x"), layer.disconnect())
    assert [decorated(message) for message in messages] == [(bob, [7])] * 3


@pytest.mark.parametrize("decorator", DECORATORS)
def test_methods_are_decorated_too(layer: Recorder, decorator: Any) -> None:
    """In Channels 1 functions alone were."""

    class Consumer:
        @decorator
        def handle(self, message: Any, **kwargs: Any) -> Any:
            return self, message.user.is_anonymous, kwargs

    consumer = Consumer()
    assert consumer.handle(layer.connect(), word=1) == (consumer, True, {"word": 1})


@pytest.mark.parametrize("decorator", DECORATORS)
def test_what_is_not_ordered_stays_so(decorator: Any) -> None:
    class Consumer:
        ordered = False

    assert decorator(Consumer).ordered is False


def test_a_user_is_transferred_whole_or_not_at_all(bob: Any) -> None:
    session = logged_in(bob)
    target: dict[str, Any] = {"room": "lobby"}
    transfer_user(session, target)
    assert target == {
        "room": "lobby",
        **{key: session[key] for key in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)},
    }
    untouched: dict[str, Any] = {}
    transfer_user({SESSION_KEY: "1", BACKEND_SESSION_KEY: BACKEND}, untouched)
    assert untouched == {}


def test_a_user_that_is_there_already_costs_no_write(bob: Any) -> None:
    session = logged_in(bob)
    target = logged_in(bob)
    target = SessionStore(target.session_key)
    transfer_user(session, target)
    assert not target.modified


# -- what ends it ----------------------------------------------------------------------------------------------------


def test_a_new_password_logs_a_connection_out_and_leaves_it_the_rest(layer: Recorder, bob: Any) -> None:
    @channel_session_user_from_http
    def connect(message: Any) -> None:
        message.channel_session["room"] = "lobby"

    connect(connected(layer, logged_in(bob)))
    changes_password(bob)

    @channel_session_user
    def receive(message: Any) -> tuple[bool, str]:
        message.channel_session["seen"] = True
        return message.user.is_anonymous, message.channel_session["room"]

    assert receive(layer.frame("x")) == (True, "lobby")
    assert dict(session_for_reply_channel(SOCKET).items()) == {"room": "lobby", "seen": True}


def test_a_new_password_ends_the_browsers_session_as_in_django(layer: Recorder, bob: Any) -> None:
    session = logged_in(bob)
    changes_password(bob)
    assert channel_session_user_from_http(user_of)(connected(layer, session)).is_anonymous
    assert not exists(session)
    assert channel_session_user(user_of)(layer.frame("x")).is_anonymous


def test_a_browsers_session_that_has_just_ended_is_not_remembered(layer: Recorder, bob: Any) -> None:
    session = logged_in(bob)
    changes_password(bob)
    consumer = http_session_user(channel_and_http_session(lambda message: dict(message.channel_session.items())))
    assert consumer(connected(layer, session)) == {}


def test_a_user_that_is_gone_is_nobody(layer: Recorder, bob: Any) -> None:
    channel_session_user_from_http(user_of)(connected(layer, logged_in(bob)))
    bob.delete()
    assert channel_session_user(user_of)(layer.frame("x")).is_anonymous


def test_an_old_secret_key_lets_users_in_without_moving_their_sessions(layer: Recorder, bob: Any) -> None:
    """Django gives such a session a new key, and a cookie to the browser: a socket cannot."""
    with override_settings(SECRET_KEY=OTHER_KEY):
        hash_of_then = bob.get_session_auth_hash()
    session = logged_in(bob)
    session[HASH_SESSION_KEY] = hash_of_then
    session.save()
    with override_settings(SECRET_KEY_FALLBACKS=[OTHER_KEY]):
        assert channel_session_user_from_http(user_of)(connected(layer, session)) == bob
        assert channel_session_user(user_of)(layer.frame("x")) == bob
    assert SessionStore(session.session_key)[HASH_SESSION_KEY] == hash_of_then
    assert dict(session_for_reply_channel(SOCKET).items())[HASH_SESSION_KEY] == hash_of_then


def test_an_old_secret_key_that_is_none_any_more_logs_out(layer: Recorder, bob: Any) -> None:
    session = logged_in(bob)
    with override_settings(SECRET_KEY=OTHER_KEY):
        session[HASH_SESSION_KEY] = bob.get_session_auth_hash()
    session.save()
    assert http_session_user(user_of)(connected(layer, session)).is_anonymous
    assert not exists(session)
