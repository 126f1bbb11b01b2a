"""Sessions for consumers: of the connection (``channel_session``), and of the browser behind it (``http_session``).

A connection's session has a key that its reply channel gives, so every message of the connection finds it. It is read
when it is used first, and saved when the consumer ends. Two consumers that change one session at the same time
overwrite each other: a connection's messages come one after another, unless a consumer has ``ordered = False``.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError
from django.utils.functional import SimpleLazyObject, empty

from ...shared.errors import InvalidName
from .exceptions import ConsumeLater
from .message import Message

Consumer = Callable[..., Any]

WAITING = "__wait__"
ORIGIN = "original_channel"  # in a message that waits: where it came


# -- decorators in general -------------------------------------------------------------------------------------------


def wrapping(consumer: Consumer) -> Callable[[Consumer], Consumer]:
    """As ``functools.wraps``; and what is not ordered stays so when it is decorated, be it a class or an object."""

    def decorate(wrapper: Consumer) -> Consumer:
        attributes = () if isinstance(consumer, type) else functools.WRAPPER_UPDATES
        functools.update_wrapper(wrapper, consumer, updated=attributes)
        ordered = getattr(consumer, "ordered", None)
        if ordered is not None:
            vars(wrapper)["ordered"] = ordered
        return wrapper

    return decorate


def message_of(decorator: str, args: tuple[Any, ...]) -> Message:
    """Find the message in what a function or a method was called with. Raises ``ValueError`` if there is none."""
    for argument in args[:2]:
        if isinstance(argument, Message):
            return argument
    raise ValueError(f"{decorator} is for consumers: a Message has to be the first argument, behind self at most")


# -- the connection's ------------------------------------------------------------------------------------------------


def channel_session(consumer: Consumer) -> Consumer:
    """Give a consumer ``message.channel_session``: what is put there, the connection's later messages find.

    Saved when the consumer has ended, also by an exception. Raises ``ValueError`` for a message of no connection.
    """

    @wrapping(consumer)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        message: Any = message_of("channel_session", args)
        if getattr(message, "channel_session", None) is None:
            message.channel_session = _session_of_connection(message)
        session = message.channel_session
        try:
            return consumer(*args, **kwargs)
        finally:
            if not _is_untouched(session):
                _save(session)

    return wrapper


def session_for_reply_channel(reply_channel: str) -> Any:
    """Give the session of a connection, which need not be there yet. Raises ``ValueError`` if it would be a cookie."""
    return _session_of_key(_key_of(reply_channel))


def _key_of(reply_channel: str) -> str:
    digest = hashlib.sha1(reply_channel.encode(), usedforsecurity=False).hexdigest()
    return f"chn{digest[:29]}"  # 32 characters, as the other keys in the table


def _session_of_key(key: str) -> Any:
    return _store()(session_key=key)


def _store() -> Any:
    """Give the class of connections' sessions. Raises ``ValueError`` if its engine cannot keep them."""
    engine = getattr(settings, "CHANNEL_SESSION_ENGINE", settings.SESSION_ENGINE)
    store = import_module(engine).SessionStore
    if _is_of_cookies(store):
        raise ValueError(
            f"{engine} keeps sessions in cookies, which a connection's later messages cannot set:"
            " name another engine in the setting CHANNEL_SESSION_ENGINE"
        )
    return store


@functools.cache  # asked for with each message
def _is_of_cookies(store: type) -> bool:
    from django.contrib.sessions.backends import signed_cookies

    return issubclass(store, signed_cookies.SessionStore)


def _session_of_connection(message: Message) -> Any:
    if message.reply_channel is None:
        raise ValueError(f"channel_session: a message on {message.channel} without reply_channel is of no connection")
    _store()  # one that cannot be used is told now, and not where the session is used first
    return SimpleLazyObject(functools.partial(_opened, message.reply_channel.name))


def _opened(reply_channel: str) -> Any:
    """Read a session, or create it. Raises ``ConsumeLater`` if others are about to create it."""
    key = _key_of(reply_channel)
    session = _read(key)
    if session is not None:
        return session
    try:
        return _created(key)
    except CreateError:
        session = _read(key)
    if session is not None:
        return session
    _session_of_key(key).delete(key)  # it is there and cannot be read: it has expired, before its connection ended
    try:
        return _created(key)
    except CreateError as error:
        raise ConsumeLater(f"the session {key} can be neither read nor created") from error


def _read(key: str) -> Any:
    session = _session_of_key(key)
    session.keys()  # reads it; a store forgets the key of a session that is not there
    return session if session.session_key == key else None


def _created(key: str) -> Any:
    session = _session_of_key(key)
    session.save(must_create=True)
    return session


