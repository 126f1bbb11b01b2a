"""Consumers of WebSockets as classes, and several of them behind one socket.

A frame of a demultiplexed socket is ``{"stream": name, "payload": dict}`` as JSON, both ways.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.core.serializers.json import DjangoJSONEncoder

from ..auth import channel_and_http_session_user_from_http, channel_session_user_from_http
from ..channel import Channel, Group
from ..exceptions import SendNotAvailableOnDemultiplexer
from ..message import Message
from ..routing import CONNECT, DISCONNECT, RECEIVE
from ..sessions import Consumer, enforce_ordering
from .base import BaseConsumer


class WebsocketConsumer(BaseConsumer):
    """Handles the messages of WebSockets: override ``connect``, ``receive`` and ``disconnect``.

    The class attributes give them sessions, a user and groups.
    """

    method_mapping: ClassVar[Any] = {
        CONNECT: "raw_connect", RECEIVE: "raw_receive", DISCONNECT: "raw_disconnect",
    }  # fmt: skip
    http_user: bool = False  # message.user is that of the browser, from connect on; and there is a channel_session
    http_user_and_session: bool = False  # the same, and message.http_session in all messages
    strict_ordering: bool = False  # as enforce_ordering: messages are in order without it, too
    slight_ordering: bool = False
    groups: Iterable[str] | None = None  # that each connection is in

    def get_handler(self, message: Message, **kwargs: Any) -> Consumer:
        """Give the method for a message, decorated as the class says."""
        if self.slight_ordering:
            raise ValueError("slight_ordering: Channels 1.0 has ended it; leave it away, messages are in order")
        if self.http_user or self.http_user_and_session:
            self.channel_session_user = True
        handler = super().get_handler(message, **kwargs)
        if self.http_user_and_session:
            handler = channel_and_http_session_user_from_http(handler)
        elif self.http_user and message.channel.name == CONNECT:
            handler = channel_session_user_from_http(handler)
        return enforce_ordering(handler) if self.strict_ordering else handler

    def connection_groups(self, **kwargs: Any) -> Iterable[str]:
        """Give the groups that this connection is in, until it ends. Called when it begins, and when it has ended."""
        return self.groups or []

    def raw_connect(self, message: Message, **kwargs: Any) -> None:
        """Put the connection into its groups, and let :meth:`connect` decide about it."""
        for name in self.connection_groups(**kwargs):
            Group(name, channel_layer=message.channel_layer).add(_socket(message))
        self.connect(message, **kwargs)

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Accept the connection. One that overrides this does so, or it is refused in time."""
        _socket(message).send({"accept": True})

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Give what the client has sent to :meth:`receive`."""
        if "text" in message:
            self.receive(text=message["text"], **kwargs)
        else:
            self.receive(bytes=message["bytes"], **kwargs)

    def receive(self, *args: Any, **kwargs: Any) -> None:
        """Handle a frame, given as ``text`` or as ``bytes``: ``receive(self, text=None, bytes=None, **kwargs)``."""

    def raw_disconnect(self, message: Message, **kwargs: Any) -> None:
        """Take the connection out of its groups, and tell :meth:`disconnect`."""
        for name in self.connection_groups(**kwargs):
            Group(name, channel_layer=message.channel_layer).discard(_socket(message))
        self.disconnect(message, **kwargs)

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Hear that the connection has ended."""

    @property
    def path(self) -> str:
        """The path of the connection."""
        return self.message["path"]

    def send(self, text: Any = None, bytes: bytes | None = None, close: bool | int = False) -> None:
        """Send a frame; ``close``: and close then, with this code. Raises ``ValueError`` without text and bytes."""
        _socket(self.message).send(_frame(text, bytes, close))

    @classmethod
    def group_send(cls, name: str, text: Any = None, bytes: bytes | None = None, close: bool | int = False) -> None:
        """As :meth:`send`, to all of a group of the default layer."""
        Group(name).send(_frame(text, bytes, close))

    def close(self, status: bool | int = True) -> None:
        """Close the connection, with a code; True: 1000."""
        _socket(self.message).send({"close": status})


def _socket(message: Message) -> Channel:
    if message.reply_channel is None:
        raise ValueError(f"a message on {message.channel} without reply_channel is of no WebSocket")
    return message.reply_channel


def _frame(text: str | None, data: bytes | None, close: bool | int) -> dict[str, Any]:
    frame: dict[str, Any] = {}
    if text is not None:
        frame["text"] = text
    elif data is not None:
        frame["bytes"] = data
    else:
        raise ValueError("a frame has to have text or bytes: see close() to end a connection without one")
    if close:
        frame["close"] = close
    return frame


