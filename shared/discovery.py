"""Which bridge processes are there: the sockets of a directory, the addresses of a name, the ports of a range."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence

from .addresses import Address, IpcDirectory, TcpRange, check_exposure, check_private, parse
from .errors import AddressError

_SOCKET = re.compile(r"bridge-[0-9]{1,2}\.sock\Z")


class Discovery:
    """The ZeroMQ addresses behind a worker's URLs. :meth:`scan` is cheap, :meth:`resolve` may block."""

    def __init__(self, urls: Sequence[str], insecure_tcp: bool) -> None:
        self.addresses: list[Address] = [parse(url) for url in urls]
        for address in self.addresses:
            check_exposure(address, insecure_tcp)
        self._resolved: dict[str, list[str]] = {}  # host -> its addresses, as last resolved

    @property
    def names(self) -> list[str]:
        """Hosts that have to be resolved, again from time to time."""
        return [a.host for a in self.addresses if isinstance(a, TcpRange) and not _literal(a.host)]

    def resolve(self) -> None:
        """Look all names up. Blocks; a name that cannot be found keeps what it was."""
        for host in self.names:
            try:
                found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                continue
            self._resolved[host] = sorted({str(info[4][0]) for info in found})

    def scan(self) -> set[str]:
        """Give what to connect to now. Raises ``AddressError`` for a directory that strangers may enter."""
        found: set[str] = set()
        for address in self.addresses:
            found |= _sockets(address) if isinstance(address, IpcDirectory) else self._ports(address)
        return found

    def _ports(self, address: TcpRange) -> set[str]:
        hosts = [address.host] if _literal(address.host) else self._resolved.get(address.host, [])
        literal = [f"[{host}]" if ":" in host and not host.startswith("[") else host for host in hosts]
        return {f"tcp://{host}:{port}" for host in literal for port in address.ports}


def _literal(host: str) -> bool:
    return host.startswith("[") or host.replace(".", "").isdigit()


def _sockets(directory: IpcDirectory) -> set[str]:
    if not directory.path.exists():
        return set()  # the bridge makes it
    try:
        check_private(directory, os.getuid())
        names = os.listdir(directory.path)
    except FileNotFoundError:
        return set()
    except AddressError:
        if not directory.path.exists():  # it has vanished since
            return set()
        raise
    except OSError as error:
        raise AddressError(f"{directory}: {error}") from error
    return {f"ipc://{directory.path / name}" for name in names if _SOCKET.match(name)}
