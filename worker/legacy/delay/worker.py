"""The delay server: takes messages from ``asgi.delay``, keeps them in the database, and sends them when they are due.

No message ends it, nor does a database or a bridge that is away for a while: a message that was received is kept here
until it is stored, and a stored one is deleted only when it was sent.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, cast

from django.db import DataError, Error, IntegrityError, close_old_connections

from ....shared.errors import BridgeUnavailable
from ..logs import logger
from .models import DelayedMessage

CHANNEL = "asgi.delay"
PAUSE = 0.05  # seconds before an empty channel is looked into again: the layer has waited, too
BATCH = 100  # messages that are sent before it is looked whether others have come
MAX_NAME = 512  # characters of a channel's name, as in the table


class BadMessage(Exception):
    """What came is no message to be delayed; the text says why."""


class Worker:
    """One delay server; several may share a database. ``database_sleep_duration``: seconds between looks into it."""

    clock: Callable[[], float] = staticmethod(time.monotonic)
    pause: Callable[[float], None] = staticmethod(time.sleep)

    def __init__(self, channel_layer: Any, signal_handlers: bool = True, database_sleep_duration: float = 1) -> None:
        self.channel_layer = channel_layer
        self.signal_handlers = signal_handlers
        self.database_sleep_duration = database_sleep_duration
        self.termed = False
        self._looks_at = 0.0  # when it looks into the database again

    def install_signal_handler(self) -> None:
        """Stop at SIGTERM and SIGINT."""
        signal.signal(signal.SIGTERM, self.sigterm_handler)
        signal.signal(signal.SIGINT, self.sigterm_handler)

    def sigterm_handler(self, signo: int, frame: FrameType | None) -> None:
        """Stop, when what is in hand is stored or sent."""
        self.termed = True

    def run(self) -> None:
        """Take, keep and send messages until :attr:`termed`."""
        if self.signal_handlers:
            self.install_signal_handler()
        logger.info("Listening on %s", CHANNEL)
        while not self.termed:
            self.turn()

    def turn(self) -> None:
        """Take one message, if there is one, and send those that are due, if it is time to look."""
        content = self._received()
        if content is not None:
            self._store(content)
        if self.clock() >= self._looks_at:
            self._send_due()
        elif content is None:
            self.pause(PAUSE)

    # -- to the database ---------------------------------------------------------------------------------------

    def _received(self) -> Any:
        try:
            return self.channel_layer.receive([CHANNEL], block=False)[1]
        except BridgeUnavailable as error:
            logger.warning("No bridge can be reached: %s", error)
            self.pause(self.database_sleep_duration)
            return None

    def _store(self, content: Any) -> None:
        try:
            message = delayed(content)
        except BadMessage as error:
            logger.error("A message on %s was dropped: %s", CHANNEL, error)
            return
        while not self._is_stored(message):
            if self.termed:
                self._give_back(content)
                return
            self.pause(self.database_sleep_duration)

    def _is_stored(self, message: DelayedMessage) -> bool:
        """Store a message. False: that is to be tried again. What the database does not take is dropped."""
        try:
            close_old_connections()
            message.save()
        except (DataError, IntegrityError, ValueError):
            logger.exception("A message for %s was dropped: the database does not take it", message.channel_name)
        except Error as error:
            logger.error("The database is away; a message for %s waits: %s", message.channel_name, error)
            return False
        return True

    def _give_back(self, content: Any) -> None:
        """Leave a message to the next delay server."""
        try:
            self.channel_layer.send(CHANNEL, content)
        except Exception:
            logger.exception("A message that could not be stored is lost: %r", content)
        else:
            logger.warning("A message that could not be stored was given back to %s", CHANNEL)

    # -- and out of it -----------------------------------------------------------------------------------------

    def _send_due(self) -> None:
        """Send what is due. If that is a lot, the rest is for the next turn."""
        try:
            close_old_connections()
            due = list(DelayedMessage.objects.is_due().order_by("due_date", "pk")[:BATCH])
            for message in due:
                if self.termed:
                    return
                self._send(message)
            is_empty = len(due) < BATCH
        except Error as error:
            logger.error("The database is away: %s", error)
            is_empty = True
        except BridgeUnavailable as error:
            logger.warning("No bridge can be reached, what is due waits: %s", error)
            is_empty = True
        if is_empty:
            self._looks_at = self.clock() + self.database_sleep_duration

    def _send(self, message: DelayedMessage) -> None:
        try:
            message.send(self.channel_layer)
        except (Error, BridgeUnavailable):
            raise
        except Exception:
            logger.exception("A delayed message for %s was dropped: it cannot be sent", message.channel_name)
            message.delete()


def delayed(content: Any) -> DelayedMessage:
    """Make what is stored of what was sent to ``asgi.delay``. Raises :class:`BadMessage`."""
    if not isinstance(content, Mapping):
        raise BadMessage(f"it is no dict, but a {type(content).__name__}")
    given: Mapping[str, Any] = cast("Any", content)
    missing = {"channel", "content", "delay"} - given.keys()
    if missing:
        raise BadMessage(f"it has no {', '.join(sorted(missing))}")
    channel, inner = given["channel"], given["content"]
    if not isinstance(channel, str) or not 0 < len(channel) <= MAX_NAME:
        raise BadMessage(f"channel is the name of one, not {channel!r}")
    if not isinstance(inner, dict):
        raise BadMessage(f"content has to be a dict, not {inner!r}")
    message = DelayedMessage(channel_name=channel)
    try:
        message.content = json.dumps(inner)
        message.delay = given["delay"]
    except (TypeError, ValueError, OverflowError) as error:
        raise BadMessage(f"content has to be JSON, and delay a number of milliseconds: {error}") from error
    return message
