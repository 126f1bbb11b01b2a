"""A loop, a socket and a clock that a test moves by hand, for the pumps of both halves."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from channels_bridge.shared import wire
from channels_bridge.shared.endpoint import PeerGone
from channels_bridge.shared.frames import Frame


class FakeTask:
    """What a coroutine became that nobody runs."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """Keeps what it is asked to do until :meth:`turn`."""

    def __init__(self) -> None:
        self._soon: list[Callable[[], object]] = []
        self.tasks: list[FakeTask] = []

    def turn(self) -> None:
        """Do what was asked for up to now."""
        soon, self._soon = self._soon, []
        for function in soon:
            function()

    def is_current(self) -> bool:
        return True

    def call_soon(self, function: Callable[[], object]) -> None:
        self._soon.append(function)

    from_thread = call_soon

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> FakeTask:
        coroutine.close()
        self.tasks.append(FakeTask())
        return self.tasks[-1]

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody should ask for {name}")


class FakeEndpoint:
    """A socket that keeps what is sent. ``peers``: at a ROUTER those that are there; None at a DEALER."""

    def __init__(self, peers: set[bytes] | None = None) -> None:
        self.sent: list[list[bytes]] = []
        self.peers = peers
        self.full = False
        self.closed = False
        self.forgotten = False
        self.linger = -1.0
        self.unread: list[list[bytes]] = []  # readable, and drain() reads it
        self.disconnected: Callable[[], None] = lambda: None
        self._on_message: Callable[[list[bytes]], None] = lambda message: None
        self._on_writable: Callable[[], None] | None = None

    def start(self, loop: object, on_message: Callable[[list[bytes]], None]) -> None:
        self._on_message = on_message

    def on_disconnect(self, function: Callable[[], None]) -> None:
        self.disconnected = function

    def when_writable(self, function: Callable[[], None]) -> None:
        self._on_writable = function

    def writable(self) -> None:
        """Tell whoever waits for it that there is room."""
        function, self._on_writable = self._on_writable, None
        if function is not None:
            function()

    def receive(self, link_epoch: int, *received: Frame, peer: bytes | None = None) -> None:
        """Let frames arrive, from ``peer`` at a ROUTER."""
        for message in wire.encode(link_epoch, received):
            self.receive_raw([*([] if peer is None else [peer]), *message])

    def receive_raw(self, message: list[bytes]) -> None:
        """Let a ZeroMQ message arrive."""
        self._on_message(message)

    def drain(self) -> None:
        unread, self.unread = self.unread, []
        for message in unread:
            self._on_message(message)

    def send(self, frames: Sequence[bytes]) -> bool:
        if self.closed or (self.peers is not None and frames[0] not in self.peers):
            raise PeerGone
        if self.full:
            return False
        self.sent.append(list(frames))
        return True

    def forget(self) -> None:
        self.forgotten = True

    def close(self, linger: float = 0.0) -> None:
        self.closed, self.linger = True, linger

    def taken(self, peer: bytes | None = None) -> list[Frame]:
        """Give the frames that were sent (to ``peer``) since the last call."""
        inbox = wire.Inbox(64 * 1024 * 1024)
        mine = [message for message in self.sent if peer is None or message[0] == peer]
        self.sent = [message for message in self.sent if message not in mine]
        return [frame for message in mine for frame in inbox.decode(message if peer is None else message[1:])[1]]


class Clock:
    """The time, as the pumps ask for it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
