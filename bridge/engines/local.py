"""The engine without a server: it joins the bridges of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ...shared.loop import Loop
from .engine import Listener, Statistics
from .inbox import Inbox

_lock = threading.Lock()  # bridges may run in several loops, each in a thread of its own
_members: dict[str, list[LocalEngine]] = {}  # URL -> the engines that are started, while there are any


class LocalEngine:
    """Joins those of the same URL in this process."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.statistics = Statistics()
        self._inbox = Inbox(self.statistics)

    @property
    def connected(self) -> bool:
        """Whether it is started and not stopped."""
        return self in _members.get(self.url, ())

    @property
    def problem(self) -> str:
        """Why it is not connected."""
        return "" if self.connected else "not started"

    def start(self, loop: Loop, listener: Listener) -> None:
        """Join the others."""
        self._inbox.open(loop, listener)
        with _lock:
            _members.setdefault(self.url, []).append(self)
        self._inbox.up(again=False)

    def publish(self, topic: str, data: bytes) -> bool:
        """Hand it to the others that have the topic."""
        with _lock:
            members = list(_members.get(self.url, ()))
        if self not in members:
            self.statistics.dropped += 1
            return False
        self.statistics.published += 1
        for member in members:
            if member is not self:
                member.hand_over(topic, data)
        return True

    def hand_over(self, topic: str, data: bytes) -> None:
        """Deliver what another one published, if this topic is wanted here. From any thread."""
        if topic in self._inbox.topics:
            self._inbox.message(topic, data)

    def subscribe(self, topic: str, done: Callable[[], None]) -> None:
        """Want a topic."""
        self._inbox.topics.add(topic)
        self._inbox.call(done)

    def unsubscribe(self, topic: str) -> None:
        """Want a topic no more."""
        self._inbox.topics.discard(topic)

    def stop(self) -> None:
        """Leave the others."""
        with _lock:
            members = _members.get(self.url, [])
            if self in members:
                members.remove(self)
            if not members:
                _members.pop(self.url, None)
        self._inbox.close()
