"""Messages of groups and channels on their last step: to consumers, to clients, and what happens where one is full.

Their senders cannot be made to wait for one slow member. ``Config.slow_member`` says what that one loses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ...shared.config import Config
from .actions import Action, DropOldest, WriteAll
from .connection import Broadcast, Connection
from .dispatcher import Dispatcher
from .statistics import Statistics


class Delivery:
    """Gives messages to connections of this bridge. ``refuse`` ends one with an answer of ours."""

    def __init__(
        self,
        config: Config,
        emit: Callable[[Action], None],
        dispatcher: Dispatcher,
        statistics: Statistics,
        refuse: Callable[[Connection, str], None],
    ) -> None:
        self._config = config
        self._emit = emit
        self._dispatcher = dispatcher
        self.statistics = statistics
        self._refuse = refuse

    def deliver(self, members: Iterable[tuple[str, Connection]], event: bytes) -> int:
        """Give the message to each of these: (role, connection). Return how many took it."""
        event = Broadcast(event)
        consumers: list[Connection] = []
        clients: list[Connection] = []
        for role, conn in members:
            if conn.finished or conn.closing:
                self.statistics.unknown += 1
            elif role == "reply":
                if self._has_room(conn):
                    clients.append(conn)
            elif self._takes(conn):
                consumers.append(conn)
        if self._ends_slow:  # one that is a member twice may have taken it as the one and been ended as the other
            clients = [conn for conn in clients if not conn.finished]
            consumers = [conn for conn in consumers if not conn.finished]
        if clients:
            self._write(clients, event)
        if consumers:
            self._dispatcher.fan_out(consumers, event)
        return len(clients) + len(consumers)

    def _write(self, clients: list[Connection], event: bytes) -> None:
        self._dispatcher.received_by_all(clients, len(event))
        self._emit(WriteAll(clients, event))

    def _has_room(self, conn: Connection) -> bool:
        """Say whether the client takes one more; make room, or end it, as the policy has it."""
        while conn.buffered >= self._config.window_bytes:
            before = conn.buffered
            if self._drops_old:
                self._emit(DropOldest(conn))
            if conn.buffered == before:
                return self._refused(conn)
            self.statistics.dropped += 1
        return True

    def _takes(self, conn: Connection) -> bool:
        """Say whether the consumer's journal takes one more; make room, or end it, as the policy has it."""
        while not conn.takes_from_others(self._config):
            if not self._drops_old or not self._dispatcher.drop_oldest(conn):
                return self._refused(conn)
            self.statistics.dropped += 1
        return True

    @property
    def _drops_old(self) -> bool:
        return self._config.slow_member == "drop_old"

    @property
    def _ends_slow(self) -> bool:
        return self._config.slow_member == "close"

    def _refused(self, conn: Connection) -> bool:
        self.statistics.dropped += 1
        if self._ends_slow:
            self._refuse(conn, "slow")
        return False


def single(role: str, conn: Connection) -> Sequence[tuple[str, Connection]]:
    """Make one member of a channel, as :meth:`Delivery.deliver` takes them."""
    return ((role, conn),)
