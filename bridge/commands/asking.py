"""An operator's end of the wire: reach every bridge process behind some URLs, and ask it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import anyio

from ...shared import frames, wire
from ...shared.config import MIB, Config
from ...shared.discovery import Discovery
from ...shared.endpoint import PeerGone, connect, now, running_loop, sleep
from ...shared.errors import ChannelsBridgeError, RemoteProtocolError
from ...shared.frames import Frame
from ...shared.loop import Loop

LISTENS = 0.3  # seconds until an address at which nobody listens is given up: over the loopback it takes 1 ms
GREETS = 3.0  # seconds for a bridge that was reached: more than its loop should ever be held up
LOOK = 0.01
GOODBYE_LINGER = 0.5

Answer = dict[str, Any]


class Silent(ChannelsBridgeError):
    """A bridge was reached, but did not answer in time, or refused to."""


class Line:
    """The link with one bridge process."""

    def __init__(self, url: str, hello: frames.Hello, loop: Loop) -> None:
        self.url = url
        self.is_reached = False  # somebody listens there
        self.is_ready = False  # and has greeted
        self.trouble = ""  # why it never will
        self.beat_every = Config().beat  # seconds; as the bridge says
        self._hello = hello
        self._link_epoch = 0
        self._calls = 0
        self._pieces: dict[int, list[frames.Report]] = {}  # call -> what has come of its answer
        self._inbox = wire.Inbox(MIB)
        self._endpoint = connect(url)
        self._endpoint.start(loop, self._receive)
        self._endpoint.on_disconnect(self._cut)
        self._endpoint.when_writable(self._greet)

    def _greet(self) -> None:
        self.is_reached = True
        self._send(self._hello)

    def _cut(self) -> None:
        """A socket that was cut would go on and find the next bridge at this address, which knows nothing of us."""
        if self.is_reached:
            self._endpoint.drain()
            self.trouble = self.trouble or "the connection was cut"

    def _send(self, frame: Frame) -> None:
        with contextlib.suppress(PeerGone):
            for message in wire.encode(self._link_epoch, [frame]):
                self._endpoint.send(message)

    def _receive(self, message: list[bytes]) -> None:
        try:
            _, received = self._inbox.decode(message)
        except RemoteProtocolError as error:
            self.trouble = str(error)
            return
        for frame in received:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, frames.Welcome):
            self._link_epoch, self.is_ready, self.beat_every = frame.link_epoch, True, frame.beat
            self._inbox.max_frame = frame.max_message_bytes + MIB
        elif isinstance(frame, frames.Refuse | frames.Reset | frames.Goodbye):
            self.trouble = frame.text if isinstance(frame, frames.Refuse) else frame.reason
        elif isinstance(frame, frames.Report) and frame.call in self._pieces:
            self._pieces[frame.call].append(frame)

    def beat(self) -> None:
        """Say that we are there."""
        if self.is_ready:
            self._send(frames.Beat(now(), 0.0, 0.0))

    async def ask(self, what: str, names: Sequence[str] = (), patience: float = 0.0) -> Answer:
        """Ask, and give the whole answer. Raises ``Silent``.

        ``patience``: seconds between two of its pieces; 0: as long as a greeting may take.
        """
        patience = patience or GREETS
        self._calls += 1
        pieces = self._pieces[self._calls] = []
        self._send(frames.Query(self._calls, what, list(names)))
        heard, deadline = 0, now() + patience
        while not pieces or pieces[-1].more:
            if len(pieces) > heard:
                heard, deadline = len(pieces), now() + patience
            if self.trouble or now() >= deadline:
                raise Silent(f"{self.url}: {self.trouble or f'no answer for {patience:g} s'}")
            await sleep(LOOK)
        answer = join([dict(wire.unpack_event(piece.event)) for piece in pieces])
        if answer["type"] == "operator.error":
            raise Silent(f"{self.url}: {answer['text']}")
        return answer

    def close(self) -> None:
        """Say goodbye."""
        if self.is_ready:
            self._send(frames.Goodbye("done"))
        self._endpoint.close(GOODBYE_LINGER if self.is_ready else 0.0)


def join(pieces: Sequence[Answer]) -> Answer:
    """Put the pieces of an answer together: lists under one key go one behind the other."""
    whole: Answer = {}
    for piece in pieces:
        for key, value in piece.items():
            whole[key] = whole[key] + value if isinstance(value, list) and key in whole else value
    return whole


@contextlib.asynccontextmanager
async def reaching(urls: Sequence[str]) -> AsyncGenerator[list[Line], None]:
    """Give a line to each bridge process behind these URLs that greets. Raises ``AddressError``."""
    discovery = Discovery(urls, insecure_tcp=True)  # whoever was told to listen there has thought about it
    await anyio.to_thread.run_sync(discovery.resolve)
    hello = frames.Hello(
        "operator", int.from_bytes(os.urandom(8), "big"), f"{socket.gethostname()}:{os.getpid()}", [], False, 0, 0
    )
    loop = running_loop()
    lines = [Line(url, hello, loop) for url in sorted(discovery.scan())]
    try:
        await _until(lambda: all(line.is_reached for line in lines), LISTENS)
        reached = [line for line in lines if line.is_reached]
        await _until(lambda: all(line.is_ready or line.trouble for line in reached), GREETS)
        beats = loop.spawn(_beat(reached))
        try:
            yield reached
        finally:
            beats.cancel()
    finally:
        for line in lines:
            line.close()


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = now() + seconds
    while not condition() and now() < deadline:
        await sleep(LOOK)


async def _beat(lines: Sequence[Line]) -> None:
    """Say that we are there, as often as the most impatient bridge wants to hear it."""
    while True:
        await sleep(min((line.beat_every for line in lines), default=Config().beat))
        for line in lines:
            line.beat()
