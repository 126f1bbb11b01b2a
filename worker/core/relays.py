"""Relays: what a bridge has us hand on to the other bridges, as they have no links with each other.

A link that was cut is made anew in a moment, if its bridge lives: what is owed to it waits for that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ...shared import frames
from .actions import LayerAction, Tell

REJOIN = 1.0  # seconds: a bridge that is not back by then has ended, or is another by now
FOREVER = float("inf")


@dataclass(slots=True)
class Relaying:
    """A relay that is under way."""

    source: int  # the bridge that wants to know when it has arrived
    frame: frames.Relay
    owed: dict[int, float]  # bridge that has not said that it has it -> until when it is waited for


class Relays:
    """The relays that pass through this process."""

    def __init__(self, emit: Callable[[LayerAction], None]) -> None:
        self._emit = emit
        self._under_way: dict[tuple[int, int], Relaying] = {}  # (origin, number) -> relay

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, source: int, relay: frames.Relay, linked: Collection[int], now: float) -> None:
        """Hand a relay on to those of its targets that are linked."""
        key = (relay.origin, relay.number)
        owed = {bridge: FOREVER if bridge in linked else now + REJOIN for bridge in relay.to if bridge != source}
        self._under_way[key] = Relaying(source, relay, owed)
        for bridge in list(owed):
            if bridge in linked:
                self._emit(Tell(bridge, relay))
        self._end_if_done(key)

    def arrived(self, bridge: int, relayed: frames.Relayed) -> None:
        """Note that this bridge has it."""
        key = (relayed.origin, relayed.number)
        if key in self._under_way:
            self._under_way[key].owed.pop(bridge, None)
            self._end_if_done(key)

    def gain(self, bridge: int) -> None:
        """Give a bridge whose link is new what it may not have had."""
        for relaying in list(self._under_way.values()):
            if bridge in relaying.owed:
                relaying.owed[bridge] = FOREVER
                self._emit(Tell(bridge, relaying.frame))

    def lose(self, bridge: int, now: float) -> None:
        """Wait for a bridge whose link is over for a moment only, and tell it nothing."""
        for key, relaying in list(self._under_way.items()):
            if relaying.source == bridge:
                del self._under_way[key]
            elif bridge in relaying.owed:
                relaying.owed[bridge] = now + REJOIN

    def tick(self, now: float) -> None:
        """Give up bridges that have not come back."""
        for key, relaying in list(self._under_way.items()):
            if any(until <= now for until in relaying.owed.values()):
                relaying.owed = {bridge: until for bridge, until in relaying.owed.items() if until > now}
                self._end_if_done(key)

    def _end_if_done(self, key: tuple[int, int]) -> None:
        relaying = self._under_way.get(key)
        if relaying is not None and not relaying.owed:
            del self._under_way[key]
            self._emit(Tell(relaying.source, frames.Relayed(*key)))
