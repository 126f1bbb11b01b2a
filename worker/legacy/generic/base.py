"""Consumers as classes. An instance handles one message, when it is made: there is no other call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..auth import channel_session, channel_session_user
from ..message import Message
from ..routing import RouteClass
from ..sessions import Consumer


class BaseConsumer:
    """Handles messages by their channel. ``kwargs``: what the route's filters have matched."""

    method_mapping: ClassVar[Any] = {}  # channel -> name of the method that its messages go to
    channel_session: bool = False  # gives the methods message.channel_session
    channel_session_user: bool = False  # gives them message.user of that session, and the session
    ordered: bool = True  # False: a connection's messages need not wait for one another, and may overtake

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.message: Any = message  # decorators hang more on it than a Message has
        self.kwargs = kwargs
        self.dispatch(message, **kwargs)

    @classmethod
    def channel_names(cls) -> set[str]:
        """Give the channels that it is for."""
        return set(cls.method_mapping)

    @classmethod
    def as_route(cls, attrs: Mapping[str, Any] | None = None, **filters: Any) -> RouteClass:
        """Make a route to this class; ``attrs``: to a subclass that has these attributes."""
        consumer = type(cls.__name__, (cls,), {"__module__": cls.__module__, **attrs}) if attrs else cls
        return RouteClass(consumer, **filters)

    def get_handler(self, message: Message, **kwargs: Any) -> Consumer:
        """Give the method for a message, decorated as the class says. Raises ``KeyError`` for other channels' ones."""
        handler: Consumer = getattr(self, self.method_mapping[message.channel.name])
        if self.channel_session_user:
            return channel_session_user(handler)
        return channel_session(handler) if self.channel_session else handler

    def dispatch(self, message: Message, **kwargs: Any) -> Any:
        """Handle a message."""
        return self.get_handler(message, **kwargs)(message, **kwargs)
