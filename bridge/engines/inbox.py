"""From an engine to its bridge: whatever an engine's thread has to tell arrives in the bridge's loop, in that order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from ...shared.config import MIB
from ...shared.loop import Loop
from .crossing import Crossing
from .engine import Listener, Statistics

logger = logging.getLogger("channels_bridge.engine")

MESSAGES = 8192  # what arrives in 0.2 s at most, while the bridge's loop is busy with something else
OCTETS = 32 * MIB


class Inbox:
    """A listener behind a thread's border. Closed until :meth:`open`; a slow bridge loses messages and is told so."""

    def __init__(self, statistics: Statistics) -> None:
        self.topics: set[str] = set()  # what is delivered; changed in the bridge's loop only
        self._statistics = statistics
        self._calls: Crossing[Callable[[], object]] = Crossing(MESSAGES, OCTETS)

    def open(self, loop: Loop, listener: Listener) -> None:
        """Deliver to the listener, in this loop, from now on."""
        self._loop, self._listener = loop, listener
        self._calls.open(lambda: loop.from_thread(self._deliver))

    def close(self) -> None:
        """Deliver nothing more. In the bridge's loop, so that nothing is being delivered now."""
        self._calls.close()

    # -- from any thread -----------------------------------------------------------------------------------------

    def message(self, topic: str, data: bytes) -> None:
        """Deliver a message; it is dropped if too many wait."""
        self._calls.put(partial(self._message, topic, data), len(topic) + len(data))

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the bridge's loop, after all that was delivered before."""
        self._calls.put(function, 0)

    def up(self, again: bool) -> None:
        """Tell that the server is there; ``again``: after a loss."""
        self.call(partial(self._up, again))

    def down(self, reason: str) -> None:
        """Tell that the server is lost."""
        self.call(partial(self._down, reason))

    def gap(self, reason: str) -> None:
        """Tell that messages may be missing here."""
        self.call(partial(self._gap, reason))

    def lost(self, number: int) -> None:
        """Count messages that were accepted and never sent."""
        self.call(partial(self._lost, number))

    # -- in the bridge's loop ------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        calls = self._calls.take()
        for call in calls:
            if not self._calls.is_open:  # the listener has stopped the engine
                return
            try:
                call()
            except Exception:  # the listener's; trio would end the bridge's whole run for it
                logger.exception("an error in handling what the engine told; going on with the next")
        refused = self._calls.take_refused()
        if refused:
            self._lost(refused)
            self._gap(f"{refused} messages came faster than this process took them, and were dropped")
        if calls:
            self._loop.call_soon(self._deliver)

    def _message(self, topic: str, data: bytes) -> None:
        if topic in self.topics:  # else it was on its way when the bridge unsubscribed
            self._statistics.received += 1
            self._listener.message(topic, data)

    def _up(self, again: bool) -> None:
        self._statistics.reconnects += again
        self._listener.up()

    def _down(self, reason: str) -> None:
        self._listener.down(reason)

    def _gap(self, reason: str) -> None:
        self._statistics.gaps += 1
        self._listener.gap(reason)

    def _lost(self, number: int) -> None:
        self._statistics.dropped += number