class JsonWebsocketConsumer(WebsocketConsumer):
    """Handles frames of JSON: ``receive(content)``. Others raise ``ValueError``, which is logged."""

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Give what is in a frame to :meth:`receive`."""
        if "text" not in message:
            raise ValueError(f"{type(self).__name__} takes text frames, with JSON; this one is binary")
        self.receive(self.decode_json(message["text"]), **kwargs)

    def receive(self, content: Any, **kwargs: Any) -> None:
        """Handle what was in a frame."""

    def send(self, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """Send as JSON; ``close``: and close then, with this code."""
        super().send(text=self.encode_json(content), close=close)

    @classmethod
    def group_send(cls, name: str, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """As :meth:`send`, to all of a group of the default layer."""
        super().group_send(name, text=cls.encode_json(content), close=close)

    @classmethod
    def decode_json(cls, text: str) -> Any:
        """Read JSON. Raises ``ValueError``."""
        return json.loads(text)

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """Write JSON. Raises ``TypeError`` for what it has not, such as dates."""
        return json.dumps(content)


class WebsocketMultiplexer:
    """One stream of a socket: what consumers behind a demultiplexer send with."""

    def __init__(self, stream: str, reply_channel: Channel) -> None:
        self.stream = stream
        self.reply_channel = reply_channel

    def send(self, payload: Any) -> None:
        """Send a payload on this stream."""
        self.reply_channel.send(self.encode(self.stream, payload))

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """Write JSON, with what Django's encoder knows: dates, decimals, UUIDs."""
        return json.dumps(content, cls=DjangoJSONEncoder)

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        """Make the message of a frame."""
        return {"text": cls.encode_json({"stream": stream, "payload": payload})}

    @classmethod
    def group_send(cls, name: str, stream: str, payload: Any, close: bool | int = False) -> None:
        """Send a payload on the stream of this name to all sockets of a group of the default layer."""
        message = cls.encode(stream, payload)
        if close:
            message["close"] = close
        Group(name).send(message)


class WebsocketDemultiplexer(JsonWebsocketConsumer):
    """Gives frames to the consumer of their stream, and connects and disconnects to all of them.

    Each is called with the argument ``multiplexer``, to send with. A frame without a known stream and a dict as payload
    raises ``ValueError``, which is logged; the client is not told.
    """

    consumers: ClassVar[Any] = {}  # stream -> consumer, a class or another callable
    multiplexer_class: ClassVar[type[WebsocketMultiplexer]] = WebsocketMultiplexer

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Accept the connection, and tell all consumers."""
        _socket(message).send({"accept": True})
        for stream in self.consumers:
            self._consume(stream, message, kwargs)

    def receive(self, content: Any, **kwargs: Any) -> None:
        """Give the payload of a frame, as a frame of its own, to the consumer of its stream."""
        if not (isinstance(content, dict) and "stream" in content and "payload" in content):
            raise ValueError(f"{type(self).__name__}: a frame is no object with a stream and a payload")
        stream, payload = content["stream"], content["payload"]
        if not isinstance(payload, dict):
            raise ValueError(f"{type(self).__name__}: the payload of a frame of {stream!r} is no object")
        if not isinstance(stream, str) or stream not in self.consumers:
            raise ValueError(f"{type(self).__name__}: a frame is of the stream {stream!r}, which has no consumer")
        message = Message(
            {**self.message.content, "text": json.dumps(payload)}, self.message.channel.name, self.message.channel_layer
        )
        for name, value in vars(self.message).items():
            vars(message).setdefault(name, value)  # sessions and the user
        self._consume(stream, message, kwargs)

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Tell all consumers."""
        for stream in self.consumers:
            self._consume(stream, message, kwargs)

    def _consume(self, stream: str, message: Message, kwargs: Mapping[str, Any]) -> None:
        consumer: Any = self.consumers[stream]
        arguments = {**kwargs, "multiplexer": self.multiplexer_class(stream, _socket(message))}
        if not _can_send(consumer):
            consumer(message, **arguments)
            return
        # Making one is to let it consume, so it learns before that that it must not send frames without a stream.
        instance = consumer.__new__(consumer, message, **arguments)
        instance.send = self.send
        instance.__init__(message, **arguments)

    def send(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: a frame has to have a stream."""
        raise SendNotAvailableOnDemultiplexer(
            "a socket of streams has no send(): use that of the argument multiplexer of connect, receive and disconnect"
        )

    @classmethod
    def group_send(cls, *_: Any, **__: Any) -> None:
        """Refuse, as :meth:`send` does."""
        raise SendNotAvailableOnDemultiplexer(
            "a socket of streams has no group_send(): use WebsocketMultiplexer.group_send(name, stream, payload)"
        )


def _can_send(consumer: object) -> bool:
    return isinstance(consumer, type) and issubclass(consumer, WebsocketConsumer)
