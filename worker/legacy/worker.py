"""What happens to one message: its consumer is found and run, and what it raises is dealt with.

Nothing that a message brings ends a worker: an error is logged with its traceback, and the next message is taken.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase
from types import FrameType
from typing import Any

from .channel import Channel
from .exceptions import ChannelSocketException, ConsumeLater, DenyConnection
from .logs import logger
from .message import Message
from .routing import CONNECT, Consumer
from .signals import consumer_finished, consumer_started, worker_ready

RETRIES = "__retries__"  # in a message: how often its consumer has raised ConsumeLater


class Worker:
    """Handles messages of a layer (a ``ChannelLayerWrapper``), one at a time.

    ``callback(channel, message)`` is called before each consumer. ``only_channels``, ``exclude_channels``: patterns as
    in fnmatch; the second is looked at after the first. ``message_retries``: how often a message comes again whose
    consumer raises ``ConsumeLater``.
    """

    def __init__(
        self,
        channel_layer: Any,
        callback: Callable[[str, Message], Any] | None = None,
        message_retries: int = 10,
        signal_handlers: bool = True,
        only_channels: Iterable[str] | None = None,
        exclude_channels: Iterable[str] | None = None,
    ) -> None:
        self.channel_layer = channel_layer
        self.callback = callback
        self.message_retries = message_retries
        self.signal_handlers = signal_handlers
        self.only_channels = list(only_channels or ())
        self.exclude_channels = list(exclude_channels or ())
        self.termed = False
        self.in_job = False

    # -- one message -------------------------------------------------------------------------------------------

    def match(self, message: Message) -> tuple[Consumer, dict[str, Any]] | None:
        """Find the consumer of a message, and its arguments. None: there is none, or matching raised; it is logged."""
        try:
            match = self.channel_layer.router.match(message)
        except Exception:
            logger.exception("Error in the routing of a message on %s: it is dropped", message.channel)
            return None
        if match is None:
            path = f" (path {message['path']})" if "path" in message else ""
            logger.error("No route for a message on %s%s: it is dropped", message.channel, path)
        return match

    def dispatch(self, message: Message) -> None:
        """Handle one message. Raises nothing but what ends a process."""
        match = self.match(message)
        if match is not None:
            self.consume(message, *match)

    def consume(self, message: Message, consumer: Consumer, arguments: dict[str, Any]) -> None:
        """Run a consumer, and send what it has sent once it ends. Raises nothing but what ends a process."""
        if message.get(RETRIES) == self.message_retries:
            message.__dict__["__doomed__"] = True  # for consumers that want to know that it is their last chance
        logger.debug("A message on %s", message.channel)
        try:
            if self.callback is not None:
                self.callback(message.channel.name, message)
            consumer_started.send(sender=type(self), environ={})
            consumer(message, **arguments)
        except DenyConnection:
            self._deny(message)
        except ChannelSocketException as error:
            _guarded(error.run, message)
        except ConsumeLater:
            _guarded(self._again, message)
        except Exception:
            logger.exception(
                "Error processing message with consumer %s.%s",
                getattr(consumer, "__module__", ""), getattr(consumer, "__qualname__", consumer),
            )  # fmt: skip
        finally:
            _guarded(consumer_finished.send, type(self))

    def _deny(self, message: Message) -> None:
        if message.channel.name == CONNECT and message.reply_channel is not None:
            message.reply_channel.send({"close": True})
        else:
            logger.error("DenyConnection was raised on %s: only %s can be denied", message.channel, CONNECT)

    def _again(self, message: Message) -> None:
        """Put a message to the back of its channel, unless that was done often enough."""
        retries = message.get(RETRIES, 0) + 1
        if retries > self.message_retries:
            logger.warning("Exceeded number of retries for message on channel %s: it is dropped", message.channel)
            return
        message[RETRIES] = retries
        Channel(message.channel.name, channel_layer=self.channel_layer).send(message.content)

    # -- a loop of its own -------------------------------------------------------------------------------------

    def apply_channel_filters(self, channels: Iterable[str]) -> list[str]:
        """Give those of the channels that this worker is for."""
        return selected(channels, self.only_channels, self.exclude_channels)

    def ready(self) -> None:
        """Say that the first message may come."""
        worker_ready.send(sender=self)

    def install_signal_handler(self) -> None:
        """Stop at SIGTERM and SIGINT."""
        signal.signal(signal.SIGTERM, self.sigterm_handler)
        signal.signal(signal.SIGINT, self.sigterm_handler)

    def sigterm_handler(self, signo: int, frame: FrameType | None) -> None:
        """Stop: at once, or when the consumer that runs has ended."""
        self.termed = True
        if not self.in_job:
            raise SystemExit(0)

    def run(self) -> None:
        """Take messages from the layer until :attr:`termed`; a bridge has channels-worker instead."""
        if self.signal_handlers:
            self.install_signal_handler()
        channels = self.apply_channel_filters(self.channel_layer.router.channels)
        while not self.termed:
            channel, content = self.channel_layer.receive(channels, block=True)
            if channel is None:
                continue
            self.in_job = True
            try:
                self.dispatch(Message(content, channel, self.channel_layer))
            finally:
                self.in_job = False


class WorkerGroup:
    """Workers in threads of this process: the first in the caller's. Arguments as :class:`Worker` has them."""

    def __init__(self, channel_layer: Any, *, n_threads: int = 1, signal_handlers: bool = True, **options: Any) -> None:
        options = {**options, "signal_handlers": False}
        self.workers = [Worker(channel_layer, **options) for _ in range(max(1, n_threads))]
        self.signal_handlers = signal_handlers
        self._threads: list[threading.Thread] = []

    @property
    def termed(self) -> bool:
        """Say whether they were told to stop."""
        return self.workers[0].termed

    def ready(self) -> None:
        """Say of each that its first message may come."""
        for worker in self.workers:
            worker.ready()

    def stop(self, signo: int = 0, frame: FrameType | None = None) -> None:
        """Have each stop when its consumer has ended. A signal's handler, too."""
        for worker in self.workers:
            worker.termed = True

    def run(self) -> None:
        """Take messages until :meth:`stop`, and return when all have ended."""
        if self.signal_handlers:
            signal.signal(signal.SIGTERM, self.stop)
            signal.signal(signal.SIGINT, self.stop)
        first, *others = self.workers
        self._threads = [threading.Thread(target=worker.run, daemon=True) for worker in others]
        for thread in self._threads:
            thread.start()
        first.run()
        for thread in self._threads:
            thread.join()


def selected(channels: Iterable[str], only: Collection[str], exclude: Collection[str]) -> list[str]:
    """Give those of the channels that fit one of ``only`` (all, if that is empty), and none of ``exclude``."""
    return sorted(
        channel
        for channel in channels
        if (not only or any(fnmatchcase(channel, pattern) for pattern in only))
        and not any(fnmatchcase(channel, pattern) for pattern in exclude)
    )


def _guarded(function: Callable[..., Any], *args: Any) -> None:
    """Do what follows from a message; an error in it is logged, and ends nothing."""
    try:
        function(*args)
    except Exception:
        logger.exception("Error behind a message")
