"""The names of six, where it is not installed."""

from __future__ import annotations

import functools
import importlib
import queue
import sys
import unittest
import urllib.parse
from pathlib import Path
from typing import Any, ClassVar

import pytest

from channels_bridge.worker.legacy import python2
from channels_bridge.worker.legacy.removed import found_at


def test_types() -> None:
    assert sys.maxsize == python2.MAXSIZE
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


@pytest.mark.parametrize("name", sorted(python2.MOVES.keys() - {"dbm_gnu"}))  # not every Python has that
def test_what_has_moved_is_there(name: str) -> None:
    assert functools.reduce(getattr, name.split("."), python2.moves) is not None


def test_moves() -> None:
    assert python2.moves.urllib.parse is urllib.parse
    assert python2.moves.range is range
    assert not hasattr(python2.moves, "nonsense")


# All that django.utils.six of Django 1.11 offered, but for the making of further moves, and tkinter.
SIX = (
    "BytesIO Iterator MAXSIZE PY2 PY3 PY34 StringIO add_metaclass advance_iterator assertCountEqual assertRaisesRegex"
    " assertRegex b binary_type buffer_types byte2int callable class_types create_bound_method create_unbound_method"
    " exec_ get_function_closure get_function_code get_function_defaults get_function_globals get_method_function"
    " get_method_self get_unbound_function indexbytes int2byte integer_types iterbytes iteritems iterkeys iterlists"
    " itervalues memoryview moves next print_ python_2_unicode_compatible raise_from reraise string_types text_type u"
    " unichr viewitems viewkeys viewvalues with_metaclass wraps"
)
MOVED = (
    "BaseHTTPServer CGIHTTPServer SimpleHTTPServer StringIO UserDict UserList UserString _dummy_thread _thread builtins"
    " cPickle cStringIO configparser copyreg dbm_gnu email_mime_base email_mime_multipart email_mime_nonmultipart"
    " email_mime_text filter filterfalse getcwd getcwdb html_entities html_parser http_client http_cookiejar"
    " http_cookies input intern map queue range reduce reload_module reprlib shlex_quote socketserver urllib"
    " urllib_error urllib_parse urllib_robotparser xmlrpc_client xmlrpc_server xrange zip zip_longest"
)


def test_all_that_django_had_is_there() -> None:
    assert [name for name in SIX.split() if not hasattr(python2, name)] == []
    assert set(MOVED.split()) - python2.MOVES.keys() == set()


def test_bytes_and_text() -> None:
    assert (python2.int2byte(97), python2.byte2int(b"a"), python2.indexbytes(b"ab", 1)) == (b"a", 97, 98)
    assert list(python2.iterbytes(b"ab")) == [97, 98]
    assert python2.ensure_str("ä") == python2.ensure_text(b"\xe4", "latin-1") == "ä"
    assert python2.ensure_binary("ä") == python2.ensure_binary(b"\xc3\xa4") == b"\xc3\xa4"
    assert python2.ensure_binary("ä", "ascii", "ignore") == b""
    with pytest.raises(TypeError, match="NoneType"):
        python2.ensure_binary(None)


class Case(unittest.TestCase):
    """Has the methods that were called otherwise in Python 2."""

    def both(self, other: str) -> list[str]:
        """Give what is handed on."""
        return [self.id(), other]


def test_functions_and_methods() -> None:
    case = Case()
    bound = python2.create_bound_method(Case.both, case)
    assert bound("x") == case.both("x")
    assert (python2.get_method_function(bound), python2.get_method_self(bound)) == (Case.both, case)
    assert python2.get_unbound_function(Case.both) is python2.create_unbound_method(Case.both, Case) is Case.both
    assert python2.get_function_code(Case.both) is Case.both.__code__
    assert python2.get_function_globals(Case.both) is globals()
    assert python2.get_function_closure(Case.both) is python2.get_function_defaults(Case.both) is None


def test_assertions() -> None:
    case = Case()
    same, like, raising = (getattr(python2, f"assert{name}") for name in ("CountEqual", "Regex", "RaisesRegex"))
    same(case, [1, 2], [2, 1])
    like(case, "text", "t")
    with raising(case, ValueError, "bad"):
        raise ValueError("bad")
    for failing in (same, like):
        with pytest.raises(AssertionError):
            failing(case, "text", "a")


class Lists(dict[str, Any]):
    """Has the method of a QueryDict."""

    def lists(self) -> list[tuple[str, list[Any]]]:
        """Give each value as a list."""
        return [(key, [value]) for key, value in self.items()]


def test_views_of_mappings() -> None:
    mapping = Lists(a=1)
    assert list(python2.viewitems(mapping)) == [("a", 1)]
    assert [*python2.viewkeys(mapping), *python2.viewvalues(mapping)] == ["a", 1]
    assert next(python2.iterlists(mapping)) == ("a", [1])


def test_what_is_not_there_is_told_of() -> None:
    with pytest.raises(AttributeError, match=r"six\.nonsense is not .* install the package six"):
        _ = python2.nonsense
    with pytest.raises(AttributeError, match=r"six\.moves\.tkinter is not"):
        _ = python2.moves.tkinter
    assert not hasattr(python2, "__wrapped__")
    for line, name in (("", "nonsense"), (".moves", "moves.tkinter")):
        with pytest.raises(ImportError, match=rf"six\.{name} is not brought back"):
            exec(f"from channels_bridge.worker.legacy.python2{line} import {name.rpartition('.')[2]}", {})


def test_newer_names_are_those_of_the_package_six(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "six").mkdir()
    (tmp_path / "six" / "__init__.py").write_text("newer = 1\n")
    (tmp_path / "six" / "moves.py").write_text("moved = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert (python2.newer, python2.moves.moved) == (1, 2)
        assert not hasattr(python2, "nonsense")
    finally:
        for name in ("six", "six.moves"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()


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
    cause = KeyError("why")
    with pytest.raises(ValueError, match="text") as caught:
        python2.raise_from(ValueError("text"), cause)
    assert caught.value.__cause__ is cause


def test_helpers_of_django() -> None:
    assert python2.python_2_unicode_compatible(Meta) is Meta
    assert functools.wraps(test_types, assigned=python2.available_attrs(test_types))(lambda: None).__name__ == (
        "test_types"
    )
