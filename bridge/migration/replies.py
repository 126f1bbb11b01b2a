"""Names that reply channels had, where code compares with them or bounds them: here they have others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .findings import RUNS, Rule
from .modules import Module
from .references import Found

FORMER = re.compile(r"(daphne\.response|http\.response|websocket\.send)(?![\w-])")
SURE = "daphne.response"  # nothing else is called so; the others are types of ASGI messages as well
ABOUT = re.compile(r"reply|channel", re.IGNORECASE)  # in what such a name is compared with
NAMED = Rule("differs", "Reply channels are named reply.…!… here: no name begins so.")
UNBOUND = Rule("differs", "It fits no channel here: each connection has bounds of its own, whatever its reply channel.")


def compared(module: Module) -> Iterator[Found]:
    """Give the comparisons with such names, ``startswith`` among them."""
    for node in module.reader.scope_of:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "startswith":
            sides = [node.func.value, *node.args[:1]]
        else:
            continue
        for side in sides:
            others = [one for one in sides if one is not side]
            for at, text in _texts(side):
                if FORMER.match(text) and (text.startswith(SURE) or any(map(_is_about, others))):
                    yield at, f"reply channel: {text}", NAMED


def _texts(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    """Give the strings that an expression is, or lists."""
    for one in node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one, one.value


def _is_about(node: ast.expr) -> bool:
    """Say whether an expression seems to be about channels."""
    for one in ast.walk(node):
        word = one.value if isinstance(one, ast.Constant) else getattr(one, "attr", None) or getattr(one, "id", "")
        if isinstance(word, str) and ABOUT.search(word):
            return True
    return False


def capacities(value: ast.expr) -> Iterator[Found]:
    """Give the patterns of a ``channel_capacity``."""
    for key in value.keys if isinstance(value, ast.Dict) else []:
        texts = [one for one in ast.walk(key) if isinstance(one, ast.Constant)] if key is not None else []
        pattern = next((one.value for one in texts if isinstance(one.value, str)), None)
        if key is not None and pattern is not None:
            plain = pattern if isinstance(key, ast.Constant) else re.sub(r"\\(.)", r"\1", pattern).lstrip("^")
            yield key, f"channel_capacity: {pattern}", UNBOUND if FORMER.match(plain) else RUNS
