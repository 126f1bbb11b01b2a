"""Routing that is written as a dict: channel -> consumer."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .dotted import missing_at
from .findings import RUNS
from .modules import Module
from .project import Project
from .references import Found
from .special import channel_rule

SERVED = frozenset(
    {
        "websocket.connect",
        "websocket.receive",
        "websocket.disconnect",
        "websocket.keepalive",
        "http.request",
        "http.disconnect",
    }
)


def routes(project: Project, module: Module) -> Iterator[Found]:
    """Give the entries of dicts at the top of a module that route what servers send."""
    for node in module.reader.scope_of:
        parent = module.reader.parent_of.get(node)
        if not isinstance(node, ast.Dict) or not isinstance(parent, ast.Assign | ast.AnnAssign | ast.Dict):
            continue
        if not isinstance(module.reader.scope_of[node].node, ast.Module):
            continue
        keys = [(key, key.value) for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
        if not SERVED.intersection(name for _, name in keys):
            continue
        if not all(_is_consumer(value) for value in node.values):
            continue
        for key, name in keys:
            yield key, f"routing: {name}", channel_rule(str(name)) or RUNS
        for value in node.values:
            yield from missing_at(project, module, value, "routing")


def _is_consumer(value: ast.expr) -> bool:
    """Say whether this may be a consumer, or the dotted path of one. Numbers are capacities."""
    return (
        isinstance(value.value, str) if isinstance(value, ast.Constant) else isinstance(value, ast.Name | ast.Attribute)
    )
