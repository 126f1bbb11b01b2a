"""What the core wants done; the link does it. Named tuples for the reason that frames are (shared/frames.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...shared.frames import Frame

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


class Finish(NamedTuple):
    """Nothing more comes for the client: end the ASGI call once everything queued is written."""

    conn: Connection
    outcome: str  # "returned", "raised", "disconnected", or a case of bridge/answers.py
    text: str
    events: Sequence[bytes] = ()  # to be written before


class Room(NamedTuple):
    """The journal has room again: go on reading from the client."""

    conn: Connection


class Forget(NamedTuple):
    """This peer is dead, gone or refused: drop what is queued for it."""

    peer: bytes


class Log(NamedTuple):
    """Tell the operator."""

    level: str  # "info", "warning"
    text: str


Action = Send | Write | Finish | Room | Forget | Log
