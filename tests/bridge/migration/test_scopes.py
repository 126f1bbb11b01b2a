"""What names stand for in one file."""

from __future__ import annotations

import ast
import textwrap

import pytest

from channels_bridge.bridge.migration.scopes import Reader


def targets(source: str, marked: str = "here") -> list[object]:
    """Give what ``G`` stands for wherever the name ``marked`` is loaded; an expression as its source."""
    reader = Reader(ast.parse(textwrap.dedent(source)), ".site.chat")
    places = [node for node in reader.scope_of if isinstance(node, ast.Name) and node.id == marked]
    found = [reader.scope_of[node].find("G") for node in sorted(places, key=lambda node: node.lineno)]
    seen = [one[0].target if one else "nowhere" for one in found]
    return [ast.unparse(one) if isinstance(one, ast.AST) else one for one in seen]


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("import G", "G"),
        ("import G.b.c", "G"),
        ("import a.b as G", "a.b"),
        ("from a.b import G", "a.b.G"),
        ("from a import c as G", "a.c"),
        ("from . import G", ".site.chat.G"),
        ("from .a import G", ".site.chat.a.G"),
        ("from .. import G", ".site.G"),
        ("from ..a import b as G", ".site.a.b"),
        ("from .... import G", ".?.G"),
        ("G = a.b", "a.b"),
        ("G: type = a", "a"),
        ("x = G = a", "a"),
    ],
)
def test_bindings(line: str, target: str) -> None:
    assert targets(f"{line}\nhere") == [target]


@pytest.mark.parametrize(
    "line",
    [
        "def G(): pass",
        "async def G(): pass",
        "for G in x: pass",
        "with x as G: pass",
        "G, y = x",
        "(G := 1)",
        "[G for G in x]",
    ],
)
def test_what_is_bound_otherwise_is_unknown(line: str) -> None:
    before = "from a import G\n"
    expected = "a.G" if line.startswith("[") else None
    assert targets(f"{before}{line}\nhere") == [expected]


def test_the_last_one_counts() -> None:
    assert targets("from a import G\nfrom b import G\nhere") == ["b.G"]


def test_a_fallback_that_is_unknown_counts_last() -> None:
    source = """
        try:
            from a import G
        except ImportError:
            G = None
            def G(): pass
        here
    """
    assert targets(source) == ["None"]
    assert targets(source.replace("            G = None\n", "")) == ["a.G"]


def test_functions_look_outwards_past_classes() -> None:
    source = """
        from a import G
        class Own:
            from b import G
            here
            def method(self):
                here
            def shadowed(self, G, *, default=here):
                here
        lambda G: [
            here]
        def local():
            from c import G
            here
        [(
            here) for G in x]
    """
    assert targets(source) == ["b.G", "a.G", "b.G", None, None, "c.G", None]


def test_a_global_name_is_the_modules() -> None:
    source = """
        def late():
            global G
            from a import G
        here
    """
    assert targets(source) == ["a.G"]


def test_a_caught_exception_hides_a_name_only_if_there_is_no_other() -> None:
    assert targets("from a import G\ntry: pass\nexcept E as G: here") == ["a.G"]
    assert targets("try: pass\nexcept E as G: here") == [None]


def test_every_kind_of_argument_is_one() -> None:
    for arguments in ("G", "G, /", "*, G", "*G", "**G"):
        assert targets(f"from a import G\ndef f({arguments}):\n  here") == [None], arguments


def test_stars_are_noted() -> None:
    reader = Reader(ast.parse("from a import *\nfrom .b import *"), ".site")
    assert reader.module.stars == ["a", ".site.b"]


def test_every_node_has_its_scope_and_its_parent() -> None:
    tree = ast.parse(
        "@d\ndef f(a: int = 1) -> str:\n  return [x async for x in y if x]\nclass C(B, metaclass=M): z = {1: 2}"
    )
    reader = Reader(tree, "")
    nodes = [node for node in ast.walk(tree) if not isinstance(node, ast.expr_context)]
    named = [node for node in nodes if isinstance(node, ast.Name | ast.Constant | ast.Call)]
    assert [node for node in named if node not in reader.scope_of or node not in reader.parent_of] == []
