"""Which bridges are there: sockets in a directory, ports of a range, addresses of a name."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels_bridge.shared import discovery
from channels_bridge.shared.addresses import IpcDirectory, check_private
from channels_bridge.shared.discovery import Discovery
from channels_bridge.shared.errors import AddressError


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cb-") as name:
        yield Path(name)


def of(*urls: str, insecure_tcp: bool = False) -> Discovery:
    return Discovery(urls, insecure_tcp)


# -- directories -----------------------------------------------------------------------------------------------


def test_the_sockets_of_a_directory(folder: Path) -> None:
    found = of(f"ipc://{folder}/")
    assert found.scan() == set()
    for name in ("bridge-0.sock", "bridge-63.sock"):
        (folder / name).touch()
    for name in ("bridge-0.lock", "bridge-.sock", "bridge-100.sock", "bridge-1.sock~", "xbridge-1.sock", "x.sock"):
        (folder / name).touch()
    assert found.scan() == {f"ipc://{folder}/bridge-0.sock", f"ipc://{folder}/bridge-63.sock"}
    (folder / "bridge-0.sock").unlink()
    assert found.scan() == {f"ipc://{folder}/bridge-63.sock"}


def test_a_directory_that_is_not_there_yet_is_empty(folder: Path) -> None:
    found = of(f"ipc://{folder}/later/")
    assert found.scan() == set()
    (folder / "later").mkdir(mode=0o700)
    (folder / "later/bridge-0.sock").touch()
    assert found.scan() == {f"ipc://{folder}/later/bridge-0.sock"}
    (folder / "later/bridge-0.sock").unlink()
    (folder / "later").rmdir()
    assert found.scan() == set()


def test_a_directory_that_vanishes_while_it_is_looked_at_is_empty(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = folder / "short-lived"

    def vanish(path: Path) -> list[str]:
        directory.rmdir()
        raise FileNotFoundError(2, "No such file or directory", str(path))

    def private(address: IpcDirectory, owner: int) -> None:
        directory.rmdir()
        check_private(address, owner)

    for module, name, replacement in ((os, "listdir", vanish), (discovery, "check_private", private)):
        directory.mkdir(mode=0o700)
        with monkeypatch.context() as patched:
            patched.setattr(module, name, replacement)
            assert of(f"ipc://{directory}/").scan() == set()


def test_a_directory_that_cannot_be_read_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> list[str]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", refused)
    with pytest.raises(AddressError, match="Permission denied"):
        of(f"ipc://{folder}/").scan()


def test_a_directory_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(AddressError, match=r"others may enter it \(mode 0777\)"):
        of(f"ipc://{folder}/").scan()


def test_a_file_where_the_directory_should_be_is_said(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(AddressError, match="is not a directory"):
        of(f"ipc://{folder}/file/").scan()


# -- tcp -------------------------------------------------------------------------------------------------------


def test_every_port_of_a_range() -> None:
    found = of("tcp://127.0.0.1:5000-5002", "tcp://[::1]:6000")
    assert found.names == []
    assert found.scan() == {
        "tcp://127.0.0.1:5000",
        "tcp://127.0.0.1:5001",
        "tcp://127.0.0.1:5002",
        "tcp://[::1]:6000",
    }


def test_several_urls_are_taken_together(folder: Path) -> None:
    (folder / "bridge-0.sock").touch()
    found = of(f"ipc://{folder}/", "tcp://127.0.0.1:5000")
    assert found.scan() == {f"ipc://{folder}/bridge-0.sock", "tcp://127.0.0.1:5000"}


def test_what_strangers_reach_is_refused_unless_it_is_said() -> None:
    with pytest.raises(AddressError, match="can be reached from other machines"):
        of("tcp://10.0.0.1:5000")
    assert of("tcp://10.0.0.1:5000", insecure_tcp=True).scan() == {"tcp://10.0.0.1:5000"}


def test_what_is_no_url_is_said() -> None:
    with pytest.raises(AddressError, match="is not an address"):
        of("redis://localhost")


# -- names -----------------------------------------------------------------------------------------------------


class Names:
    """What names resolve to, now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: dict[str, list[str]] = {}
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)

    def _getaddrinfo(self, host: str, port: None, type: int) -> list[Any]:
        if host not in self.addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, type, 6, "", (address, 0)) for address in self.addresses[host]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


def test_every_address_of_a_name(names: Names) -> None:
    found = of("tcp://bridges.example:5000-5001", "tcp://127.0.0.1:6000", insecure_tcp=True)
    assert found.names == ["bridges.example"]
    assert found.scan() == {"tcp://127.0.0.1:6000"}
    names.addresses["bridges.example"] = ["10.0.0.1", "10.0.0.2", "10.0.0.1", "fd00::1"]
    found.resolve()
    assert found.scan() == {
        "tcp://127.0.0.1:6000",
        *(f"tcp://{host}:{port}" for host in ("10.0.0.1", "10.0.0.2", "[fd00::1]") for port in (5000, 5001)),
    }


def test_a_name_that_cannot_be_found_keeps_what_it_was(names: Names) -> None:
    found = of("tcp://bridges.example:5000", insecure_tcp=True)
    found.resolve()
    assert found.scan() == set()
    names.addresses["bridges.example"] = ["10.0.0.1"]
    found.resolve()
    del names.addresses["bridges.example"]
    found.resolve()
    assert found.scan() == {"tcp://10.0.0.1:5000"}
    names.addresses["bridges.example"] = ["10.0.0.2"]
    found.resolve()
    assert found.scan() == {"tcp://10.0.0.2:5000"}


def test_one_name_that_cannot_be_found_does_not_stand_in_the_others_way(names: Names) -> None:
    names.addresses["there.example"] = ["10.0.0.1"]
    found = of("tcp://gone.example:5000", "tcp://there.example:5000", insecure_tcp=True)
    found.resolve()
    assert found.scan() == {"tcp://10.0.0.1:5000"}


def test_a_name_that_no_resolver_takes_is_not_found() -> None:
    """A label of more than 63 characters is a UnicodeError, which is no OSError."""
    found = of(f"tcp://{'x' * 64}.example:5000", insecure_tcp=True)
    found.resolve()
    assert found.scan() == set()


def test_the_loopback_by_its_name() -> None:
    found = of("tcp://localhost:5000")
    assert found.names == ["localhost"]
    found.resolve()
    assert "tcp://127.0.0.1:5000" in found.scan()
