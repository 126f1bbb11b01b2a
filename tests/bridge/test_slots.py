"""Where a bridge process listens: slots of a directory, ports of a range, and what lies in the way."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels_bridge.bridge import slots
from channels_bridge.bridge.slots import Listener, listen
from channels_bridge.shared.addresses import TcpRange, parse
from channels_bridge.shared.errors import AddressError
from channels_bridge.testing.processes import free_port


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cb-") as name:  # tmp_path can be too long for a Unix socket
        yield Path(name)


@pytest.fixture
def listeners() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def opened(stack: contextlib.ExitStack, url: str, insecure_tcp: bool = False) -> Listener:
    listener = listen(parse(url), insecure_tcp)
    stack.callback(listener.close, 0.0)
    return listener


def test_bridges_in_one_directory_take_a_slot_each(folder: Path, listeners: contextlib.ExitStack) -> None:
    urls = [opened(listeners, f"ipc://{folder}/").url for _ in range(3)]
    assert urls == [f"ipc://{folder}/bridge-{slot}.sock" for slot in range(3)]
    for slot in range(3):
        mode = (folder / f"bridge-{slot}.sock").stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert stat.S_IMODE((folder / f"bridge-{slot}.lock").stat().st_mode) == 0o600


def test_a_slot_that_was_closed_is_taken_again(folder: Path, listeners: contextlib.ExitStack) -> None:
    first = listen(parse(f"ipc://{folder}/"))
    second = opened(listeners, f"ipc://{folder}/")
    first.close(0.0)
    assert not (folder / "bridge-0.sock").exists()
    first.close(0.0)  # again is no error, and takes nothing from its successor
    assert opened(listeners, f"ipc://{folder}/").url.endswith("bridge-0.sock")
    first.close(0.0)
    assert (folder / "bridge-0.sock").exists()
    assert second.url.endswith("bridge-1.sock")


def test_the_socket_of_a_process_that_was_killed_is_replaced(folder: Path, listeners: contextlib.ExitStack) -> None:
    path = folder / "bridge-0.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (folder / "bridge-0.lock").touch(0o600)
    assert opened(listeners, f"ipc://{folder}/").url == f"ipc://{path}"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_directory_is_made_private(folder: Path, listeners: contextlib.ExitStack) -> None:
    opened(listeners, f"ipc://{folder}/a/b/")
    assert stat.S_IMODE((folder / "a/b").stat().st_mode) == 0o700


def test_a_directory_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.chmod(0o750)
    with pytest.raises(AddressError, match=r"others may enter it \(mode 0750\); make it private: chmod 700"):
        listen(parse(f"ipc://{folder}/"))
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(folder: Path) -> None:
    os.chown(folder, 12345, -1)
    with pytest.raises(AddressError, match="belongs to user 12345, but this process runs as user 0"):
        listen(parse(f"ipc://{folder}/"))


def test_a_file_where_the_directory_should_be_is_said(folder: Path) -> None:
    (folder / "f").touch()
    with pytest.raises(AddressError, match="the directory cannot be made"):
        listen(parse(f"ipc://{folder}/f/"))
    with pytest.raises(AddressError, match="the directory cannot be made"):
        listen(parse(f"ipc://{folder}/f/below/"))


def test_something_in_the_sockets_place_that_is_none_is_said_and_the_slot_is_freed(folder: Path) -> None:
    (folder / "bridge-0.sock").mkdir()
    with pytest.raises(AddressError, match=r"bridge-0\.sock"):
        listen(parse(f"ipc://{folder}/"))
    (folder / "bridge-0.sock").rmdir()
    listen(parse(f"ipc://{folder}/")).close(0.0)


def test_something_in_the_locks_place_that_is_none_is_said(folder: Path) -> None:
    (folder / "bridge-0.lock").mkdir()
    with pytest.raises(AddressError, match=r"cannot make the lock file .*bridge-0\.lock"):
        listen(parse(f"ipc://{folder}/"))


def test_a_slot_whose_socket_cannot_be_bound_is_freed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str) -> None:
        raise AddressError(f"cannot listen on {url}: no")

    with monkeypatch.context() as patched:
        patched.setattr(slots, "bind", refuse)
        with pytest.raises(AddressError, match="cannot listen on ipc:"):
            listen(parse(f"ipc://{folder}/"))
    listener = listen(parse(f"ipc://{folder}/"))
    assert listener.url.endswith("bridge-0.sock")
    listener.close(0.0)


def test_when_all_slots_are_taken_it_says_so(
    folder: Path, listeners: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "MAX_PORTS", 2)
    for _ in range(2):
        opened(listeners, f"ipc://{folder}/")
    with pytest.raises(AddressError, match="all 2 slots are taken by running bridge processes"):
        listen(parse(f"ipc://{folder}/"))


# -- tcp -------------------------------------------------------------------------------------------------------


def free_range(count: int) -> int:
    """Give the first of so many free ports."""
    while True:
        first = free_port()
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + count):
                probe = stack.enter_context(socket.socket())
                probe.bind(("127.0.0.1", port))
            return first


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_bridges_of_one_range_take_a_port_each(host: str, listeners: contextlib.ExitStack) -> None:
    first = free_range(2)
    url = f"tcp://{host}:{first}-{first + 1}"
    assert [opened(listeners, url).url for _ in range(2)] == [
        f"tcp://127.0.0.1:{first}",
        f"tcp://127.0.0.1:{first + 1}",
    ]
    with pytest.raises(AddressError, match=rf"tcp://{host}:{first}-{first + 1}: no port is free; widen the range"):
        listen(parse(url))


def test_a_port_that_is_taken_is_said_with_what_to_do() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(AddressError) as caught:
        listen(parse(f"tcp://127.0.0.1:{port}"))
    assert str(caught.value) == (
        f"tcp://127.0.0.1:{port}: no port is free; give a range, tcp://host:first-last, for several processes"
        f" (cannot listen on tcp://127.0.0.1:{port}: Address already in use (addr='tcp://127.0.0.1:{port}'))"
    )


def test_a_port_is_free_again_soon_after_it_was_closed() -> None:
    """Libzmq closes the socket in its own thread."""
    address = parse(f"tcp://127.0.0.1:{free_port()}")
    listen(address).close(0.0)
    deadline = time.monotonic() + 5.0
    while True:
        try:
            listen(address).close(0.0)
        except AddressError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_an_ipv6_loopback(listeners: contextlib.ExitStack) -> None:
    port = free_port()
    try:
        listener = opened(listeners, f"tcp://[::1]:{port}")
    except AddressError as error:
        pytest.skip(str(error))
    assert listener.url == f"tcp://[::1]:{port}"


def test_an_address_that_strangers_reach_is_refused_unless_it_is_said(listeners: contextlib.ExitStack) -> None:
    port = free_port()
    with pytest.raises(AddressError, match="can be reached from other machines"):
        listen(TcpRange("0.0.0.0", port, port))
    assert opened(listeners, f"tcp://0.0.0.0:{port}", insecure_tcp=True).url == f"tcp://0.0.0.0:{port}"
