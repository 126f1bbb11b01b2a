"""What is asked of users as a method, which Django has as a property since 2.0."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .findings import Rule
from .judging import is_below
from .modules import Module
from .references import Found

PROPERTY = Rule("change", "Write it without (): since Django 2.0 it is a property.")
ASKED = frozenset({"is_anonymous", "is_authenticated"})


def has_django(module: Module) -> bool:
    """Say whether a module imports anything of Django: elsewhere these names mean something else."""
    for node in module.reader.scope_of:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if any(is_below(name, "django") for name in names):
            return True
    return False


def users(module: Module) -> Iterator[Found]:
    """Give where users are asked so."""
    for node in module.reader.scope_of:
        if isinstance(node, ast.Call) and not (node.args or node.keywords):
            asked = node.func
            if isinstance(asked, ast.Attribute) and asked.attr in ASKED and not _is_self(asked.value):
                yield asked, f"django.contrib.auth.models.User.{asked.attr}()", PROPERTY


def _is_self(node: ast.expr) -> bool:
    """Say whether a class calls what it may well have defined itself."""
    return isinstance(node, ast.Name) and node.id == "self"
