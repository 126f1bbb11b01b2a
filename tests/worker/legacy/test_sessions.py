"""What a consumer puts into its sessions, later messages find; and what cannot be is told, not lost."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone

from channels1_project.recorder import SOCKET, Recorder, recording
from channels_bridge.shared.errors import InvalidName
from channels_bridge.worker.legacy.exceptions import ConsumeLater
from channels_bridge.worker.legacy.message import Message
from channels_bridge.worker.legacy.sessions import (
    channel_and_http_session,
    channel_session,
    enforce_ordering,
    http_session,
    requeue_messages,
    session_for_reply_channel,
    wait_channel_name,
    wrapping,
)

pytestmark = pytest.mark.usefixtures("empty_tables")

DECORATORS = [channel_session, http_session, channel_and_http_session, enforce_ordering]


@pytest.fixture
def layer() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


def put(**values: Any) -> Any:
    """A consumer that puts values into the session of its connection."""

    @channel_session
    def consumer(message: Any) -> None:
        message.channel_session.update(values)

    return consumer


def kept(reply_channel: str = SOCKET) -> dict[str, Any]:
    """What the session of a connection has in the database."""
    return dict(session_for_reply_channel(reply_channel).items())


def cookie(session: Any) -> list[list[bytes]]:
    return [[b"cookie", f"sessionid={session.session_key}".encode()]]


def browsers_session(**values: Any) -> SessionStore:
    session = SessionStore()
    session.update(values)
    session.create()
    session.update(values)
    session.save()
    return session


# -- channel_session -------------------------------------------------------------------------------------------------


def test_the_key_is_that_of_channels_1() -> None:
    """So a deployment that moves over finds the sessions of a connection of this name."""
    assert session_for_reply_channel("daphne.response.abc!def").session_key == "chn89aa37d0275b52fd7cf9f55bb1d1e"


def test_later_messages_of_a_connection_find_what_was_put_there(layer: Recorder) -> None:
    put(room="lobby")(layer.connect())

    @channel_session
    def consumer(message: Any, word: str) -> tuple[str, str]:
        return message.channel_session["room"], word

    assert consumer(layer.frame("x"), word="kwarg") == ("lobby", "kwarg")
    assert consumer(layer.frame("x"), "positional") == ("lobby", "positional")


def test_connections_have_sessions_of_their_own(layer: Recorder) -> None:
    put(number=1)(layer.connect("reply.a!1"))
    put(number=2)(layer.connect("reply.a!2"))
    assert (kept("reply.a!1"), kept("reply.a!2")) == ({"number": 1}, {"number": 2})


def test_it_is_saved_though_the_consumer_has_raised(layer: Recorder) -> None:
    @channel_session
    def consumer(message: Any) -> None:
        message.channel_session["seen"] = True
        raise LookupError

    with pytest.raises(LookupError):
        consumer(layer.connect())
    assert kept() == {"seen": True}


def test_what_is_removed_stays_removed(layer: Recorder) -> None:
    put(room="lobby")(layer.connect())

    @channel_session
    def consumer(message: Any) -> None:
        del message.channel_session["room"]

    consumer(layer.frame("x"))
    assert kept() == {}


def test_a_session_that_nobody_uses_costs_no_query(layer: Recorder) -> None:
    consumer = channel_session(lambda message: message.channel_session is not None)
    with CaptureQueriesContext(connection) as queries:
        assert consumer(layer.connect())
    assert len(queries) == 0
    assert Session.objects.count() == 0


def test_a_session_that_is_only_read_is_not_saved(layer: Recorder) -> None:
    put(room="lobby")(layer.connect())
    consumer = channel_session(lambda message: message.channel_session["room"])
    with CaptureQueriesContext(connection) as queries:
        consumer(layer.frame("x"))
    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]


def test_decorators_within_each_other_share_the_session(layer: Recorder) -> None:
    @channel_session
    def inner(message: Any) -> None:
        message.channel_session["words"] = ["inner"]

    @channel_session
    def outer(message: Any) -> None:
        before = message.channel_session
        inner(message)
        assert message.channel_session is before
        assert kept() == {"words": ["inner"]}
        message.channel_session["words"].append("outer")

    outer(layer.connect())
    assert kept() == {"words": ["inner", "outer"]}


@pytest.mark.parametrize("decorator", DECORATORS)
def test_methods_are_decorated_too(layer: Recorder, decorator: Any) -> None:
    class Consumer:
        @decorator
        def handle(self, message: Any, **kwargs: Any) -> Any:
            return self, message, kwargs

    consumer, message = Consumer(), layer.connect()
    assert consumer.handle(message, word=1) == (consumer, message, {"word": 1})


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_call_without_a_message_is_told(layer: Recorder, decorator: Any) -> None:
    def consumer(*args: Any) -> None:
        raise AssertionError(args)

    with pytest.raises(ValueError, match=r"a Message has to be the first argument"):
        decorator(consumer)(1, 2, layer.connect())


def test_a_message_of_no_connection_has_no_session(layer: Recorder) -> None:
    with pytest.raises(ValueError, match="without reply_channel"):
        put(a=1)(layer.message("chat.receive", None, text="x"))


def test_a_session_that_has_expired_begins_anew(layer: Recorder) -> None:
    """A socket may be open for longer than a session lives."""
    put(room="lobby")(layer.connect())
    Session.objects.update(expire_date=timezone.now() - timezone.timedelta(days=1))
    put(seen=True)(layer.frame("x"))
    assert kept() == {"seen": True}


# -- stores that are not Django's usual one --------------------------------------------------------------------------


class SlowStore(SessionStore):
    """A store in which somebody else is always a little faster."""

    others: ClassVar[dict[str, Any]] = {}

    @property
    def key_salt(self) -> str:
        """What signs the data: Django makes it of the class's name."""
        return SessionStore().key_salt

    def save(self, must_create: bool = False) -> None:
        if must_create:
            if self.others:
                other = SessionStore(session_key=self.session_key)
                other.save(must_create=True)
                other.update(self.others)
                other.save()
            raise CreateError
        super().save(must_create)


