"""A full name -> what becomes of it."""

from __future__ import annotations

from . import djangos
from .channels1 import MODULES, PRIVATE
from .findings import RUNS, Rule
from .others import AROUND, LATER, LATER_MODULES, LATER_NAMES, LAYERS

UNKNOWN = Rule("change", "Channels 1 has no such name here: import it from the module that defines it, or remove it.")


def judge(name: str, shims: bool = False) -> tuple[str, Rule] | None:
    """Give the known name that ``name`` is, or is an attribute of, and what becomes of it. None: nothing to be told.

    ``shims``: whether removed helpers of Django are there by ``--django-shims``.
    """
    root = name.partition(".")[0]
    if root == "channels":
        return _channels(name)
    if root == "django":
        return djangos.judge(name, shims)
    if name in LAYERS:
        return name, LAYERS[name]
    return next(((name, rule) for around, rule in AROUND.items() if is_below(name, around)), None)


def is_known(name: str) -> bool:
    """Say whether this is a name that Channels 1 or a removed helper of Django has; for ``import *``."""
    found = judge(name)
    return found is not None and found[1] is not UNKNOWN


def is_channels1(name: str) -> bool:
    """Say whether this is a name of Channels 1, whatever becomes of it."""
    found = judge(name) if is_below(name, "channels") else None
    return found is not None and found[1] not in (UNKNOWN, LATER)


def is_below(name: str, module: str) -> bool:
    """Say whether a full name is a module, or in it."""
    return name == module or name.startswith(f"{module}.")


def _channels(name: str) -> tuple[str, Rule]:
    if name in LATER_NAMES or any(is_below(name, module) for module in LATER_MODULES):
        return name, LATER
    for module, advice in PRIVATE.items():
        if is_below(name, module):
            return name, Rule("change", advice)
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        module = ".".join(parts[:end])
        if module not in MODULES:
            continue
        if end == len(parts):
            return name, RUNS
        known = f"{module}.{parts[end]}"
        return known, MODULES[module].get(parts[end], UNKNOWN)
    raise AssertionError("channels itself is in the table")
