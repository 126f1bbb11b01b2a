"""What names stand for in one file: each scope of it, and what its imports, definitions and assignments bind."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

Target = str | ast.expr | ast.ClassDef | None  # a full name, what was assigned, a class of this file, nothing known


@dataclass(slots=True)
class Binding:
    """One place where a name gets its meaning."""

    target: Target
    fallback: bool  # in an ``except``: what is there when the other way has failed


@dataclass(slots=True, eq=False)
class Scope:
    """A module, a class, a function or a comprehension."""

    node: ast.AST
    parent: Scope | None
    names: dict[str, list[Binding]] = field(default_factory=dict[str, list[Binding]])
    stars: list[str] = field(default_factory=list[str])  # modules that ``import *`` brings in, the last one last
    outer: set[str] = field(default_factory=set[str])  # said to be ``global``

    def bind(self, name: str, target: Target, fallback: bool = False) -> None:
        """Note what a name stands for from here on."""
        scope = self
        if name in self.outer:
            while scope.parent is not None:
                scope = scope.parent
        scope.names.setdefault(name, []).append(Binding(target, fallback))

    def meaning(self, name: str) -> Binding | None:
        """Give the binding that counts: the last one; what is unknown and only a fallback counts last."""
        bindings = self.names.get(name)
        if not bindings:
            return None
        known = [one for one in bindings if one.target is not None or not one.fallback]
        return (known or bindings)[-1]

    def find(self, name: str) -> tuple[Binding, Scope] | None:
        """Look a name up as Python does, outwards, past the bodies of classes that are around a function."""
        scope: Scope | None = self
        while scope is not None:
            if scope is self or not isinstance(scope.node, ast.ClassDef):
                binding = scope.meaning(name)
                if binding is not None:
                    return binding, scope
            scope = scope.parent
        return None


class Reader(ast.NodeVisitor):
    """Goes through a file once. Then ``scope_of`` and ``parent_of`` have each of its nodes."""

    def __init__(self, tree: ast.Module, package: str) -> None:
        """``package``: where relative imports start from, as in ``.site.chat``."""
        self._package = package
        self._scope = Scope(tree, None)
        self._fallbacks = 0
        self.module = self._scope
        self.scope_of: dict[ast.AST, Scope] = {}
        self.parent_of: dict[ast.AST, ast.AST] = {}
        self.visit(tree)

    def visit(self, node: ast.AST) -> None:
        """Note where a node is, and go into it."""
        self.scope_of[node] = self._scope
        for child in ast.iter_child_nodes(node):
            self.parent_of[child] = node
        super().visit(node)

    # -- scopes ----------------------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Bind its name here, and its arguments inside."""
        self._scope.bind(node.name, None, bool(self._fallbacks))
        outside = [*node.decorator_list, *([node.returns] if node.returns else [])]
        self._function(node, outside, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Bind its arguments inside."""
        self._function(node, [], [node.body])

    def _function(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        outside: list[ast.expr],
        body: list[ast.stmt] | list[ast.expr],
    ) -> None:
        arguments = node.args
        for part in outside:
            self.visit(part)
        self.visit(arguments)  # its defaults and annotations belong to what is outside
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        self._enter(node, body, [argument.arg for argument in named if argument])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Bind its name here, and what is in its body inside."""
        for part in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(part)
        self._scope.bind(node.name, node, bool(self._fallbacks))
        self._enter(node, node.body, [])

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._enter(node, [*node.generators, *results], [])

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def _enter(
        self, node: ast.AST, body: list[ast.stmt] | list[ast.expr] | list[ast.AST], arguments: list[str]
    ) -> None:
        outer, self._scope = self._scope, Scope(node, self._scope)
        for name in arguments:
            self._scope.bind(name, None)
        for part in body:
            self.visit(part)
        self._scope = outer

    # -- bindings --------------------------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        """``import a.b`` binds a, ``import a.b as c`` binds c to a.b."""
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self._scope.bind(name, alias.name if alias.asname else name, bool(self._fallbacks))
            self.visit(alias)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Bind each name in full, or note the star."""
        origin = self.origin(node)
        for alias in node.names:
            if alias.name == "*":
                self._scope.stars.append(origin)
            else:
                self._scope.bind(alias.asname or alias.name, f"{origin}.{alias.name}", bool(self._fallbacks))
            self.visit(alias)

    def origin(self, node: ast.ImportFrom) -> str:
        """Give the module that is imported from; with a leading dot, if it was said relatively."""
        if not node.level:
            return node.module or ""
        above = self._package.split(".")
        start = ".".join(above[: len(above) - node.level + 1]) or ".?"  # above all that is read here
        return f"{start}.{node.module}" if node.module else start

    def visit_Assign(self, node: ast.Assign) -> None:
        """``a = b`` makes a stand for b."""
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._scope.bind(target.id, node.value, bool(self._fallbacks))
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Do so with an annotation, too."""
        if isinstance(node.target, ast.Name) and node.value is not None:
            self._scope.bind(node.target.id, node.value, bool(self._fallbacks))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Any other way to store into a name leaves nothing known."""
        parent = self.parent_of[node]
        is_noted = isinstance(parent, ast.AnnAssign) or (isinstance(parent, ast.Assign) and node in parent.targets)
        if isinstance(node.ctx, ast.Store) and not is_noted and not isinstance(parent, ast.AugAssign):
            self._scope.bind(node.id, None, bool(self._fallbacks))

    def visit_Global(self, node: ast.Global) -> None:
        """Names of the module, from here on."""
        self._scope.outer.update(node.names)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """What is bound in here is a fallback."""
        if node.name:
            self._scope.bind(node.name, None, fallback=True)
        self._fallbacks += 1
        self.generic_visit(node)
        self._fallbacks -= 1