class _Engine:
    """Modules of engines, of this file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def use(self, store: type) -> None:
        import sys
        from types import ModuleType

        module: Any = ModuleType("engine_of_this_test")
        module.SessionStore = store
        self._monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Engine]:
    with override_settings(CHANNEL_SESSION_ENGINE="engine_of_this_test"):
        yield _Engine(monkeypatch)


def test_a_session_that_cannot_be_created_is_tried_later(layer: Recorder, engine: _Engine) -> None:
    engine.use(SlowStore)
    with pytest.raises(ConsumeLater):
        put(a=1)(layer.connect())


def test_a_session_that_others_have_just_created_is_used(layer: Recorder, engine: _Engine) -> None:
    engine.use(type("FullStore", (SlowStore,), {"others": {"theirs": 1}}))
    put(ours=2)(layer.connect())
    assert kept() == {"theirs": 1, "ours": 2}


def test_the_connections_sessions_may_have_an_engine_of_their_own(layer: Recorder, engine: _Engine) -> None:
    store = type("OwnStore", (SessionStore,), {})
    engine.use(store)
    assert type(session_for_reply_channel(SOCKET)) is store
    consumer = channel_session(lambda message: isinstance(message.channel_session, store))
    assert consumer(layer.connect())


@pytest.mark.parametrize("setting", ["CHANNEL_SESSION_ENGINE", "SESSION_ENGINE"])
def test_an_engine_that_keeps_cookies_is_refused(layer: Recorder, setting: str) -> None:
    with override_settings(**{setting: "django.contrib.sessions.backends.signed_cookies"}):
        with pytest.raises(ValueError, match="CHANNEL_SESSION_ENGINE"):
            session_for_reply_channel(SOCKET)
        with pytest.raises(ValueError, match="CHANNEL_SESSION_ENGINE"):
            channel_session(lambda message: None)(layer.connect())


# -- http_session ----------------------------------------------------------------------------------------------------


def test_the_browsers_session_is_found_by_its_cookie(layer: Recorder) -> None:
    session = browsers_session(cart=[7])
    consumer = http_session(lambda message: message.http_session["cart"])
    assert consumer(layer.connect(headers=cookie(session))) == [7]


def test_a_session_key_in_the_query_comes_before_the_cookie(layer: Recorder) -> None:
    first, second = browsers_session(number=1), browsers_session(number=2)
    query = f"session_key={second.session_key}".encode()
    consumer = http_session(lambda message: message.http_session["number"])
    assert consumer(layer.connect(headers=cookie(first), query_string=query)) == 2


def test_without_a_key_there_is_no_session(layer: Recorder) -> None:
    consumer = http_session(lambda message: message.http_session)
    assert consumer(layer.connect()) is None
    assert consumer(layer.frame("x")) is None


def test_a_message_that_is_no_request_is_told(layer: Recorder) -> None:
    with pytest.raises(ValueError, match="no request or WebSocket"):
        http_session(lambda message: None)(layer.message("chat.receive", None, text="x"))


def test_the_message_stays_as_it_came(layer: Recorder) -> None:
    message = layer.connect()
    http_session(lambda message: None)(message)
    assert "method" not in message


def test_changes_are_saved_unless_the_consumer_has_raised(layer: Recorder) -> None:
    session = browsers_session(visits=1)

    @http_session
    def consumer(message: Any, fails: bool) -> None:
        message.http_session["visits"] += 1
        if fails:
            raise LookupError

    with pytest.raises(LookupError):
        consumer(layer.connect(headers=cookie(session)), fails=True)
    assert SessionStore(session.session_key)["visits"] == 1
    consumer(layer.connect(headers=cookie(session)), fails=False)
    assert SessionStore(session.session_key)["visits"] == 2


def test_the_outermost_decorator_saves(layer: Recorder) -> None:
    session = browsers_session(visits=1)

    @http_session
    def inner(message: Any) -> None:
        message.http_session["visits"] = 2
        raise LookupError

    @http_session
    def outer(message: Any) -> None:
        with pytest.raises(LookupError):
            inner(message)
        assert SessionStore(session.session_key)["visits"] == 1

    outer(layer.connect(headers=cookie(session)))
    assert SessionStore(session.session_key)["visits"] == 2


# -- both ------------------------------------------------------------------------------------------------------------


def test_later_messages_find_the_browsers_session_as_well(layer: Recorder) -> None:
    session = browsers_session(cart=[7])

    @channel_and_http_session
    def consumer(message: Any) -> Any:
        message.http_session["by"] = message.channel.name
        return message.http_session["cart"]

    assert consumer(layer.connect(headers=cookie(session))) == [7]
    assert kept() == {"sessionid": session.session_key}
    assert consumer(layer.frame("x")) == [7]
    assert SessionStore(session.session_key)["by"] == "websocket.receive"
    assert consumer(layer.disconnect()) == [7]
    assert SessionStore(session.session_key)["by"] == "websocket.disconnect"


def test_a_browser_without_a_session_has_none_later(layer: Recorder) -> None:
    consumer = channel_and_http_session(lambda message: message.http_session)
    assert consumer(layer.connect()) is None
    assert consumer(layer.frame("x")) is None


# -- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorator", [enforce_ordering, enforce_ordering(), enforce_ordering(slight=False)])
def test_an_ordered_consumer_runs_at_once_and_has_a_session(layer: Recorder, decorator: Any) -> None:
    @decorator
    def consumer(message: Any) -> str:
        message.channel_session["order"] = message["order"]
        return "done"

    assert consumer(layer.frame("x", order=7)) == "done"
    assert kept() == {"order": 7}
    assert layer.calls == []


def test_a_consumer_that_raises_leaves_nothing_stuck(layer: Recorder) -> None:
    """In Channels 1 the counter stayed, and no later message was handled."""

    @enforce_ordering
    def consumer(message: Any) -> str:
        if message["order"] == 1:
            raise LookupError
        return "handled"

    with pytest.raises(LookupError):
        consumer(layer.frame("x", order=1))
    assert consumer(layer.frame("x", order=2)) == "handled"


def test_slight_ordering_has_ended() -> None:
    with pytest.raises(ValueError, match="slight"):
        enforce_ordering(slight=True)


@pytest.mark.parametrize("order", [None, "0", True, 1.0])
def test_what_has_no_order_cannot_be_ordered(layer: Recorder, order: Any) -> None:
    with pytest.raises(ValueError, match="has the order"):
        enforce_ordering(lambda message: None)(layer.frame("x", order=order))


def test_what_is_of_no_connection_cannot_be_ordered(layer: Recorder) -> None:
    with pytest.raises(ValueError, match="without reply_channel"):
        enforce_ordering(lambda message: None)(layer.message("chat.receive", None, order=0))


def unordered(message: Any) -> None:
    """A consumer that opted out."""


vars(unordered)["ordered"] = False


class Unordered:
    """The same as a class; its instances are consumers, too."""

    ordered = False

    def __init__(self, message: Any = None) -> None:
        self.message = message

    def __call__(self, message: Any) -> None:
        self.message = message


@pytest.mark.parametrize("decorator", [channel_session, http_session, channel_and_http_session])
@pytest.mark.parametrize("consumer", [unordered, Unordered, Unordered()])
def test_decorated_consumers_stay_out_of_the_order(decorator: Any, consumer: Any) -> None:
    assert decorator(consumer).ordered is False
    assert decorator(decorator(consumer)).ordered is False


@pytest.mark.parametrize("consumer", [unordered, Unordered])
def test_enforcing_an_order_means_it(consumer: Any) -> None:
    decorated: Any = channel_session(enforce_ordering(consumer))
    assert decorated.ordered is True


def test_wrappers_have_the_names_of_what_they_wrap() -> None:
    assert channel_session(unordered).__name__ == "unordered"
    partial: Any = functools.partial(unordered)
    assert vars(channel_session(partial))["__wrapped__"] is partial
    assert not hasattr(wrapping(kept)(lambda: None), "ordered")


# -- what waited in Channels 1 ---------------------------------------------------------------------------------------


def test_what_waits_goes_back_to_where_it_came(layer: Recorder) -> None:
    name = wait_channel_name("daphne.response.a!b")
    assert name == "__wait__.daphne.response.a?b"
    layer.waiting = [
        (name, {"text": "1", "original_channel": "websocket.receive"}),
        ("other", {"text": "x", "original_channel": "websocket.receive"}),
        (name, {"text": "2", "original_channel": "websocket.disconnect"}),
    ]
    requeue_messages(layer.frame("x", "daphne.response.a!b"))
    assert layer.calls == [
        ("send", "websocket.receive", {"text": "1"}),
        ("send", "websocket.disconnect", {"text": "2"}),
    ]
    assert [channel for channel, _ in layer.waiting] == ["other"]


def test_on_a_bridge_nothing_waits() -> None:
    """Its names have no "?" in them, so nothing can be there."""

    class Bridge(Recorder):
        def receive(self, channels: list[str], block: bool = False) -> Any:
            raise InvalidName(channels[0])

    bridge = Bridge()
    requeue_messages(Message({"reply_channel": SOCKET}, "websocket.receive", bridge))
    assert bridge.calls == []
    with pytest.raises(ValueError, match="without reply_channel"):
        requeue_messages(Message({}, "chat.receive", bridge))
