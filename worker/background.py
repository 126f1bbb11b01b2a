"""Background work: runs APP for the messages of named channels, so many at once as this worker has slots.

Each message is a turn of its own: what its consumer asks of the channel layer, and what it answers, happens when it has
returned; if it raises, nothing of it happens. At most once: a message that was taken is given to nobody else.

An ASGI application (a ``ChannelNameRouter`` of Channels 4) is called once for each channel, with the scope
``{"type": "channel", "channel": name}``, and receives that channel's messages one after the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from ..shared import frames
from ..shared.endpoint import now
from ..shared.errors import ConfigurationError, LocalProtocolError, RemoteProtocolError
from ..shared.liveness import back_off
from ..shared.names import check_channel
from ..shared.wire import Event, pack_event, unpack_event
from .building import Builder, Wanted
from .done import DONE, Done
from .lanes import Lane
from .messages import check_length
from .naming import name_of
from .overseer import Run
from .requests import REPLY_CHANNEL
from .router import CHANNEL, NotFound, Router
from .time_limits import Limits, limits_of, limits_to_make
from .turn import Turn

if TYPE_CHECKING:
    from .load import Application
    from .node import Node

logger = logging.getLogger("channels_bridge.worker")


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

    def __init__(self, node: Node, lane: Lane, channel: str, event: bytes) -> None:
        self._node = node
        self._lane = lane
        self._channel = channel
        self._event = event
        self._reply_channel: Any = None
        self._turn: Turn | None = Turn(0, now())

    async def run(self, handle: Callable[[Job, Event], Any]) -> None:
        """Handle the message. Does not raise, but for cancellation."""
        turn = self._turn
        assert turn is not None, "a job runs once"
        self._node.began(turn)
        try:
            message = unpack_event(self._event)
            self._reply_channel = message.get(REPLY_CHANNEL)
            answer: Any = await handle(self, message)
            if isinstance(answer, dict):
                self.reply(answer)  # pyright: ignore[reportUnknownArgumentType]
        except BaseException as error:
            if self._node.ends(error):
                raise
            logger.error("Exception in the background, channel %s", self._channel, exc_info=error)
            self._turn = None
            return
        finally:
            self._node.turns.discard(turn)
        self.flush()
        self._turn = None

    def _limited(self, handler: object, limits: Limits) -> Run | None:
        """Set the time limit of this message, if there is one. Given up, nothing of it happens any more."""
        what = f"channel {self._channel} of {name_of(handler)}"
        run = self._node.limited(self._lane, what, limits, lambda run: None)
        if self._turn is not None:
            self._turn.run = run
        return run

    def reply(self, message: Event) -> None:
        """Answer with ``message``. Raises ``LocalProtocolError`` if it cannot be sent."""
        packed = check_length(pack_event(message), self._node.bridges.max_message_bytes, "an answer")
        if isinstance(self._reply_channel, str):
            frame = frames.ChannelSend(check_channel(self._reply_channel), packed, 0, 0.0, [])
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
        if self._turn is not None and not self._turn.given_up:
            for effect in self._turn.take().effects:
                if not isinstance(effect, bytes):
                    self._tell(effect)

    def _tell(self, frame: frames.LayerFrame) -> None:
        self._node.hub.post(partial(self._node.hub.tell, frame))

    async def consume(self, message: Event) -> Any:
        """Handle it with a consumer that is made for it."""
        builder, default = self._node.background.builder, self._node.limits
        wanted = Wanted(CHANNEL, self._channel, self._channel, Reply(self), self.record)
        consumer = await builder.build(wanted, lambda make: self._limited(make, limits_to_make(make, default)))
        run = self._limited(consumer.handler, limits_of(consumer.handler, default))
        return await builder.call(consumer, message, run=run)

    async def call(self, message: Event) -> Any:
        """Handle it with a function."""
        function = self._node.app.target
        run = self._limited(function, limits_of(function, self._node.limits))
        return await self._node.background.builder.call_function(function, message, run=run)


class Background:
    """The named channels of one worker process. Raises ``ConfigurationError`` for one that APP has nobody for.

    ``slots``: messages that are handled at once; an ASGI application takes one of each channel.
    """

    def __init__(self, node: Node, channels: tuple[str, ...], slots: int) -> None:
        check(node.app, channels)
        self.node = node
        # threads of its own: a bridge knows of turns, and gives others what would wait for them, but not of these
        self.builder = Builder(node.app.target, node.hub, anyio.CapacityLimiter(node.settings.threads))
        self.busy = 0  # messages that are being handled
        self._channels = channels
        self._slots = slots
        self._lanes: list[Lane] = []

    def start(self) -> None:
        """Begin to listen."""
        if self.node.app.interface == "asgi":
            self._lanes = [Lane(self.node, self._host, channel) for channel in self._channels]
        elif self._channels:
            self._lanes = [Lane(self.node, self._handle, *self._channels) for _ in range(self._slots)]
        for lane in self._lanes:
            self.node.run(lane)

    def stop(self) -> None:
        """Take no more messages, and give back those that wait here; what was begun is still handled."""
        for lane in self._lanes:
            lane.stop()
        for channel in self._channels:
            self.node.hub.give_back(channel)

    async def _handle(self, lane: Lane) -> None:
        handle = Job.call if self.node.app.interface == "function" else Job.consume
        while (taken := await lane.next()) is not None:
            self.busy += 1
            try:
                await Job(self.node, lane, *taken).run(handle)
            finally:
                self.busy -= 1

    # -- ASGI applications -------------------------------------------------------------------------------------

    async def _host(self, lane: Lane) -> None:
        """Keep the application running for this channel: one that ends is started anew, later each time."""
        failures = 0
        while not lane.stopping:
            stay = Stay(lane)
            try:
                await self.node.app.target(stay.scope, stay.receive, stay.send)
                if not lane.stopping:
                    logger.warning("The application has returned from channel %s; starting it anew", lane.channels[0])
            except _Stopped:
                return
            except BaseException as error:
                if self.node.ends(error):
                    raise
                logger.error(
                    "Exception in the background, channel %s; starting it anew", lane.channels[0], exc_info=error
                )
            failures = 0 if stay.handled else failures + 1
            await lane.pause(back_off(failures))


class Stay:
    """One call of an ASGI application for a channel."""

    def __init__(self, lane: Lane) -> None:
        self.scope: Event = {"type": CHANNEL, "channel": lane.channels[0]}
        self.handled = False  # it has come back for another message
        self._lane = lane
        self._received = False

    async def receive(self) -> Event:
        """Give the next message. Raises to end an application whose worker stops."""
        self.handled = self._received
        while (taken := await self._lane.next()) is not None:
            self._received = True
            try:
                return unpack_event(taken[1])
            except RemoteProtocolError as error:
                logger.error("What came on channel %s is no message: %s", taken[0], error)
        raise _Stopped

    async def send(self, message: Event) -> None:
        """Refuse: there is no client."""
        raise LocalProtocolError(f"a named channel has no client for {message!r}: send with the channel layer")


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
