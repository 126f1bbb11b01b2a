"""Relays: what a bridge has us hand on to the other bridges, as they have no links with each other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ...shared import frames
from .actions import LayerAction, Tell


@dataclass(slots=True)
class Relaying:
    """A relay that is under way."""

    source: int  # the bridge that wants to know when it has arrived
    owed: set[int]  # bridges that have not said that they have it


class Relays:
    """The relays that pass through this process."""

    def __init__(self, emit: Callable[[LayerAction], None]) -> None:
        self._emit = emit
        self._under_way: dict[tuple[int, int], Relaying] = {}  # (origin, number) -> relay

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, source: int, relay: frames.Relay, linked: Collection[int]) -> None:
        """Hand a relay on to those of its targets that are linked."""
        key = (relay.origin, relay.number)
        targets = [bridge for bridge in relay.to if bridge in linked and bridge != source]
        self._under_way[key] = Relaying(source, set(targets))
        for bridge in targets:
            self._emit(Tell(bridge, relay))
        self._end_if_done(key)

    def arrived(self, bridge: int, relayed: frames.Relayed) -> None:
        """Note that this bridge has it."""
        key = (relayed.origin, relayed.number)
        if key in self._under_way:
            self._under_way[key].owed.discard(bridge)
            self._end_if_done(key)

    def lose(self, bridge: int) -> None:
        """Wait no more for a bridge whose link is over, and tell it nothing."""
        for key, relaying in list(self._under_way.items()):
            if relaying.source == bridge:
                del self._under_way[key]
            else:
                relaying.owed.discard(bridge)
                self._end_if_done(key)

    def _end_if_done(self, key: tuple[int, int]) -> None:
        relaying = self._under_way.get(key)
        if relaying is not None and not relaying.owed:
            del self._under_way[key]
            self._emit(Tell(relaying.source, frames.Relayed(*key)))
