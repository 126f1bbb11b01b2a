"""The channel layers that are compared, and what both processes of the comparison agree on."""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine
from importlib import import_module
from typing import Any, Protocol

import uvloop

GROUP = "bench"  # where there is one only
NAMED = "bench-named"  # a channel that nobody owns
ARRIVAL = struct.Struct("<qq")  # a message's number; nanoseconds from before send() until all had it
TEXT = "x" * 64
UNDER_WAY = 256  # more messages than are ever under way at once

Message = dict[str, Any]


class Layer(Protocol):
    """What Channels 4 asks of a channel layer, as far as it is measured."""

    def send(self, channel: str, message: Message) -> Awaitable[None]: ...
    def receive(self, channel: str) -> Awaitable[Message]: ...
    def new_channel(self) -> Awaitable[str]: ...
    def group_add(self, group: str, channel: str) -> Awaitable[None]: ...
    def group_send(self, group: str, message: Message) -> Awaitable[None]: ...


def _ours(url: str) -> Layer:
    layer: Layer = _class("channels_bridge.ChannelLayer")(url=url)
    return layer


def _pubsub(url: str) -> Layer:
    layer: Layer = _class("channels_redis.pubsub.RedisPubSubChannelLayer")(hosts=[_host(url)])
    return layer


def _core(url: str) -> Layer:
    layer: Layer = _class("channels_redis.core.RedisChannelLayer")(hosts=[_host(url)])
    return layer


def _host(url: str) -> dict[str, Any]:
    """Have redis-py wait for longer than core's receive() blocks: both take 5 s by default, and the race kills it."""
    return {"address": url, "socket_timeout": 60.0}


LAYERS: dict[str, Callable[[str], Layer]] = {"ours": _ours, "pubsub": _pubsub, "core": _core}


def _class(path: str) -> Callable[..., Any]:
    """Load a class when it is needed: neither process has the other layers in it. channels_redis has no types."""
    module, _, name = path.rpartition(".")
    made: Callable[..., Any] = getattr(import_module(module), name)
    return made


class Receipts:
    """Says on the pipe when a message has reached everybody."""

    def __init__(self, pipe: str, members: int) -> None:
        self._pipe = os.open(pipe, os.O_RDWR)  # for reading too: so it waits for nobody on the other side
        self._members = members
        self._missing = [members] * UNDER_WAY  # number modulo UNDER_WAY -> members that have it not yet

    def arrived(self, message: Message, now: int) -> None:
        """Say that a message has arrived where it should. ``now``: monotonic nanoseconds."""
        os.write(self._pipe, ARRIVAL.pack(message["number"], now - message["at"]))

    def member(self, message: Message, slot: int) -> None:
        """Count a member that has the message; the last one's time is told. ``slot``: number modulo UNDER_WAY."""
        self._missing[slot] -= 1
        if not self._missing[slot]:
            self._missing[slot] = self._members
            self.arrived(message, time.monotonic_ns())


def run(main: Coroutine[Any, Any, None], loop: str) -> None:
    """Run on "uvloop" or "asyncio"."""
    factory = uvloop.new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)
