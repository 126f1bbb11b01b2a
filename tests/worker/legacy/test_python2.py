"""The names of six, where it is not installed."""

from __future__ import annotations

import functools
import queue
import urllib.parse
from typing import Any, ClassVar

import pytest

from channels_bridge.worker.legacy import python2
from channels_bridge.worker.legacy.removed import found_at


def test_types() -> None:
    assert (python2.PY2, python2.PY3) == (False, True)
    assert isinstance("", python2.string_types)
    assert isinstance(1, python2.integer_types)
    assert isinstance(int, python2.class_types)
    assert (python2.text_type, python2.binary_type, python2.unichr(97)) == (str, bytes, "a")
    assert python2.b("ä") == b"\xe4"
    assert python2.u("ä") == "ä"
    assert python2.StringIO("a").read() == "a"


def test_iterating() -> None:
    mapping = {"a": 1}
    assert next(python2.iterkeys(mapping)) == "a"
    assert next(python2.itervalues(mapping)) == 1
    assert next(python2.iteritems(mapping)) == ("a", 1)


@pytest.mark.parametrize("name", sorted(python2.MOVES))
def test_what_has_moved_is_there(name: str) -> None:
    assert functools.reduce(getattr, name.split("."), python2.moves) is not None


def test_moves() -> None:
    assert python2.moves.urllib.parse is urllib.parse
    assert python2.moves.range is range
    assert not hasattr(python2.moves, "nonsense")


def test_places_of_modules() -> None:
    assert found_at(python2.place("")) is python2
    assert found_at(python2.place(".moves")) is python2.moves
    assert found_at(python2.place(".moves.queue")) is queue
    assert python2.place(".moves.range") == python2.place(".moves.nonsense") == ""


class Meta(type):
    """Counts what it has made."""

    made: ClassVar[list[str]] = []

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **arguments: Any) -> dict[str, object]:
        return {"prepared": True}

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, object]) -> Meta:
        cls.made.append(name)
        return super().__new__(cls, name, bases, namespace)


def test_metaclasses() -> None:
    Meta.made.clear()

    base: Any = python2.with_metaclass(Meta, dict)

    class One(base):
        pass

    @python2.add_metaclass(Meta)
    class Two:
        value = 2

    assert Meta.made == ["One", "Two"]
    assert type(One) is type(Two) is Meta
    assert (One.__mro__[1], One.prepared, Two.value) == (dict, True, 2)


def test_raising_again() -> None:
    with pytest.raises(ValueError, match="text"):
        python2.reraise(ValueError, ValueError("text"))
    with pytest.raises(ValueError):  # noqa: PT011 - it has no text
        python2.reraise(ValueError, None)


def test_helpers_of_django() -> None:
    assert python2.python_2_unicode_compatible(Meta) is Meta
    assert functools.wraps(test_types, assigned=python2.available_attrs(test_types))(lambda: None).__name__ == (
        "test_types"
    )
