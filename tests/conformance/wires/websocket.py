"""WebSockets from the client's side: the handshake by hand, the frames by wsproto."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Iterable, Sequence

import h11
from wsproto import events
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from .http1 import Http1

KEY = base64.b64encode(b"sixteen letters!")  # always the same, so that the answer to it is too


class WebSocket(Http1):
    """A WebSocket over HTTP/1.1: ``open()`` it, then send, and ``next()`` what the server says."""

    _frames: Frames

    async def open(
        self,
        target: str | bytes = "/socket",
        subprotocols: Sequence[bytes] = (),
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> bool:
        """Do the handshake, note its answer, and return True where the server took it."""
        await self.ask(target, subprotocols, headers)
        return await self.answer()

    async def ask(
        self,
        target: str | bytes = "/socket",
        subprotocols: Sequence[bytes] = (),
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """Send the handshake's request; ``answer()`` comes next."""
        offered = [(b"sec-websocket-protocol", b", ".join(subprotocols))] if subprotocols else []
        handshake = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
        keys = [(b"sec-websocket-key", KEY), (b"sec-websocket-version", b"13")]
        await self.head("GET", target, [*handshake, *keys, *offered, *headers])

    def _told(self, method: str) -> list[h11.Event]:
        upgrade = [(b"host", b"probe.example"), (b"upgrade", b"websocket"), (b"connection", b"upgrade")]
        return [h11.Request(method=method, target="/", headers=upgrade), h11.EndOfMessage()]

    async def answer(self, patience: float = 10.0) -> bool:
        """Note the handshake's answer, and return True where the server took it."""
        if (kind := await self.head_within(patience)) != "informational":
            if kind == "response":
                await self.body()
            return False
        extensions: list[Extension] = []
        if agreed := dict(self.last_headers).get(b"sec-websocket-extensions"):
            deflate = PerMessageDeflate()
            deflate.finalize(agreed.decode())
            extensions = [deflate]
        self._frames = Frames(ConnectionType.CLIENT, extensions, self.trailing_data)
        return True

    async def send(self, event: events.Event) -> None:
        """Send one frame; into a socket that the server has closed already it goes unsaid."""
        try:
            data = self._frames.send(event)
        except LocalProtocolError:
            return
        await self.write(data)

    async def text(self, text: str) -> None:
        """Send a text message."""
        await self.send(events.TextMessage(data=text))

    async def binary(self, data: bytes) -> None:
        """Send a binary message."""
        await self.send(events.BytesMessage(data=data))

    async def fragment(self, text: str, last: bool = False) -> None:
        """Send a frame of a text message in several."""
        await self.send(events.TextMessage(data=text, message_finished=last))

    async def ping(self, payload: bytes) -> None:
        """Send a ping; its pong is noted by ``next()``."""
        await self.send(events.Ping(payload=payload))

    async def close_with(self, code: int, reason: str | None = None) -> None:
        """Send a close frame and note how the server answers it."""
        await self.say_close(code, reason)
        await self.rest()

    async def say_close(self, code: int, reason: str | None = None) -> None:
        """Send a close frame, and leave the server's answer to ``rest()``."""
        await self.send(events.CloseConnection(code=code, reason=reason))

    async def next(self) -> str:
        """Note the next message, pong or close, and return its kind: "close" and "cut" are the last."""
        text: list[str] = []
        data: list[bytes] = []
        while True:
            match event := await self._frame():
                case events.TextMessage():
                    text.append(event.data)
                case events.BytesMessage():
                    data.append(bytes(event.data))
                case _:
                    return await self._noted(event)
            if event.message_finished:
                self.note(*(("text", "".join(text)) if text else ("bytes", b"".join(data))))
                return "text" if text else "bytes"

    async def _noted(self, event: events.Event | None) -> str:
        """Note what is no message."""
        match event:
            case events.Pong():
                self.note("pong", bytes(event.payload))
                return "pong"
            case events.CloseConnection():
                self.note("close", int(event.code), event.reason or "")
                if self._frames.state is ConnectionState.REMOTE_CLOSING:
                    await self.send(event.response())
                return "close"
            case _:
                self.note("cut")
                return "cut"

    async def _frame(self) -> events.Event | None:
        """Return the next event, None where the server hung up without closing; answer pings unnoted."""
        while True:
            try:
                for event in self._frames.events():
                    if not isinstance(event, events.Ping):
                        return event
                    await self.send(event.response())
            except RemoteProtocolError:
                return None
            data = await self.read()
            if not data:
                return None
            self._frames.receive_data(data)

    async def rest(self) -> None:
        """Note everything up to the end of the socket."""
        while await self.next() not in ("close", "cut"):
            pass

    async def ending(self) -> None:
        """Note how the socket ends, taking no note of what still comes before."""
        while True:
            count = len(self.notebook.notes)
            if await self.next() in ("close", "cut"):
                return
            del self.notebook.notes[count:]

    async def rest_within(self, seconds: float) -> None:
        """Note everything up to the end of the socket, or that it stays open."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.rest()
                return
        self.note("socket left open")
