"""Where this bridge process listens: a slot in an ipc directory, or a port of a range.

Several bridge processes share one address. In a directory each holds a slot by a file lock: the kernel lets go
of it when the process ends, however it ends, so that what lies about is never in the way. The lock is needed, as
binding a Unix socket that another process listens on succeeds and leaves that process deaf.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ..shared.addresses import MAX_PORTS, Address, IpcDirectory, TcpRange, check_exposure, check_private
from ..shared.endpoint import Endpoint, bind
from ..shared.errors import AddressError


class Listener:
    """A bound endpoint and what has to be given back with it."""

    def __init__(self, endpoint: Endpoint, url: str, lock: int | None, socket: Path | None) -> None:
        self.endpoint = endpoint
        self.url = url
        self._lock = lock
        self._socket = socket

    def close(self, linger: float) -> None:
        """Close the endpoint and free the slot."""
        self.endpoint.close(linger)
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)
            self._socket = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def forget(self) -> None:
        """In a forked child: let go of the parent's socket and lock; they stay the parent's."""
        self.endpoint.forget()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def listen(address: Address, insecure_tcp: bool = False) -> Listener:
    """Bind a ROUTER at the first free place of the address. Raises ``AddressError`` that says what to do."""
    check_exposure(address, insecure_tcp)
    return _listen_ipc(address) if isinstance(address, IpcDirectory) else _listen_tcp(address)


def _listen_ipc(directory: IpcDirectory) -> Listener:
    try:
        directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise AddressError(f"{directory}: the directory cannot be made: {error}") from error
    check_private(directory, os.getuid())
    for slot in range(MAX_PORTS):
        lock = _lock(directory.lock(slot))
        if lock is None:
            continue
        path = directory.socket(slot)
        try:
            path.unlink(missing_ok=True)  # of a process that was killed: we hold its slot's lock now
            return Listener(bind(f"ipc://{path}"), f"ipc://{path}", lock, path)
        except (AddressError, OSError) as error:
            os.close(lock)
            raise AddressError(f"{directory}: cannot listen on {path}: {error}") from error
    raise AddressError(f"{directory}: all {MAX_PORTS} slots are taken by running bridge processes")


def _lock(path: Path) -> int | None:
    """Take the lock, or return None where a living process holds it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AddressError(f"cannot make the lock file {path}: {error}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _listen_tcp(address: TcpRange) -> Listener:
    errors: list[str] = []
    for port in address.ports:
        url = f"tcp://{'127.0.0.1' if address.host == 'localhost' else address.host}:{port}"
        try:
            return Listener(bind(url), url, None, None)
        except AddressError as error:
            errors.append(str(error))
    hint = "give a range, tcp://host:first-last, for several processes" if len(errors) == 1 else "widen the range"
    raise AddressError(f"{address}: no port is free; {hint} ({errors[0]})")
