"""Routing: which consumer gets a message, by its channel and what is in it.

A route matches if each of its filters does: a regular expression, matched from the beginning of the value that the
message has under that key. What its named groups match goes to the consumer as keyword arguments. The first match wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, NamedTuple, cast

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .message import Message

Consumer = Callable[..., Any]
Match = tuple[Consumer, dict[str, Any]]

CONNECT, RECEIVE, DISCONNECT, REQUEST = (
    "websocket.connect", "websocket.receive", "websocket.disconnect", "http.request",
)  # fmt: skip


def text_of(value: object) -> str:
    """Give what a filter is matched with: any value as text, bytes that are not ASCII as Latin-1, so as they are."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class Filters:
    """The filters of one route: key -> regular expression, as str or ASCII bytes.

    Raises ``ValueError`` for an expression with groups that have no names.
    """

    def __init__(self, filters: Mapping[str, str | bytes]) -> None:
        self.patterns = {key: _compiled(key, pattern) for key, pattern in filters.items()}

    def match(self, content: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]] | None:
        """Give what the groups have matched, and what is left of each value behind the match. None: no match."""
        found: dict[str, str] = {}
        rest: dict[str, str] = {}
        for key, pattern in self.patterns.items():
            if key not in content:
                return None
            value = text_of(content[key])
            match = pattern.match(value)
            if match is None:
                return None
            found.update(match.groupdict())
            rest[key] = value[match.end() :]
        return found, rest


def _compiled(key: str, pattern: str | bytes) -> re.Pattern[str]:
    compiled = re.compile(pattern.decode("ascii") if isinstance(pattern, bytes) else pattern)
    if compiled.groups != len(compiled.groupindex):
        raise ValueError(
            f"the filter {key}={pattern!r} has a group without a name: consumers take keyword arguments, (?P<name>…)"
        )
    return compiled


def _imported(path: str, what: str) -> Any:
    """Import ``module.name``, or a module. Raises ``ImproperlyConfigured`` that says what could not be imported."""
    try:
        return import_string(path)
    except ImportError as error:
        try:
            return import_module(path)
        except ImportError:
            raise ImproperlyConfigured(f"cannot import the {what} {path!r}: {error}") from error


class Seen(NamedTuple):
    """A message as nested routes see it: the matched beginnings of its values are gone."""

    channel: str
    content: Mapping[str, Any]


class Route:
    """One consumer, for one channel or several. ``consumer``: a callable, or the dotted path of one."""

    def __init__(self, channels: str | bytes | Iterable[str], consumer: Consumer | str, **filters: str | bytes) -> None:
        self.channels = _names(channels)
        self.consumer = self._resolved(consumer)
        self.filters = Filters(filters)

    def _resolved(self, consumer: Consumer | str) -> Consumer:
        found: Any = _imported(consumer, "consumer") if isinstance(consumer, str) else consumer
        if not callable(found):
            raise ImproperlyConfigured(f"{consumer!r} is not callable: it can be no consumer")
        return cast("Consumer", found)

    def match(self, message: Message) -> Match | None:
        """Give the consumer and its keyword arguments; None: this message is not for it."""
        return self.match_seen(Seen(message.channel.name, message.content))

    def match_seen(self, seen: Seen) -> Match | None:
        """As :meth:`match`, within an include."""
        if seen.channel not in self.channels:
            return None
        match = self.filters.match(seen.content)
        return None if match is None else (self.consumer, match[0])

    def channel_names(self) -> set[str]:
        """Give the channels that this is for."""
        return set(self.channels)

    def __str__(self) -> str:
        name = getattr(self.consumer, "__name__", self.consumer)
        return f"{'/'.join(sorted(self.channels))} -> {name}"


class RouteClass(Route):
    """A class of consumers, which says for which channels it is."""

    def __init__(self, consumer: Any, **filters: str | bytes) -> None:
        consumer = self._resolved(consumer)
        if not callable(getattr(consumer, "channel_names", None)):
            raise ValueError(
                f"route_class takes a class with channel_names(), as BaseConsumer is; {consumer!r} has none: use route"
            )
        super().__init__(consumer.channel_names(), consumer, **filters)


