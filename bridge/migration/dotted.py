"""Routings and consumers that are named by strings: whether a module of the project has such a name.

Told of is only what is sure: a module in a package of the project, or at its top, that can have no more than is seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .findings import Rule
from .modules import Module
from .project import Project
from .references import Found
from .special import argument

# Function -> where its dotted path is, and under which name.
NAMING = {
    "include": (0, "routing"),
    "route": (1, "consumer"),
    "route_class": (0, "consumer"),
}
CALLS = {f"{module}.{name}": where for module in ("channels", "channels.routing") for name, where in NAMING.items()}
# Who uses these may have names that nobody sees.
DYNAMIC = frozenset(
    {"__getattr__", "__path__", "exec", "extend_path", "globals", "locals", "modules", "setattr", "vars"}
)


def dotted(project: Project, module: Module) -> Iterator[Found]:
    """Give the strings in a routing's calls that name nothing."""
    for node in module.reader.scope_of:
        if isinstance(node, ast.Call):
            name = project.resolve(module, node.func)
            if isinstance(name, str) and name in CALLS:
                yield from missing_at(project, module, argument(node, *CALLS[name]), name.rpartition(".")[2])


def missing_at(project: Project, module: Module, node: ast.expr | None, where: str) -> Iterator[Found]:
    """Give a string that names nothing. ``where``: what is to be told of where it stands."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        rule = missing(project, module, node.value)
        if rule is not None:
            yield node, f"{where}: {node.value}", rule


def missing(project: Project, near: Module, path: str) -> Rule | None:
    """Say that a dotted path names nothing; None: it does, or nobody knows."""
    name, _, attribute = path.rpartition(".")
    if not name or not all(part.isidentifier() for part in path.split(".")):
        return None
    found = project.named(name)
    if found:
        if not _are_sure(project, found, name) or any(_may_have(project, one, attribute, set()) for one in found):
            return None
        seen = project.find(name, near) or found[0]
        return _rule(f"There is no such name in {seen.file}")
    above = name
    while above and not project.named(above):
        above = above.rpartition(".")[0]
    packages = project.named(above)
    if not packages or project.is_unread(name) or not _are_sure(project, packages, above):
        return None
    return None if any(map(_is_dynamic, packages)) else _rule(f"There is no module {name}")


def _rule(text: str) -> Rule:
    return Rule("change", f"{text}: write the one that is meant; no worker starts with this.")


def _are_sure(project: Project, found: list[Module], name: str) -> bool:
    """Say whether all of these are of the project, and nothing from elsewhere can be meant by this name."""
    return all(project.is_rooted(one, name.count(".") + 1) for one in found)


def _may_have(project: Project, module: Module, name: str, seen: set[Module]) -> bool:
    """Say whether a module has a name, or may have it for all that is known."""
    if module in seen:
        return False
    seen.add(module)
    if module.scope.meaning(name) is not None or _is_dynamic(module):
        return True
    inner = ".".join(("", *module.parts, name))
    if project.find(inner, module) is not None or project.is_unread(inner[1:]):
        return True
    for star in module.scope.stars:
        origin = project.full(module, star)
        if not isinstance(origin, Module) or _may_have(project, origin, name, seen):
            return True
    return False


def _is_dynamic(module: Module) -> bool:
    """Say whether a module may have names that nobody sees."""
    for node in module.reader.scope_of:
        name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "name", None)
        if name in DYNAMIC:
            return True
    return False
