"""A client of WebSocket consumers: with headers, cookies, a session and a user."""

from __future__ import annotations

import contextlib
import json as json_module
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest

from ..asgi import DEFAULT_CHANNEL_LAYER
from ..routing import CONNECT
from ..sessions import session_for_reply_channel
from .base import Client

ACCEPTED = {"accept": True}


class WSClient(Client):
    """A client that sends what a browser would, and keeps cookies as one.

    ``ordered``: number the messages, as real sockets do. ``alias``: of the layer.
    """

    def __init__(self, ordered: bool = False, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        super().__init__(alias)
        self._ordered = ordered
        self._order = 0
        self._headers: dict[str, Any] = {}
        self._cookies: dict[str, str] = {}

    # -- what a browser sends ------------------------------------------------------------------------------------

    def set_cookie(self, key: str, value: str) -> None:
        """Set a cookie."""
        self._cookies[key] = value

    def set_header(self, key: str | bytes, value: Any) -> None:
        """Set a header; ``value``: bytes, or text."""
        self._headers[_bytes(key).decode("latin-1").lower()] = value

    def get_cookies(self) -> dict[str, str]:
        """Give the cookies. One is the session's, where sessions are installed."""
        name = settings.SESSION_COOKIE_NAME
        if name not in self._cookies and apps.is_installed("django.contrib.sessions"):
            with contextlib.suppress(ValueError):  # an engine that keeps sessions in cookies: there is none yet
                self._cookies[name] = session_for_reply_channel(self.reply_channel).session_key
        return self._cookies

    @property
    def headers(self) -> list[list[bytes]]:
        """Give the headers as they are sent: pairs of bytes, names in lower case."""
        cookies = SimpleCookie(self.get_cookies())
        sent = {**self._headers, "cookie": cookies.output(header="", sep=";").strip()}
        return [[_bytes(key), _bytes(value)] for key, value in sent.items() if value]

    @property
    def session(self) -> Any:
        """Give the session, which is there then. Save what you change in it."""
        name = settings.SESSION_COOKIE_NAME
        key = self.get_cookies().get(name)
        session = import_module(settings.SESSION_ENGINE).SessionStore(session_key=key)
        if key is None or not session.exists(key):
            session.save(must_create=True)
            self._cookies[name] = session.session_key
        return session

    def login(self, **credentials: Any) -> bool:
        """Log in as who has these credentials; False: nobody has, or they may not."""
        user = auth.authenticate(**credentials)
        if user is None:
            return False
        self.force_login(user)
        return True

    def force_login(self, user: Any, backend: str | None = None) -> None:
        """Log in as this user."""
        request: Any = HttpRequest()
        request.session = self.session
        auth.login(request, user, backend or getattr(user, "backend", None) or settings.AUTHENTICATION_BACKENDS[0])
        request.session.save()
        self.set_cookie(settings.SESSION_COOKIE_NAME, request.session.session_key)

    # -- messages ------------------------------------------------------------------------------------------------

    def send(self, to: str, content: Any = None, text: Any = None, path: str = "/") -> None:
        """Send a message. ``text``: its text; what is none, is sent as JSON."""
        super().send(to, self._get_content(content, text, path))

    def send_and_consume(  # type: ignore[override]  # as it was
        self,
        channel: str,
        content: Any = None,
        text: Any = None,
        path: str = "/",
        fail_on_none: bool = True,
        check_accept: bool = True,
    ) -> Any:
        """As :meth:`Client.send_and_consume`. For ``check_accept`` see :meth:`consume`."""
        self.send(channel, content, text, path)
        return self.consume(channel, fail_on_none=fail_on_none, check_accept=check_accept)

    def consume(self, channel: str, fail_on_none: bool = True, check_accept: bool = True) -> Any:
        """As :meth:`Client.consume`. With ``check_accept`` a consumer that connects has to accept, and no more."""
        returned = super().consume(channel, fail_on_none=fail_on_none)
        if channel == CONNECT and check_accept:
            received = self.receive(json=False)
            if received != ACCEPTED:
                raise AssertionError(f"the connection was not accepted: {received!r} came, and not {ACCEPTED!r}")
        return returned

    def receive(self, json: bool = True) -> Any:
        """Take what came next: its text, read as ``json``; or the message itself, if it has no text. None: nothing."""
        content = super().receive()
        text = None if content is None else content.get("text")
        if text is None:
            return content
        return json_module.loads(text) if json else text

    def _get_content(self, content: Any = None, text: Any = None, path: str = "/") -> dict[str, Any]:
        made = {"path": path, "headers": self.headers, **(content or {})}
        if text is not None:
            made["text"] = text if isinstance(text, str) else json_module.dumps(text)
        if self._ordered:
            if "order" in made:
                raise ValueError('an ordered client numbers its messages by itself: leave "order" out')
            made["order"] = self._order
            self._order += 1
        return made


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("latin-1")
