"""What names stand for across the files of a project: through imports, aliases, modules and classes of its own."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .modules import Module
from .scopes import Scope, Target

FOREIGN = frozenset(
    {"channels", "django", "asgiref", "daphne", "asgi_redis", "asgi_ipc", "asgi_rabbitmq", "channels_redis"}
)
DEEP = 50  # steps from name to name, after which it is taken for a circle


@dataclass(frozen=True, slots=True)
class Own:
    """A class that the project defines."""

    module: Module
    node: ast.ClassDef


Meaning = str | Module | Own | None  # a full name from elsewhere, a module or class of the project, nothing known


class Project:
    """All modules that were read. ``is_known``: says whether there is such a name elsewhere, for ``import *``.

    ``unread``: the full names of those that could not be read.
    """

    def __init__(
        self, modules: Iterable[Module], is_known: Callable[[str], bool], unread: Iterable[tuple[str, ...]] = ()
    ) -> None:
        self.modules = list(modules)
        self._unread = list(unread)
        self._is_known = is_known
        self._full = {module.parts: module for module in self.modules}
        self._packages = {module.parts for module in self.modules if module.is_package}
        self._by_end: dict[tuple[str, ...], list[Module]] = {}
        for module in self.modules:
            for start in range(len(module.parts)):
                if module.parts[:start] not in self._packages or start == 1:  # a folder that can be in sys.path
                    self._by_end.setdefault(module.parts[start:], []).append(module)

    def find(self, name: str, near: Module) -> Module | None:
        """Find a module of the project by the name that ``near`` uses; with a leading dot: by its full one."""
        parts = tuple(name.split("."))
        if not parts[0]:
            return self._full.get(parts[1:])
        if parts[0] in FOREIGN:
            return None
        found = self._by_end.get(parts, [])
        return max(found, key=lambda module: _shared(module.parts, near.parts), default=None)

    def named(self, name: str) -> list[Module]:
        """Give all modules of the project that a full name may mean."""
        parts = tuple(name.split("."))
        return [] if parts[0] in FOREIGN else self._by_end.get(parts, [])

    def is_unread(self, name: str) -> bool:
        """Say whether a full name may mean a module that could not be read."""
        parts = tuple(name.split("."))
        return any(one[-len(parts) :] == parts for one in self._unread)

    def is_rooted(self, module: Module, length: int) -> bool:
        """Say whether a name of so many parts for it begins with a package of the project, or is that of its top."""
        start = len(module.parts) - length
        if module.parts[: start + 1] in self._packages:
            return True
        return length == start == 1 and module.parts[:1] not in self._packages

    # -- what an expression stands for -----------------------------------------------------------------------------

    def resolve(self, module: Module, node: ast.AST, depth: int = 0) -> Meaning:
        """Give what a name, or a chain of attributes, stands for at its place."""
        if depth > DEEP:
            return None
        if isinstance(node, ast.Name):
            return self._name(module, node.id, module.reader.scope_of[node], depth)
        if isinstance(node, ast.Attribute):
            return self._attribute(module, self.resolve(module, node.value, depth + 1), node.attr, depth)
        return None

    def full(self, module: Module, name: str, depth: int = 0) -> Meaning:
        """Give what a full name, as imports have it, stands for: ``core.compat.Group`` may be ``channels.Group``."""
        if not name.startswith(".") and name.partition(".")[0] in FOREIGN:
            return name
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            found: Meaning = self.find(".".join(parts[:end]), module)
            if found is not None:
                for attribute in parts[end:]:
                    found = self._attribute(module, found, attribute, depth + 1)
                return found
        return None if name.startswith(".") else name

    def _name(self, module: Module, name: str, scope: Scope, depth: int) -> Meaning:
        found = scope.find(name)
        if found is not None:
            return self._target(module, found[0].target, name, scope, depth)
        while scope.parent is not None:
            scope = scope.parent
        return self._star(module, name, scope, depth)

    def _star(self, module: Module, name: str, scope: Scope, depth: int) -> Meaning:
        """Look into what ``import *`` has brought; the last one wins."""
        for origin in reversed(scope.stars):
            own = self.full(module, origin, depth + 1)
            if isinstance(own, Module):
                found = self._attribute(module, own, name, depth + 1)
                if found is not None:
                    return found
            elif isinstance(own, str) and not name.startswith("_") and self._is_known(f"{own}.{name}"):
                return f"{own}.{name}"
        return None

    def _target(self, module: Module, target: Target, name: str, scope: Scope, depth: int) -> Meaning:
        if depth > DEEP or target is None:
            return None
        if isinstance(target, str):
            return self.full(module, target, depth + 1)
        if isinstance(target, ast.ClassDef):
            return Own(module, target)
        if isinstance(target, ast.Name) and target.id == name and module.reader.scope_of[target] is scope:
            return None  # a = a: what it was before is not followed
        return self.resolve(module, target, depth + 1)

    def _attribute(self, module: Module, value: Meaning, name: str, depth: int) -> Meaning:
        if depth > DEEP or value is None:
            return None
        if isinstance(value, str):
            return self.full(module, f"{value}.{name}", depth + 1)
        if isinstance(value, Own):
            return None
        binding = value.scope.meaning(name)
        if binding is not None:
            return self._target(value, binding.target, name, value.scope, depth + 1)
        inner = self._full.get((*value.parts, name))
        return inner or self._star(value, name, value.scope, depth + 1)

    # -- classes ---------------------------------------------------------------------------------------------------

    def ancestors(self, own: Own) -> Iterator[str]:
        """Give the full names of the classes from elsewhere that a class descends from."""
        seen: set[ast.ClassDef] = set()
        waiting = [own]
        while waiting:
            one = waiting.pop()
            if one.node in seen:
                continue
            seen.add(one.node)
            for base in one.node.bases:
                meaning = self.resolve(one.module, base)
                if isinstance(meaning, str):
                    yield meaning
                elif isinstance(meaning, Own):
                    waiting.append(meaning)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Count the folders that two modules have in common."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count
