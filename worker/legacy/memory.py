"""A Channels 1 layer within one process: for tests, and for ``runserver`` of small projects.

It has all of the ASGI 1 layer interface. Threads may share it.
"""

from __future__ import annotations

import contextlib
import copy
import random
import re
import string
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from typing import Any, ClassVar, NamedTuple

from ...shared.errors import ChannelFull
from .layer import BLOCK, MessageTooLarge

MAX_NAME = 100  # characters, which a name has fewer than
TAIL = 12  # letters that new_channel() adds
ADDRESS = "__asgi_channel__"  # a key of messages that Channels 1 layers kept for themselves

_CHANNEL = re.compile(r"[A-Za-z0-9\-_.]+([?!][A-Za-z0-9\-_.]*)?\Z")
_GROUP = re.compile(r"[A-Za-z0-9\-_.]+\Z")


class BaseChannelLayer:
    """What layers of Channels 1 were made of: limits, and the rules for names. Arguments: see :class:`ChannelLayer`."""

    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge
    extensions: ClassVar[list[str]] = []

    def __init__(
        self,
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 100,
        channel_capacity: Mapping[Any, int] | None = None,
    ) -> None:
        self.expiry = expiry
        self.group_expiry = group_expiry
        self.capacity = capacity
        self.channel_capacity = self.compile_capacities(channel_capacity or {})

    def compile_capacities(self, channel_capacity: Mapping[Any, int]) -> list[tuple[re.Pattern[str], int]]:
        """Give (pattern, capacity) of patterns as in fnmatch, or of compiled regular expressions."""
        compiled: list[tuple[re.Pattern[str], int]] = []
        for pattern, count in channel_capacity.items():
            compiled.append((re.compile(translate(pattern)) if isinstance(pattern, str) else pattern, count))
        return compiled

    def get_capacity(self, channel: str) -> int:
        """Give how many messages may wait in a channel: as the first pattern says that fits."""
        return next((count for pattern, count in self.channel_capacity if pattern.match(channel)), self.capacity)

    def valid_channel_name(self, name: object, receive: bool = False) -> bool:
        """Give True, or raise ``TypeError``. ``receive``: it is to be received on, where what follows ``!`` is open."""
        if not (isinstance(name, str) and len(name) < MAX_NAME and _CHANNEL.match(name)):
            raise TypeError(f"{name!r} is no channel's name: {_rule('one ! or ? in it')}")
        if receive and "!" in name and not name.endswith("!"):
            raise TypeError(f"{name!r}: receive() takes the name of a process's channels up to the '!'")
        return True

    def valid_channel_names(self, names: Iterable[object], receive: bool = False) -> bool:
        """Give True, or raise ``TypeError`` for one that is not valid."""
        return all(self.valid_channel_name(name, receive) for name in names)

    def valid_group_name(self, name: object) -> bool:
        """Give True, or raise ``TypeError``."""
        if not (isinstance(name, str) and len(name) < MAX_NAME and _GROUP.match(name)):
            raise TypeError(f"{name!r} is no group's name: {_rule('nothing else')}")
        return True

    def non_local_name(self, name: str) -> str:
        """Give the name of the channel that is received on: up to the ``!``, if there is one."""
        return name[: name.index("!") + 1] if "!" in name else name


def _rule(more: str) -> str:
    return f"under {MAX_NAME} ASCII letters, digits, hyphens, underscores and full stops, and {more}"


class Waiting(NamedTuple):
    """A message in a channel."""

    number: int  # of all that were sent: the lowest is the oldest
    since: float
    channel: str  # with what follows the "!"
    message: dict[str, Any]


