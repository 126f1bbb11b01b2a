"""The channel layer: reach consumers, clients, groups and channels of other processes, from any process.

Two flavours on one base, told apart by ``is_async``: the async one's methods are awaited, the sync one's block. The
async one is a backend of Channels 4.

A consumer is given a layer of its own. Inside a turn, what that sends is part of the turn's commit: it happens
together with what the consumer sends, or not at all. All else happens at once, by the hub (hub.py).
"""

from __future__ import annotations

import math
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Self, cast

import anyio

from ..shared import frames
from ..shared.config import ENVELOPE, Config
from ..shared.endpoint import now
from ..shared.errors import LocalProtocolError
from ..shared.names import check_channel, check_group, check_member, parse_process
from ..shared.wire import MAX_ARRAY, Event, pack_event
from . import hubs, outcomes, receiving
from .core.channels import Content, Waiter
from .crossing import ThreadTicket, Ticket, landing
from .hub import GREETING, ChannelName, Hub
from .hubs import Membership
from .limits import GROUP_EXPIRY, TIMEOUT, Limits, Patterns, addresses
from .messages import check_length
from .requests import Request, Requests, SyncRequest, wanting_reply

Message = dict[str, Any]
Record = Callable[[frames.LayerFrame], bool]
SLACK = 1.0  # seconds that a thread waits beyond its timeout for a hub whose loop is busy


class _Layer:
    """What both flavours are.

    ``url``: where the bridges are, as :class:`channels_bridge.Bridge` has it, or several; by default the worker's own
    in a worker process, elsewhere ``$CHANNELS_BRIDGE_URL`` or this user's private directory. ``capacity``: messages
    that wait in a channel (100 in those of ``new_channel``, as the bridge has it in named ones);
    ``channel_capacity``: pattern (as in fnmatch, or a compiled regular expression) -> capacity, for some of them.
    ``expiry``: seconds that a message waits (60). ``group_expiry``: seconds that a channel of ``new_channel``
    stays in a group. ``timeout``: seconds that a call waits for a bridge.
    ``insecure_tcp``: a firewall keeps strangers away from a ``tcp://`` off the loopback.

    Raises ``ConfigurationError``. Nothing is connected before the first use.
    """

    is_async: ClassVar[bool]
    extensions: ClassVar[list[str]] = ["groups", "flush"]  # what Channels asks for
    MAX_NAME_LENGTH: ClassVar[int] = 100

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        *,
        capacity: int | None = None,
        expiry: float | None = None,
        group_expiry: float = GROUP_EXPIRY,
        channel_capacity: Patterns | None = None,
        timeout: float = TIMEOUT,
        insecure_tcp: bool = False,
    ) -> None:
        self._limits = Limits(capacity, expiry, group_expiry, channel_capacity, timeout)
        self.capacity, self.expiry, self.group_expiry = self._limits.own
        self.channel_capacity: Patterns = channel_capacity or {}
        self.timeout = self._limits.timeout
        urls = addresses(url, insecure_tcp)
        config = Config(insecure_tcp=insecure_tcp)
        self._membership = Membership(urls, is_async=self.is_async, config=config)
        self._record: Record | None = None
        weakref.finalize(self, self._membership.quit).atexit = False

    @classmethod
    def of_turns(cls, hub: Hub, record: Record) -> Self:
        """Make the layer of a consumer. ``record`` takes what belongs to a turn; False: there is none now."""
        layer = cls.__new__(cls)
        layer._limits = _DEFAULT
        layer.capacity, layer.expiry, layer.group_expiry = _DEFAULT.own
        layer.channel_capacity = {}
        layer.timeout = _DEFAULT.timeout
        layer._membership = Membership(None, hub)
        layer._record = record
        return layer

    # -- what was asked for, as frames -------------------------------------------------------------------------

    def _channel_send(self, channel: str, message: Event, expiry: float = 0.0) -> frames.ChannelSend:
        limits = self._limits
        event = self._pack(message)
        seconds = float(expiry) or limits.expiry
        return frames.ChannelSend(check_channel(channel), event, limits.sent(channel), seconds, [])

    def _group_add(self, group: str, channel: str) -> frames.GroupAdd:
        frame = frames.GroupAdd(check_group(group), check_member(channel), [])
        self._keeper(channel, self._hub()).use(channel, self._limits.of(channel))
        return frame

    def _group_discard(self, group: str, channel: str) -> frames.GroupDiscard:
        return frames.GroupDiscard(check_group(group), check_member(channel), [])

    def _group_send(self, group: str, message: Event, exclude: Iterable[str]) -> frames.GroupSend:
        if isinstance(exclude, str):
            raise LocalProtocolError(f"exclude takes a list of channels: [{exclude!r}]")
        channels = [check_channel(channel) for channel in exclude]
        if len(channels) > MAX_ARRAY:
            raise LocalProtocolError(f"exclude takes at most {MAX_ARRAY} channels, not {len(channels)}")
        return frames.GroupSend(check_group(group), self._pack(message), channels, [], [])

    def _pack(self, message: Event) -> bytes:
        kind: Any = message.get("type") if isinstance(message, dict) else None
        if not isinstance(kind, str):
            raise LocalProtocolError("a message needs a 'type', which names the handler that gets it: 'chat.message'")
        event = pack_event(message)
        return event if len(event) <= ENVELOPE else check_length(event, self._hub().links.max_message_bytes)

    def _recorded(self, frame: frames.LayerFrame) -> bool:
        return self._record is not None and self._record(frame)

    # -- the hub -----------------------------------------------------------------------------------------------

    def _hub(self) -> Hub:
        return self._membership.hub()

    def _keeper(self, channel: str, hub: Hub) -> Hub:
        """Give the hub that has the channel: one of this process may have made it in another loop, or by a thread's."""
        boot = channel.boot if type(channel) is ChannelName else parse_process(check_channel(channel))
        return hub if boot is None or boot == hub.boot else hubs.of_boot(boot) or hub

    def _new_channel(self, prefix: str) -> ChannelName:
        limits = self._limits
        return self._hub().new_channel(prefix, self._membership.owner, limits.of(prefix))

    def _begin_receive(self, channel: str, ticket: Waiter, hub: Hub) -> None:
        """Have the ticket settled with the next message. Raises ``LocalProtocolError`` for a channel of others."""
        receiving.check(channel, hub)
        hub.receive(channel, ticket, self._limits.own)


