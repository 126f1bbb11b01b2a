"""What is done with objects, which only their methods tell: replies, layers, sending at once.

These names mean little by themselves, so they are told of only where other things of Channels 1 were found as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .channels1 import LATER
from .findings import RUNS, Rule
from .modules import Module
from .project import Own, Project
from .references import Found
from .special import SINGLE, argument, is_true

COUNTS = Rule("change", "Read the bridge's counters instead: channels-bridge status --json, or its metrics.")
LISTED = Rule("change", "Keep who is there in your database, as they connect and disconnect: groups cannot be listed.")
TWISTED = Rule("change", "Write receive(channels, block=True), in a thread: the layer knows no Twisted.")
MEMBER = Rule("change", "Send to it by its name: only reply channels and those of new_channel() can be in a group.")
IN_MEMORY = Rule("runs", "In memory, as in tests, any channel can be in a group.")
FLUSHED = Rule("differs", "It ends the channels and memberships of this process: others' go on.")
UNIQUE = Rule("differs", "The name that it returns ends otherwise than ?abc: use it as it is.")

ATTRIBUTES = frozenset({"channel_session", "http_session", "reply_channel"})  # of messages
# Methods that only layers of Channels 1 have, whatever the object is called.
LAYER: dict[str, Rule] = {
    "channel_statistics": COUNTS,
    "global_statistics": COUNTS,
    "group_channels": LISTED,
    "receive_many": RUNS,
    "receive_twisted": TWISTED,
}
# Methods that other things have as well: only of what is seen to be a layer.
PLAIN = {
    "flush": FLUSHED,
    "group_add": RUNS,
    "group_discard": RUNS,
    "new_channel": UNIQUE,
    "receive": RUNS,
    "send_group": RUNS,
}
GROUPS = frozenset({"channels.Group", "channels.channel.Group"})
GETTERS = frozenset({"channels.asgi.get_channel_layer"})
MANAGERS = frozenset({"channels.channel_layers", "channels.asgi.channel_layers"})
CHANNELS = frozenset({"channels.Channel", "channels.channel.Channel"})
TESTS = frozenset(
    f"channels.{module}.{name}"
    for module in ("test", "test.base", "tests", "tests.base")
    for name in ("ChannelTestCase", "TransactionChannelTestCase")
)


def usage(project: Project, module: Module, is_later: bool) -> Iterator[Found]:
    """Give what is done with replies, groups and layers. ``is_later``: layers of later Channels are in it, too."""
    for node in module.reader.scope_of:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            if node.attr in ATTRIBUTES and project.resolve(module, node) is None:
                yield node, f"channels.message.Message.{node.attr}", RUNS
            elif node.attr == "ResponseLater" and project.resolve(module, node) is None:
                yield node, "channels.handler.AsgiRequest.ResponseLater", LATER
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _called(project, module, node, node.func)
            if not is_later:
                yield from _on_layer(project, module, node, node.func)


def _called(project: Project, module: Module, call: ast.Call, function: ast.Attribute) -> Iterator[Found]:
    method = function.attr
    if method in LAYER:
        in_memory = method != "receive_twisted" and _is_in_memory(project, module, call)
        yield function, f"channel_layer.{method}", RUNS if in_memory else LAYER[method]
    elif method == "send" and is_true(argument(call, 1, "immediately")):
        yield function, "send(immediately=True)", RUNS
    elif method == "add" and kind(project, module, function.value) == "group":
        given = argument(call, 0, "channel")
        if given is not None and _is_named(project, module, given):
            yield function, "channels.Group.add", IN_MEMORY if _is_in_memory(project, module, call) else MEMBER


def _on_layer(project: Project, module: Module, call: ast.Call, function: ast.Attribute) -> Iterator[Found]:
    method = function.attr
    if method not in {"send", *PLAIN} or kind(project, module, function.value) != "layer":
        return
    if method in PLAIN:
        yield function, f"channel_layer.{method}", PLAIN[method]
    else:
        to = argument(call, 0, "channel")
        single = isinstance(to, ast.Constant) and isinstance(to.value, str) and "?" in to.value
        yield function, "channel_layer.send", SINGLE if single else RUNS


def kind(project: Project, module: Module, node: ast.expr, depth: int = 0) -> str:
    """Say what an expression gives: "layer", "group", "channel", or "" where that cannot be seen."""
    if depth > 10:
        return ""
    if isinstance(node, ast.Call):
        name = project.resolve(module, node.func)
        kinds = (("layer", GETTERS), ("group", GROUPS), ("channel", CHANNELS))
        return next((what for what, names in kinds if name in names), "")
    if isinstance(node, ast.Subscript):
        return "layer" if project.resolve(module, node.value) in MANAGERS else ""
    if isinstance(node, ast.Attribute):
        return "layer" if node.attr == "channel_layer" else ""
    if isinstance(node, ast.Name):
        found = module.reader.scope_of[node].find(node.id)
        if found is not None and isinstance(found[0].target, ast.expr):
            return kind(project, module, found[0].target, depth + 1)
    return ""


def _is_named(project: Project, module: Module, node: ast.expr) -> bool:
    """Say whether this is a channel that workers listen on, by its plain name."""
    if isinstance(node, ast.Call) and kind(project, module, node) == "channel":
        name = argument(node, 0, "name")
        return name is not None and _is_named(project, module, name)
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and not {"!", "?"} & set(node.value)


def _is_in_memory(project: Project, module: Module, node: ast.AST) -> bool:
    """Say whether this stands in a test whose layer is in memory, or in a file that makes such a layer."""
    parent: ast.AST | None = node
    while parent is not None:
        if isinstance(parent, ast.ClassDef) and not TESTS.isdisjoint(project.ancestors(Own(module, parent))):
            return True
        parent = module.reader.parent_of.get(parent)
    calls = (one for one in module.reader.scope_of if isinstance(one, ast.Call))
    return any(project.resolve(module, one.func) == "asgiref.inmemory.ChannelLayer" for one in calls)
