"""This process's end of the channel layer: what is behind its own channels, and where all else goes.

A process is linked with every bridge. The first of them is its *home*: it has our groups, and gets what is for
channels that are neither ours nor a linked bridge's. A lost home is followed by the next.

What a turn does to the layer never comes here: it travels in its COMMIT. No await, no I/O, no clock, no log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...shared import frames
from ...shared.frames import Frame, LayerFrame
from ...shared.names import parse_owned, parse_process
from .actions import LayerAction, Settle, Tell
from .calls import CLOSED, DONE, FULL, UNKNOWN, Call, Calls
from .channels import Bounds, Box, Channel, Parcel, Statistics, Waiter
from .groups import Asker, Groups, Passed
from .listening import Listener, Listening
from .relays import Relays

SWEEP = 0.25  # seconds between two looks at all that waits
SURPLUS = Bounds(1000, 60.0, 0.0)  # of a named channel whose receiver has gone when a message comes
Addressed = frames.GroupAdd | frames.GroupDiscard | frames.ChannelSend


class Exchange:
    """The channel layer of one process. ``boot``: what its channels are named after; HELLO says the same."""

    def __init__(self, boot: int, emit: Callable[[LayerAction], None]) -> None:
        self.boot = boot
        self.statistics = Statistics()
        self.bridges: list[int] = []  # boots of those that we are linked with; home first
        self.calls = Calls(emit)
        self.groups = Groups(emit, self.calls.number)
        self.listening = Listening(emit, self.statistics, self.bridges)
        self.relays = Relays(emit)
        self.channels: dict[str, Channel] = {}  # name -> channel of ours
        self._emit = emit
        self._swept_at = 0.0
        self._expected = 0  # links that calls wait for; 0: for the first
        self._expected_until = 0.0
        self._heard: dict[type[Frame], Callable[..., None]] = {
            frames.GroupSend: self._group_send,
            frames.ChannelSend: self._channel_send,
            frames.GroupAdd: self._group_add,
            frames.GroupDiscard: self._group_discard,
            frames.Answer: self._answer,
            frames.Relay: self._relay,
            frames.Relayed: self._relayed,
        }

    # -- links -------------------------------------------------------------------------------------------------

    def expect(self, links: int, until: float) -> None:
        """Let calls wait for so many links, which are about to come up, or until then.

        Else the first thing that a new layer sends would reach the first bridge that answers, and no other.
        """
        self._expected, self._expected_until = links, until

    def up(self, bridge: int, now: float) -> None:
        """Take up a link."""
        self.bridges.append(bridge)
        self._tell_peers()
        if self.bridges[0] == bridge:
            self.groups.move(bridge)
        if len(self.bridges) >= self._expected:
            self._release(now)
        self.relays.gain(bridge)
        self.listening.gain(now)

    def _release(self, now: float) -> None:
        """Send what has waited for links."""
        self._expected = 0
        for call in self.calls.held():
            self._issue(call, now)

    def over(self, bridge: int, now: float) -> None:
        """Give up a link."""
        if bridge not in self.bridges:
            return
        was_home = self.bridges[0] == bridge
        self.bridges.remove(bridge)
        self._tell_peers()
        if was_home:
            self.groups.move(self.bridges[0] if self.bridges else None)
        self.calls.lose(bridge)
        self.relays.lose(bridge, now)
        self.listening.lose(bridge, now)

    def _tell_peers(self) -> None:
        for bridge in list(self.bridges):
            self._emit(Tell(bridge, frames.Peers(list(self.bridges))))

    # -- what layers ask for -----------------------------------------------------------------------------------

    def call(self, frame: LayerFrame, waiter: Waiter, deadline: float, now: float) -> None:
        """Do this; the waiter is settled with a code once it is done, or at the deadline."""
        self._issue(self.calls.make(frame, waiter, deadline), now)

    def greet(self, waiter: Waiter, deadline: float, now: float) -> None:
        """Settle the waiter once there are links, or at the deadline."""
        self._issue(self.calls.make(None, waiter, deadline), now)

    def tell(self, frame: LayerFrame, now: float) -> None:
        """Do this; nobody asks what became of it, nor waits for a link."""
        self.call(frame, Waiter(), now, now)

    def open(self, name: str, owner: int, bounds: Bounds) -> Channel:
        """Make a channel of ours; ``owner``: number of the layer that it ends with. In any thread."""
        channel = self.channels[name] = Channel(name, owner, bounds, self.statistics)
        return channel

    def close(self, name: str, now: float) -> None:
        """Note that the name that :meth:`open` was for is gone."""
        channel = self.channels.get(name)
        if channel is not None:
            channel.named = False
            channel.used_at = now
            if channel.is_left(now):
                self._drop(channel)

    def receive(self, name: str, waiter: Waiter, now: float, *, copied: bool, bounds: Bounds) -> None:
        """Settle the waiter with the next message of a channel, ours or named. ``copied``: as in :meth:`use`."""
        if parse_process(name) is None:
            listener = self.listening.listener(name, bounds)
            self._take(listener, waiter, now)
            self.listening.update(listener, now)
        else:
            channel = self.use(name, now, copied=copied, bounds=bounds)
            channel.received = True
            self._take(channel, waiter, now)

    def use(self, name: str, now: float, *, copied: bool, bounds: Bounds) -> Channel:
        """Give a channel of ours, and note that it is used; one that has ended begins again.

        ``copied``: by another object than the name that :meth:`open` was for, as in :class:`Channel`.
        """
        channel = self.channels.get(name)
        if channel is None:
            name = "".join(name)  # not the object that new_channel gave: that one may go
            channel = self.channels[name] = Channel(name, 0, bounds, self.statistics)
            channel.named = not copied
        channel.copied = channel.copied or copied
        channel.used_at = now
        return channel

    def leave(self, waiter: Waiter, now: float) -> None:
        """Forget a waiter that was cancelled. A message that it had been given waits for the next."""
        place = waiter.place
        if isinstance(place, Call):
            self.calls.forget(place)
        elif isinstance(place, Box):
            if place.leave(waiter, now):
                self.match(place)
            if isinstance(place, Listener):
                self.listening.update(place, now)

    def match(self, box: Box) -> None:
        """Give to who waits what somebody has left in this channel."""
        while (waiter := box.match()) is not None:
            self._emit(Settle((waiter,)))

    def give_back(self, name: str, now: float) -> None:
        """Listen no more on a named channel. What we were given and nobody has taken goes back, for others."""
        for event in self.listening.give_back(name, SURPLUS):
            self.tell(frames.ChannelSend(name, event, 0, 0.0, []), now)

    def flush(self) -> None:
        """Empty our channels, and end all memberships. Who waits for a message waits on."""
        for channel in list(self.channels.values()):
            if channel.named or channel.waiters:
                channel.queue.clear()
                self._satisfy(self.groups.drop(channel))
            else:
                self._drop(channel)

    def end(self, owner: int | None = None) -> None:
        """End the channels of one layer; None: of all, and every call. Who waits is told so (``CLOSED``)."""
        for channel in list(self.channels.values()):
            if owner is None or channel.owner == owner:
                self._drop(channel)
                self._dismiss(channel)
        if owner is None:
            for listener in self.listening.listeners:
                self._dismiss(listener)
            self.calls.finish_all(CLOSED)

    def forget(self) -> None:
        """In a forked child: the channels are the parent's, and nobody can receive on them here."""
        for channel in self.channels.values():
            channel.closed = True

    def _dismiss(self, box: Box) -> None:
        while (waiter := box.give(CLOSED)) is not None:
            self._emit(Settle((waiter,)))

    def _take(self, box: Box, waiter: Waiter, now: float) -> None:
        if box.take(waiter, now):
            self._emit(Settle((waiter,)))

    def _drop(self, channel: Channel) -> None:
        channel.closed = True
        if self.channels.get(channel.name) is channel:
            del self.channels[channel.name]
        self._satisfy(self.groups.drop(channel))

    # -- calls -------------------------------------------------------------------------------------------------

    def _issue(self, call: Call, now: float) -> None:
        frame = call.frame
        if not isinstance(frame, frames.GroupSend | None) and parse_process(frame.channel) == self.boot:
            self._do_here(call, frame, now)
        elif not self.bridges or (self._expected and call.deadline > now):
            self.calls.hold(call)
        elif frame is None:
            self.calls.finish(call, DONE)
        else:
            self._send(call, frame)

    def _send(self, call: Call, frame: LayerFrame) -> None:
        if isinstance(frame, frames.GroupSend):
            targets = list(self.bridges)
            frame = frame._replace(told=targets, route=[call.number])
        else:
            targets = self._towards(frame.channel)
            frame = frame._replace(route=[call.number])
        call.owed.update(targets)
        for bridge in targets:
            self._emit(Tell(bridge, frame))

    def _towards(self, channel: str) -> list[int]:
        owned = parse_owned(channel)
        if owned is not None and owned.bridge in self.bridges:
            return [owned.bridge]
        return self.bridges[:1]

    def _do_here(self, call: Call, frame: Addressed, now: float) -> None:
        """Do what is for a channel of ours."""
        if isinstance(frame, frames.ChannelSend):
            self.calls.finish(call, self._put(frame, now))
            return
        channel = self.channels.get(frame.channel)
        if channel is not None and isinstance(frame, frames.GroupAdd):
            if not self.groups.add(frame.group, channel, now, call):
                return  # our home answers first
        elif channel is not None:
            self._satisfy(self.groups.discard(frame.group, channel))
        self.calls.finish(call, DONE)

    def _satisfy(self, askers: Sequence[Asker]) -> None:
        """Tell those who waited for a membership that it is there."""
        for asker in askers:
            if isinstance(asker, Call):
                self.calls.finish(asker, DONE)
            else:
                self._reply(asker.bridge, asker.route, DONE)

    # -- frames ------------------------------------------------------------------------------------------------

    def hear(self, bridge: int, frame: Frame, now: float) -> None:
        """Take a frame that a bridge has sent."""
        act = self._heard.get(type(frame))
        if act is None or bridge not in self.bridges:
            self.statistics.stray += 1
        else:
            act(bridge, frame, now)

    def _group_send(self, bridge: int, frame: frames.GroupSend, now: float) -> None:
        if bridge != self.bridges[0]:
            self.statistics.stray += 1  # of a home that we have left: the present one tells us, too
            return
        parcel = Parcel(frame.event)
        settled: list[Waiter] = []
        for channel in self.groups.members(frame.group, frame.exclude, now):
            waiter = channel.offer(parcel, now)
            if isinstance(waiter, Waiter):
                settled.append(waiter)
        if settled:
            self._emit(Settle(settled))

    def _channel_send(self, bridge: int, frame: frames.ChannelSend, now: float) -> None:
        if parse_process(frame.channel) is not None:
            self._reply(bridge, frame.route, self._put(frame, now))
            return
        listener = self.listening.came(bridge, frame.channel, SURPLUS)
        if listener.gives_back:
            self.tell(frame, now)
            return
        self._offer(listener, frame, now)
        self.listening.update(listener, now)

    def _put(self, frame: frames.ChannelSend, now: float) -> str:
        channel = self.channels.get(frame.channel)
        if channel is None:
            self.statistics.unknown += 1
            return UNKNOWN
        return DONE if self._offer(channel, frame, now) else FULL

    def _offer(self, box: Box, frame: frames.ChannelSend, now: float) -> bool:
        waiter = box.offer(frame.event, now, frame.capacity, frame.expiry)
        if isinstance(waiter, Waiter):
            self._emit(Settle((waiter,)))
        return waiter is not False

    def _group_add(self, bridge: int, frame: frames.GroupAdd, now: float) -> None:
        channel = self.channels.get(frame.channel)
        if channel is None:
            self._reply(bridge, frame.route, UNKNOWN)
        elif self.groups.add(frame.group, channel, now, Passed(bridge, frame.route)):
            self._reply(bridge, frame.route, DONE)

    def _group_discard(self, bridge: int, frame: frames.GroupDiscard, now: float) -> None:
        channel = self.channels.get(frame.channel)
        if channel is not None:
            self._satisfy(self.groups.discard(frame.group, channel))
        self._reply(bridge, frame.route, DONE if channel is not None else UNKNOWN)

    def _reply(self, bridge: int, route: list[int], code: str) -> None:
        if route and bridge in self.bridges:
            self._emit(Tell(bridge, frames.Answer(route, code)))

    def _answer(self, bridge: int, frame: frames.Answer, now: float) -> None:
        number = frame.route[0] if frame.route else 0
        self.calls.answered(bridge, number, frame.code)
        self._satisfy(self.groups.confirmed(bridge, number))

    def _relay(self, bridge: int, frame: frames.Relay, now: float) -> None:
        self.relays.begin(bridge, frame, self.bridges, now)

    def _relayed(self, bridge: int, frame: frames.Relayed, now: float) -> None:
        self.relays.arrived(bridge, frame)

    # -- time --------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Look at the timers; not each time, as some of it looks at all that waits."""
        self.calls.expire(now)
        if self._expected and now >= self._expected_until:
            self._release(now)
        if now - self._swept_at < SWEEP:
            return
        self._swept_at = now
        self.relays.tick(now)
        for name, event, seconds in self.listening.tick(now):
            self.tell(frames.ChannelSend(name, event, 0, seconds, []), now)
        for channel in list(self.channels.values()):
            channel.expire(now)
            if channel.is_left(now):
                self._drop(channel)
