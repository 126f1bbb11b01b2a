"""Many WebSockets that send as fast as they are let: ``python flood.py ws://127.0.0.1:8000/ 200 10``.

Arguments: URL, sockets, seconds. It says at its end how many bytes were taken.
"""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import urlsplit

import uvloop

SIZE = 16 * 1024
FRAME = bytes((0x82, 0x80 | 126)) + SIZE.to_bytes(2, "big") + bytes(4 + SIZE)  # masked, with a mask of zeros


async def open_socket(url: str) -> asyncio.StreamWriter:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = (
        f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "",
    )  # fmt: skip
    writer.write("\r\n".join(lines).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        raise ConnectionError(f"the handshake was answered by {head!r}")
    return writer


async def flood(writer: asyncio.StreamWriter) -> int:
    taken = 0
    try:
        while True:
            writer.write(FRAME)
            await writer.drain()
            taken += len(FRAME)
    except asyncio.CancelledError:
        return taken


async def main(url: str, sockets: int, seconds: float) -> None:
    writers = [await open_socket(url) for _ in range(sockets)]
    floods = [asyncio.create_task(flood(writer)) for writer in writers]
    await asyncio.sleep(seconds)
    for task in floods:
        task.cancel()
    sys.stdout.write(f"{sum(await asyncio.gather(*floods))}\n")
    for writer in writers:
        writer.transport.abort()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
