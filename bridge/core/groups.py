"""Groups: who is in which. Membership lives with the connection and dies with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...shared.names import Owned
from .connection import Connection


class Groups:
    """The memberships of this bridge's connections. Broadcast only: nothing here lists a group to anybody."""

    def __init__(self) -> None:
        # group -> (role, conn) -> connection; in the order of joining
        self._members: dict[str, dict[tuple[str, int], Connection]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def add(self, group: str, role: str, conn: Connection) -> None:
        """Make the connection's consumer ("consumer") or client ("reply") a member. Again is no error."""
        self._members.setdefault(group, {})[role, conn.id] = conn
        conn.groups.add((group, role))

    def discard(self, group: str, role: str, conn: Connection) -> None:
        """End a membership. None there is no error."""
        members = self._members.get(group)
        if members is not None and members.pop((role, conn.id), None) is not None and not members:
            del self._members[group]
        conn.groups.discard((group, role))

    def drop(self, conn: Connection) -> None:
        """End all memberships of a connection that closes."""
        for group, role in list(conn.groups):
            self.discard(group, role, conn)

    def members(self, group: str, exclude: Collection[Owned]) -> Iterator[tuple[str, Connection]]:
        """Give (role, connection) of each member as of now, less those excluded."""
        out = {(owned.role, owned.conn) for owned in exclude}
        for key, conn in list(self._members.get(group, {}).items()):
            if key not in out:
                yield key[0], conn
