"""What the worker's core wants done; the link does it."""

from __future__ import annotations

from typing import NamedTuple

from ...shared.frames import Frame
from .mailbox import Mailbox


class Send(NamedTuple):
    """Queue a frame for the bridge."""

    frame: Frame


class Start(NamedTuple):
    """Host this connection."""

    mailbox: Mailbox


class Wake(NamedTuple):
    """Something changed in the mailbox: a message, credit, its end."""

    mailbox: Mailbox


class Apply(NamedTuple):
    """The commit of this turn was applied: pass on what it did at other bridges."""

    mailbox: Mailbox
    seq: int


class Reconnect(NamedTuple):
    """This session is over: close the socket and make a new one after ``delay`` seconds."""

    delay: float


class Log(NamedTuple):
    """Tell the operator."""

    level: str  # "info", "warning", "error"
    text: str


Action = Send | Start | Wake | Apply | Reconnect | Log
