"""An engine whose client runs in a thread of its own, with an event loop of its own.

So the bridge may run on trio whatever the client is written for, and a client that is busy or stuck never holds up
the bridge. Two bounded queues are all that the threads share: the outbox of :class:`Sessions` and the inbox.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import anyio

from ...shared.loop import Loop
from .engine import Listener, Statistics
from .inbox import Inbox
from .session import Plan, Publish, Sessions, Subscribe, Unsubscribe

logger = logging.getLogger("channels_bridge.engine")

STOP = 1.5  # seconds that stop() may hold up the bridge; a server that is alive needs a few milliseconds


class ThreadedEngine:
    """The bridge's side."""

    def __init__(self, plan: Plan) -> None:
        self.url = plan.url.shown
        self.statistics = Statistics()
        self._prefix = plan.url.prefix
        self._inbox = Inbox(self.statistics)
        self._sessions = Sessions(plan, self._inbox)
        self._thread = threading.Thread(target=self._run, name="channels-bridge-engine", daemon=True)
        self._stopped = False

    @property
    def connected(self) -> bool:
        """Whether there is a session, as far as is known now."""
        return self._sessions.outbox.is_open and not self._stopped

    @property
    def problem(self) -> str:
        """Why there is no session."""
        return "stopped" if self._stopped else self._sessions.problem

    def start(self, loop: Loop, listener: Listener) -> None:
        """Begin to connect."""
        self._inbox.open(loop, listener)
        self._thread.start()

    def publish(self, topic: str, data: bytes) -> bool:
        """Put it into the outbox."""
        taken = not self._stopped and self._fits(topic, data)
        if taken:
            item = Publish(f"{self._prefix}.{topic}", data)
            taken = self._sessions.outbox.put(item, len(item.subject) + len(data))
        if taken:
            self.statistics.published += 1
        else:
            self.statistics.dropped += 1
        return taken

    def _fits(self, topic: str, data: bytes) -> bool:
        limit = self._sessions.limit
        if self.connected and len(data) > limit:
            logger.warning("a message of %d bytes on %s is dropped: %s takes %d", len(data), topic, self.url, limit)
            return False
        return True

    def subscribe(self, topic: str, done: Callable[[], None]) -> None:
        """Want the topic, and tell the session if there is one."""
        self._inbox.topics.add(topic)
        if not self._sessions.outbox.put(Subscribe(topic, done), 0):
            self._inbox.call(done)

    def unsubscribe(self, topic: str) -> None:
        """Want the topic no more."""
        self._inbox.topics.discard(topic)
        self._sessions.outbox.put(Unsubscribe(topic), 0)

    def stop(self) -> None:
        """End the thread, and wait a moment for that."""
        if self._stopped:
            return
        self._stopped = True
        self._inbox.close()
        self._sessions.stop()
        if self._thread.is_alive():
            self._thread.join(STOP)

    def _run(self) -> None:
        try:
            anyio.run(self._sessions.run, backend="asyncio")
        except Exception:  # a bug of ours
            logger.exception("the engine at %s has ended", self.url)
