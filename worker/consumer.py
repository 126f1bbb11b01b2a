"""The article's consumer interface, and base classes on it.

A consumer is a callable ``(type, channel_layer, consumer_channel, send)`` that returns a callable which takes one
message: a class, a factory, a function. It is async if what it returns is a coroutine function, else it runs in a
thread; a function that makes consumers may have an attribute ``is_async`` that says so before its first call. The
first message carries the scope (``path``, ``headers``, ``client`` ...), later ones do not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from ..shared.errors import LocalProtocolError
from ..shared.wire import Event
from .done import Done
from .layers import ChannelLayer, SyncChannelLayer


class SendToClient(Protocol):
    """Sends one ASGI message to the client, as part of the turn. May be awaited, need not be: sync consumers do not."""

    def __call__(self, message: Event) -> Done:
        """Send. Raises ``LocalProtocolError`` for a message that ASGI does not allow now."""
        ...

    def flush(self) -> Done:
        """Commit early: what this turn did so far happens now, and its message is not given to anybody again."""
        ...


Handler = Callable[[Event], Any]  # returns an awaitable, if the consumer is async
ConsumerFactory = Callable[[str, Any, str, SendToClient], Handler]

_SILENT = frozenset({
    "websocket_connect", "websocket_receive", "websocket_disconnect", "http_disconnect", "bridge_resumed",
})  # fmt: skip
_FIRST = frozenset({"websocket.connect", "http.request"})
_ONLY_HANDLERS = _SILENT | {
    "http_request",
    "bridge_gap",
}  # names that are nothing else: of what servers and bridges send


class _Consumer:
    """What both base classes share. Handlers are named after the message: websocket.receive -> websocket_receive."""

    type: ClassVar[str] = ""  # "websocket", "http" or "channel": the Router gives it only connections of this type
    auto_accept: ClassVar[bool] = True  # a socket that the connect handler neither accepts nor closes is accepted
    resumable: ClassVar[bool] = False  # its variables are kept at the bridge: it outlives its worker
    on_loss: ClassVar[str] = "replay"  # what becomes of a turn whose worker is lost; or "skip", or "close"
    soft_time_limit: ClassVar[float | None] = None  # seconds for a turn, then it is told; None: the worker's; 0: none
    time_limit: ClassVar[float | None] = None  # seconds, then nobody waits for it any more

    def __init__(self, type: str, channel_layer: Any, consumer_channel: str, send: SendToClient) -> None:
        self.consumer_channel = consumer_channel
        self.scope: dict[str, Any] = {"type": type}
        self.url_kwargs: dict[str, Any] = {}  # set by the Router
        self._channel_layer = channel_layer
        self._send = send
        self._answered = False  # accepted, closed or refused

    def get_state(self) -> Any:
        """Give what is to be kept of a resumable consumer, after each turn: its variables, but for what it was given.

        In its own place, return less, or something else. The values are those that a message may have, and dates and
        times. Sync, in an async consumer too.
        """
        return {name: value for name, value in vars(self).items() if name not in _GIVEN}

    def set_state(self, state: Any) -> None:
        """Become what ``get_state()`` has told of. Called on a new consumer, which has the same scope as the old one.

        If it raises, another worker is asked: one of the release before knows its own states.
        """
        vars(self).update(state)

    def _handler(self, message: Event) -> Callable[..., Any] | None:
        name = message["type"].replace(".", "_")
        handler = None if name.startswith("_") or name in _OWN else getattr(self, name, None)
        if handler is None and (name not in _SILENT or self.scope["type"] == "channel"):
            raise LocalProtocolError(
                f"{type(self).__name__} has no handler {name!r} for the message {message['type']!r}"
            )
        return handler

    def _arguments(self, message: Event) -> dict[str, Any]:
        """Take the scope from the first message. Connect handlers and http_request get the URL's arguments."""
        if message["type"] not in _FIRST:
            return {}
        if "path" in message:
            self.scope = {**message, "type": self.scope["type"]}
            self.scope["url_route"] = {"args": (), "kwargs": self.url_kwargs}
        return self.url_kwargs

    def _put(self, message: Event) -> Done:
        kind: Any = message.get("type") if isinstance(message, dict) else None  # what else is wrong, send() tells
        if kind == "websocket.send" and not self._answered and self.auto_accept and self.scope["type"] == "websocket":
            self._accept()
        sent = self._send(message)
        if isinstance(kind, str) and kind.startswith("websocket."):
            self._answered = True
        return sent

    def _accept(self) -> None:
        self._answered = True
        _ = self._send({"type": "websocket.accept"})

    def _after(self, message: Event) -> None:
        connects = message["type"] == "websocket.connect" and self.scope["type"] == "websocket"
        if connects and not self._answered and self.auto_accept:
            self._accept()


