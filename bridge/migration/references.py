"""Imports, and every place where a name is used that they, or aliases and modules of the project, lead to."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .findings import Rule
from .judging import is_below, is_channels1, judge
from .modules import Module
from .project import Own, Project
from .special import CALLS

# What classes of a project have from those of Channels 1, and is called on the class.
INHERITED = frozenset({"as_route", "channel_names", "consumer", "group_send"})

Found = tuple[ast.AST, str, Rule]  # where, the name, and what becomes of it


def imports(project: Project, module: Module, shims: bool) -> Iterator[Found]:
    """Give what is imported."""
    for node in module.reader.scope_of:
        if isinstance(node, ast.Import):
            names = [(alias, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = module.reader.origin(node)
            names = [(alias, f"{origin}.{alias.name}") for alias in node.names]
        else:
            continue
        for alias, name in names:
            yield from _imported(project, module, alias, name, shims)


def _imported(project: Project, module: Module, alias: ast.alias, name: str, shims: bool) -> Iterator[Found]:
    if name.endswith(".*"):
        found = judge(name[:-2], shims) if is_below(name, "channels") else None
        if found is not None:
            yield alias, name, found[1]
        return
    meaning = project.full(module, name)
    found = judge(meaning, shims) if isinstance(meaning, str) else None
    if found is not None:
        yield alias, *found


def uses(project: Project, module: Module, shims: bool) -> Iterator[Found]:
    """Give where such names are used: called, decorating, raised, as the base of a class, or handed on."""
    for node, parent in module.reader.parent_of.items():
        if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        meaning = project.resolve(module, node)
        if isinstance(parent, ast.Attribute) and isinstance(meaning, str):
            continue  # the longer name tells more
        if isinstance(meaning, Own) and isinstance(parent, ast.ClassDef) and node in parent.bases:
            yield from _inherited(project, meaning, node, shims)
        elif isinstance(meaning, str):
            yield from _used(node, parent, meaning, shims)
        elif isinstance(node, ast.Attribute) and node.attr in INHERITED:
            own = project.resolve(module, node.value)
            if isinstance(own, Own):
                yield from _inherited(project, own, node, shims, f".{node.attr}")


def _used(node: ast.expr, parent: ast.AST, name: str, shims: bool) -> Iterator[Found]:
    if isinstance(parent, ast.Call) and parent.func is node and name in CALLS:
        said = CALLS[name](parent)
        if said is not None:
            yield node, *said
            return
    found = judge(name, shims)
    if found is not None:
        yield node, *found


def _inherited(project: Project, own: Own, node: ast.AST, shims: bool, attribute: str = "") -> Iterator[Found]:
    """Give the class of Channels 1 that is used by way of one of the project's."""
    for name in project.ancestors(own):
        if is_channels1(name):
            found = judge(name, shims)
            assert found is not None, "it is known"
            yield node, found[0] + attribute, found[1]
            return
