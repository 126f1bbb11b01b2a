"""What a bridge asks of an engine, and what an engine tells its bridge.

An engine passes opaque messages between bridges, by topic, at most once. A message is never given to the engine that
published it. What one bridge publishes on one topic arrives in that order. Nothing is kept for later: what is
published while the server is away is dropped, and the drop is counted.

::

    start -> (up, then after each loss: down, up, gap) ... -> stop
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ...shared.loop import Loop


@dataclass(slots=True)
class Statistics:
    """What an engine has done since it was made. Written in the bridge's loop only, so that no count is lost."""

    published: int = 0  # accepted by publish()
    received: int = 0  # given to the listener
    dropped: int = 0  # refused by publish(), lost with a connection, or not taken by the listener in time
    gaps: int = 0  # told to the listener
    reconnects: int = 0  # connections after the first


class Listener(Protocol):
    """Whom an engine tells; always in the loop that it was started with, never after ``stop()``."""

    def message(self, topic: str, data: bytes) -> None:
        """Take what another bridge has published on a topic that is subscribed to."""
        ...

    def up(self) -> None:
        """Note that the engine is connected: publishing works from now on."""
        ...

    def down(self, reason: str) -> None:
        """Note that the engine has lost its server; ``reason`` has no secrets in it. It connects again by itself."""
        ...

    def gap(self, reason: str) -> None:
        """Note that messages of others may have been lost. Told after ``up`` where a lost connection is the reason."""
        ...


class Engine(Protocol):
    """One bridge's end. Made by :func:`open_engine`; all methods are called in the bridge's loop and never block."""

    @property
    def url(self) -> str:
        """Where it connects to, without secrets: for logs and status."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the server is there, as far as is known now."""
        ...

    @property
    def problem(self) -> str:
        """Why it is not connected, without secrets; empty while it is."""
        ...

    @property
    def statistics(self) -> Statistics:
        """The counters."""
        ...

    def start(self, loop: Loop, listener: Listener) -> None:
        """Begin to connect. Does not fail where there is no server yet. Call it once."""
        ...

    def publish(self, topic: str, data: bytes) -> bool:
        """Send to the other bridges. False: dropped, for want of a connection or of room, or as it is too large."""
        ...

    def subscribe(self, topic: str, done: Callable[[], None]) -> None:
        """Receive this topic from now on, over all reconnects.

        ``done`` is called once, in a later turn of the loop: when the server has the subscription, or soon if the
        engine is down (then it is made with the next connection).
        """
        ...

    def unsubscribe(self, topic: str) -> None:
        """Receive this topic no more."""
        ...

    def stop(self) -> None:
        """Send what was published, for a moment at most, and end. What comes after it is ignored. Idempotent."""
        ...