# what every consumer has, none of it a handler: a group's message of type "send" must not reach the client
_OWN = frozenset({
    "auto_accept", "channel_layer", "consumer_channel", "flush", "get_state", "on_loss", "resumable", "scope", "send",
    "set_state", "soft_time_limit", "time_limit", "type", "url_kwargs",
})  # fmt: skip
# what each is given anew where it is adopted
_GIVEN = frozenset({
    "_answered", "_channel_layer", "_send", "channel_layer", "consumer_channel", "scope", "url_kwargs",
})  # fmt: skip


def _refuse_async(cls: type) -> None:
    """Raise ``TypeError`` if a sync consumer has a coroutine function where a message may find it."""
    for name in dir(cls):
        if not name.startswith("_") and inspect.iscoroutinefunction(inspect.getattr_static(cls, name)):
            raise TypeError(
                f"{cls.__name__}.{name} is async, and {cls.__name__} a SyncConsumer, which would never await it:"
                " make it a plain def, or the class an AsyncConsumer (a name that begins with _ is no handler)"
            )


def _refuse_sync(cls: type) -> None:
    """Raise ``TypeError`` if a handler of an async consumer is a plain function. Of wrappers counts what they wrap."""
    for name in sorted(_ONLY_HANDLERS):
        handler: Any = inspect.getattr_static(cls, name, None)
        if inspect.isfunction(handler) and not inspect.iscoroutinefunction(inspect.unwrap(handler)):
            raise TypeError(
                f"{cls.__name__}.{name} is a plain function, and {cls.__name__} an AsyncConsumer, which awaits it:"
                " make it async def, or the class a SyncConsumer"
            )


def keeps_variables(consumer: object) -> bool:
    """Say whether its state is its instance variables, and not what a ``get_state`` of its own returns."""
    return isinstance(consumer, _Consumer) and type(consumer).get_state is _Consumer.get_state


def resume(consumer: AsyncConsumer | SyncConsumer, scope: dict[str, Any], *, answered: bool) -> None:
    """Give an adopted consumer what the connection's first message has told the one before it."""
    consumer.scope = {**scope, "url_route": {"args": (), "kwargs": consumer.url_kwargs}}
    own: Any = consumer
    own._answered = answered


class AsyncConsumer(_Consumer):
    """Base class of async consumers: handlers are coroutine functions. ``TypeError`` at a class with others."""

    channel_layer: ChannelLayer

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        _refuse_sync(cls)

    def __init__(self, type: str, channel_layer: ChannelLayer, consumer_channel: str, send: SendToClient) -> None:
        super().__init__(type, channel_layer, consumer_channel, send)
        self.channel_layer = channel_layer

    async def __call__(self, message: Event) -> None:
        """Handle one message."""
        handler, arguments = self._handler(message), self._arguments(message)
        if handler is not None:
            await handler(message, **arguments)
        self._after(message)

    async def send(self, message: Event) -> None:
        """Send an ASGI message to the client when this turn commits; outside of a turn, now."""
        await self._put(message)

    async def flush(self) -> None:
        """Commit now what this turn did so far; the rest of it is sent when it ends."""
        await self._send.flush()


class SyncConsumer(_Consumer):
    """Base class of sync consumers: handlers run in a thread, one at a time per connection.

    ``TypeError`` at a class with coroutine functions.
    """

    channel_layer: SyncChannelLayer

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        _refuse_async(cls)

    def __init__(self, type: str, channel_layer: SyncChannelLayer, consumer_channel: str, send: SendToClient) -> None:
        super().__init__(type, channel_layer, consumer_channel, send)
        self.channel_layer = channel_layer

    def __call__(self, message: Event) -> None:
        """Handle one message."""
        handler, arguments = self._handler(message), self._arguments(message)
        if handler is not None:
            handler(message, **arguments)
        self._after(message)

    def send(self, message: Event) -> None:
        """Send an ASGI message to the client when this turn commits; outside of a turn, now."""
        _ = self._put(message)

    def flush(self) -> None:
        """Commit now what this turn did so far; the rest of it is sent when it ends."""
        _ = self._send.flush()