class ChannelLayer(BaseChannelLayer):
    """Channels and groups in memory.

    ``expiry``: seconds that a message waits; ``group_expiry``: seconds that a channel stays in a group; ``capacity``:
    messages that wait in a channel; ``channel_capacity``: pattern (as in fnmatch, or a compiled regular expression)
    -> capacity, for some of them; ``clock``: gives seconds, for tests that do not wait.
    """

    local_only = True
    extensions: ClassVar[list[str]] = ["groups", "flush", "statistics"]

    def __init__(
        self,
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 10,
        channel_capacity: Mapping[Any, int] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(expiry, group_expiry, capacity, channel_capacity)
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._started = clock()
        self._channels: dict[str, deque[Waiting]] = {}  # name up to the "!" -> what waits there
        self._groups: dict[str, dict[str, float]] = {}  # name -> member -> when it was added
        self._sent: dict[str, int] = {}  # name up to the "!" -> messages so far
        self._refused: dict[str, int] = {}  # the same -> ChannelFull so far
        self._number = 0

    def __str__(self) -> str:
        return f"{type(self).__name__}(in memory)"

    # -- messages ----------------------------------------------------------------------------------------------

    def send(self, channel: str, message: dict[str, Any]) -> None:
        """Put a copy of a message into a channel.

        Raises ``ChannelFull``, ``TypeError`` for a bad name or what is no dict, ``ValueError`` for a reserved key.
        """
        _check(message)
        self.valid_channel_name(channel)
        name = self.non_local_name(channel)
        with self._changed:
            self._expire()
            waiting = self._channels.setdefault(name, deque())
            if len(waiting) >= self.get_capacity(name):
                self._refused[name] = self._refused.get(name, 0) + 1
                raise ChannelFull(f"{name} has no room: {len(waiting)} messages wait there")
            self._number += 1
            self._sent[name] = self._sent.get(name, 0) + 1
            waiting.append(Waiting(self._number, self._clock(), channel, copy.deepcopy(message)))
            self._changed.notify_all()

    def receive(self, channels: Sequence[str], block: bool = False) -> tuple[str, dict[str, Any]] | tuple[None, None]:
        """Take the oldest message of these channels: (channel, message); (None, None) if none came.

        ``block``: wait for one, for about a second. Raises ``TypeError`` for a bad name.
        """
        self.valid_channel_names(channels, receive=True)
        with self._changed:
            taken = self._take(channels)
            if taken is None and block and channels:
                self._changed.wait_for(lambda: any(self._channels.get(name) for name in channels), BLOCK)
                taken = self._take(channels)
            return (None, None) if taken is None else (taken.channel, taken.message)

    receive_many = receive  # its name before Channels 1.0

    def _take(self, channels: Sequence[str]) -> Waiting | None:
        self._expire()
        filled = [waiting for name in channels if (waiting := self._channels.get(name))]
        if not filled:
            return None
        oldest = min(filled, key=lambda waiting: waiting[0].number)
        return oldest.popleft()

    def new_channel(self, pattern: str) -> str:
        """Make a name of ``pattern``, which ends in ``?`` or ``!``, that no channel has yet."""
        self.valid_channel_name(pattern)
        if pattern[-1] not in "?!":
            raise TypeError(f"new_channel takes a name that ends in '?' or '!', not {pattern!r}")
        tail = "".join(random.choices(string.ascii_letters, k=TAIL))  # noqa: S311 - a name, and no secret
        return pattern + tail

    # -- groups ------------------------------------------------------------------------------------------------

    def group_add(self, group: str, channel: str) -> None:
        """Make a channel a member, for ``group_expiry`` seconds from now."""
        self.valid_group_name(group)
        self.valid_channel_name(channel)
        with self._changed:
            self._groups.setdefault(group, {})[channel] = self._clock()

    def group_discard(self, group: str, channel: str) -> None:
        """End a membership. None there is no error."""
        self.valid_group_name(group)
        self.valid_channel_name(channel)
        with self._changed:
            members = self._groups.get(group, {})
            members.pop(channel, None)
            if not members:
                self._groups.pop(group, None)

    def group_channels(self, group: str) -> list[str]:
        """Give a group's members."""
        self.valid_group_name(group)
        with self._changed:
            self._expire()
            return list(self._groups.get(group, ()))

    def send_group(self, group: str, message: dict[str, Any]) -> None:
        """Send a message to all members of a group. A member that is full misses it."""
        _check(message)
        for channel in self.group_channels(group):
            with contextlib.suppress(ChannelFull):
                self.send(channel, message)

    def flush(self) -> None:
        """End all channels and groups, with what waits in them; count anew."""
        with self._changed:
            self._started = self._clock()
            self._sent.clear()
            self._refused.clear()
            self._channels.clear()
            self._groups.clear()

    # -- time --------------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        """Drop what has waited for too long. A channel that nobody reads leaves its groups."""
        now = self._clock()
        unread: set[str] = set()
        for name, waiting in list(self._channels.items()):
            while waiting and waiting[0].since <= now - self.expiry:
                unread.add(waiting.popleft().channel)
            if not waiting:
                del self._channels[name]
        for group, members in list(self._groups.items()):
            for channel, since in list(members.items()):
                if since <= now - self.group_expiry or channel in unread:
                    del members[channel]
            if not members:
                del self._groups[group]

    # -- statistics --------------------------------------------------------------------------------------------

    def global_statistics(self) -> dict[str, float]:
        """Count, over all channels: see :meth:`channel_statistics`."""
        with self._changed:
            return self._statistics(self._sent.keys() | self._refused.keys())

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """Count what was sent, refused and waits in a channel. Rates are means over the layer's life."""
        self.valid_channel_name(channel)
        with self._changed:
            return self._statistics({self.non_local_name(channel)})

    def _statistics(self, names: Iterable[str]) -> dict[str, float]:
        self._expire()
        names, now = list(names), self._clock()
        waiting = [one for name in names for one in self._channels.get(name, ())]
        sent, refused = (sum(counts.get(name, 0) for name in names) for counts in (self._sent, self._refused))
        seconds = max(now - self._started, 1.0)
        return {
            "messages_count": sent,
            "messages_count_per_second": sent / seconds,
            "messages_pending": len(waiting),
            "messages_max_age": max((now - one.since for one in waiting), default=0.0),
            "channel_full_count": refused,
            "channel_full_count_per_second": refused / seconds,
        }


def _check(message: object) -> None:
    if not isinstance(message, dict):
        raise TypeError(f"a message has to be a dict, not {type(message).__name__}")
    if ADDRESS in message:
        raise ValueError(f"{ADDRESS!r} is a key that Channels 1 layers kept for themselves")
