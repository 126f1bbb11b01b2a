"""What the worker's core wants done; the link does it, or whoever has the links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...shared.frames import Frame
from .channels import Waiter
from .mailbox import Mailbox

# -- of a session ----------------------------------------------------------------------------------------------


class Send(NamedTuple):
    """Queue a frame for the bridge."""

    frame: Frame


class Start(NamedTuple):
    """Host this connection."""

    mailbox: Mailbox


class Wake(NamedTuple):
    """Something changed in the mailbox: a message, credit, its end."""

    mailbox: Mailbox


class Up(NamedTuple):
    """The bridge has said WELCOME."""

    bridge: int  # its boot


class Over(NamedTuple):
    """The link, which was up, is not any more."""

    bridge: int


class Hear(NamedTuple):
    """The bridge has sent a frame of the channel layer."""

    bridge: int
    frame: Frame


class Reconnect(NamedTuple):
    """This session is over: close the socket and make a new one after ``delay`` seconds."""

    delay: float


class Log(NamedTuple):
    """Tell the operator."""

    level: str  # "info", "warning", "error"
    text: str


Action = Send | Start | Wake | Up | Over | Hear | Reconnect | Log

# -- of the exchange -------------------------------------------------------------------------------------------


class Tell(NamedTuple):
    """Send a frame to this bridge."""

    bridge: int
    frame: Frame


class Settle(NamedTuple):
    """What these wait for has come; it is their ``result``."""

    waiters: Sequence[Waiter]


LayerAction = Tell | Settle