class Include:
    """Routes behind filters of their own. What those have matched, the inner routes do not see; the consumer does.

    ``routing``: a list of routes, a dict of channel -> consumer, or the dotted path of one.
    """

    def __init__(self, routing: Any, **filters: str | bytes) -> None:
        self.filters = Filters(filters)
        self.routing = routes_of(routing)

    def match(self, message: Message) -> Match | None:
        """Give the consumer and its keyword arguments; None: this message is for none of these."""
        return self.match_seen(Seen(message.channel.name, message.content))

    def match_seen(self, seen: Seen) -> Match | None:
        """As :meth:`match`, within another include."""
        outer = self.filters.match(seen.content)
        if outer is None:
            return None
        arguments, rest = outer
        inner = Seen(seen.channel, {**seen.content, **rest}) if rest else seen
        for route in self.routing:
            match = _matched(route, inner)
            if match is not None:
                return match[0], {**arguments, **match[1]}
        return None

    def channel_names(self) -> set[str]:
        """Give the channels that these are for."""
        return {name for route in self.routing for name in route.channel_names()}


def _matched(route: Any, seen: Seen) -> Match | None:
    """Match a route of ours, or one that a project has made for itself: that is given a message."""
    if isinstance(route, Route | Include):
        return route.match_seen(seen)
    return cast("Match | None", route.match(Message(dict(seen.content), seen.channel, _NoLayer())))


class _NoLayer:
    """Stands for the layer in a message that is only looked at."""


def routes_of(routing: Any) -> list[Any]:
    """Make a list of routes of what ``ROUTING`` may be. Raises ``ImproperlyConfigured``."""
    found = _imported(routing, "routing") if isinstance(routing, str) else routing
    if isinstance(found, Mapping):
        named: Mapping[str, Any] = cast("Any", found)
        return [Route(channel, consumer) for channel, consumer in named.items()]
    if not isinstance(found, list | tuple):
        raise ImproperlyConfigured(f"routing is a list of routes, or a dict of channel -> consumer, not {found!r}")
    return list(cast("Iterable[Any]", found))


class Router:
    """Finds the consumer of a message. ``routing``: as ``ROUTING`` in ``CHANNEL_LAYERS``."""

    def __init__(self, routing: Any) -> None:
        self.root = routes_of(routing)
        self._has_default = False
        self.channels = {name for route in self.root for name in route.channel_names()}

    def add_route(self, route: Any) -> None:
        """Add a route behind the others."""
        self.root.append(route)
        self.channels |= route.channel_names()

    def match(self, message: Message) -> Match | None:
        """Give the consumer and its keyword arguments; None: no route is for this message."""
        seen = Seen(message.channel.name, message.content)
        for route in self.root:
            match = _matched(route, seen) if isinstance(route, Route | Include) else route.match(message)
            if match is not None:
                return cast("Match", match)
        return None

    def check_default(self, http_consumer: Consumer | None = None) -> None:
        """Add, once, what answers behind the project's routes: Django's views, and sockets that are let in.

        ``http_consumer``: for ``http.request``; without it Django's views, or in DEBUG with staticfiles those as well.
        """
        if self._has_default:
            return
        self._has_default = True
        self.add_route(Route(REQUEST, http_consumer or _views()))
        self.add_route(Route(CONNECT, connect_consumer))
        self.add_route(Route([RECEIVE, DISCONNECT], null_consumer))


def _views() -> Consumer:
    from .handler import ViewConsumer
    from .staticfiles import StaticFilesConsumer, are_served

    return StaticFilesConsumer() if are_served() else ViewConsumer()


def _names(channels: Any) -> frozenset[str]:
    names = [channels] if isinstance(channels, str | bytes) else channels
    return frozenset(name.decode("ascii") if isinstance(name, bytes) else name for name in names)


def null_consumer(message: Message, **_: Any) -> None:
    """Do nothing."""


def connect_consumer(message: Message, **_: Any) -> None:
    """Let a socket in."""
    if message.reply_channel is not None:
        message.reply_channel.send({"accept": True})


route, route_class, include = Route, RouteClass, Include  # as they are written in a project's routing
