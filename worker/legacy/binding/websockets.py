"""Bindings over WebSockets: streams of a demultiplexer.

Out: ``{"action", "pk", "data", "model"}``; in: ``{"action", "pk", "data"}``; each the payload of a stream's frame.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.core import serializers
from django.core.serializers.json import DjangoJSONEncoder

from ..generic.websockets import WebsocketMultiplexer
from ..message import Message
from ..routing import CONNECT, DISCONNECT
from ..sessions import Consumer, enforce_ordering
from .base import Binding

ALL = "__all__"


class WebsocketBinding(Binding):
    """Binds a model to a stream. Its :meth:`consumer` goes into a demultiplexer's ``consumers``.

    To be overridden: ``stream``, :meth:`group_names` and :meth:`has_permission`, and what else shall be different.
    """

    model: Any = None
    strict_ordering: bool = False  # as enforce_ordering: messages are in order without it, too
    slight_ordering: bool = False

    # -- out -----------------------------------------------------------------------------------------------------

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        """Make the message of a frame."""
        return WebsocketMultiplexer.encode(stream, payload)

    def serialize(self, instance: Any, action: str) -> dict[str, Any]:
        """Give what is told of a change; ``{}``: nothing is."""
        data = self.serialize_data(instance)
        return {"action": action, "pk": instance.pk, "data": data, "model": self.model_label}

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """Give the fields of an instance, as Django's serialisers write them."""
        names = None if self.fields is None or ALL in self.fields else list(self.fields)
        written = json.loads(serializers.serialize("json", [instance], fields=names))[0]["fields"]
        return {name: value for name, value in written.items() if self._is_bound(name)}

    @classmethod
    def _is_bound(cls, name: str) -> bool:
        """Say whether a field is told, and may be set."""
        if cls.fields is not None:
            return ALL in cls.fields or name in cls.fields
        return name not in (cls.exclude or ())

    # -- in ------------------------------------------------------------------------------------------------------

    @classmethod
    def consumer(cls, message: Message, **kwargs: Any) -> None:
        """Consume a message in which a client wishes for a change. That it comes and goes is nothing to a binding."""
        if message.channel.name not in (CONNECT, DISCONNECT):
            super().consumer(message, **kwargs)

    @classmethod
    def get_handler(cls) -> Consumer:
        """Give what consumes, decorated as the class says."""
        if cls.slight_ordering:
            raise ValueError("slight_ordering: Channels 1.0 has ended it; leave it away, messages are in order")
        handler = super().get_handler()
        return enforce_ordering(handler) if cls.strict_ordering else handler

    def deserialize(self, message: Message) -> tuple[str, Any, Any]:
        """Give the action, the key of an instance, and its values. Raises ``ValueError`` and ``KeyError``."""
        body = json.loads(message["text"])
        return body["action"], body.get("pk"), body.get("data")

    def create(self, data: Mapping[str, Any]) -> None:
        """Create an instance. Fields that are not bound are left out, whatever a client sends."""
        made = self._hydrate(None, data)
        made.object.save()
        _relate(made.object, made.m2m_data)

    def update(self, pk: Any, data: Mapping[str, Any]) -> None:
        """Change the fields that are bound of an instance. Raises its model's ``DoesNotExist``."""
        instance = self._objects().get(pk=pk)
        made = self._hydrate(pk, data)
        for name in self._bound(data):
            field = self.model._meta.get_field(name)
            if not field.many_to_many:
                setattr(instance, field.attname, getattr(made.object, field.attname))
        instance.save()
        _relate(instance, made.m2m_data)

    def delete(self, pk: Any) -> None:
        """Delete an instance, if it is there."""
        self._objects().filter(pk=pk).delete()

    def _objects(self) -> Any:
        return getattr(self.model, "objects", self.model._default_manager)

    def _bound(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in data.items() if self._is_bound(name)}

    def _hydrate(self, pk: Any, data: Mapping[str, Any]) -> Any:
        """Read the values of bound fields. Raises Django's ``DeserializationError``, ``FieldDoesNotExist``."""
        written = {"model": self.model_label, "fields": self._bound(data)}
        if pk is not None:
            written["pk"] = pk
        return next(iter(serializers.deserialize("python", [written])))


def _relate(instance: Any, related: Mapping[str, Any]) -> None:
    """Set what is many to many, which is behind a saved instance."""
    for name, values in (related or {}).items():
        getattr(instance, name).set(values)


class WebsocketBindingWithMembers(WebsocketBinding):
    """Tells of an instance's attributes as well, by dotted paths; what can be called is called.

    ``send_members = ["owner.username"]`` gives the data's key ``owner__username``.
    """

    model: Any = None
    send_members: Sequence[str] = ()
    encoder: json.JSONEncoder = DjangoJSONEncoder()

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """Give the fields and members of an instance."""
        members = {path.replace(".", "__"): _member(instance, path) for path in self.send_members}
        return {**super().serialize_data(instance), **json.loads(self.encoder.encode(members))}


def _member(instance: Any, path: str) -> Any:
    found = instance
    for name in path.split("."):
        found = getattr(found, name)
    return found() if callable(found) else found
