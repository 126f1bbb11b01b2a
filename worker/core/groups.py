"""Groups, as far as channels of this process are in them. Our home, one of the bridges, knows which these are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from ...shared import frames
from .actions import LayerAction, Tell
from .calls import Call
from .channels import Channel


class Passed(NamedTuple):
    """A GROUP_ADD that a bridge has passed on, and where its answer goes."""

    bridge: int
    route: list[int]


Asker = Call | Passed


class Group:
    """One group."""

    __slots__ = ("askers", "confirmed", "expires_at", "members", "name", "number")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number  # of our SUBSCRIBE
        self.confirmed = False  # our home has answered it
        self.askers: list[Asker] = []  # who wait for that
        self.members: dict[str, tuple[Channel, float]] = {}  # name of channel -> (channel, until when)
        self.expires_at = float("inf")  # no membership ends before


class Groups:
    """The groups that channels of this process are in."""

    def __init__(self, emit: Callable[[LayerAction], None], number: Callable[[], int]) -> None:
        self._emit = emit
        self._next_number = number
        self._home: int | None = None
        self._groups: dict[str, Group] = {}
        self._unconfirmed: dict[int, Group] = {}  # number of SUBSCRIBE -> group

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, group: str) -> bool:
        return group in self._groups

    # -- members -----------------------------------------------------------------------------------------------

    def add(self, name: str, channel: Channel, now: float, asker: Asker) -> bool:
        """Make the channel a member. False: our home has to know of it first; ``asker`` waits for :meth:`confirmed`."""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(name, self._next_number())
            self._subscribe(group)
        until = now + channel.bounds.linger
        group.members[channel.name] = (channel, until)
        group.expires_at = min(group.expires_at, until)
        channel.groups.add(name)
        if group.confirmed:
            return True
        group.askers.append(asker)
        return False

    def discard(self, name: str, channel: Channel) -> list[Asker]:
        """End a membership; none there is no error. Gives who waited for a group that has nobody left."""
        channel.groups.discard(name)
        group = self._groups.get(name)
        if group is None or group.members.pop(channel.name, None) is None or group.members:
            return []
        del self._groups[name]
        self._unconfirmed.pop(group.number, None)
        if self._home is not None:
            self._emit(Tell(self._home, frames.Unsubscribe(name)))
        return group.askers

    def drop(self, channel: Channel) -> list[Asker]:
        """End all memberships of a channel; as :meth:`discard`."""
        return [asker for name in list(channel.groups) for asker in self.discard(name, channel)]

    def members(self, name: str, exclude: Collection[str], now: float) -> Iterator[Channel]:
        """Give the channels of a group, less those excluded."""
        group = self._groups.get(name)
        if group is None:
            return
        if group.expires_at <= now:
            self._expire(group, now)
        for channel, _ in list(group.members.values()):
            if channel.name not in exclude:
                yield channel

    def _expire(self, group: Group, now: float) -> None:
        group.expires_at = min((until for _, until in group.members.values() if until > now), default=float("inf"))
        for channel, until in list(group.members.values()):
            if until <= now:
                self.discard(group.name, channel)

    # -- home --------------------------------------------------------------------------------------------------

    def move(self, home: int | None) -> None:
        """Have another home from now on; None: there is none now."""
        self._home = home
        for group in self._groups.values():
            group.confirmed = False
            self._subscribe(group)

    def _subscribe(self, group: Group) -> None:
        self._unconfirmed[group.number] = group
        if self._home is not None:
            self._emit(Tell(self._home, frames.Subscribe(group.name, [group.number])))

    def confirmed(self, bridge: int, number: int) -> list[Asker]:
        """Take our home's answer to a SUBSCRIBE. Gives who waited for it."""
        group = self._unconfirmed.get(number) if bridge == self._home else None
        if group is None:
            return []
        del self._unconfirmed[number]
        group.confirmed = True
        askers, group.askers = group.askers, []
        return askers
