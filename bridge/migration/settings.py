"""What a project's settings say of Channels, in whatever module they stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .channels1 import LABEL
from .djangos import GONE, GONE_RULE, MIDDLEWARE
from .dotted import missing
from .findings import RUNS, Rule
from .modules import Module
from .others import BOTH, DERIVED, FORMER, LATER, LATER_BACKENDS, MAPPED, OURS, SERVED, UNMAPPED
from .project import Own, Project
from .references import Found
from .replies import capacities

LAYERS, APPS = "CHANNEL_LAYERS", "INSTALLED_APPS"
COOKIES = "django.contrib.sessions.backends.signed_cookies"
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\Z")
COMPUTED = Rule("differs", "It is computed: where it names a layer of Channels 1, the bridge takes its place.")
PLAIN: dict[str, Rule] = {
    LAYERS: RUNS,
    "CHANNEL_SESSION_ENGINE": RUNS,
    "CHANNELS_WS_PROTOCOLS": Rule("runs", "Every worker chooses subprotocols by it: --ws-protocol is not needed."),
    "ASGI_APPLICATION": LATER,
    "MIDDLEWARE_CLASSES": MIDDLEWARE,
}
READ = frozenset(f"django.conf.settings.{name}" for name in PLAIN)
ENTRIES: dict[str, Rule] = {
    "channels": RUNS,
    "channels.apps.ChannelsConfig": RUNS,
    "channels.delay": LABEL,
    "channels.delay.apps.DelayConfig": LABEL,
    "daphne": LATER,
}


def settings(project: Project, module: Module) -> Iterator[Found]:
    """Give the settings that are made, overridden or read here."""
    for node in module.reader.scope_of:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if node.value is not None:
                    yield from _assigned(project, module, target, node.value)
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in PLAIN or keyword.arg == APPS:
                    yield from _made(project, module, keyword, keyword.arg, keyword.value)
        elif isinstance(node, ast.Attribute) and project.resolve(module, node) in READ:
            yield node, f"settings.{node.attr}", PLAIN[node.attr]


def _assigned(project: Project, module: Module, target: ast.expr, value: ast.expr) -> Iterator[Found]:
    scope = module.reader.scope_of[target]
    if isinstance(target, ast.Name) and isinstance(scope.node, ast.Module | ast.ClassDef):
        if target.id == "MIDDLEWARE_CLASSES" and "MIDDLEWARE" in scope.names:
            return
        yield from _made(project, module, target, target.id, value)
    elif isinstance(target, ast.Subscript):
        keys: list[object] = []
        root: ast.expr = target
        while isinstance(root, ast.Subscript):
            keys.append(root.slice.value if isinstance(root.slice, ast.Constant) else None)
            root = root.value
        if isinstance(root, ast.Name) and root.id == LAYERS:
            yield from _backend(project, module, value) if keys[0] == "BACKEND" else _layers(project, module, value)


def _made(project: Project, module: Module, node: ast.AST, name: str | None, value: ast.expr) -> Iterator[Found]:
    if name == APPS:
        yield from _apps(value)
    elif name == "MIDDLEWARE":
        yield from _middleware(value)
    elif name in PLAIN:
        text = value.value if isinstance(value, ast.Constant) else None
        refused = name == "CHANNEL_SESSION_ENGINE" and text == COOKIES
        yield node, f"settings.{name}", _COOKIES if refused else PLAIN[name]
        if name == LAYERS:
            yield from _layers(project, module, value)


_COOKIES = Rule("change", "Write another, such as django.contrib.sessions.backends.db: a socket cannot set cookies.")


def _middleware(value: ast.expr) -> Iterator[Found]:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and node.value == GONE:
            yield node, f"MIDDLEWARE: {GONE}", GONE_RULE


def _apps(value: ast.expr) -> Iterator[Found]:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and node.value in ENTRIES:
            yield node, f"INSTALLED_APPS: {node.value}", ENTRIES[node.value]


def _layers(project: Project, module: Module, value: ast.expr) -> Iterator[Found]:
    """Look for BACKEND, ROUTING and channel_capacity in dicts, written as ``{...}`` or as ``dict(...)``."""
    for node in ast.walk(value):
        items: dict[object, ast.expr] = {}
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            items = {key.value: value for key, value in pairs if isinstance(key, ast.Constant)}
        elif isinstance(node, ast.Call):
            items = {keyword.arg: keyword.value for keyword in node.keywords}
        routing = items.get("ROUTING")
        if "BACKEND" in items:
            yield from _backend(project, module, items["BACKEND"], routing is not None)
        if isinstance(routing, ast.Constant):
            rule = missing(project, module, routing.value) if isinstance(routing.value, str) else None
            yield routing, f"ROUTING: {routing.value!s}", rule or RUNS
        if "channel_capacity" in items:
            yield from capacities(_bound(module, items["channel_capacity"]))


def _backend(project: Project, module: Module, value: ast.expr, is_routed: bool = True) -> Iterator[Found]:
    found = [one for one in ast.walk(_bound(module, value)) if isinstance(one, ast.Constant)]
    paths = [(one, str(one.value)) for one in found if _is_dotted(one.value)]
    for node, path in paths:
        rule = DERIVED if _is_served(project, module, path) else backend_rule(path, is_routed)
        yield node, f"BACKEND: {path}", rule
    if not paths:
        yield value, "BACKEND", COMPUTED


def _bound(module: Module, value: ast.expr) -> ast.expr:
    """Give what a name was assigned; of all else, itself."""
    bound = module.reader.scope_of[value].find(value.id) if isinstance(value, ast.Name) else None
    return bound[0].target if bound is not None and isinstance(bound[0].target, ast.expr) else value


def _is_served(project: Project, module: Module, path: str) -> bool:
    """Say whether this is a class of the project that derives from a layer that is one over the bridge now."""
    own = project.full(module, path)
    return isinstance(own, Own) and not SERVED.isdisjoint(project.ancestors(own))


def _is_dotted(value: object) -> bool:
    return isinstance(value, str) and DOTTED.match(value) is not None


def backend_rule(path: str, is_routed: bool) -> Rule:
    """Say what becomes of a layer's dotted path. ``is_routed``: there is a ROUTING beside it, as in Channels 1 only."""
    if path == OURS:
        return RUNS
    if path.startswith(FORMER):
        return MAPPED
    if path.startswith(LATER_BACKENDS) and not is_routed:
        return LATER
    return MAPPED if path.startswith(BOTH) else UNMAPPED
