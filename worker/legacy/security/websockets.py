"""Who may open a WebSocket: pages of this site, as the browser's ``Origin`` header tells."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

from ..exceptions import DenyConnection
from ..message import Message
from ..sessions import Consumer, message_of, wrapping

LOCAL = (".localhost", "127.0.0.1", "[::1]")  # what DEBUG allows where ALLOWED_HOSTS is empty, as in Django


class BaseOriginValidator:
    """Decorates consumers for ``websocket.connect``: denies connections that :meth:`validate_origin` does not like.

    A connection without the header, or with one that is not ASCII, is denied too.
    """

    def __init__(self, func: Consumer) -> None:
        wrapping(func)(self)
        self.func = func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Consume, or raise ``DenyConnection``."""
        message = message_of(type(self).__name__, args)
        origin = self.get_origin(message)
        if origin is None or not self.validate_origin(message, origin):
            raise DenyConnection
        return self.func(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Decorate methods, too."""
        return self if instance is None else types.MethodType(self, instance)

    def get_origin(self, message: Message) -> str | None:
        """Give the header ``Origin``; None: there is none that is ASCII."""
        value = self.get_header(message, b"origin")
        try:
            return value.decode("ascii") if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            return None

    def get_header(self, message: Message, name: bytes) -> Any:
        """Give a header, as it came; None: it did not."""
        for header, value in _pairs(message.get("headers") or ()):
            if (header.encode() if isinstance(header, str) else header).lower() == name:
                return value
        return None

    def validate_origin(self, message: Message, origin: str) -> bool:
        """Say whether pages of this origin may connect. For subclasses: here none may."""
        return False


def _pairs(headers: Mapping[Any, Any] | Iterable[Any]) -> Iterable[Any]:
    """Give (name, value); WSClient of Channels 1.1.8 had a dict of headers."""
    return headers.items() if isinstance(headers, Mapping) else headers


class AllowedHostsOnlyOriginValidator(BaseOriginValidator):
    """Lets in the pages of the hosts in ``ALLOWED_HOSTS``."""

    def validate_origin(self, message: Message, origin: str) -> bool:
        """Say whether the origin's host is one of ``ALLOWED_HOSTS``."""
        allowed = settings.ALLOWED_HOSTS or (LOCAL if settings.DEBUG else ())
        host = _host_of(origin)
        return host is not None and bool(validate_host(host, allowed))


def _host_of(origin: str) -> str | None:
    """Give the host as ALLOWED_HOSTS has it, an IPv6 address in brackets. None: this is no origin."""
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return None
    return f"[{host}]" if host and ":" in host else host or None


allowed_hosts_only = AllowedHostsOnlyOriginValidator
