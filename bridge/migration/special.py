"""Calls whose arguments decide what becomes of them: full name -> what to tell of the call."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from .djangos import ON_DELETE, PROVIDING, RELATIONS, SIGNALS
from .findings import Rule

Said = tuple[str, Rule] | None  # the name, and what becomes of it; None: as of the name itself
NAME = re.compile(r"[A-Za-z0-9_.\-]{1,99}\Z")  # of channels that workers listen on
NAMED = Rule(
    "change",
    "Write 1 to 99 ASCII letters, digits, hyphens, underscores and full stops: nothing else is a name here.",
)
SINGLE = Rule("change", "Send to a name that new_channel() has returned: names with ? are not made by hand here.")
KEEPALIVE = Rule("change", "Remove it: no server has sent websocket.keepalive since Channels 1.0.")
SLIGHT = Rule("change", "Write enforce_ordering without slight=True: every message is in order as it is.")


def argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    """Give an argument by its place or its name."""
    if len(call.args) > place and not any(isinstance(one, ast.Starred) for one in call.args[: place + 1]):
        return call.args[place]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def is_true(node: ast.expr | None) -> bool:
    """Say whether this is written as something true."""
    return isinstance(node, ast.Constant) and bool(node.value)


def channel_rule(name: str) -> Rule | None:
    """Say what is wrong with the name of a channel, if anything is."""
    if name == "websocket.keepalive":
        return KEEPALIVE
    if "?" in name:
        return SINGLE
    return None if NAME.match(name) or "!" in name else NAMED


def _ordering(call: ast.Call) -> Said:
    slight = is_true(argument(call, 1, "slight"))
    return ("channels.sessions.enforce_ordering(slight=True)", SLIGHT) if slight else None


def _naming(name: str) -> Callable[[ast.Call], Said]:
    """Look at the channels that a call names."""

    def look(call: ast.Call) -> Said:
        given = argument(call, 0, "name")
        for node in given.elts if isinstance(given, ast.List | ast.Tuple) else [given]:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                rule = channel_rule(node.value)
                if rule is not None:
                    return f"{name}({node.value!r})", rule
        return None

    return look


def _relating(name: str) -> Callable[[ast.Call], Said]:
    """Look for ``on_delete``."""

    def look(call: ast.Call) -> Said:
        if any(keyword.arg in {"on_delete", None} for keyword in call.keywords) or len(call.args) > 1:
            return None
        return f"{name} without on_delete", ON_DELETE

    return look


def _signal(call: ast.Call) -> Said:
    given = argument(call, 0, "providing_args")
    return ("django.dispatch.Signal(providing_args=...)", PROVIDING) if given is not None else None


CALLS: dict[str, Callable[[ast.Call], Said]] = {
    "channels.sessions.enforce_ordering": _ordering,
    **{
        name: _naming(name)
        for name in ("channels.Channel", "channels.channel.Channel", "channels.route", "channels.routing.route")
    },
    **{name: _relating(name) for name in RELATIONS},
    **dict.fromkeys(SIGNALS, _signal),
}
