"""Bindings behind a demultiplexer: what goes out, and what comes in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.core.serializers.base import DeserializationError

from channels1_project.models import Counter, Entry, Tag
from channels1_project.recorder import SOCKET, Recorder, recording
from channels_bridge.worker.legacy.binding import BindingMetaclass
from channels_bridge.worker.legacy.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers
from channels_bridge.worker.legacy.generic.websockets import WebsocketDemultiplexer

pytestmark = pytest.mark.usefixtures("empty_tables", "unbound")


@pytest.fixture
def layer() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


def bind(base: type = WebsocketBinding, **attributes: Any) -> Any:
    """Define a binding in which everybody may do everything."""
    body = {
        "__module__": __name__,
        "stream": "things",
        "group_names": classmethod(lambda cls, instance: ["all"]),
        "has_permission": lambda self, user, action, pk: True,
        **attributes,
    }
    return BindingMetaclass("Bound", (base,), body)


def told(layer: Recorder) -> list[dict[str, Any]]:
    return [json.loads(message["text"]) for _, _, message in layer.taken()]


def data_of(layer: Recorder) -> dict[str, Any]:
    """What the only change that was told has as data."""
    (frame,) = told(layer)
    return frame["payload"]["data"]


# -- out -------------------------------------------------------------------------------------------------------------


def test_a_change_is_a_frame_of_the_stream(layer: Recorder) -> None:
    bind(model=Counter, fields=["name", "value"])
    counter = Counter.objects.create(name="a", value=1)
    counter.value = 2
    counter.save()
    counter.delete()
    frames = [
        {"stream": "things", "payload": {"action": action, "pk": 1, "data": data, "model": "channels1_project.counter"}}
        for action, data in (
            ("create", {"name": "a", "value": 1}),
            ("update", {"name": "a", "value": 2}),
            ("delete", {"name": "a", "value": 2}),
        )
    ]
    assert told(layer) == frames


@pytest.mark.parametrize(
    ("says", "names"),
    [
        ({"fields": ["title"]}, {"title"}),
        ({"fields": ["title", "tags"]}, {"title", "tags"}),
        ({"fields": ["__all__"]}, {"title", "secret", "written", "counter", "tags"}),
        ({"exclude": ["secret", "counter"]}, {"title", "written", "tags"}),
        ({"exclude": []}, {"title", "secret", "written", "counter", "tags"}),
    ],
)
def test_fields_are_told_as_the_binding_says(layer: Recorder, says: Any, names: set[str]) -> None:
    bind(model="channels1_project.Entry", **says)
    Entry.entries.create(title="a")
    assert data_of(layer).keys() == names


def test_data_is_plain_before_a_project_sees_it(layer: Recorder) -> None:
    """Dates are text, as a project that overrides this got them."""

    class Changing(WebsocketBinding):
        model: Any = None

        def serialize_data(self, instance: Any) -> dict[str, Any]:
            data = super().serialize_data(instance)
            return {"day": data["written"][:4]}

    bind(Changing, model=Entry, fields=["written"])
    entry = Entry.entries.create(title="a")
    assert data_of(layer) == {"day": str(entry.written.year)}


def test_members_are_told_as_well(layer: Recorder) -> None:
    members = ["counter.name", "loud", "counter.value.bit_length", "written"]
    bind(WebsocketBindingWithMembers, model=Entry, fields=["title"], send_members=members)
    entry = Entry.entries.create(title="a", counter=Counter.objects.create(name="c", value=5))
    data = data_of(layer)
    assert data.pop("written").startswith(str(entry.written.year))
    assert data == {"title": "a", "counter__name": "c", "loud": "A!", "counter__value__bit_length": 3}


# -- in --------------------------------------------------------------------------------------------------------------


def consume(layer: Recorder, binding: Any, **wish: Any) -> None:
    binding.consumer(layer.frame(json.dumps(wish)), multiplexer=None)


def test_a_client_creates(layer: Recorder) -> None:
    tag, counter = Tag.objects.create(name="t"), Counter.objects.create(name="c")
    binding = bind(model=Entry, fields=["title", "counter", "tags"])
    consume(layer, binding, action="create", data={"title": "a", "counter": counter.pk, "tags": [tag.pk]})
    entry = Entry.entries.get()
    assert (entry.title, entry.counter, list(entry.tags.all())) == ("a", counter, [tag])
    assert told(layer)[0]["payload"]["action"] == "create"


def test_what_is_created_is_saved_as_any_other_is(layer: Recorder) -> None:
    """Channels 1 saved it as a fixture, so without the times that Django fills in."""
    consume(layer, bind(model=Entry, fields=["title"]), action="create", data={"title": "a"})
    assert Entry.entries.get().written is not None


@pytest.mark.parametrize("says", [{"fields": ["title"]}, {"exclude": ["secret", "id"]}])
def test_fields_that_are_not_bound_are_not_set(layer: Recorder, says: Any) -> None:
    """In Channels 1 who might create set whatever the model had, such as is_superuser."""
    binding = bind(model=Entry, **says)
    consume(layer, binding, action="create", data={"title": "a", "secret": "s", "id": 77})
    entry = Entry.entries.get()
    assert (entry.title, entry.secret, entry.pk == 77) == ("a", "", False)
    consume(layer, binding, action="update", pk=entry.pk, data={"title": "b", "secret": "s"})
    entry.refresh_from_db()
    assert (entry.title, entry.secret) == ("b", "")


def test_a_client_updates_what_it_names(layer: Recorder) -> None:
    tags = [Tag.objects.create(name=name) for name in "tu"]
    counter = Counter.objects.create(name="c")
    entry = Entry.entries.create(title="a", secret="s", counter=counter)
    entry.tags.set(tags)
    binding = bind(model=Entry, fields=["__all__"])
    consume(layer, binding, action="update", pk=entry.pk, data={"title": "b", "tags": [tags[1].pk], "counter": None})
    entry.refresh_from_db()
    assert (entry.title, entry.secret, entry.counter, list(entry.tags.all())) == ("b", "s", None, [tags[1]])
    consume(layer, binding, action="update", pk=entry.pk, data={"secret": "t"})
    entry.refresh_from_db()
    assert (entry.title, entry.secret, list(entry.tags.all())) == ("b", "t", [tags[1]])


def test_a_client_deletes(layer: Recorder) -> None:
    binding = bind(model=Counter, fields=["name"])
    first, second = (Counter.objects.create(name=name) for name in "ab")
    consume(layer, binding, action="delete", pk=first.pk)
    consume(layer, binding, action="delete", pk=first.pk)
    assert list(Counter.objects.all()) == [second]


def test_who_may_not_changes_nothing(layer: Recorder) -> None:
    binding = bind(model=Counter, fields=["name"], has_permission=lambda self, user, action, pk: action != "delete")
    counter = Counter.objects.create(name="a")
    consume(layer, binding, action="delete", pk=counter.pk)
    assert Counter.objects.count() == 1


def test_what_cannot_be_done_is_told_here(layer: Recorder) -> None:
    binding = bind(model=Counter, fields=["__all__"])
    with pytest.raises(ObjectDoesNotExist):
        consume(layer, binding, action="update", pk=99, data={})
    with pytest.raises(KeyError, match="action"):
        consume(layer, binding, pk=99)
    with pytest.raises(DeserializationError):
        consume(layer, binding, action="create", data={"value": "no number"})
    assert Counter.objects.count() == 0


def test_connects_and_disconnects_are_nothing_to_it(layer: Recorder) -> None:
    binding = bind(model=Counter, fields=["name"])
    binding.consumer(layer.connect(), multiplexer=None)
    binding.consumer(layer.disconnect(), multiplexer=None)
    assert layer.taken() == []


def test_strict_ordering_needs_an_order(layer: Recorder) -> None:
    binding = bind(model=Counter, fields=["name"], strict_ordering=True)
    consume(layer, binding, action="create", data={"name": "a"})
    with pytest.raises(ValueError, match="has the order None"):
        binding.consumer(layer.frame("{}", order=None))
    with pytest.raises(ValueError, match="slight_ordering"):
        bind(model=Counter, fields=["name"], slight_ordering=True).consumer(layer.frame("{}"))


def test_it_is_a_stream_of_a_demultiplexer(layer: Recorder) -> None:
    binding = bind(model=Counter, fields=["name"])

    class Streams(WebsocketDemultiplexer):
        consumers: ClassVar[dict[str, Any]] = {"things": binding.consumer}
        groups = ("all",)

    Streams(layer.connect())
    payload = {"action": "create", "pk": None, "data": {"name": "a"}}
    Streams(layer.frame(json.dumps({"stream": "things", "payload": payload})))
    Streams(layer.disconnect())
    assert [call[:2] for call in layer.calls] == [
        ("add", "all"), ("send", SOCKET), ("send_group", "all"), ("discard", "all"),
    ]  # fmt: skip
    assert Counter.objects.get().name == "a"
