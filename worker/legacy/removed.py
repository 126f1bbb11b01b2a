"""The names that Django has no more and projects of that era import: since when, what to write, what stands in for it.

``place``: "module" or "module:attribute"; "": nothing can stand in.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from typing import Any, NamedTuple

PACKAGE = __name__.rpartition(".")[0]
OPTION = "--django-shims"
SIX = "django.utils.six"


class Removed(NamedTuple):
    """One of those names."""

    since: str
    instead: str
    place: str

    def text(self, name: str) -> str:
        """Tell who imports it."""
        way_round = f", or run this with {OPTION}, which brings it back" if self.place else ""
        return f"{name} was removed in Django {self.since}: {self.instead}{way_round}"


def _renamed(since: str, module: str, name: str) -> Removed:
    return Removed(since, f"use {name} of {module}", f"{module}:{name}")


_SIX = Removed("3.0", "this is Python 3: write it so, or import the package six", "six")
_UNICODE = Removed(
    "3.0", "remove the decorator: __str__ is all there is", f"{PACKAGE}.python2:python_2_unicode_compatible"
)
STATIC = Removed(
    "3.0",
    "write {% load static %}; in Python, use static of django.templatetags.static",
    f"{PACKAGE}.templatetags.staticfiles",
)
_VIEWS = Removed("2.1", "use the class-based view of the same module, LoginView.as_view() for login", "")
_FUNCTIONS = (
    "login", "logout", "password_change", "password_change_done", "password_reset",
    "password_reset_complete", "password_reset_confirm", "password_reset_done",
)  # fmt: skip
_TRANSLATION, _ENCODING = "django.utils.translation", "django.utils.encoding"

MODULES: dict[str, Removed] = {
    "django.utils.lru_cache": Removed("3.0", "use lru_cache of functools", "functools"),
    "django.core.urlresolvers": Removed("2.0", "use django.urls", "django.urls"),
    "django.contrib.staticfiles.templatetags": STATIC._replace(place=f"{PACKAGE}.templatetags"),
    "django.contrib.staticfiles.templatetags.staticfiles": STATIC,
    "django.contrib.admin.templatetags.admin_static": STATIC._replace(place=f"{PACKAGE}.templatetags.admin_static"),
}

ATTRIBUTES: dict[str, dict[str, Removed]] = {
    "django.utils.encoding": {
        "force_text": _renamed("4.0", _ENCODING, "force_str"),
        "smart_text": _renamed("4.0", _ENCODING, "smart_str"),
        "python_2_unicode_compatible": _UNICODE,
    },
    "django.utils.translation": {
        "ugettext": _renamed("4.0", _TRANSLATION, "gettext"),
        "ugettext_lazy": _renamed("4.0", _TRANSLATION, "gettext_lazy"),
        "ugettext_noop": _renamed("4.0", _TRANSLATION, "gettext_noop"),
        "ungettext": _renamed("4.0", _TRANSLATION, "ngettext"),
        "ungettext_lazy": _renamed("4.0", _TRANSLATION, "ngettext_lazy"),
    },
    "django.conf.urls": {"url": _renamed("4.0", "django.urls", "re_path")},
    "django.shortcuts": {
        "render_to_response": Removed("3.0", "use render(request, ...)", f"{PACKAGE}.python2:render_to_response"),
    },
    "django.utils.decorators": {
        "available_attrs": Removed("3.0", "leave it out: functools.wraps(view)", f"{PACKAGE}.python2:available_attrs"),
    },
    "django.utils.functional": {"curry": Removed("3.0", "use functools.partial", "functools:partial")},
    "django.utils.http": {
        "urlquote": _renamed("4.0", "urllib.parse", "quote"),
        "urlquote_plus": _renamed("4.0", "urllib.parse", "quote_plus"),
        "urlunquote": _renamed("4.0", "urllib.parse", "unquote"),
        "urlunquote_plus": _renamed("4.0", "urllib.parse", "unquote_plus"),
        "is_safe_url": _renamed("4.0", "django.utils.http", "url_has_allowed_host_and_scheme"),
    },
    "django.utils.timezone": {"utc": Removed("5.0", "use datetime.timezone.utc", "datetime:timezone.utc")},
    "django.contrib.auth.views": dict.fromkeys(_FUNCTIONS, _VIEWS),
    # Modules again, for who imports them from their package.
    "django.core": {"urlresolvers": MODULES["django.core.urlresolvers"]._replace(place="django.core.urlresolvers")},
    "django.utils": {
        "lru_cache": MODULES["django.utils.lru_cache"]._replace(place="django.utils.lru_cache"),
        "six": _SIX._replace(place=SIX),
    },
}


def removed_module(name: str) -> Removed | None:
    """Give what is known of a module, or of one within six; None: nothing."""
    if name == SIX or name.startswith(f"{SIX}."):
        return _SIX._replace(place=_of_six(name.removeprefix(SIX)))
    return MODULES.get(name)


def _of_six(inner: str) -> str:
    """Give where six is, or a module within it ("." and its name): here, or in the package, if that is installed."""
    from .python2 import place

    return place(inner) or (f"six{inner}" if find_spec("six") is not None else "")


def found_at(place: str) -> Any:
    """Import ``module``, or ``module:attribute``."""
    module, _, attribute = place.partition(":")
    found: Any = import_module(module)
    return attrgetter(attribute)(found) if attribute else found
