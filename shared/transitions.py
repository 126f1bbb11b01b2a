"""The states of a link, a connection and a session, as tables: (state, event) -> state.

What is not in a table does not happen: :func:`step` raises ``LocalProtocolError``, and a test walks every pair.
``docs/architecture.md`` shows the same tables as diagrams.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from .errors import LocalProtocolError


class Link(Enum):
    """A worker, seen by the bridge."""

    NEW = "new"  # spoke, but no HELLO yet
    READY = "ready"
    SUSPECT = "suspect"  # silent for a while: no new turns
    DRAINING = "draining"  # asked for no new connections
    DEAD = "dead"  # killed, frozen or cut off: never leaves this state
    GONE = "gone"  # said GOODBYE


class LinkEvent(Enum):
    """What happens to a link."""

    HELLO = "hello"
    SILENT = "silent"  # config.suspect seconds without a frame
    HEARD = "heard"  # any frame
    DRAIN = "drain"
    GOODBYE = "goodbye"
    LOST = "lost"  # config.verdict seconds of silence, or the socket says so, or a newer HELLO of the same process


LINK: dict[tuple[Link, LinkEvent], Link] = {
    (Link.NEW, LinkEvent.HELLO): Link.READY,
    (Link.NEW, LinkEvent.LOST): Link.DEAD,
    (Link.READY, LinkEvent.SILENT): Link.SUSPECT,
    (Link.READY, LinkEvent.HEARD): Link.READY,
    (Link.READY, LinkEvent.DRAIN): Link.DRAINING,
    (Link.READY, LinkEvent.GOODBYE): Link.GONE,
    (Link.READY, LinkEvent.LOST): Link.DEAD,
    (Link.SUSPECT, LinkEvent.SILENT): Link.SUSPECT,
    (Link.SUSPECT, LinkEvent.HEARD): Link.READY,
    (Link.SUSPECT, LinkEvent.DRAIN): Link.DRAINING,
    (Link.SUSPECT, LinkEvent.GOODBYE): Link.GONE,
    (Link.SUSPECT, LinkEvent.LOST): Link.DEAD,
    (Link.DRAINING, LinkEvent.SILENT): Link.DRAINING,
    (Link.DRAINING, LinkEvent.HEARD): Link.DRAINING,
    (Link.DRAINING, LinkEvent.DRAIN): Link.DRAINING,
    (Link.DRAINING, LinkEvent.GOODBYE): Link.GONE,
    (Link.DRAINING, LinkEvent.LOST): Link.DEAD,
}


class Session(Enum):
    """A bridge, seen by the worker."""

    CONNECTING = "connecting"
    GREETING = "greeting"  # HELLO sent
    READY = "ready"
    DRAINING = "draining"
    FENCED = "fenced"  # lease lost, refused or reset: everything of this bridge is dropped, a new socket is made
    CLOSED = "closed"  # said GOODBYE


class SessionEvent(Enum):
    """What happens to a session."""

    CONNECTED = "connected"
    WELCOME = "welcome"
    DRAIN = "drain"
    LOST = "lost"
    CLOSE = "close"


SESSION: dict[tuple[Session, SessionEvent], Session] = {
    (Session.CONNECTING, SessionEvent.CONNECTED): Session.GREETING,
    (Session.CONNECTING, SessionEvent.LOST): Session.FENCED,
    (Session.CONNECTING, SessionEvent.CLOSE): Session.CLOSED,
    (Session.GREETING, SessionEvent.WELCOME): Session.READY,
    (Session.GREETING, SessionEvent.LOST): Session.FENCED,
    (Session.GREETING, SessionEvent.CLOSE): Session.CLOSED,
    (Session.READY, SessionEvent.DRAIN): Session.DRAINING,
    (Session.READY, SessionEvent.LOST): Session.FENCED,
    (Session.READY, SessionEvent.CLOSE): Session.CLOSED,
    (Session.DRAINING, SessionEvent.DRAIN): Session.DRAINING,
    (Session.DRAINING, SessionEvent.LOST): Session.FENCED,
    (Session.DRAINING, SessionEvent.CLOSE): Session.CLOSED,
}

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


def step(table: dict[tuple[S, E], S], state: S, event: E) -> S:
    """Return the next state, or raise ``LocalProtocolError``: the caller let an event through that cannot be."""
    try:
        return table[state, event]
    except KeyError:
        raise LocalProtocolError(f"{event} cannot happen in {state}") from None


def may(table: dict[tuple[S, E], S], state: S, event: E) -> bool:
    """Say whether the event has a place in this state."""
    return (state, event) in table
