import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels_bridge.bridge.sockets import listening, url_of
from channels_bridge.shared.errors import AddressError


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:  # tmp_path can be too long for a Unix socket
        yield Path(folder) / "serve.sock"


def test_it_listens_at_once_and_says_where() -> None:
    with listening("127.0.0.1", 0, None) as sock:
        port = sock.getsockname()[1]
        assert url_of("127.0.0.1", None, [sock]) == f"http://127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = sock.accept()
            assert accepted.proto == socket.IPPROTO_TCP  # asyncio leaves Nagle's algorithm on, else
            accepted.close()
    assert sock.fileno() == -1


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    try:
        with listening("::1", 0, None) as sock:
            assert url_of("::1", None, [sock]) == f"http://[::1]:{sock.getsockname()[1]}"
    except AddressError as error:
        pytest.skip(str(error))


def test_a_port_that_is_taken_is_said() -> None:
    with listening("127.0.0.1", 0, None) as first:
        port = first.getsockname()[1]
        with (
            pytest.raises(AddressError, match=f"cannot listen on 127.0.0.1, port {port}: Address already in use"),
            listening("127.0.0.1", port, None),
        ):
            pass


@pytest.mark.parametrize("host", ["256.0.0.1", "203.0.113.1", "no such host"])
def test_a_host_that_is_not_ours_is_said(host: str) -> None:
    with pytest.raises(AddressError, match=f"cannot listen on {host}, port 0: "), listening(host, 0, None):
        pass


def test_a_unix_socket_is_for_everyone_and_is_removed(path: Path) -> None:
    with listening("", 0, path) as sock:
        assert url_of("", path, [sock]) == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


def test_a_unix_socket_that_nobody_listens_on_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    with listening("", 0, path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_unix_socket_that_is_taken_is_left_alone(path: Path) -> None:
    with listening("", 0, path):
        with pytest.raises(AddressError, match="Address already in use"), listening("", 0, path):
            pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_file_in_the_way_is_left_alone(path: Path) -> None:
    path.write_text("of value")
    with pytest.raises(AddressError, match="Address already in use"), listening("", 0, path):
        pass
    assert path.read_text() == "of value"


def test_a_path_that_is_too_long_is_said(path: Path) -> None:
    with pytest.raises(AddressError, match="too long"), listening("", 0, path / ("x" * 100)):
        pass
