"""What code uses that runs on Python 2 and 3, under the names that ``django.utils.six`` had for it.

For environments without the package ``six``, which has more. And those removed helpers of Django that no other name of
Django or Python stands for.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

PY2, PY3 = False, True
string_types, text_type, binary_type, integer_types, class_types = (str,), str, bytes, (int,), (type,)
StringIO, BytesIO = io.StringIO, io.BytesIO
unichr = chr
__path__: list[str] = []  # a package, for who imports from within

# What has moved since Python 2, by its name in six.moves: a module, or an attribute of one.
MOVES = {
    "BaseHTTPServer": "http.server",
    "builtins": "builtins",
    "cPickle": "pickle",
    "configparser": "configparser",
    "filter": "builtins:filter",
    "html_entities": "html.entities",
    "html_parser": "html.parser",
    "http_client": "http.client",
    "http_cookiejar": "http.cookiejar",
    "http_cookies": "http.cookies",
    "input": "builtins:input",
    "map": "builtins:map",
    "queue": "queue",
    "range": "builtins:range",
    "reduce": "functools:reduce",
    "reload_module": "importlib:reload",
    "shlex_quote": "shlex:quote",
    "socketserver": "socketserver",
    "StringIO": "io:StringIO",
    "urllib": "urllib",
    "urllib.error": "urllib.error",
    "urllib.parse": "urllib.parse",
    "urllib.request": "urllib.request",
    "xrange": "builtins:range",
    "zip": "builtins:zip",
    "zip_longest": "itertools:zip_longest",
}


def place(inner: str) -> str:
    """Give where six is, or a module within it (".moves.urllib.parse"). "": there is none."""
    if inner in ("", ".moves"):
        return f"{__name__}:moves" if inner else __name__
    found = MOVES.get(inner.removeprefix(".moves."), "")
    return "" if ":" in found else found


class _Moves(ModuleType):
    """Is ``six.moves``."""

    __path__: Any = ()

    def __getattr__(self, name: str) -> Any:
        if name not in MOVES:
            raise AttributeError(f"six.moves has no {name!r} here: install the package six, which has more")
        if name == "urllib":
            for part in ("error", "parse", "request"):
                import_module(f"urllib.{part}")
        module, _, attribute = MOVES[name].partition(":")
        found = import_module(module)
        return getattr(found, attribute) if attribute else found


moves = _Moves(f"{__name__}.moves")


def iterkeys(mapping: Mapping[Any, Any]) -> Iterator[Any]:
    """Iterate over a mapping's keys."""
    return iter(mapping.keys())


def itervalues(mapping: Mapping[Any, Any]) -> Iterator[Any]:
    """Iterate over a mapping's values."""
    return iter(mapping.values())


def iteritems(mapping: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Iterate over a mapping's items."""
    return iter(mapping.items())


def b(text: str) -> bytes:
    """Give the bytes of a literal."""
    return text.encode("latin-1")


def u(text: str) -> str:
    """Give the text of a literal."""
    return text


def with_metaclass(meta: type, *bases: type) -> type:
    """Give a base class that makes those that derive from it be made by ``meta``, of ``bases``."""

    class Stand(type):
        """Is there until the class body has been read; then the class is made anew, without it."""

        def __new__(cls, name: str, _: Any, namespace: dict[str, Any]) -> Any:
            return meta(name, bases, namespace)

        @classmethod
        def __prepare__(cls, name: str, _: Any, /, **arguments: Any) -> Any:
            return meta.__prepare__(name, bases, **arguments)

    return type.__new__(Stand, "stand", (), {})


def add_metaclass(meta: type) -> Callable[[type], Any]:
    """Decorate a class that is to be made by ``meta``."""

    def remake(cls: type) -> Any:
        namespace = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        return meta(cls.__name__, cls.__bases__, namespace)

    return remake


def reraise(kind: type, value: BaseException | None, traceback: Any = None) -> None:
    """Raise an exception again."""
    raise (kind() if value is None else value).with_traceback(traceback)


def python_2_unicode_compatible(cls: Any) -> Any:
    """Decorate a class whose ``__str__`` returns text: here all do."""
    return cls


def available_attrs(_: Any) -> tuple[str, ...]:
    """Give what ``functools.wraps`` is to copy."""
    return functools.WRAPPER_ASSIGNMENTS


def render_to_response(
    template_name: Any, context: Any = None, content_type: Any = None, status: Any = None, using: Any = None
) -> Any:
    """Render a template without a request."""
    from django.shortcuts import render

    return render(None, template_name, context, content_type, status, using)
