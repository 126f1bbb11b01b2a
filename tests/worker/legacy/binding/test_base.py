"""Which groups are told of a change, and who may wish for one."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_save, pre_save

from channels1_project.models import Counter
from channels1_project.recorder import Recorder, recording
from channels_bridge.worker.legacy import signals
from channels_bridge.worker.legacy.binding import CREATE, DELETE, UPDATE, Binding, BindingMetaclass
from channels_bridge.worker.legacy.binding import base as base_module

pytestmark = pytest.mark.usefixtures("empty_tables", "unbound")


@pytest.fixture
def layer() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


class Telling(Binding):
    """Tells of instances by action and key; they are in the groups that their names have, letter by letter."""

    model: Any = None
    stream = "counters"
    actions: ClassVar[list[Any]] = []  # that were done

    @classmethod
    def group_names(cls, instance: Any) -> set[str]:
        return set(instance.name)

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        return {"text": f"{stream} {payload}"}

    def serialize(self, instance: Any, action: str) -> Any:
        return {} if instance.value < 0 else f"{action} {instance.pk}"

    def deserialize(self, message: Any) -> Any:
        return message["action"], message["pk"], message["data"]

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        return user.is_anonymous and pk != 13

    def create(self, data: Any) -> None:
        self.actions.append(("create", data))

    def update(self, pk: Any, data: Any) -> None:
        self.actions.append(("update", pk, data))

    def delete(self, pk: Any) -> None:
        self.actions.append(("delete", pk))


def bind(**attributes: Any) -> Any:
    """Define a binding of counters."""
    body = {"__module__": __name__, "model": Counter, "fields": ["__all__"], **attributes}
    return BindingMetaclass("Bound", (Telling,), body)


def told(layer: Recorder) -> list[tuple[str, str]]:
    return [(group, message["text"]) for _, group, message in layer.taken()]


# -- definition ------------------------------------------------------------------------------------------------------


def test_a_binding_has_a_model_and_says_which_fields() -> None:
    with pytest.raises(ValueError, match=r"the binding X has no model; model = None"):
        BindingMetaclass("X", (Telling,), {"fields": ["name"]})
    with pytest.raises(ValueError, match="neither fields nor exclude"):
        BindingMetaclass("X", (Telling,), {"model": Counter})
    BindingMetaclass("X", (Telling,), {"model": None})


def test_a_model_may_be_named(layer: Recorder) -> None:
    binding = bind(model="channels1_project.Counter", fields=None, exclude=["value"])
    assert binding.model is Counter
    assert binding.model_label == "channels1_project.counter"
    Counter.objects.create(name="a")
    assert told(layer) == [("a", "counters create 1")]


def test_bindings_follow_their_models_once_django_has_those(layer: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BindingMetaclass, "register_immediately", False)
    bind(model="channels1_project.Counter")
    Counter.objects.create(name="a")
    assert told(layer) == []
    BindingMetaclass.register_all()
    BindingMetaclass.register_all()
    Counter.objects.create(name="b")
    assert told(layer) == [("b", "counters create 2")]
    assert BindingMetaclass.register_immediately is True


def test_django_has_registered_bindings_when_it_was_set_up() -> None:
    assert BindingMetaclass.register_immediately is True


def test_a_model_may_have_several_bindings_also_one_that_derives(layer: Recorder) -> None:
    first = bind()
    BindingMetaclass("Second", (first,), {"stream": "second"})
    Counter.objects.create(name="a")
    assert told(layer) == [("a", "counters create 1"), ("a", "second create 1")]


# -- changes ---------------------------------------------------------------------------------------------------------


def test_groups_are_told_of_what_they_see(layer: Recorder) -> None:
    bind()
    counter = Counter.objects.create(name="ba")
    counter.save()
    Counter.objects.all().delete()
    assert told(layer) == [
        ("a", "counters create 1"), ("b", "counters create 1"),
        ("a", "counters update 1"), ("b", "counters update 1"),
        ("a", "counters delete 1"), ("b", "counters delete 1"),
    ]  # fmt: skip


def test_groups_that_an_instance_leaves_see_it_go_first(layer: Recorder) -> None:
    """Between the two signals its groups change, as they do where they hang on other rows."""
    names = iter([{"old", "both"}, {"both", "new"}])
    counter = Counter.objects.create(name="x")
    bind(group_names=classmethod(lambda cls, instance: next(names)))
    counter.save()
    assert told(layer) == [
        ("old", "counters delete 1"), ("both", "counters update 1"), ("new", "counters create 1"),
    ]  # fmt: skip


def test_what_is_serialised_to_nothing_is_not_told(layer: Recorder) -> None:
    bind()
    Counter.objects.create(name="a", value=-1)
    assert told(layer) == []


def test_what_the_signal_has_brought_is_there(layer: Recorder) -> None:
    def serialize(self: Any, instance: Any, action: str) -> str:
        assert self.instance is instance
        return f"{action} {sorted(self.signal_kwargs)} {self.signal_kwargs.get('update_fields')}"

    counter = Counter.objects.create(name="a")
    bind(serialize=serialize)
    counter.save(update_fields=["value"])
    assert told(layer) == [
        ("a", "counters update ['raw', 'sender', 'signal', 'update_fields', 'using'] frozenset({'value'})"),
    ]  # fmt: skip


def test_without_a_stream_a_change_cannot_be_told(layer: Recorder) -> None:
    bind(stream=None, group_names=classmethod(lambda cls, instance: set()))
    Counter.objects.create(name="a")
    bind(stream=None)
    with pytest.raises(ValueError, match="the binding Bound has no stream"):
        Counter.objects.create(name="b")
    assert told(layer) == []


def test_changes_within_a_consumer_are_told_when_it_ends(layer: Recorder) -> None:
    bind()
    signals.consumer_started.send(sender=None, environ={})
    Counter.objects.create(name="a")
    assert told(layer) == []
    signals.consumer_finished.send(sender=None)
    assert told(layer) == [("a", "counters create 1")]


# -- between the two signals -----------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Callable[[Any, Any], None]]:
    """Connect receivers of counters' signals, for one test."""
    connected: list[tuple[Any, Any]] = []

    def connect(signal: Any, function: Any) -> None:
        signal.connect(function, sender=Counter, weak=False)
        connected.append((signal, function))

    yield connect
    for signal, function in connected:
        signal.disconnect(function, sender=Counter)


