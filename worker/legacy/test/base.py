"""Test cases with layers in memory, a client that calls consumers, and routes for a test."""

from __future__ import annotations

import functools
import random
import string
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, Self, cast

from django.db import close_old_connections
from django.test import TestCase, TransactionTestCase

from ..asgi import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from ..channel import Channel, Group
from ..exceptions import ChannelSocketException
from ..memory import ChannelLayer
from ..message import Message
from ..routing import Router
from ..signals import consumer_finished, consumer_started

TAIL = 5  # letters of a client's reply channel


# -- test cases ------------------------------------------------------------------------------------------------------


class ChannelTestCaseMixin:
    """Gives each test layers of its own, in memory, in place of those with the aliases ``test_channel_aliases``."""

    test_channel_aliases: ClassVar[Sequence[str]] = [DEFAULT_CHANNEL_LAYER]

    def run(self, result: Any = None) -> Any:
        """Run the test with them."""
        with in_memory(self.test_channel_aliases):
            return cast("Any", super()).run(result)

    def debug(self) -> None:
        """Run the test with them, outside of a result."""
        with in_memory(self.test_channel_aliases):
            cast("Any", super()).debug()

    def get_next_message(
        self, channel: str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Message | None:
        """Take the next message of a channel. None: there is none; with ``require`` the test has failed then."""
        message = next_message(channel, alias)
        if message is None and require:
            raise AssertionError(f"expected a message on the channel {channel}, and there is none")
        return message


class ChannelTestCase(ChannelTestCaseMixin, TestCase):
    """Django's ``TestCase`` with layers of its own."""


class TransactionChannelTestCase(ChannelTestCaseMixin, TransactionTestCase):
    """Django's ``TransactionTestCase`` with layers of its own."""


@contextmanager
def in_memory(aliases: Iterable[str]) -> Generator[None]:
    """Put layers in memory in the places of those with these aliases. Their routing is the same."""
    with ExitStack() as stack:
        for alias in aliases:
            known = channel_layers.backends.get(alias)
            routing = channel_layers.configs[alias]["ROUTING"] if known is None else known.routing
            stack.enter_context(replaced(alias, ChannelLayerWrapper(ChannelLayer(), alias, routing)))
        yield


@contextmanager
def replaced(alias: str, layer: ChannelLayerWrapper) -> Generator[None]:
    """Put a layer in the place of an alias's."""
    before = channel_layers.set(alias, layer)
    try:
        yield
    finally:
        if before is None:
            del channel_layers.backends[alias]
        else:
            channel_layers.set(alias, before)


def next_message(channel: str, alias: str) -> Message | None:
    """Take the next message of a channel; None: there is none."""
    layer = channel_layers[alias]
    name, content = layer.receive([channel])
    return None if name is None else Message(content, name, layer)


# -- the client ------------------------------------------------------------------------------------------------------


class Client:
    """Sends messages, has their consumers called, and receives what those send back.

    ``alias``: of the layer. ``reply_channel``: the name of the channel that it receives on.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        self.alias = alias
        self.reply_channel = alias + "".join(random.choices(string.ascii_letters, k=TAIL))  # noqa: S311 - a name

    @property
    def channel_layer(self) -> ChannelLayerWrapper:
        """Its layer."""
        return channel_layers[self.alias]

    def get_next_message(self, channel: str) -> Message | None:
        """Take the next message of a channel; None: there is none."""
        return next_message(channel, self.alias)

    def get_consumer_by_channel(self, channel: str) -> Any:
        """Find the consumer of a message without content; None: there is none."""
        match = self.channel_layer.router.match(Message({}, channel, self.channel_layer))
        return None if match is None else match[0]

    def send(self, to: str, content: Any = None) -> None:
        """Send a message that is answered on :attr:`reply_channel`."""
        content = {"reply_channel": self.reply_channel, **(content or {})}
        Channel(to, channel_layer=self.channel_layer).send(content)

    def consume(self, channel: str, fail_on_none: bool = True) -> Any:
        """Call the consumer of the next message of a channel; give what it returns.

        What it raises is raised here, but for ``ChannelSocketException``, which is done. Raises ``AssertionError`` for
        a message without a consumer, and with ``fail_on_none`` if there is no message.
        """
        message = self.get_next_message(channel)
        if message is None:
            if fail_on_none:
                raise AssertionError(f"there is no message on the channel {channel}")
            return None
        match = self.channel_layer.router.match(message)
        if match is None:
            raise AssertionError(f"no route is for this message on the channel {channel}: {message.content!r}")
        return _called(message, *match)

    def send_and_consume(self, channel: str, content: Any = None, fail_on_none: bool = True) -> Any:
        """Send a message, and call the consumer of the next one there, which it is if no other waited."""
        self.send(channel, content)
        return self.consume(channel, fail_on_none=fail_on_none)

    def receive(self) -> Any:
        """Take the content of the next message on :attr:`reply_channel`; None: there is none."""
        message = self.get_next_message(self.reply_channel)
        return None if message is None else message.content

    def join_group(self, group_name: str) -> None:
        """Have what is sent to a group sent here."""
        Group(group_name, channel_layer=self.channel_layer).add(self.reply_channel)


def _called(message: Message, consumer: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call a consumer as a worker does."""
    try:
        consumer_started.send(sender=Client, environ={})
        return consumer(message, **arguments)
    except ChannelSocketException as error:
        error.run(message)
        return None
    finally:
        consumer_finished.disconnect(close_old_connections)  # a test's connections are in a transaction, and stay
        try:
            consumer_finished.send(sender=Client)
        finally:
            consumer_finished.connect(close_old_connections)


# -- routes ----------------------------------------------------------------------------------------------------------


class apply_routes:  # noqa: N801 - its name in Channels 1
    """Gives layers other routes: for a ``with`` block, a test function, or all tests of a class.

    ``routes``: a list of them, or one; or a dict, or a dotted path, as ``ROUTING`` may be.
    """

    def __init__(self, routes: Any, aliases: Sequence[str] = (DEFAULT_CHANNEL_LAYER,)) -> None:
        self._routes = routes
        self._aliases = [aliases] if isinstance(aliases, str) else list(aliases)
        self._stacks: list[ExitStack] = []

    def enter(self) -> None:
        """Begin."""
        with ExitStack() as stack:
            for alias in self._aliases:
                stack.enter_context(_routed(channel_layers[alias], Router(_as_routing(self._routes))))
            self._stacks.append(stack.pop_all())

    def exit(self, exc_type: Any = None, exc_val: Any = None, exc_tb: Any = None) -> None:
        """End what was begun last."""
        self._stacks.pop().close()

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(self, *error: object) -> None:
        self.exit()

    def __call__(self, test: Any) -> Any:
        """Decorate a test, or a class of tests."""
        return self._decorated_class(test) if isinstance(test, type) else self._decorated(test)

    def _decorated(self, test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                return test(*args, **kwargs)

        return wrapper

    def _decorated_class(self, cls: Any) -> Any:
        set_up = cls.setUp

        @functools.wraps(set_up)
        def wrapper(test: Any) -> None:
            self.enter()
            test.addCleanup(self.exit)
            set_up(test)

        cls.setUp = wrapper
        return cls


def _as_routing(routes: Any) -> Any:
    """Make a list of one route, and of lists in a list."""
    if isinstance(routes, str | dict):
        return routes
    if not isinstance(routes, list | tuple):
        return [routes]
    nested: list[Any] = [one if isinstance(one, list | tuple) else [one] for one in routes]
    return [route for one in nested for route in one]


@contextmanager
def _routed(layer: ChannelLayerWrapper, router: Router) -> Generator[None]:
    before = vars(layer).get("router")
    vars(layer)["router"] = router
    try:
        yield
    finally:
        del vars(layer)["router"]
        if before is not None:
            vars(layer)["router"] = before
