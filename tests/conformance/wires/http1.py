"""HTTP/1.1 from the client's side.

Requests are written by hand, so that they can be as odd as a scenario wants; h11 reads what comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Literal

import h11

from .connection import Connection, Notebook, without_date

Pairs = Iterable[tuple[bytes, bytes]]


class Http1(Connection):
    """An HTTP/1.1 connection."""

    def __init__(self, notebook: Notebook, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(notebook, reader, writer)
        self.last_headers: list[tuple[bytes, bytes]] = []
        self.unnoted_headers: tuple[bytes, ...] = ()  # names that are chance on a server
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)

    async def head(self, method: str, target: str | bytes, headers: Pairs = (), version: str = "1.1") -> None:
        """Send a request line and headers; ``target`` goes out as it is."""
        data = self._head(method, target, headers, version)
        self._expect(method)
        await self.write(data)

    def _head(self, method: str, target: str | bytes, headers: Pairs, version: str = "1.1") -> bytes:
        raw_target = target if isinstance(target, bytes) else target.encode()
        lines = [
            b"%s %s HTTP/%s\r\n" % (method.encode(), raw_target, version.encode()),
            b"host: probe.example\r\nx-run: %s\r\n" % self.notebook.next_run(),
            *(b"%s: %s\r\n" % pair for pair in headers),
        ]
        return b"".join([*lines, b"\r\n"])

    def _expect(self, method: str) -> None:
        """Tell h11 of a request, so that it can read the response to it."""
        if self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        for event in self._told(method):
            self._h11.send(event)

    async def pipeline(self, targets: Iterable[str]) -> None:
        """Send several GET requests at once, and note the responses one by one."""
        heads = [self._head("GET", target, ()) for target in targets]
        await self.write(b"".join(heads))
        for _ in heads:
            self._expect("GET")
            await self.response()

    def _told(self, method: str) -> list[h11.Event]:
        """Return an ordinary request for h11, so that it knows how to read the response to the real one."""
        return [h11.Request(method=method, target="/", headers=[(b"host", b"probe.example")]), h11.EndOfMessage()]

    @property
    def trailing_data(self) -> bytes:
        """What came after the head of a response that switched protocols."""
        return self._h11.trailing_data[0]

    async def request(
        self, method: str, target: str | bytes, headers: Pairs = (), body: bytes = b"", version: str = "1.1"
    ) -> None:
        """Send a whole request; the body, if there is one, with its length."""
        length = [(b"content-length", str(len(body)).encode())] if body else []
        await self.head(method, target, [*headers, *length], version)
        if body:
            await self.write(body)

    async def chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body; b"" ends it."""
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def _event(self) -> h11.Event | None:
        """Return the next event; None where the server cut the connection."""
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError:
                return None
            if event is h11.NEED_DATA:
                self._h11.receive_data(await self.read())
            elif isinstance(event, h11.Event):
                return event
            else:
                return None  # h11.PAUSED: cannot happen, each response is read before the next request

    async def response_head(self) -> Literal["informational", "response", "cut"]:
        """Note the next head of a response, informational or not, and return which it was."""
        event = await self._event()
        if isinstance(event, h11.InformationalResponse | h11.Response):
            kind = "informational" if isinstance(event, h11.InformationalResponse) else "response"
            headers = without_date(event.headers.raw_items())
            self.last_headers = [(name.lower(), value) for name, value in headers]
            steady = [(name, value) for name, value in headers if name not in self.unnoted_headers]
            self.note(kind, event.http_version, event.status_code, event.reason, steady)
            return "informational" if kind == "informational" else "response"
        self.note("cut before the response")
        return "cut"

    async def head_within(self, seconds: float) -> str:
        """Like ``response_head``, but note and return "silence" when nothing comes in so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self.response_head()
        self.note("silence")
        return "silence"

    async def data(self, size: int) -> bytes:
        """Return ``size`` bytes of the response's body or what there is of them, unnoted."""
        parts = bytearray()
        while len(parts) < size:
            event = await self._event()
            if not isinstance(event, h11.Data):
                break
            parts += event.data
        return bytes(parts)

    async def body(self) -> None:
        """Note the rest of a response's body, and how it ends."""
        parts = bytearray()
        event: h11.Event | None = None
        ended = "cut"
        try:
            while isinstance(event := await self._event(), h11.Data):
                parts += event.data
        except TimeoutError:
            ended = "silence"
        self.note("body", bytes(parts))
        if isinstance(event, h11.EndOfMessage):
            trailers = without_date(event.headers.raw_items())
            self.note("end", *([trailers] if trailers else []))
        else:
            self.note(ended)

    async def response(self) -> None:
        """Note a whole response, with the informational ones that precede it."""
        kind = "informational"
        while kind == "informational":
            kind = await self.response_head()
        if kind == "response":
            await self.body()
