"""Bindings: what is changed in a model's instances is told to groups, and what clients ask for is done to them.

An instance's groups are asked for before it is saved and after. Those that it has left are told that it was deleted,
those that it is still in that it was updated, and those that it has come into that it was created.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from ..auth import channel_session, channel_session_user
from ..channel import Group
from ..message import Message
from ..sessions import Consumer

CREATE, UPDATE, DELETE = "create", "update", "delete"

NESTED = 16  # saves of one instance within its own save; more are older ones that have failed


class _Before(threading.local):
    """The groups of instances that are being saved in this thread: between the two signals of a save.

    A save that fails gives no second signal: its entry ends with the instance.
    """

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[tuple[type, int], tuple[weakref.ref[Any], list[set[str]]]] = {}

    def push(self, binding: type, instance: Any, groups: set[str]) -> None:
        """Keep the groups."""
        key, entries = (binding, id(instance)), self._entries
        if key not in entries:
            entries[key] = weakref.ref(instance, lambda _: entries.pop(key, None)), []
        stack = entries[key][1]
        stack.append(groups)
        del stack[:-NESTED]

    def pop(self, binding: type, instance: Any) -> set[str] | None:
        """Give the groups that were kept last, and keep them no more. None: there are none."""
        key = (binding, id(instance))
        entry = self._entries.get(key)
        if entry is None:
            return None
        groups = entry[1].pop()
        if not entry[1]:
            del self._entries[key]
        return groups

    def __len__(self) -> int:
        return len(self._entries)


_before = _Before()


class BindingMetaclass(type):
    """Checks bindings as they are defined, and has them follow their models once Django has loaded those."""

    register_immediately: ClassVar[bool] = False
    binding_classes: ClassVar[list[Any]] = []

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
        super().__init__(name, bases, body)
        if "model" in body and body["model"] is None:
            return  # to be derived from
        binding: Any = cls
        if binding.model is None:
            raise ValueError(f"the binding {name} has no model; model = None in its body makes it one to derive from")
        if binding.fields is None and binding.exclude is None:
            raise ValueError(f"the binding {name} has neither fields nor exclude; fields = ['__all__'] means all")
        BindingMetaclass.binding_classes.append(binding)
        if BindingMetaclass.register_immediately:
            binding.register()

    @classmethod
    def register_all(cls) -> None:
        """Have all bindings follow their models, also those that are defined from now on. Django calls it."""
        BindingMetaclass.register_immediately = True
        for binding in BindingMetaclass.binding_classes:
            binding.register()


class Binding(metaclass=BindingMetaclass):
    """Binds a model. See :class:`.websockets.WebsocketBinding`, which says how changes travel.

    To be overridden: :meth:`group_names` and :meth:`has_permission`.
    """

    model: Any = None  # a model, or "app.Model"
    model_label: str = ""  # "app.model", once Django has loaded the model
    fields: Sequence[str] | None = None  # the names of those that are told and may be set; ["__all__"]
    exclude: Sequence[str] | None = None  # or of those that are not
    stream: str | None = None  # on which changes are told
    channel_session_user: bool = True  # has_permission is given the user of the connection's session
    channel_session: bool = False  # self.message has a channel_session, where the former is False

    # while a change is told
    instance: Any = None
    signal_kwargs: Mapping[str, Any] = MappingProxyType({})  # what the signal has brought: raw, using, update_fields

    # while a client's wish is done
    message: Any = None
    kwargs: Mapping[str, Any] = MappingProxyType({})
    action: str = ""
    pk: Any = None
    data: Any = None
    user: Any = None

    # -- changes, to groups --------------------------------------------------------------------------------------

    @classmethod
    def register(cls) -> None:
        """Follow the model. Raises ``LookupError`` if there is none of this name."""
        from django.apps import apps

        if isinstance(cls.model, str):
            cls.model = apps.get_model(cls.model)
        cls.model_label = cls.model._meta.label_lower
        for model in cls.get_registered_models():
            pre_save.connect(cls.pre_save_receiver, sender=model)
            post_save.connect(cls.post_save_receiver, sender=model)
            pre_delete.connect(cls.pre_delete_receiver, sender=model)
            post_delete.connect(cls.post_delete_receiver, sender=model)

    @classmethod
    def get_registered_models(cls) -> list[Any]:
        """Give the models that are followed."""
        return [cls.model]

    @classmethod
    def pre_save_receiver(cls, instance: Any, **_: Any) -> None:
        """Hear that an instance is about to be saved."""
        cls.pre_change_receiver(instance, CREATE if instance._state.adding else UPDATE)

    @classmethod
    def post_save_receiver(cls, instance: Any, created: bool, **kwargs: Any) -> None:
        """Hear that an instance was saved."""
        cls.post_change_receiver(instance, CREATE if created else UPDATE, **kwargs)

    @classmethod
    def pre_delete_receiver(cls, instance: Any, **_: Any) -> None:
        """Hear that an instance is about to be deleted."""
        cls.pre_change_receiver(instance, DELETE)

    @classmethod
    def post_delete_receiver(cls, instance: Any, **kwargs: Any) -> None:
        """Hear that an instance was deleted."""
        cls.post_change_receiver(instance, DELETE, **kwargs)

    @classmethod
    def pre_change_receiver(cls, instance: Any, action: str) -> None:
        """Keep an instance's groups until it has changed: as its attributes, which may be new, give them."""
        _before.push(cls, instance, set() if action == CREATE else set(cls.group_names(instance)))

    @classmethod
    def post_change_receiver(cls, instance: Any, action: str, **kwargs: Any) -> None:
        """Tell an instance's groups what has become of it."""
        kept = _before.pop(cls, instance)
        groups: set[str] = set() if action == DELETE else set(cls.group_names(instance))
        before = set() if kept is None else kept
        self = cls()
        self.instance = instance
        self.send_messages(instance, before - groups, DELETE, **kwargs)
        self.send_messages(instance, before & groups, UPDATE, **kwargs)
        self.send_messages(instance, groups - before, CREATE, **kwargs)

    def send_messages(self, instance: Any, group_names: Iterable[str], action: str, **kwargs: Any) -> None:
        """Tell groups; nothing, if :meth:`serialize` gives ``{}``."""
        names = sorted(group_names)
        if not names:
            return
        self.signal_kwargs = kwargs
        payload = self.serialize(instance, action)
        if payload == {}:
            return
        if self.stream is None:
            raise ValueError(f"the binding {type(self).__name__} has no stream to tell changes on")
        message = self.encode(self.stream, payload)
        for name in names:
            Group(name).send(message)

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:  # noqa: ARG003 - for those that override it
        """Give the groups that are told of an instance."""
        _missing(cls, "group_names(cls, instance), a class method")

    def serialize(self, instance: Any, action: str) -> Any:
        """Give what is told of a change; ``{}``: nothing is."""
        _missing(type(self), "serialize(self, instance, action)")

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:  # noqa: ARG003 - the same
        """Make a message of what :meth:`serialize` gave."""
        _missing(cls, "encode(cls, stream, payload), a class method")

    # -- a client's wishes ---------------------------------------------------------------------------------------

    @classmethod
    def consumer(cls, message: Message, **kwargs: Any) -> None:
        """Consume a message in which a client wishes for a change."""
        cls.get_handler()(message, **kwargs)

    @classmethod
    def get_handler(cls) -> Consumer:
        """Give what consumes, decorated as the class says."""
        if cls.channel_session_user:
            return channel_session_user(cls.trigger_inbound)
        return channel_session(cls.trigger_inbound) if cls.channel_session else cls.trigger_inbound

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Do what a message wishes for, if that is allowed."""
        self = cls()
        self.message = message
        self.kwargs = kwargs
        self.action, self.pk, self.data = self.deserialize(message)
        self.user = getattr(message, "user", None)
        self.run_action(self.action, self.pk, self.data)

    def deserialize(self, message: Message) -> tuple[str, Any, Any]:
        """Give the action, the key of an instance, and its values."""
        _missing(type(self), "deserialize(self, message)")

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Say whether a user may do this."""
        _missing(type(self), "has_permission(self, user, action, pk)")

    def run_action(self, action: str, pk: Any, data: Any) -> None:
        """Do it, if it is allowed. Raises ``ValueError`` for an action that is none."""
        if not self.has_permission(self.user, action, pk):
            return
        if action == CREATE:
            self.create(data)
        elif action == UPDATE:
            self.update(pk, data)
        elif action == DELETE:
            self.delete(pk)
        else:
            raise ValueError(f"{type(self).__name__}: there is no action {action!r}")

    def create(self, data: Any) -> None:
        """Create an instance."""
        _missing(type(self), "create(self, data)")

    def update(self, pk: Any, data: Any) -> None:
        """Change an instance."""
        _missing(type(self), "update(self, pk, data)")

    def delete(self, pk: Any) -> None:
        """Delete an instance."""
        _missing(type(self), "delete(self, pk)")


def _missing(binding: type, method: str) -> NoReturn:
    raise ImproperlyConfigured(f"the binding {binding.__name__} has no {method}")
