"""Named channels: bounded, expiring queues, each message taken by one listener, at most once.

A listener is a process that said how many messages it takes (LISTEN, a total as credit always is). Listeners with
credit left take turns. A channel is here while a message waits in it or somebody listens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from ...shared import frames
from ...shared.config import Config
from .actions import Action, Send
from .ledger import Ledger
from .pool import Worker
from .statistics import Statistics

MESSAGE = 256  # bytes that a waiting message costs besides its own
CHANNEL = 2048  # bytes that a channel costs, whatever is in it: there may be one for each user of a site


class Waiting(NamedTuple):
    """A message that nobody has taken yet."""

    event: bytes
    expires_at: float


class Channel:
    """One named channel."""

    __slots__ = ("listeners", "queue", "ready", "size")

    def __init__(self) -> None:
        self.queue: deque[Waiting] = deque()
        self.size = 0  # bytes that the queue costs
        self.listeners: dict[Worker, list[int]] = {}  # process -> [messages that it takes in all, that it was given]
        self.ready: deque[Worker] = deque()  # those with credit; the next is the first


class Background:
    """The named channels of this bridge."""

    def __init__(self, config: Config, emit: Callable[[Action], None], statistics: Statistics) -> None:
        self._config = config
        self._emit = emit
        self._statistics = statistics
        self._channels: dict[str, Channel] = {}
        self._size = 0  # bytes that all queues cost
        self.ledger = Ledger()

    def __len__(self) -> int:
        return len(self._channels)

    @property
    def channels(self) -> Mapping[str, Channel]:
        """Name -> channel."""
        return self._channels

    @property
    def waiting(self) -> int:
        """Messages that wait, in all channels."""
        return sum(len(channel.queue) for channel in self._channels.values())

    @property
    def listened(self) -> list[str]:
        """The channels that a process here listens on."""
        return [name for name, channel in self._channels.items() if channel.listeners]

    def has_listener(self, name: str) -> bool:
        """Say whether a process here listens on it, with or without credit left."""
        channel = self._channels.get(name)
        return channel is not None and bool(channel.listeners)

    # -- messages ----------------------------------------------------------------------------------------------

    def put(self, frame: frames.ChannelSend, now: float) -> bool:
        """Give the message to a listener, or let it wait for one. False: the channel is full."""
        channel = self._channels.get(frame.channel)
        if channel is None:
            channel = self._channels[frame.channel] = Channel()
        if channel.ready:
            self.ledger.accepted += 1
            self._give(frame.channel, channel, frame.event)
            return True
        while channel.queue and channel.queue[0].expires_at <= now:
            self._pop(channel)
            self.ledger.expired += 1
        size = _cost(frame.event)
        capacity = frame.capacity or self._capacity(frame.channel)
        in_all = self._size + CHANNEL * len(self._channels)
        room = min(self._config.channel_bytes - channel.size, self._config.background_bytes - in_all)
        if len(channel.queue) >= capacity or size > room:
            self._statistics.full += 1
            self._forget_idle(frame.channel, channel)
            return False
        self.ledger.accepted += 1
        channel.queue.append(Waiting(frame.event, now + (frame.expiry or self._config.channel_expiry)))
        self._count(channel, size)
        return True

    def _capacity(self, name: str) -> int:
        for pattern, capacity in self._config.channel_capacity.items():
            if fnmatchcase(name, pattern):
                return capacity
        return self._config.capacity

    def _give(self, name: str, channel: Channel, event: bytes) -> None:
        self.ledger.delivered += 1
        worker = channel.ready.popleft()
        credit = channel.listeners[worker]
        credit[1] += 1
        if credit[1] < credit[0]:
            channel.ready.append(worker)
        self._emit(Send(worker.peer, worker.link_epoch, frames.ChannelSend(name, event, 0, 0.0, [])))

    def take_all(self, name: str) -> Iterator[Waiting]:
        """Take out what waits, oldest first."""
        channel = self._channels.get(name)
        while channel is not None and channel.queue:
            self.ledger.delivered += 1  # by another bridge, which accepts it anew
            yield self._pop(channel)
        if channel is not None:
            self._forget_idle(name, channel)

    def expire(self, now: float) -> None:
        """Drop what has waited for too long."""
        for name, channel in list(self._channels.items()):
            kept = deque(waiting for waiting in channel.queue if waiting.expires_at > now)
            if len(kept) < len(channel.queue):
                self.ledger.expired += len(channel.queue) - len(kept)
                channel.queue = kept
                self._count(channel, sum(_cost(waiting.event) for waiting in kept) - channel.size)
                self._forget_idle(name, channel)

    def _pop(self, channel: Channel) -> Waiting:
        waiting = channel.queue.popleft()
        self._count(channel, -_cost(waiting.event))
        return waiting

    def _count(self, channel: Channel, size: int) -> None:
        channel.size += size
        self._size += size

    # -- listeners ---------------------------------------------------------------------------------------------

    def listen(self, worker: Worker, name: str, total: int, now: float) -> None:
        """Note how many messages of this channel the process takes in all; less than 0: no more."""
        channel = self._channels.setdefault(name, Channel())
        credit = channel.listeners.get(worker)
        if total < 0:
            if credit is not None:
                self._deafen(worker, name, channel)
            self._forget_idle(name, channel)
            return
        if credit is None:
            credit = channel.listeners[worker] = [0, 0]
            worker.listened.add(name)
        had_credit = credit[1] < credit[0]
        credit[0] = max(credit[0], total)
        if not had_credit and credit[1] < credit[0]:
            channel.ready.append(worker)
        while channel.queue and channel.ready:
            waiting = self._pop(channel)
            if waiting.expires_at > now:
                self._give(name, channel, waiting.event)
            else:
                self.ledger.expired += 1

    def _deafen(self, worker: Worker, name: str, channel: Channel) -> None:
        del channel.listeners[worker]  # it counts anew if it listens again
        worker.listened.discard(name)
        if worker in channel.ready:
            channel.ready.remove(worker)

    def lose(self, worker: Worker) -> None:
        """Forget a process whose link has ended. What it was given and has not handled is lost: at most once."""
        for name in list(worker.listened):
            channel = self._channels[name]
            self._deafen(worker, name, channel)
            self._forget_idle(name, channel)

    def _forget_idle(self, name: str, channel: Channel) -> None:
        if not channel.queue and not channel.listeners:
            self._channels.pop(name, None)


def _cost(event: bytes) -> int:
    return len(event) + MESSAGE
