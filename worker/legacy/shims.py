"""What Django had when Channels 1 was current, and has no more.

Who imports one of those names is told what became of it, by an ``ImportError``; with ``--django-shims`` it is there.
What each of them was is in removed.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

from .removed import ATTRIBUTES, Removed, found_at, removed_module


def install(*, working: bool) -> None:
    """Begin to watch imports of Django. Again is no error; once ``working``, they stay so."""
    finder = next((one for one in sys.meta_path if isinstance(one, Shims)), None)
    if finder is None:
        finder = Shims()
        sys.meta_path.insert(0, finder)
        for name in ATTRIBUTES.keys() & sys.modules.keys():
            finder.add_to(sys.modules[name])
    finder.working = finder.working or working


def working() -> bool:
    """Say whether the removed names are there."""
    return any(isinstance(one, Shims) and one.working for one in sys.meta_path)


class Shims(MetaPathFinder):
    """Finds modules that Django has no more, and adds to those that it has what they have no more."""

    def __init__(self) -> None:
        self.working = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of those modules; None: another name. ``ModuleNotFoundError``: one of those, and not ``working``."""
        removed = removed_module(fullname) if fullname.startswith("django.") else None
        if removed is not None:
            if not self.working or not removed.place:
                raise ModuleNotFoundError(removed.text(fullname), name=fullname)
            return spec_from_loader(fullname, StandIn(removed))
        spec = self._others(fullname, path, target) if fullname in ATTRIBUTES else None
        if spec is not None and spec.loader is not None:
            spec.loader = Behind(spec.loader, self.add_to)
        return spec

    def _others(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        """Have the finders behind this one look."""
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(fullname, path, target)) is not None:
                return spec
        return None

    def add_to(self, module: ModuleType) -> None:
        """Have a module answer for the names that it has no more."""
        names = ATTRIBUTES[module.__name__]

        def get(name: str) -> Any:
            removed = names[name]
            if not self.working or not removed.place:
                raise ImportError(removed.text(f"{module.__name__}.{name}"), name=module.__name__)
            return found_at(removed.place)

        answer(module, names, get)


def answer(module: ModuleType, names: Collection[str], get: Callable[[str], Any]) -> None:
    """Have a module that lacks these names ask for them. Others it lacks as ever."""
    before = vars(module).get("__getattr__")

    def lacking(name: str) -> Any:
        if before is not None:  # it knows some: utc of django.utils.timezone, up to Django 4.2
            try:
                return before(name)
            except AttributeError:
                if name not in names:
                    raise
        if name in names:
            return get(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    vars(module)["__getattr__"] = lacking


class StandIn(Loader):
    """Gives what stands in for a module that Django has no more."""

    def __init__(self, removed: Removed) -> None:
        self.removed = removed

    def exec_module(self, module: ModuleType) -> None:
        """Put it in the module's place."""
        sys.modules[module.__name__] = found_at(self.removed.place)


class Behind(Loader):
    """Loads a module as its own loader does, and then does something to it. The module keeps no trace of this."""

    def __init__(self, loader: Loader, then: Callable[[ModuleType], None]) -> None:
        self.loader = loader
        self.then = then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the other loader."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load it."""
        assert module.__spec__ is not None, "the import system has set it"
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.then(module)
