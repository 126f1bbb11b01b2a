"""The listening socket of ``channels-bridge serve``: had before anything is started, or a clear error."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..shared.errors import AddressError

BACKLOG = 2048  # as uvicorn has it
ANYONE = 0o666  # as uvicorn has it: the proxy in front runs as another user


@contextmanager
def listening(host: str, port: int, uds: Path | None) -> Generator[socket.socket, None, None]:
    """Listen on host and port, or on a Unix socket, whose file is removed in the end. Raises ``AddressError``."""
    sock = _tcp(host, port) if uds is None else _unix(uds)
    try:
        yield sock
    finally:
        sock.close()
        if uds is not None:
            uds.unlink(missing_ok=True)


def url_of(host: str, uds: Path | None, sockets: Sequence[socket.socket]) -> str:
    """Say where clients connect."""
    if uds is not None:
        return f"unix:{uds}"
    port: int = sockets[0].getsockname()[1]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # said, or asyncio leaves Nagle on
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise AddressError(f"cannot listen on {host}, port {port}: {error.strerror}") from error
    return sock


def _unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()  # left by a process that was killed
        sock.bind(str(path))
        path.chmod(ANYONE)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise AddressError(f"cannot listen on {path}: {error.strerror or error}") from error
    return sock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(ConnectionRefusedError):
        probe.connect(str(path))
        return True
    return False