_DEFAULT = Limits(None, None, GROUP_EXPIRY, None, TIMEOUT)


class ChannelLayer(_Layer):
    """The layer for async code, on asyncio, uvloop or trio. See :class:`_Layer` for its arguments."""

    is_async = True

    async def send(self, channel: str, message: Event, require: bool = False) -> None:
        """Give ``message``, a dict with a ``type``, to who is behind ``channel``.

        That is a consumer, a client (a reply channel), a process that made the channel, or one listener of a
        named channel. In a turn it happens when the turn commits; with ``require`` at once. Raises ``ChannelFull``;
        ``ChannelUnknown`` if ``require`` and nobody is there; ``BridgeUnavailable``; ``LocalProtocolError`` for a
        bad name, or a value that cannot be sent, which it names.
        """
        frame = self._channel_send(channel, message)
        if require or not self._recorded(frame):
            await self._call(frame, channel, require=require)

    async def receive(self, channel: str) -> Message:
        """Wait for the next message of a channel of ``new_channel``, or of a named one. Cancelling loses none."""
        if type(channel) is not ChannelName or channel.box.closed:
            return await self._receive(channel)
        box = channel.box
        box.received = True
        while True:
            if box.queue and (content := box.pop(now())) is not None:
                return receiving.opened(content, channel.hub)
            ticket = Ticket(landing())
            if box.wait(ticket):
                try:
                    await ticket.promise
                except BaseException:
                    channel.hub.leave_box(box, ticket)
                    raise
                return receiving.opened(ticket.result, channel.hub)

    async def _receive(self, channel: str) -> Message:
        """Receive by way of the hub: a named channel, or one of ours by a copy of its name."""
        hub = self._keeper(channel, self._hub())
        ticket = Ticket(landing())
        self._begin_receive(channel, ticket, hub)
        return receiving.opened(await self._wait(ticket, hub), hub)

    async def new_channel(self, prefix: str = "specific") -> str:
        """Make a channel of this process. It ends with the object that this returns: keep that.

        A new process waits until a bridge knows it, for a second at most: the name may be sent away by other means.
        """
        channel = self._new_channel(prefix)
        if not channel.hub.greeted:
            ticket = Ticket(landing())
            channel.hub.greet(ticket)
            await self._wait(ticket, channel.hub)
            channel.hub.greeted = True
        return channel

    async def group_add(self, group: str, channel: str) -> None:
        """Make ``channel`` a member of ``group`` until it is discarded or its owner ends."""
        frame = self._group_add(group, channel)
        if not self._recorded(frame):
            await self._call(frame, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """End a membership. None there is no error."""
        frame = self._group_discard(group, channel)
        if not self._recorded(frame):
            await self._call(frame, channel)

    async def send_group(self, group: str, message: Event, exclude: Iterable[str] = ()) -> None:
        """Give ``message`` to every member of ``group`` but those in ``exclude``. A member that is full misses it."""
        frame = self._group_send(group, message, exclude)
        if not self._recorded(frame):
            await self._call(frame, group)

    group_send = send_group  # the name that Channels 4 uses

    async def request(self, channel: str, message: Event, timeout: float | None = None) -> Message:
        """Send a message at once, and wait for its answer up to ``timeout`` seconds (the layer's by default).

        Who listens answers with :meth:`Request.reply`. Raises ``TimeoutError``, and as :meth:`send` with ``require``.
        """
        seconds = self._limits.timeout if timeout is None else timeout
        deadline = now() + seconds
        reply_channel = self._new_channel("reply")
        frame = self._channel_send(channel, wanting_reply(message, reply_channel), seconds)
        await self._call(frame, channel, require=True, timeout=seconds)
        with anyio.move_on_after(deadline - now()):
            return await self.receive(reply_channel)
        raise outcomes.late(channel, seconds)

    def listen(self, channel: str) -> AsyncIterator[Request]:
        """Receive for ever: ``async for request in layer.listen("thumbnails")``."""
        return Requests(self, channel)

    async def flush(self) -> None:
        """End this process's channels and memberships, with what waits in them."""
        ticket = Ticket(landing())
        self._hub().flush(ticket)
        await ticket.promise

    async def close(self) -> None:
        """End this layer with its channels; what it shares with others goes with the last. It may be used again."""
        for hub in self._membership.close():
            ticket = Ticket(landing())
            hub.end(ticket)
            await ticket.promise

    async def _call(
        self, frame: frames.LayerFrame, target: str, *, require: bool = False, timeout: float = math.inf
    ) -> None:
        ticket = Ticket(landing())
        hub, is_request = self._hub(), timeout < math.inf
        timeout = min(timeout, self._limits.timeout)
        hub.call(frame, ticket, timeout)
        code = await self._wait(ticket, hub)
        outcomes.check(code, target, hub, timeout, require=require, is_request=is_request)

    async def _wait(self, ticket: Ticket, hub: Hub) -> Content | str | None:
        try:
            await ticket.promise
        except BaseException:
            hub.leave(ticket)
            raise
        return ticket.result


class SyncChannelLayer(_Layer):
    """The layer for threads, scripts and views: no event loop is needed. See :class:`_Layer` for its arguments.

    As :class:`ChannelLayer`, but its methods block. In the thread of an event loop that would stop the loop.
    """

    is_async = False

    def send(self, channel: str, message: Event, require: bool = False) -> None:
        """As :meth:`ChannelLayer.send`."""
        frame = self._channel_send(channel, message)
        if require or not self._recorded(frame):
            self._call(frame, channel, require=require)

    def receive(self, channel: str) -> Message:
        """As :meth:`ChannelLayer.receive`."""
        return cast("Message", self.receive_within(channel, None))

    def receive_within(self, channel: str, timeout: float | None) -> Message | None:
        """As :meth:`receive`, but give None if nothing comes within ``timeout`` seconds."""
        hub = self._keeper(channel, self._hub())
        box = receiving.live_box(channel, hub)
        while box is not None:
            if (content := box.pop(now())) is not None:
                return receiving.opened(content, hub)
            ticket = self._ticket(hub)
            if box.wait(ticket):
                result = self._wait(ticket, partial(hub.leave_box, box), timeout)
                return None if result is None else receiving.opened(result, hub)
        ticket = self._ticket(hub)
        self._begin_receive(channel, ticket, hub)
        result = self._wait(ticket, hub.leave, timeout)
        return None if result is None else receiving.opened(result, hub)

    def new_channel(self, prefix: str = "specific") -> str:
        """As :meth:`ChannelLayer.new_channel`."""
        channel = self._new_channel(prefix)
        if not channel.hub.greeted:
            ticket = self._ticket(channel.hub)
            channel.hub.greet(ticket)
            self._wait(ticket, channel.hub.leave, SLACK + GREETING)
            channel.hub.greeted = True
        return channel

    def group_add(self, group: str, channel: str) -> None:
        """As :meth:`ChannelLayer.group_add`."""
        frame = self._group_add(group, channel)
        if not self._recorded(frame):
            self._call(frame, channel)

    def group_discard(self, group: str, channel: str) -> None:
        """As :meth:`ChannelLayer.group_discard`."""
        frame = self._group_discard(group, channel)
        if not self._recorded(frame):
            self._call(frame, channel)

    def send_group(self, group: str, message: Event, exclude: Iterable[str] = ()) -> None:
        """As :meth:`ChannelLayer.send_group`."""
        frame = self._group_send(group, message, exclude)
        if not self._recorded(frame):
            self._call(frame, group)

    group_send = send_group  # the name that Channels 4 uses

    def request(self, channel: str, message: Event, timeout: float | None = None) -> Message:
        """As :meth:`ChannelLayer.request`."""
        seconds = self._limits.timeout if timeout is None else timeout
        deadline = now() + seconds
        reply_channel = self._new_channel("reply")
        frame = self._channel_send(channel, wanting_reply(message, reply_channel), seconds)
        self._call(frame, channel, require=True, timeout=seconds)
        answer = self.receive_within(reply_channel, max(0.0, deadline - now()))
        if answer is None:
            raise outcomes.late(channel, seconds)
        return answer

    def listen(self, channel: str) -> Iterator[SyncRequest]:
        """As :meth:`ChannelLayer.listen`."""
        while True:
            yield SyncRequest(self, channel, self.receive(channel))

    def flush(self) -> None:
        """As :meth:`ChannelLayer.flush`."""
        hub = self._hub()
        ticket = self._ticket(hub)
        hub.flush(ticket)
        ticket.wait(SLACK)

    def close(self) -> None:
        """As :meth:`ChannelLayer.close`."""
        for hub in self._membership.close():
            ticket = ThreadTicket()
            hub.end(ticket)
            ticket.wait(SLACK)

    def _ticket(self, hub: Hub) -> ThreadTicket:
        """Begin to wait for the hub. Raises ``LocalProtocolError`` where that would wait for itself."""
        if hub.is_here:
            raise LocalProtocolError(
                "a SyncChannelLayer would block the event loop that it waits for: use a ChannelLayer here, or a thread"
            )
        return ThreadTicket()

    def _call(self, frame: frames.LayerFrame, target: str, *, require: bool = False, timeout: float = math.inf) -> None:
        hub, is_request = self._hub(), timeout < math.inf
        timeout = min(timeout, self._limits.timeout)
        ticket = self._ticket(hub)
        hub.call(frame, ticket, timeout)
        code = self._wait(ticket, hub.leave, timeout + SLACK)
        outcomes.check(code, target, hub, timeout, require=require, is_request=is_request)

    def _wait(
        self, ticket: ThreadTicket, leave: Callable[[Waiter], None], timeout: float | None
    ) -> Content | str | None:
        try:
            result = ticket.wait(timeout)
        except BaseException:  # KeyboardInterrupt
            leave(ticket)
            raise
        if result is None:
            leave(ticket)
        return result