def test_a_save_within_a_save_is_told_as_what_each_is(layer: Recorder, receiver: Any) -> None:
    def again(instance: Any, created: bool, **_: Any) -> None:
        if created:
            instance.value = 5
            instance.save()

    receiver(post_save, again)  # before the binding, so within its save
    bind()
    Counter.objects.create(name="a")
    assert told(layer) == [("a", "counters update 1"), ("a", "counters create 1")]


class Refused(Exception):
    """Raised between the two signals."""


def refuse(instance: Any, **_: Any) -> None:
    if instance.value == 7:
        raise Refused


def test_a_save_that_fails_leaves_nothing_behind(layer: Recorder, receiver: Any) -> None:
    bind()
    receiver(pre_save, refuse)
    before = len(base_module._before)
    counter: Any = Counter(name="a", value=7)
    for _ in range(100):
        with pytest.raises(Refused):
            counter.save()
    assert len(base_module._before) == before + 1
    counter.value = 1
    counter.save()
    counter.save()
    assert told(layer) == [("a", "counters create 1"), ("a", "counters update 1")]
    del counter
    gc.collect()
    assert len(base_module._before) == before


def test_each_thread_has_its_own(layer: Recorder) -> None:
    """One instance that two threads save at once: each knows the groups of its own save."""
    binding = bind()
    counter = Counter(name="a", pk=1)
    binding.pre_change_receiver(counter, UPDATE)
    thread = threading.Thread(target=binding.pre_change_receiver, args=(counter, CREATE))
    thread.start()
    thread.join()
    binding.post_change_receiver(counter, UPDATE)
    assert told(layer) == [("a", "counters update 1")]


def test_a_change_of_which_the_first_signal_was_missed_is_told_as_new(layer: Recorder) -> None:
    binding = bind()
    binding.post_change_receiver(Counter(name="a", pk=1), UPDATE)
    assert told(layer) == [("a", "counters create 1")]


# -- wishes ----------------------------------------------------------------------------------------------------------


def wish(layer: Recorder, action: str, pk: Any = None, data: Any = None) -> Any:
    return layer.message("websocket.receive", "reply.a!1", action=action, pk=pk, data=data)


def test_who_may_is_done_the_wish(layer: Recorder) -> None:
    binding = bind()
    Telling.actions.clear()
    binding.consumer(wish(layer, CREATE, data={"name": "a"}))
    binding.consumer(wish(layer, UPDATE, 1, {"name": "b"}), multiplexer="whatever")
    binding.consumer(wish(layer, DELETE, 1))
    binding.consumer(wish(layer, DELETE, 13))
    assert Telling.actions == [("create", {"name": "a"}), ("update", 1, {"name": "b"}), ("delete", 1)]


def test_a_wish_that_is_no_action_is_told_here(layer: Recorder) -> None:
    with pytest.raises(ValueError, match="there is no action 'frob'"):
        bind().consumer(wish(layer, "frob"))


def test_a_wish_knows_its_message(layer: Recorder) -> None:
    seen: list[Any] = []
    binding = bind(create=lambda self, data: seen.append((self.message, self.kwargs, self.action, self.pk, self.data)))
    message = wish(layer, CREATE, data=[1])
    binding.consumer(message, room="lobby")
    assert seen == [(message, {"room": "lobby"}, "create", None, [1])]


def test_a_user_or_a_session_is_there_if_it_is_asked_for(layer: Recorder) -> None:
    def has_permission(self: Any, user: Any, *_: Any) -> bool:
        seen.append((user is not None, hasattr(self.message, "channel_session")))
        return False

    seen: list[Any] = []
    bind(has_permission=has_permission).consumer(wish(layer, CREATE))
    bind(has_permission=has_permission, channel_session_user=False).consumer(wish(layer, CREATE))
    bind(has_permission=has_permission, channel_session_user=False, channel_session=True).consumer(wish(layer, CREATE))
    assert seen == [(True, True), (False, False), (False, True)]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("group_names", ["instance"]),
        ("encode", ["stream", "payload"]),
        ("serialize", ["instance", "action"]),
        ("deserialize", ["message"]),
        ("has_permission", ["user", "action", "pk"]),
        ("create", ["data"]),
        ("update", ["pk", "data"]),
        ("delete", ["pk"]),
    ],
)
def test_what_a_project_has_not_written_is_told(method: str, arguments: list[str]) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"the binding Binding has no {method}"):
        getattr(Binding(), method)(*arguments)
