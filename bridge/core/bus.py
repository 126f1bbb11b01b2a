"""The way to bridges of other machines: which topics of the engine concern us, what goes there, what was missed.

Topics: ``g.`` + hash of a group, ``b.`` + boot of a bridge, ``p.`` + boot of a process that has its home here, ``all``.
Each message carries its origin and a number, counted per topic, so that who has had the one before sees a gap. A
message from the engine is never published again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

from ...shared import frames
from ...shared.frames import LayerFrame
from .actions import Action, Join, Leave, Publish
from .statistics import Statistics

ALL = "all"
LINGER = 10.0  # seconds for which a topic without members is kept: groups come and go
NUMBERED = 10_000  # topics whose numbers are kept; one that was forgotten begins anew, which shows no gap
ANSWER = 1.0  # seconds until another machine's silence means that nobody is there
ANNOUNCE = 2.0  # seconds between two announcements of who listens on named channels
ANNOUNCED = 8192  # channels in one announcement: lists on the wire have a bound (shared/wire.py)
BELIEVE = 3 * ANNOUNCE  # seconds for which one holds


def group_topic(group: str) -> str:
    """Give the topic of a group: no user's text in it."""
    return "g." + hashlib.blake2b(group.encode(), digest_size=16).hexdigest()


def bridge_topic(boot: int) -> str:
    """Give the topic of what is for one bridge."""
    return f"b.{boot:016x}"


def process_topic(boot: int) -> str:
    """Give the topic of what is for the channels of one process."""
    return f"p.{boot:016x}"


class Bus:
    """This bridge's part of the bus. Without an engine (``is_open`` False) it does nothing."""

    def __init__(self, boot: int, emit: Callable[[Action], None], statistics: Statistics, *, is_open: bool) -> None:
        self.is_open = is_open
        self._boot = boot
        self._emit = emit
        self._statistics = statistics
        self._numbers: OrderedDict[str, int] = OrderedDict()  # topic -> number of our last message there
        self._seen: dict[str, dict[int, int]] = {}  # topic that we joined -> origin -> number of its last message
        self._leaving: dict[str, float] = {}  # topic -> when it is left
        self._unconfirmed: dict[str, list[Callable[[], None]]] = {}  # topic -> who waits until it is joined
        self._listeners: dict[str, OrderedDict[int, float]] = {}  # named channel -> bridge -> until when
        self._asked: OrderedDict[tuple[int, ...], float] = OrderedDict()  # route of a question -> its deadline
        self._announced: Sequence[str] = ()
        self._announced_at = -ANNOUNCE
        if is_open:
            for topic in (ALL, bridge_topic(boot)):
                self.join(topic)

    # -- topics ------------------------------------------------------------------------------------------------

    def join(self, topic: str) -> None:
        """Hear what is published there."""
        if self.is_open and self._leaving.pop(topic, None) is None and topic not in self._seen:
            self._seen[topic] = {}
            self._unconfirmed[topic] = []
            self._emit(Join(topic))

    def leave(self, topic: str, now: float) -> None:
        """Hear no more of it, in a while."""
        if topic in self._seen:
            self._leaving[topic] = now + LINGER

    def quit(self, topic: str) -> None:
        """Hear no more of it, at once: another bridge hears it now, and two must not."""
        self._leaving.pop(topic, None)
        if self._seen.pop(topic, None) is not None:
            self.joined(topic)
            self._emit(Leave(topic))

    def joined(self, topic: str) -> None:
        """Note that the engine has our subscription."""
        for function in self._unconfirmed.pop(topic, ()):
            function()

    def when_joined(self, topic: str, function: Callable[[], None]) -> None:
        """Call the function once the engine has our subscription; at once if it has, or if there is no engine."""
        waiting = self._unconfirmed.get(topic)
        if waiting is None:
            function()
        else:
            waiting.append(function)

    # -- out ---------------------------------------------------------------------------------------------------

    def publish(self, topic: str, effect: LayerFrame, to: list[int], now: float) -> None:
        """Send it to whom it concerns on other machines; ``to``: boots of the bridges that have it already."""
        if effect.route:
            self._asked[tuple(effect.route)] = now + ANSWER
        number = self._numbers[topic] = self._numbers.pop(topic, 0) + 1
        if len(self._numbers) > NUMBERED:
            self._numbers.popitem(last=False)
        self._emit(Publish(topic, frames.Relay(self._boot, number, to, [effect])))

    def answer(self, route: list[int], code: str) -> None:
        """Tell the bridge that asked what became of it."""
        if self.is_open:
            self._emit(Publish(bridge_topic(route[2]), frames.Answer(route, code)))

    def announce(self, channels: Sequence[str], now: float) -> None:
        """Tell others on which named channels somebody here listens: when that changes, and now and then."""
        if not self.is_open or (now - self._announced_at < ANNOUNCE and set(channels) == set(self._announced)):
            return
        if channels or self._announced:
            self._emit(Publish(ALL, frames.Listening(self._boot, list(channels)[:ANNOUNCED])))
        self._announced, self._announced_at = channels, now

    # -- in ----------------------------------------------------------------------------------------------------

    def is_news(self, topic: str, relay: frames.Relay) -> bool:
        """Say whether what came by the engine is for us, and count what is missing before it."""
        if relay.origin == self._boot:
            return False
        seen = self._seen.get(topic)
        if seen is not None:
            last = seen.get(relay.origin, relay.number - 1)
            seen[relay.origin] = relay.number
            self._statistics.missed += max(0, relay.number - last - 1)
        return self._boot not in relay.to

    def forget_numbers(self) -> None:
        """Count anew: what is missing so far has been told."""
        for origins in self._seen.values():
            origins.clear()

    def heard(self, frame: frames.Listening, now: float) -> None:
        """Note who listens on what elsewhere."""
        for bridges in self._listeners.values():
            bridges.pop(frame.bridge, None)
        for channel in frame.channels:
            self._listeners.setdefault(channel, OrderedDict())[frame.bridge] = now + BELIEVE

    def listener(self, channel: str, now: float) -> int | None:
        """Give a bridge where somebody listens on this named channel: they take turns. None: nobody does."""
        bridges: OrderedDict[int, float] = self._listeners.get(channel, OrderedDict())
        for boot, until in list(bridges.items()):
            del bridges[boot]
            if until > now:
                bridges[boot] = until
                return boot
        return None

    def answered(self, route: list[int]) -> bool:
        """Note an answer. False: nobody waits for it any more."""
        return self._asked.pop(tuple(route), None) is not None

    # -- time --------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> list[list[int]]:
        """Look at the timers; give the routes of questions that nobody answered."""
        for topic in [topic for topic, at in self._leaving.items() if at <= now]:
            self.quit(topic)
        for channel, bridges in list(self._listeners.items()):
            if not any(until > now for until in bridges.values()):
                del self._listeners[channel]
        silent = [route for route, deadline in self._asked.items() if deadline <= now]
        for route in silent:
            del self._asked[route]
        return [list(route) for route in silent]
