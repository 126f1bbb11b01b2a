"""What the bodies of classes say that derive from those of Channels 1, and may not say any more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from .findings import Rule
from .judging import is_below
from .modules import Module
from .project import Own, Project
from .references import Found


class Line(NamedTuple):
    """An assignment in the body of a class."""

    below: tuple[str, ...]  # where the class of Channels 1 is
    is_flag: bool  # nothing is said by setting it to what is false
    rule: Rule


_SLIGHT = "Write strict_ordering = True, or nothing: slight ordering was gone in Channels 1.0 already."
_PROCESS = "Remove it: channels-bridge serve is started in its place, with a worker process of its own."
_LIVE = Line(("channels.test", "channels.tests"), False, Rule("change", _PROCESS))
LINES: dict[str, Line] = {
    "slight_ordering": Line(("channels.generic", "channels.binding"), True, Rule("change", _SLIGHT)),
    "ProtocolServerProcess": _LIVE,
    "WorkerProcess": _LIVE,
}


def bodies(project: Project, module: Module) -> Iterator[Found]:
    """Give such lines."""
    for node in module.reader.scope_of:
        if isinstance(node, ast.ClassDef):
            for line, name in _assigned(node):
                known = LINES[name]
                for ancestor in project.ancestors(Own(module, node)):
                    if any(is_below(ancestor, where) for where in known.below):
                        yield line, f"{ancestor}.{name}", known.rule
                        break


def _assigned(node: ast.ClassDef) -> Iterator[tuple[ast.Assign, str]]:
    """Give the assignments that may matter, with the names that they are to."""
    for line in node.body:
        if isinstance(line, ast.Assign):
            is_false = isinstance(line.value, ast.Constant) and not line.value.value
            for target in line.targets:
                name = target.id if isinstance(target, ast.Name) else ""
                if name in LINES and not (is_false and LINES[name].is_flag):
                    yield line, name
