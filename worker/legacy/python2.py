"""What code uses that runs on Python 2 and 3, under the names that ``django.utils.six`` had for it.

What newer versions of the package ``six`` have beside that comes from there, where it is installed. And those removed
helpers of Django that no other name of Django or Python stands for.
"""

from __future__ import annotations

import functools
import io
import operator
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import MethodType, ModuleType
from typing import Any

PY2, PY3 = False, True
string_types, text_type, binary_type, integer_types, class_types = (str,), str, bytes, (int,), (type,)
StringIO, BytesIO = io.StringIO, io.BytesIO
unichr = chr
__path__: list[str] = []  # a package, for who imports from within

# What has moved since Python 2, by its name in six.moves: a module, or an attribute of one.
MOVES = {
    **dict.fromkeys(("BaseHTTPServer", "CGIHTTPServer", "SimpleHTTPServer"), "http.server"),
    **dict.fromkeys(("_dummy_thread", "_thread"), "_thread"),
    **{name: f"builtins:{name}" for name in ("filter", "input", "map", "range", "zip")},
    **{name: f"collections:{name}" for name in ("UserDict", "UserList", "UserString")},
    **{f"email_mime_{kind}": f"email.mime.{kind}" for kind in ("base", "image", "multipart", "nonmultipart", "text")},
    **{name: name for name in ("builtins", "configparser", "copyreg", "queue", "reprlib", "socketserver", "urllib")},
    **{f"urllib.{name}": f"urllib.{name}" for name in ("error", "parse", "request", "response", "robotparser")},
    **{f"urllib_{name}": f"urllib.{name}" for name in ("error", "parse", "robotparser")},
    "StringIO": "io:StringIO",
    "cPickle": "pickle",
    "cStringIO": "io:StringIO",
    "collections_abc": "collections.abc",
    "dbm_gnu": "dbm.gnu",
    "filterfalse": "itertools:filterfalse",
    "getcwd": "os:getcwd",
    "getcwdb": "os:getcwdb",
    "getoutput": "subprocess:getoutput",
    "html_entities": "html.entities",
    "html_parser": "html.parser",
    "http_client": "http.client",
    "http_cookiejar": "http.cookiejar",
    "http_cookies": "http.cookies",
    "intern": "sys:intern",
    "reduce": "functools:reduce",
    "reload_module": "importlib:reload",
    "shlex_quote": "shlex:quote",
    "xmlrpc_client": "xmlrpc.client",
    "xmlrpc_server": "xmlrpc.server",
    "xrange": "builtins:range",
    "zip_longest": "itertools:zip_longest",
}


def _asserting(name: str) -> Callable[..., Any]:
    return lambda case, *args, **kwargs: getattr(case, name)(*args, **kwargs)


# What Python 3 has itself under another name, or in another form.
NAMES: dict[str, Any] = {
    "Iterator": object,
    "MAXSIZE": sys.maxsize,
    "PY34": True,
    "advance_iterator": next,
    "buffer_types": (bytes, bytearray, memoryview),
    "byte2int": operator.itemgetter(0),
    "callable": callable,
    "create_bound_method": MethodType,
    "create_unbound_method": lambda function, _: function,
    "exec_": exec,
    "get_function_closure": operator.attrgetter("__closure__"),
    "get_function_code": operator.attrgetter("__code__"),
    "get_function_defaults": operator.attrgetter("__defaults__"),
    "get_function_globals": operator.attrgetter("__globals__"),
    "get_method_function": operator.attrgetter("__func__"),
    "get_method_self": operator.attrgetter("__self__"),
    "get_unbound_function": lambda function: function,
    "indexbytes": operator.getitem,
    "int2byte": struct.Struct(">B").pack,
    "iterbytes": iter,
    "iterlists": lambda mapping: iter(mapping.lists()),  # of a QueryDict
    "memoryview": memoryview,
    "next": next,
    "print_": print,
    "viewitems": operator.methodcaller("items"),
    "viewkeys": operator.methodcaller("keys"),
    "viewvalues": operator.methodcaller("values"),
    "wraps": functools.wraps,
    **{name: _asserting(name) for name in ("assertCountEqual", "assertRaisesRegex", "assertRegex")},
}
globals().update(NAMES)


def place(inner: str) -> str:
    """Give where six is, or a module within it (".moves.urllib.parse"). "": there is none."""
    if inner in ("", ".moves"):
        return f"{__name__}:moves" if inner else __name__
    found = MOVES.get(inner.removeprefix(".moves."), "")
    return "" if ":" in found else found


def _lacking(name: str) -> str:
    return (
        f"django.utils.six{name} is not brought back by --django-shims: write what Python 3 has in its place,"
        " or install the package six, which has more"
    )


def _of_package(inner: str, name: str) -> Any:
    """Give what the package six has. ``inner``: "" or ".moves"; raises ``AttributeError``."""
    if not name.startswith("__") and find_spec("six") is not None:
        found = getattr(import_module(f"six{inner}"), name, None)
        if found is not None:
            return found
    raise AttributeError(_lacking(f"{inner}.{name}"))


def __getattr__(name: str) -> Any:
    return _of_package("", name)


class _Moves(ModuleType):
    """Is ``six.moves``."""

    __path__: Any = ()

    def __getattr__(self, name: str) -> Any:
        if name not in MOVES:
            return _of_package(".moves", name)
        if name == "urllib":
            for part in ("error", "parse", "request", "response", "robotparser"):
                import_module(f"urllib.{part}")
        module, _, attribute = MOVES[name].partition(":")
        found = import_module(module)
        return getattr(found, attribute) if attribute else found


class _Lacking(MetaPathFinder):
    """Tells who imports a name from here that is not there: else Python says that it is not, and no more."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.startswith(f"{__name__}."):
            raise ImportError(_lacking(fullname.removeprefix(__name__)), name=fullname)
        return None


moves = _Moves(f"{__name__}.moves")
sys.modules[moves.__name__] = moves
sys.meta_path.append(_Lacking())


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


def ensure_text(given: Any, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Give text, also of bytes."""
    if not isinstance(given, str | bytes):
        raise TypeError(f"text or bytes are needed, not {type(given).__name__}")
    return given.decode(encoding, errors) if isinstance(given, bytes) else given


ensure_str = ensure_text


def ensure_binary(given: Any, encoding: str = "utf-8", errors: str = "strict") -> bytes:
    """Give bytes, also of text."""
    return given if isinstance(given, bytes) else ensure_text(given).encode(encoding, errors)


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


def raise_from(value: BaseException, cause: BaseException | None) -> None:
    """Raise an exception because of another one."""
    raise value from cause


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
