"""The user of a message: ``message.user``, from the connection's session or from the browser's.

Django says who it is, so a session ends with the password that it was begun with. What Django then does to a session
it does to a browser's; a connection's session keeps its key and all but the user, and no session is given a new key: a
socket can set no cookie.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user

from .sessions import (
    Consumer,
    channel_and_http_session,
    channel_session,
    http_session,
    message_of,
    wrapping,
)

__all__ = [
    "channel_and_http_session",
    "channel_and_http_session_user_from_http",
    "channel_session",
    "channel_session_user",
    "channel_session_user_from_http",
    "http_session",
    "http_session_user",
    "transfer_user",
]

USER = (BACKEND_SESSION_KEY, SESSION_KEY, HASH_SESSION_KEY)


def transfer_user(from_session: Any, to_session: Any) -> None:
    """Make who is logged in by one session so by another. Nobody is: nothing changes."""
    if all(key in from_session for key in USER):
        for key in USER:
            if to_session.get(key) != from_session[key]:  # else it would be saved for nothing
                to_session[key] = from_session[key]


def channel_session_user(consumer: Consumer) -> Consumer:
    """Give a consumer ``message.user`` of the connection's session, which it has as well; AnonymousUser if none is."""

    @wrapping(consumer)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        message: Any = message_of("channel_session_user", args)
        message.user = _user(_OfConnection(message.channel_session))
        return consumer(*args, **kwargs)

    return channel_session(wrapper)


def http_session_user(consumer: Consumer) -> Consumer:
    """Give a consumer ``message.user`` of the browser's session, which it has as well; AnonymousUser if none is."""

    @wrapping(consumer)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        message: Any = message_of("http_session_user", args)
        message.user = _user(_OfBrowser({} if message.http_session is None else message.http_session))
        return consumer(*args, **kwargs)

    return http_session(wrapper)


def channel_session_user_from_http(consumer: Consumer) -> Consumer:
    """For ``websocket.connect``: as ``http_session_user``, and the connection's session keeps the user from now on."""

    @wrapping(consumer)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        message: Any = message_of("channel_session_user_from_http", args)
        if message.http_session is not None:
            transfer_user(message.http_session, message.channel_session)
        return consumer(*args, **kwargs)

    return http_session_user(channel_session(wrapper))


def channel_and_http_session_user_from_http(consumer: Consumer) -> Consumer:
    """Give a consumer both sessions and the user, in all messages of the connection."""

    @wrapping(consumer)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        message: Any = message_of("channel_and_http_session_user_from_http", args)
        if message.http_session is not None:
            transfer_user(message.http_session, message.channel_session)
        message.user = _user(_OfConnection(message.channel_session))
        return consumer(*args, **kwargs)

    return channel_and_http_session(wrapper)


# -- who it is -------------------------------------------------------------------------------------------------------


class _Request:
    """What Django looks at for a user."""

    def __init__(self, session: Any) -> None:
        self.session = session


class _OfBrowser:
    """A session as Django may treat it that looks for its user."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getitem__(self, key: str) -> Any:
        return self._session[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Read."""
        return self._session.get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        """Leave the hash as it is, which one of SECRET_KEY_FALLBACKS has made: Django's next response renews it."""

    def cycle_key(self) -> None:
        """Keep the key, by which a browser or a connection finds its session."""

    def flush(self) -> None:
        """End it: its password has been changed."""
        self._session.flush()


class _OfConnection(_OfBrowser):
    def flush(self) -> None:
        """Log the user out. The rest is the connection's."""
        for key in USER:
            self._session.pop(key, None)


def _user(session: _OfBrowser) -> Any:
    return get_user(_Request(session))
