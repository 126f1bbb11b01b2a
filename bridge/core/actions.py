"""What the core wants done; the link does it. Named tuples for the reason that frames are (shared/frames.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...shared.frames import Frame, Query
from .letters import Letter

if TYPE_CHECKING:
    from .connection import Connection


class Send(NamedTuple):
    """Queue a frame for a worker."""

    peer: bytes  # ZeroMQ's routing id
    link_epoch: int
    frame: Frame


class Write(NamedTuple):
    """Queue ASGI messages for the client; tell ``Core.written`` when the server has taken them."""

    conn: Connection
    events: list[bytes]


class WriteAll(NamedTuple):
    """Queue one message for many clients; tell ``Core.written`` for each."""

    conns: list[Connection]
    event: bytes


class DropOldest(NamedTuple):
    """Take the oldest message of a group out of the client's queue, if there is one; tell ``Core.written``."""

    conn: Connection


class Finish(NamedTuple):
    """Nothing more comes for the client: end the ASGI call once everything queued is written."""

    conn: Connection
    outcome: str  # "returned", "raised", "disconnected", or a case of bridge/answers.py
    text: str
    events: Sequence[bytes] = ()  # to be written before


class SetAside(NamedTuple):
    """Keep a dead letter."""

    letter: Letter


class Room(NamedTuple):
    """The journal has room again: go on reading from the client."""

    conn: Connection


class Forget(NamedTuple):
    """This peer is dead, gone or refused: drop what is queued for it."""

    peer: bytes


class Join(NamedTuple):
    """Subscribe to a topic of the engine; tell ``Core.joined``."""

    topic: str


class Leave(NamedTuple):
    """End a subscription."""

    topic: str


class Publish(NamedTuple):
    """Give it to the engine; tell ``Core.unpublished`` if that did not take it."""

    topic: str
    frame: Frame


class Asked(NamedTuple):
    """Answer an operator."""

    peer: bytes
    link_epoch: int
    query: Query


class Log(NamedTuple):
    """Tell the operator."""

    level: str  # "info", "warning"
    text: str


Action = Send | Write | WriteAll | DropOldest | Finish | SetAside | Room | Forget | Join | Leave | Publish | Asked | Log
