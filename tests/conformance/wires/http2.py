"""HTTP/2 in clear text from the client's side: one stream per connection, by h2."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import h2.config
import h2.connection
import h2.events
import h2.settings

from .connection import Connection, Notebook, without_date

STREAM = 1
WINDOW = 1 << 24  # bytes; large, since flow control of HTTP/2 is the server's business


class Http2(Connection):
    """An HTTP/2 connection, spoken with prior knowledge, for one request and what the server pushes with it."""

    def __init__(self, notebook: Notebook, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(notebook, reader, writer)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self._h2.initiate_connection()
        self._h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW})
        self._h2.increment_flow_control_window(WINDOW)
        self._bodies: dict[int, bytearray] = {STREAM: bytearray()}  # stream -> what came of its body
        self._notes: dict[int, list[tuple[object, ...]]] = {STREAM: []}  # stream -> its notes, until noted
        self._open = {STREAM}

    async def flush(self) -> None:
        """Send what h2 has to say."""
        await self.write(self._h2.data_to_send())

    async def head(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        end: bool = True,
        protocol: bytes = b"",
    ) -> None:
        """Send a request's headers; ``end`` where no body follows, ``protocol`` with an extended CONNECT."""
        pseudo = [(b":method", method.encode()), (b":scheme", b"http"), (b":path", target.encode())]
        pseudo += [(b":protocol", protocol)] if protocol else []
        named = [(b":authority", b"probe.example"), (b"x-run", self.notebook.next_run())]
        self._h2.send_headers(STREAM, [*pseudo, *named, *headers], end_stream=end)
        await self.flush()

    async def data(self, data: bytes, end: bool = False) -> None:
        """Send a part of a body that fits the server's window."""
        for start in range(0, len(data), self._h2.max_outbound_frame_size):
            self._h2.send_data(STREAM, data[start : start + self._h2.max_outbound_frame_size])
        if end:
            self._h2.end_stream(STREAM)
        await self.flush()

    async def reset(self) -> None:
        """Give up the stream, but not the connection."""
        self._h2.reset_stream(STREAM, error_code=8)
        await self.flush()

    async def until(self, *kinds: type[h2.events.Event]) -> None:
        """Note what the server says up to the first event of one of these kinds, or the end of all streams."""
        try:
            await self.flush()
            while self._open and (data := await self.read()):
                events = self._h2.receive_data(data)
                for event in events:
                    self._take(event)
                await self.flush()
                if any(isinstance(event, kinds) for event in events):
                    break
        except TimeoutError:
            self._leave("silence")
        else:
            if self._open and not kinds:
                self._leave("connection closed")
        for stream in sorted(self._notes):  # which stream is served first is chance
            for note in self._notes[stream]:
                self.note(f"stream {stream}", *note)
        self._notes = {stream: [] for stream in self._notes}

    def note_body(self) -> None:
        """Note what the server has sent in the request's stream so far."""
        self.note("stream 1", "so far", bytes(self._bodies[STREAM]))

    def _leave(self, why: str) -> None:
        for stream in self._open:
            self._notes[stream].append((why, bytes(self._bodies[stream])))

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.InformationalResponseReceived():
                self._head("informational", event.stream_id, event.headers)
            case h2.events.ResponseReceived():
                self._head("response", event.stream_id, event.headers)
            case h2.events.TrailersReceived():
                self._head("trailers", event.stream_id, event.headers)
            case h2.events.PushedStreamReceived():
                self._head("pushes", event.parent_stream_id or 0, event.headers or ())
                pushed = event.pushed_stream_id or 0
                self._open.add(pushed)
                self._bodies[pushed] = bytearray()
                self._notes[pushed] = []
            case h2.events.DataReceived():
                self._bodies[event.stream_id] += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self._end(event.stream_id, "end")
            case h2.events.StreamReset():
                self._end(event.stream_id, "reset", int(event.error_code))
            case _:
                pass  # settings, windows, pings: between h2 and the server

    def _head(self, kind: str, stream: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        pairs = [pair for pair in without_date(headers) if pair[0] != b"x-run"]
        self._notes[stream].append((kind, pairs))

    def _end(self, stream: int, *how: object) -> None:
        self._open.discard(stream)
        self._notes[stream].append((*how, bytes(self._bodies[stream])))
