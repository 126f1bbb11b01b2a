"""Names of channels and groups: their grammar, and those that a bridge gives.

The grammar is that of Channels: ASCII letters, digits, hyphens, underscores and full stops, under 100 characters.
A channel that belongs to one place has a ``!`` in it; left of it stands whose it is, a bridge's or a process's boot,
right of it which one: a connection, or what ``new_channel`` counted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import InvalidName

_PLAIN = re.compile(r"[A-Za-z0-9_.\-]{1,99}\Z")
_CHANNEL = re.compile(r"(?=.{1,99}\Z)[A-Za-z0-9_.\-]+(![A-Za-z0-9_.\-]*)?\Z")
_PREFIX = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")
_PROCESS = re.compile(r"[A-Za-z0-9_.\-]{1,64}\.([0-9a-f]{16})!p[0-9]{1,12}\Z")
_OWNED = re.compile(r"(consumer|reply)\.([0-9a-f]{16})!([0-9]{1,19})\Z")

CHANNELS1 = "channels1.message"  # the type under which messages of Channels 1 travel, which have none of their own

RULE = "a name is 1 to 99 ASCII letters, digits, hyphens, underscores and full stops (a channel may have one '!' in it)"
NAMED_RULE = "a name is 1 to 99 ASCII letters, digits, hyphens, underscores and full stops"


class Owned(NamedTuple):
    """A channel that a bridge gave to a connection."""

    role: str  # "consumer": to the consumer; "reply": to the client, past the consumer
    bridge: int  # bridge_boot
    conn: int


def check_group(name: object) -> str:
    """Return the group's name, or raise ``InvalidName`` that shows the rule."""
    if isinstance(name, str) and _PLAIN.match(name):
        return name
    raise InvalidName(f"{name!r} is not a group name: {RULE}")


def check_channel(name: object) -> str:
    """Return the channel's name, or raise ``InvalidName`` that shows the rule."""
    if isinstance(name, str) and _CHANNEL.match(name):
        return name
    raise InvalidName(f"{name!r} is not a channel name: {RULE}")


def check_member(name: str) -> str:
    """Return the name of a channel that can be in a group, or raise ``InvalidName`` that says which can."""
    if "!" in check_channel(name):
        return name
    raise InvalidName(
        f"{name!r} cannot be in a group: consumers' and clients' channels can, and those of new_channel()"
    )


def check_named(name: object) -> str:
    """Return the name of a named channel, which has no ``!``, or raise ``InvalidName`` that shows the rule."""
    if isinstance(name, str) and _PLAIN.match(name):
        return name
    raise InvalidName(f"{name!r} is not the name of a channel to listen on: {NAMED_RULE}")


def owned_channel(role: str, bridge: int, conn: int) -> str:
    """Name the consumer channel or the reply channel of a connection; the same for its whole life."""
    return f"{role}.{bridge:016x}!{conn}"


def parse_owned(name: str) -> Owned | None:
    """Take a name apart that :func:`owned_channel` made; None for any other name."""
    match = _OWNED.match(name)
    if match is None:
        return None
    return Owned(match[1], int(match[2], 16), int(match[3]))


def process_channel(prefix: object, process: int, number: int) -> str:
    """Name a channel that a process makes for itself. Raises ``InvalidName`` for a prefix that cannot begin one."""
    if isinstance(prefix, str) and _PREFIX.match(prefix):
        return f"{prefix}.{process:016x}!p{number}"
    raise InvalidName(f"{prefix!r} cannot begin a channel's name: it takes 1 to 64 of its characters, and no '!'")


def parse_process(name: str) -> int | None:
    """Give the boot of the process that made this name with :func:`process_channel`; None for any other name."""
    match = _PROCESS.match(name)
    return None if match is None else int(match[1], 16)
