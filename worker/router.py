"""Picks a consumer by type and path.

::

    application = Router({
        "/chat/room/<room_name>/": ChatConsumer,
        "/user/<int:id>/": UserConsumer,
    })

A pattern that does not begin with ``/`` is a named channel: ``"thumbnails": ThumbnailConsumer``.
A ``<name>`` matches one segment, ``<int:name>`` digits (given as an int), ``<path:name>`` any number of segments.
What they match goes to the handler of the first message as keyword arguments. The first pattern that fits wins; a
consumer with a ``type`` gets only connections of that type. A path that nothing fits is 404, or 403 for a socket.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from ..shared.errors import ConfigurationError
from ..shared.wire import Event
from .consumer import AsyncConsumer, ConsumerFactory, Handler

CHANNEL = "channel"
_CONVERTERS = {"str": r"[^/]+", "int": r"[0-9]+", "path": r".+"}
_PARAMETER = re.compile(r"<(?:([a-z]+):)?([A-Za-z_][A-Za-z0-9_]*)>")


class Router:
    """A consumer that is one of several. ``routes``: pattern -> consumer, as a mapping or as pairs."""

    def __init__(self, routes: Mapping[str, ConsumerFactory] | Iterable[tuple[str, ConsumerFactory]]) -> None:
        pairs: Iterable[tuple[str, ConsumerFactory]] = cast(
            "Any", routes.items() if isinstance(routes, Mapping) else routes
        )
        self._routes = [(_type_of(pattern, factory), *_compile(pattern), factory) for pattern, factory in pairs]

    def __call__(self, type: str, channel_layer: Any, consumer_channel: str, send: Any) -> Handler:
        """Refuse: it takes the path to pick a consumer, so the worker asks :meth:`select` instead."""
        raise ConfigurationError("a Router is picked from with select(type, path); it is no consumer by itself")

    @property
    def factories(self) -> list[ConsumerFactory]:
        """Every consumer that can be picked, those of routers in this one as well."""
        own = [factory for *_, factory in self._routes]
        return [inner for one in own for inner in (one.factories if isinstance(one, Router) else [one])]

    def select(self, type: str, path: str) -> tuple[ConsumerFactory, dict[str, Any]]:
        """Give the consumer for a connection, and the arguments in its path; for a channel its name is the path."""
        for wanted, regex, integers, factory in self._routes:
            match = regex.fullmatch(path) if wanted == type or (not wanted and type != CHANNEL) else None
            if match is not None:
                arguments: dict[str, Any] = match.groupdict()
                return factory, {name: int(v) if name in integers else v for name, v in arguments.items()}
        return NotFound, {}


def _type_of(pattern: str, factory: ConsumerFactory) -> str:
    """Give the type of connection that a route is for; "": any that has a path."""
    wanted: str = getattr(factory, "type", "")
    if not pattern.startswith("/"):
        if "/" in pattern or not pattern or wanted not in ("", CHANNEL):
            raise ConfigurationError(
                f"route {pattern!r}: a pattern begins with '/', as a path does; a channel's name has none, and its"
                " consumer no other type"
            )
        return CHANNEL
    if wanted == CHANNEL:
        raise ConfigurationError(
            f"route {pattern!r}: a consumer of type 'channel' is found by a channel's name, not a path"
        )
    return wanted


def _compile(pattern: str) -> tuple[re.Pattern[str], frozenset[str]]:
    integers: set[str] = set()
    names: set[str] = set()
    regex, end = "", 0
    for match in _PARAMETER.finditer(pattern):
        converter, name = match[1] or "str", match[2]
        if converter not in _CONVERTERS:
            raise ConfigurationError(f"route {pattern!r}: {converter!r} is none of {', '.join(_CONVERTERS)}")
        if name in names:
            raise ConfigurationError(f"route {pattern!r}: the name {name!r} is there twice")
        names.add(name)
        if converter == "int":
            integers.add(name)
        regex += _literal(pattern, pattern[end : match.start()]) + f"(?P<{name}>{_CONVERTERS[converter]})"
        end = match.end()
    return re.compile(regex + _literal(pattern, pattern[end:])), frozenset(integers)


def _literal(pattern: str, piece: str) -> str:
    if "<" in piece or ">" in piece:
        raise ConfigurationError(f"route {pattern!r}: a parameter is <name>, <int:name> or <path:name>")
    return re.escape(piece)


class NotFound(AsyncConsumer):
    """Answers where no route fits."""

    async def websocket_connect(self, message: Event) -> None:
        """Refuse: the server makes it a 403."""
        await self.send({"type": "websocket.close", "code": 1000})

    async def http_request(self, message: Event) -> None:
        """Answer once the request is whole."""
        if not message.get("more_body"):
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"10")]
            await self.send({"type": "http.response.start", "status": 404, "headers": headers})
            await self.send({"type": "http.response.body", "body": b"Not Found\n"})
