"""Makes Channels 1 importable under its own name: ``channels.routing`` is this package's module ``routing``.

Nothing is imported before the project imports it, as some modules need Django to be set up. What is in one of them says
where it really is (``__name__``, ``__spec__``, ``__module__``): so pickles, reloads and tracebacks work.

This is loaded at the start of programs, where nothing else is yet: it imports next to nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from . import shims

VARIABLE = "CHANNELS_BRIDGE_CHANNELS1"  # in the environment: programs started from here run Channels 1 code, too
SHIMS = "django-shims"  # its value, if they get Django's removed helpers as well; else "1"
STARTUP = str(Path(__file__).resolve().parent / "startup")  # on PYTHONPATH: see startup/sitecustomize.py

NAME, PACKAGE = "channels", __name__.rpartition(".")[0]
MOVED = {f"{NAME}.tests": f"{PACKAGE}.test", f"{PACKAGE}.tests": f"{PACKAGE}.test"}
ELSEWHERE = {"asgiref.inmemory": f"{PACKAGE}.memory", "asgiref.base_layer": f"{PACKAGE}.memory"}
LAYERS = ("asgi_redis", "asgi_ipc", "asgi_rabbitmq")  # these names are ours only where they are not installed

# What has come with Channels 2 and later: module -> the names in it; (): the module itself is new.
LATER: dict[str, tuple[str, ...]] = {
    "": ("consumer", "db", "http", "layers", "middleware", "testing"),
    "auth": ("AuthMiddleware", "AuthMiddlewareStack", "UserLazyObject", "get_user", "login", "logout"),
    "consumer": (),
    "db": (),
    "exceptions": ("AcceptConnection", "InvalidChannelLayerError", "StopConsumer"),
    "generic.http": (),
    "generic.websocket": (),
    "http": (),
    "layers": (),
    "middleware": (),
    "routing": ("ChannelNameRouter", "ProtocolTypeRouter", "URLRouter", "get_default_application"),
    "security.websocket": (),
    "sessions": ("CookieMiddleware", "SessionMiddleware", "SessionMiddlewareStack"),
    "testing": (),
}  # fmt: skip
_WAY_ROUND = (
    "which came with Channels 2; this process runs Channels 1 code. Applications of Channels 2 to 4 run on"
    " channels-worker without --interface channels1, in an environment and a process of their own"
)


def install(*, django_shims: bool = False) -> None:
    """Make ``channels`` importable. Again is no error.

    ``django_shims``: make the helpers importable, too, that Django had then; else who imports them is told what became
    of them. Raises ``RuntimeError`` if another ``channels`` was imported before.
    """
    found: Any = sys.modules.get(NAME)
    if found is not None and found.__name__ != PACKAGE:
        raise RuntimeError(
            f"{found.__file__} was imported as {NAME!r} before the aliases of Channels 1 were installed: they have to"
            " be first; start the program with python -m channels_bridge.worker.legacy"
        )
    if not any(isinstance(finder, Aliases) for finder in sys.meta_path):
        sys.meta_path.insert(0, Aliases())
    shims.install(working=django_shims or os.environ.get(VARIABLE) == SHIMS)


def install_as_told() -> None:
    """Do so, if the environment says that this process is for Channels 1."""
    if os.environ.get(VARIABLE):
        install()


def tell_children(*, django_shims: bool = False) -> None:
    """Have the Python programs that this one starts do the same, as an autoreloader does."""
    os.environ[VARIABLE] = SHIMS if django_shims else "1"
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if STARTUP not in before:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (STARTUP, *before)))


class Aliases(MetaPathFinder):
    """Finds our modules under the names of Channels 1, and of the packages that came with it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Give the way to one of our modules; None: the name is not ours. ``ModuleNotFoundError``: nor anybody's."""
        real = self._real(fullname)
        return None if real is None else spec_from_loader(fullname, Alias(real))

    def _real(self, fullname: str) -> str | None:
        top = fullname.partition(".")[0]
        if top in LAYERS:
            return f"{PACKAGE}.former" if fullname == top and PathFinder.find_spec(top) is None else None
        if fullname in ELSEWHERE:
            return ELSEWHERE[fullname]
        for moved, real in MOVED.items():
            if fullname == moved or fullname.startswith(moved + "."):
                return real + fullname.removeprefix(moved)
        if top != NAME:
            return None
        real = f"{PACKAGE}{fullname.removeprefix(NAME)}"
        if fullname != NAME and find_spec(real) is None:
            raise _unknown(fullname)
        return real


def _unknown(fullname: str) -> ModuleNotFoundError:
    is_later = any(f"{fullname}.".startswith(f"{NAME}.{module}.") for module, names in LATER.items() if not names)
    text = f"there is no module {fullname!r}, {_WAY_ROUND}" if is_later else f"Channels 1 has no module {fullname!r}"
    return ModuleNotFoundError(text, name=fullname)


class Alias(Loader):
    """Gives a module that has another name."""

    def __init__(self, real: str) -> None:
        self.real = real

    def exec_module(self, module: ModuleType) -> None:
        """Put the real one in its place. So that keeps its own spec, which the import system would set on it."""
        found = import_module(self.real)
        sys.modules[module.__name__] = found
        later = LATER.get(module.__name__.partition(".")[2])
        if later:
            shims.answer(found, later, partial(_refuse, module.__name__))


def _refuse(module: str, name: str) -> Any:
    raise ImportError(f"{module} has no {name}, {_WAY_ROUND}", name=module)
