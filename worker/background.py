"""Background work: runs APP for the messages of named channels, so many at once as this worker has slots.

Each message is a turn of its own: what its consumer asks of the channel layer, and what it answers, happens when it has
returned; if it raises, nothing of it happens. At most once: a message that was taken is given to nobody else.

An ASGI application (a ``ChannelNameRouter`` of Channels 4) is called once for each channel, with the scope
``{"type": "channel", "channel": name}``, and receives that channel's messages one after the other.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from ..shared import frames
from ..shared.endpoint import now, run_in_thread, sleep
from ..shared.errors import ConfigurationError, LocalProtocolError
from ..shared.liveness import back_off
from ..shared.wire import Event, pack_event, unpack_event
from .building import Wanted, is_async
from .core.channels import Bounds
from .crossing import Ticket, landing
from .done import DONE, Done
from .limits import CAPACITY, EXPIRY, GROUP_EXPIRY
from .requests import REPLY_CHANNEL
from .router import CHANNEL, NotFound, Router
from .runner import Turn

if TYPE_CHECKING:
    from .load import Application
    from .node import Node

logger = logging.getLogger("channels_bridge.worker")

SURPLUS = Bounds(CAPACITY, EXPIRY, GROUP_EXPIRY)  # of what comes when all slots are taken
STOPPED = "stopped"  # the result of who waits for a message when the worker stops


class Reply:
    """The ``send`` of a consumer of type ``channel``: answers who asked. From any thread."""

    __slots__ = ("_job",)

    def __init__(self, job: Job) -> None:
        self._job = job

    def __call__(self, message: Event) -> Done:
        """Send one message to the channel that the request names for its answer; nowhere, if it names none."""
        self._job.reply(message)
        return DONE

    def flush(self) -> Done:
        """Do now what this turn did so far."""
        self._job.flush()
        return DONE


class Job:
    """One message of a named channel, and what its handling has done so far."""

    def __init__(self, node: Node, channel: str, event: bytes) -> None:
        self._node = node
        self._channel = channel
        self._message = unpack_event(event)
        self._reply_channel: Any = self._message.get(REPLY_CHANNEL)
        self._turn: Turn | None = Turn(0, now())

    async def run(self, handle: Callable[[Job, Event], Any]) -> None:
        """Handle the message. Does not raise, but for cancellation."""
        try:
            answer: Any = await handle(self, self._message)
            if isinstance(answer, dict):
                self.reply(answer)  # pyright: ignore[reportUnknownArgumentType]
        except BaseException as error:
            if self._node.ends(error):
                raise
            logger.error("Exception in the background, channel %s", self._channel, exc_info=error)
            self._turn = None
            return
        self.flush()
        self._turn = None

    def reply(self, message: Event) -> None:
        """Answer with ``message``. Raises ``LocalProtocolError`` if it cannot be sent."""
        packed = pack_event(message)
        if isinstance(self._reply_channel, str):
            frame = frames.ChannelSend(self._reply_channel, packed, 0, 0.0, [])
            if not self.record(frame):
                self._tell(frame)

    def record(self, frame: frames.LayerFrame) -> bool:
        """Record what was asked of the channel layer; False: the turn is over."""
        turn = self._turn
        if turn is None:
            return False
        turn.record(frame, self._node.config.turn_bytes)
        return True

    def flush(self) -> None:
        """Do what was recorded so far."""
        if self._turn is not None:
            for effect in self._turn.take().effects:
                if not isinstance(effect, bytes):
                    self._tell(effect)

    def _tell(self, frame: frames.LayerFrame) -> None:
        self._node.hub.post(partial(self._node.hub.tell, frame))

    async def consume(self, message: Event) -> Any:
        """Handle it with a consumer that is made for it."""
        builder = self._node.builder
        wanted = Wanted(CHANNEL, self._channel, self._channel, Reply(self), self.record)
        return await builder.call(await builder.build(wanted), message)

    async def call(self, message: Event) -> Any:
        """Handle it with a function."""
        function = self._node.app.target
        if is_async(function):
            return await function(message)
        return await run_in_thread(lambda: function(message), self._node.threads)


class Lane:
    """One task of the background: does its work for one channel until the worker stops."""

    def __init__(self, node: Node, work: Callable[[str], Awaitable[None]], channel: str) -> None:
        self._node, self._work, self._channel = node, work, channel

    async def run(self) -> None:
        """Work. Does not raise, but for cancellation."""
        try:
            await self._work(self._channel)
        finally:
            self._node.ended(self)


class Background:
    """The named channels of one worker process. Raises ``ConfigurationError`` for one that APP has nobody for."""

    def __init__(self, node: Node, channels: tuple[str, ...], slots: int) -> None:
        check(node.app, channels)
        self._node = node
        self._channels = channels
        self._slots = anyio.CapacityLimiter(slots)
        self._waiting: set[Ticket] = set()  # who wait for a message
        self._stopping = False

    def start(self) -> None:
        """Begin to listen. For each channel as many wait as there are slots: it may have all of them."""
        is_asgi = self._node.app.interface == "asgi"
        for channel in self._channels:
            for _ in range(1 if is_asgi else int(self._slots.total_tokens)):
                self._node.run(Lane(self._node, self._host if is_asgi else self._work, channel))

    def stop(self) -> None:
        """Take no more messages; what was taken is still handled."""
        self._stopping = True
        for ticket in list(self._waiting):
            self._node.hub.leave(ticket)
            if ticket.result is None:
                ticket.result = STOPPED
                ticket.settle()

    async def _next(self, channel: str) -> bytes | None:
        """Wait for a message. None: the worker stops."""
        if self._stopping:
            return None
        ticket = Ticket(landing())
        self._waiting.add(ticket)
        try:
            self._node.hub.receive(channel, ticket, SURPLUS)
            result = await ticket.wait()
        except BaseException:
            self._node.hub.leave(ticket)
            raise
        finally:
            self._waiting.discard(ticket)
        return result if isinstance(result, bytes) else None

    async def _work(self, channel: str) -> None:
        while (event := await self._next(channel)) is not None:
            async with self._slots:
                job = Job(self._node, channel, event)
                await job.run(Job.call if self._node.app.interface == "function" else Job.consume)

    # -- ASGI applications -------------------------------------------------------------------------------------

    async def _host(self, channel: str) -> None:
        """Keep the application running for this channel."""
        failures = 0
        while not self._stopping:
            failures = failures + 1 if await self._fails(channel) else 0
            await sleep(back_off(failures))

    async def _fails(self, channel: str) -> bool:
        """Call the application once. True: it raised."""

        async def receive() -> Event:
            event = await self._next(channel)
            if event is None:
                raise _Stopped
            return unpack_event(event)

        async def send(message: Event) -> None:
            raise LocalProtocolError(f"a named channel has no client for {message!r}: send with the channel layer")

        try:
            await self._node.app.target({"type": CHANNEL, "channel": channel}, receive, send)
        except _Stopped:
            return False
        except BaseException as error:
            if self._node.ends(error):
                raise
            logger.error("Exception in the background, channel %s; starting anew", channel, exc_info=error)
            return True
        return False


class _Stopped(Exception):
    """The worker stops: ends an application that waits for its next message."""


def check(app: Application, channels: tuple[str, ...]) -> None:
    """Raise ``ConfigurationError`` for a channel that the application has nobody for."""
    if app.interface != "consumer":
        return
    for channel in channels:
        target: Any = app.target
        while isinstance(target, Router):
            target, _ = target.select(CHANNEL, channel)
        if target is NotFound:
            raise ConfigurationError(f"--channels {channel}: {app.name} has no route for it")
        kind: str = getattr(target, "type", "")
        if kind not in ("", CHANNEL):
            raise ConfigurationError(f"--channels {channel}: {app.name} is for {kind!r}, by its attribute type")
