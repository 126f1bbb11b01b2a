"""What stands in ZeroMQ's place: sockets in memory, with what ``shared/endpoint.py`` has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from channels_bridge.shared.endpoint import Endpoint, PeerGone
from channels_bridge.shared.loop import Loop


class Socket(Endpoint):
    """One end of the cables: the bridge has one for all its workers, a worker one for each bridge.

    ``look``: there is something to do. ``carry``: take a message, or raise ``PeerGone``. ``ended``: it was closed, and
    what it has sent may linger for so many seconds. ``leavings``: let arrive what those who have gone have left.
    """

    def __init__(
        self,
        look: Callable[[], object],
        carry: Callable[[list[bytes]], object],
        ended: Callable[[float], object],
        leavings: Callable[[], object] = bool,
    ) -> None:
        self.closed = False
        self.started = False
        self._look, self._carry, self._ended, self._leavings = look, carry, ended, leavings
        self._on_message: Callable[[list[bytes]], None] = lambda message: None
        self._on_disconnect: Callable[[], None] = lambda: None
        self._on_writable: Callable[[], None] | None = None

    def start(self, loop: Loop, on_message: Callable[[list[bytes]], None]) -> None:
        """As :meth:`Endpoint.start`."""
        self._on_message = on_message
        self.started = True
        self._look()

    def when_writable(self, function: Callable[[], None]) -> None:
        """As :meth:`Endpoint.when_writable`."""
        self._on_writable = function
        self._look()

    def on_disconnect(self, function: Callable[[], None]) -> None:
        """As :meth:`Endpoint.on_disconnect`."""
        self._on_disconnect = function

    def take(self, message: list[bytes]) -> None:
        """Let a message arrive."""
        if not self.closed:
            self._on_message(message)

    def tell_writable(self) -> None:
        """Tell who waits for it that there is a peer."""
        function, self._on_writable = self._on_writable, None
        if function is not None and not self.closed:
            function()

    def tell_disconnect(self) -> None:
        """Tell that a connection has ended."""
        if not self.closed:
            self._on_disconnect()

    def drain(self) -> None:
        """As :meth:`Endpoint.drain`: what somebody who has gone has left arrives now."""
        self._leavings()

    def send(self, frames: Sequence[bytes]) -> bool:
        """As :meth:`Endpoint.send`."""
        if self.closed:
            raise PeerGone
        self._carry(list(frames))
        return True

    def forget(self) -> None:
        """As :meth:`Endpoint.forget`."""
        self.closed = True

    def close(self, linger: float = 0.0) -> None:
        """As :meth:`Endpoint.close`; what was sent arrives if there is time for it to linger."""
        if not self.closed:
            self.closed = True
            self._ended(linger)