def _is_untouched(session: Any) -> bool:
    return type(session) is SimpleLazyObject and vars(session)["_wrapped"] is empty


def _save(session: Any) -> None:
    if session is not None and session.modified and not session.is_empty():
        session.save()


# -- the browser's ---------------------------------------------------------------------------------------------------


def http_session(consumer: Consumer) -> Consumer:
    """Give a consumer ``message.http_session``: that of the browser, or None.

    Found by ``session_key`` in the query, else by the cookie, so where there are headers: in ``websocket.connect`` and
    ``http.request``. Saved if it was changed, unless the consumer has raised. Raises ``ValueError`` for messages that
    have not even a path.
    """

    @wrapping(consumer)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        message: Any = message_of("http_session", args)
        if hasattr(message, "http_session"):
            return consumer(*args, **kwargs)  # whoever has put it there saves it
        message.http_session = session = _session_of_browser(message)
        result = consumer(*args, **kwargs)
        _save(session)
        return result

    return wrapper


def _session_of_browser(message: Message) -> Any:
    from .handler import AsgiRequest

    try:
        # WebSockets have no method, and a request cannot be without.
        request: Any = AsgiRequest(
            Message({"method": "FAKE", **message.content}, message.channel.name, message.channel_layer)
        )
    except Exception as error:
        raise ValueError(
            f"http_session: a message on {message.channel} is no request or WebSocket of a browser: {error!r}"
        ) from error
    key = request.GET.get("session_key") or request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return http_session_of_key(key) if key else None


def http_session_of_key(key: str) -> Any:
    """Give the session that a browser has this key of. None is made: it need not be there."""
    return import_module(settings.SESSION_ENGINE).SessionStore(session_key=key)


def channel_and_http_session(consumer: Consumer) -> Consumer:
    """Give a consumer both sessions, in all messages of the connection: its own remembers the browser's."""

    @wrapping(consumer)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        message: Any = message_of("channel_and_http_session", args)
        cookie = settings.SESSION_COOKIE_NAME
        if message.http_session is not None:
            if message.http_session.session_key is not None:
                message.channel_session.setdefault(cookie, message.http_session.session_key)
            return consumer(*args, **kwargs)
        key = message.channel_session.get(cookie)
        message.http_session = session = http_session_of_key(key) if key else None
        result = consumer(*args, **kwargs)
        _save(session)
        return result

    return http_session(channel_session(wrapper))


# -- order -----------------------------------------------------------------------------------------------------------


def enforce_ordering(func: Consumer | None = None, slight: bool = False) -> Any:
    """Have a connection's messages handled in their order: they are anyway, and nothing waits or is parked for it.

    What is left of the decorator: the consumer is ordered, whatever ``ordered`` below it says; it has a
    ``message.channel_session``; and a message without ``order`` (an int), or of no connection, raises ``ValueError``.
    ``slight``: ``ValueError``, as since Channels 1.0.
    """
    if slight:
        raise ValueError("enforce_ordering(slight=True): Channels 1.0 has ended slight ordering; leave slight away")

    def decorate(consumer: Consumer) -> Consumer:
        with_session = channel_session(consumer)

        @wrapping(consumer)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            _check_order(message_of("enforce_ordering", args))
            return with_session(*args, **kwargs)

        vars(wrapper)["ordered"] = True
        return wrapper

    return decorate if func is None else decorate(func)


def _check_order(message: Message) -> None:
    order = message.get("order")
    if not isinstance(order, int) or isinstance(order, bool):
        raise ValueError(
            f"enforce_ordering: a message on {message.channel} has the order {order!r}, and not a number:"
            " it is for messages of WebSockets, in tests of WSClient(ordered=True)"
        )
    if message.reply_channel is None:
        raise ValueError(f"enforce_ordering: a message on {message.channel} without reply_channel is of no connection")


def wait_channel_name(reply_channel: str) -> str:
    """Name the channel on which messages of a connection waited in Channels 1 until it was their turn."""
    return f"{WAITING}.{reply_channel.replace('!', '?')}"


def requeue_messages(message: Message) -> None:
    """Send what waits on the connection's wait channel back to where it came.

    This package puts nothing there; and on a bridge there is no such channel, so nothing to be done.
    """
    if message.reply_channel is None:
        raise ValueError(f"requeue_messages: a message on {message.channel} without reply_channel is of no connection")
    layer, waiting = message.channel_layer, wait_channel_name(message.reply_channel.name)
    while True:
        try:
            channel, content = layer.receive([waiting], block=False)
        except InvalidName:
            return
        if channel is None:
            return
        origin = content.pop(ORIGIN)
        layer.send(origin, content)
