"""URLs of bridges: what they mean, which are safe, where to find the default one.

``ipc:///dir/``
    A directory. Each bridge process binds a socket of its own in it, workers watch it.
``tcp://host:port`` and ``tcp://host:first-last``
    A bridge process takes the first free port, a worker connects to all of them.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import AddressError

ENVIRONMENT = "CHANNELS_BRIDGE_URL"
MAX_SOCKET_PATH = 107  # sun_path, less the final NUL
MAX_PORTS = 64  # bridge processes on one host; each costs every worker a socket
_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:.%]+\]|[^:/\[\]]+):(\d{1,5})(?:-(\d{1,5}))?/?\Z")


@dataclass(frozen=True, slots=True)
class IpcDirectory:
    """A directory of Unix sockets, private to one user."""

    path: Path

    def socket(self, slot: int) -> Path:
        """Give the socket's path of the bridge process that holds this slot."""
        return self.path / f"bridge-{slot}.sock"

    def lock(self, slot: int) -> Path:
        """Give the lock file whose holder owns the slot."""
        return self.path / f"bridge-{slot}.lock"

    def __str__(self) -> str:
        return f"ipc://{self.path}/"


@dataclass(frozen=True, slots=True)
class TcpRange:
    """A host and the ports that its bridge processes share out among themselves."""

    host: str
    first: int
    last: int

    @property
    def ports(self) -> range:
        """Every port of the range."""
        return range(self.first, self.last + 1)

    @property
    def loopback(self) -> bool:
        """True where no other machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"tcp://{self.host}:{ports}"


Address = IpcDirectory | TcpRange


def parse(url: str) -> Address:
    """Understand a URL, or raise ``AddressError`` that says what a URL looks like."""
    if url.startswith("ipc://"):
        path = url.removeprefix("ipc://")
        if not path.startswith("/"):
            raise AddressError(f"{url!r}: an ipc address is an absolute directory, as in ipc:///run/chat/")
        return _checked_length(IpcDirectory(Path(os.path.normpath(path))))
    match = _TCP.match(url)
    if match is None:
        raise AddressError(f"{url!r} is not an address: ipc:///directory/, tcp://host:port or tcp://host:first-last")
    first, last = int(match[2]), int(match[3] or match[2])
    if not 0 < first <= last <= 65535:
        raise AddressError(f"{url!r}: ports go from 1 to 65535, the smaller one first")
    if last - first >= MAX_PORTS:
        raise AddressError(f"{url!r}: a range has at most {MAX_PORTS} ports")
    return TcpRange(match[1], first, last)


def _checked_length(directory: IpcDirectory) -> IpcDirectory:
    length = len(os.fsencode(directory.socket(MAX_PORTS - 1)))
    if length > MAX_SOCKET_PATH:
        raise AddressError(
            f"{directory}: the path is too long for a Unix socket by {length - MAX_SOCKET_PATH} bytes"
            f" (the system allows {MAX_SOCKET_PATH}); use a shorter directory, such as one under /run or /tmp"
        )
    return directory


def check_exposure(address: Address, insecure_tcp: bool) -> None:
    """Refuse an address that strangers can reach: raise ``AddressError`` unless ``insecure_tcp`` accepts that."""
    if isinstance(address, TcpRange) and not address.loopback and not insecure_tcp:
        raise AddressError(
            f"{address} can be reached from other machines and is neither encrypted nor authenticated: use ipc:// or"
            " a loopback address, or, where a private network or a firewall keeps strangers out,"
            " say so with insecure_tcp=True (--insecure-tcp)"
        )


def check_private(directory: IpcDirectory, owner: int) -> None:
    """Raise ``AddressError`` unless the directory is there, is ``owner``'s and only ``owner`` may enter it."""
    try:
        status = directory.path.stat()
    except FileNotFoundError:
        raise AddressError(f"{directory}: there is no such directory") from None
    if not stat.S_ISDIR(status.st_mode):
        raise AddressError(f"{directory}: {directory.path} is not a directory")
    if status.st_uid != owner:
        raise AddressError(f"{directory}: belongs to user {status.st_uid}, but this process runs as user {owner}")
    if status.st_mode & stat.S_ISVTX:
        raise AddressError(
            f"{directory}: is a directory of everybody's; use one of its own below it, as in {directory}chat/"
        )
    if status.st_mode & 0o077:
        raise AddressError(
            f"{directory}: others may enter it (mode {stat.S_IMODE(status.st_mode):04o});"
            f" make it private: chmod 700 {directory.path}"
        )


def default_url(environment: Mapping[str, str] = os.environ) -> str:
    """Give the URL that both sides use if none is said: $CHANNELS_BRIDGE_URL, else a directory of this user's."""
    url = environment.get(ENVIRONMENT)
    if url:
        return url
    runtime = environment.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime else Path(tempfile.gettempdir()) / f"channels-bridge-{os.getuid()}"
    return f"ipc://{base / 'channels-bridge'}/" if runtime else f"ipc://{base}/"
