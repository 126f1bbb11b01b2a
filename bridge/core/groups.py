"""Groups: who is in which. Membership lives with the connection and dies with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from ...shared.names import Owned
from .connection import Connection
from .pool import Worker


class Groups:
    """Broadcast only: nothing here lists a group to anybody.

    Members are connections of this bridge, and processes: those have the channels that they made by themselves, and
    deliver to them by themselves. ``changed`` is called with a group's name when it gets its first member and when it
    loses its last.
    """

    def __init__(self, changed: Callable[[str], None] = lambda group: None) -> None:
        # group -> (role, conn) -> connection; in the order of joining
        self._members: dict[str, dict[tuple[str, int], Connection]] = {}
        self._processes: dict[str, dict[Worker, None]] = {}  # group -> those that subscribed
        self._changed = changed

    def __len__(self) -> int:
        return len(self._members.keys() | self._processes.keys())

    def __contains__(self, group: str) -> bool:
        return group in self._members or group in self._processes

    # -- connections -------------------------------------------------------------------------------------------

    def add(self, group: str, role: str, conn: Connection) -> None:
        """Make the connection's consumer ("consumer") or client ("reply") a member. Again is no error."""
        is_new = group not in self
        self._members.setdefault(group, {})[role, conn.id] = conn
        conn.groups.add((group, role))
        if is_new:
            self._changed(group)

    def discard(self, group: str, role: str, conn: Connection) -> None:
        """End a membership. None there is no error."""
        members = self._members.get(group)
        if members is not None and members.pop((role, conn.id), None) is not None and not members:
            del self._members[group]
            if group not in self:
                self._changed(group)
        conn.groups.discard((group, role))

    def drop(self, conn: Connection) -> None:
        """End all memberships of a connection that closes."""
        for group, role in list(conn.groups):
            self.discard(group, role, conn)

    def members(self, group: str, exclude: Collection[Owned]) -> Iterator[tuple[str, Connection]]:
        """Give (role, connection) of each member as of now, less those excluded."""
        out = {(owned.role, owned.conn) for owned in exclude}
        members = self._members.get(group, {})
        for key in list(members):  # not items(): ten thousand new tuples at once set off the garbage collector
            conn = members.get(key)
            if conn is not None and key not in out:
                yield key[0], conn

    # -- processes ---------------------------------------------------------------------------------------------

    def subscribe(self, group: str, process: Worker) -> None:
        """Give the group's messages to this process, too. Again is no error."""
        is_new = group not in self
        self._processes.setdefault(group, {})[process] = None
        process.groups.add(group)
        if is_new:
            self._changed(group)

    def unsubscribe(self, group: str, process: Worker) -> None:
        """Give it no more of them. No subscription there is no error."""
        processes = self._processes.get(group, {})
        if process in processes:
            del processes[process]
            if not processes:
                del self._processes[group]
                if group not in self:
                    self._changed(group)
        process.groups.discard(group)

    def lose(self, process: Worker) -> None:
        """End all subscriptions of a process whose link has ended."""
        for group in list(process.groups):
            self.unsubscribe(group, process)

    def processes(self, group: str) -> list[Worker]:
        """Give those that subscribed."""
        return list(self._processes.get(group, ()))
