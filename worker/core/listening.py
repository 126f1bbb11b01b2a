"""Named channels that this process receives on: how many messages it may be given, by which bridge.

Credit is a total, as everywhere: what came over a link plus what is wanted now. A message that comes when nobody
waits any more (the credit was taken back too late, or two bridges have given one each) is kept for the next receiver;
if there is none soon, it goes back, for other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...shared import frames
from .actions import LayerAction, Tell
from .channels import Bounds, Box, Statistics

IDLE = 1.0  # seconds after the last receive: a consumer that comes back for the next message is still listening


class Listener(Box):
    """One named channel."""

    __slots__ = ("gives_back", "listening", "name", "received", "used_at")

    def __init__(self, name: str, bounds: Bounds, statistics: Statistics) -> None:
        super().__init__(bounds, statistics)
        self.name = name
        self.received: dict[int, int] = {}  # bridge -> messages that came over its link
        self.listening: dict[int, int] = {}  # bridge -> the total that it was told
        self.used_at = 0.0
        self.gives_back = False  # nobody here will take what still comes


class Listening:
    """All named channels of this process."""

    def __init__(self, emit: Callable[[LayerAction], None], statistics: Statistics, bridges: Sequence[int]) -> None:
        self._emit = emit
        self._statistics = statistics
        self._bridges = bridges  # those that we are linked with; the exchange keeps the list
        self._listeners: dict[str, Listener] = {}

    def __len__(self) -> int:
        return sum(bool(listener.listening or listener.queue) for listener in self._listeners.values())

    @property
    def listeners(self) -> list[Listener]:
        """All of them."""
        return list(self._listeners.values())

    def listener(self, name: str, bounds: Bounds) -> Listener:
        """Give the listener of a channel; it is made if there is none."""
        listener = self._listeners.get(name)
        if listener is None:
            listener = self._listeners[name] = Listener(name, bounds, self._statistics)
        return listener

    def came(self, bridge: int, name: str, bounds: Bounds) -> Listener:
        """Count a message that a bridge has given us; not a straggler, for which we listen no more."""
        listener = self.listener(name, bounds)
        if bridge in listener.listening:
            listener.received[bridge] = listener.received.get(bridge, 0) + 1
        return listener

    def update(self, listener: Listener, now: float) -> None:
        """Tell the bridges how many messages are wanted, where that is news."""
        listener.used_at = now
        listener.gives_back = listener.gives_back and not listener.waiters
        wanted = len(listener.waiters)
        share = max(1, wanted // len(self._bridges)) if self._bridges else 0
        for bridge in list(self._bridges):
            received, told = listener.received.get(bridge, 0), listener.listening.get(bridge, -1)
            if wanted and received + share > told:
                self._listen(listener, bridge, received + share)
            elif not wanted and told > received:
                self._stop(listener, bridge)

    def _listen(self, listener: Listener, bridge: int, total: int) -> None:
        listener.listening[bridge] = total
        self._emit(Tell(bridge, frames.Listen(listener.name, total)))

    def _stop(self, listener: Listener, bridge: int) -> None:
        if listener.listening.pop(bridge, None) is not None:
            listener.received.pop(bridge, None)  # both sides count anew when we listen again
            self._emit(Tell(bridge, frames.Listen(listener.name, -1)))

    def give_back(self, name: str, bounds: Bounds) -> list[bytes]:
        """Listen no more; give the messages that came and were not taken. What still comes is to go back, too."""
        listener = self.listener(name, bounds)
        listener.gives_back = True
        for bridge in list(listener.listening):
            self._stop(listener, bridge)
        events = [event for _, event in listener.queue if isinstance(event, bytes)]  # to a group only, there are others
        listener.queue.clear()
        return events

    # -- links and time ----------------------------------------------------------------------------------------

    def gain(self, now: float) -> None:
        """Take it that there is one more link."""
        for listener in list(self._listeners.values()):
            if listener.waiters:
                self.update(listener, now)

    def lose(self, bridge: int, now: float) -> None:
        """Forget what was agreed with a bridge whose link is over."""
        for listener in list(self._listeners.values()):
            listener.received.pop(bridge, None)
            listener.listening.pop(bridge, None)
        self.gain(now)  # the others have larger shares

    def tick(self, now: float) -> list[tuple[str, bytes, float]]:
        """Say of channels that nobody has come back to that we listen no more; forget those that say nothing.

        Give what came on them and was not taken, to go back: channel, message, seconds that it may still wait.
        """
        left: list[tuple[str, bytes, float]] = []
        for name, listener in list(self._listeners.items()):
            listener.expire(now)
            if listener.waiters or now - listener.used_at < IDLE:
                continue
            for bridge in list(listener.listening):
                self._stop(listener, bridge)
            if self._bridges:
                left += [(name, event, until - now) for until, event in listener.queue if isinstance(event, bytes)]
                listener.queue.clear()
            if not listener.queue and not listener.received and not listener.gives_back:
                del self._listeners[name]
        return left
