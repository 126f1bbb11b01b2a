import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_bridge.shared import addresses
from channels_bridge.shared.addresses import IpcDirectory, TcpRange, check_exposure, check_private, default_url, parse
from channels_bridge.shared.errors import AddressError

LONGEST = "/" + "d" * (addresses.MAX_SOCKET_PATH - len("//bridge-63.sock"))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("ipc:///run/chat/", "/run/chat"), ("ipc:///run/chat", "/run/chat"), ("ipc:///a//b/../c/", "/a/c"),
        ("ipc:///tmp/with space/", "/tmp/with space"), (f"ipc://{LONGEST}/", LONGEST),
    ],
)  # fmt: skip
def test_a_directory(url: str, path: str) -> None:
    assert parse(url) == IpcDirectory(Path(path))


def test_the_files_of_a_directory() -> None:
    directory = IpcDirectory(Path("/run/chat"))
    assert directory.socket(3) == Path("/run/chat/bridge-3.sock")
    assert directory.lock(3) == Path("/run/chat/bridge-3.lock")
    assert str(directory) == "ipc:///run/chat/"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("tcp://10.0.0.1:5000", TcpRange("10.0.0.1", 5000, 5000)),
        ("tcp://10.0.0.1:5000/", TcpRange("10.0.0.1", 5000, 5000)),
        ("tcp://bridge.example:5000-5003", TcpRange("bridge.example", 5000, 5003)),
        ("tcp://[::1]:5000-5000", TcpRange("[::1]", 5000, 5000)),
        ("tcp://*:1-64", TcpRange("*", 1, 64)),
    ],
)
def test_a_host_and_its_ports(url: str, address: TcpRange) -> None:
    assert parse(url) == address


def test_the_ports_of_a_range() -> None:
    assert list(TcpRange("h", 5000, 5002).ports) == [5000, 5001, 5002]
    assert str(TcpRange("h", 5000, 5002)) == "tcp://h:5000-5002"
    assert str(TcpRange("[::1]", 5000, 5000)) == "tcp://[::1]:5000"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "ipc:///directory/, tcp://host:port or tcp://host:first-last"),
        ("/run/chat/", "is not an address"),
        ("http://h:80", "is not an address"),
        ("tcp://h", "is not an address"),
        ("tcp://:5000", "is not an address"),
        ("tcp://::1:5000", "is not an address"),
        ("tcp://h:5000\n", "is not an address"),
        ("tcp://h:123456", "is not an address"),
        ("ipc://run/chat/", "absolute directory, as in ipc:///run/chat/"),
        ("ipc://", "absolute directory"),
        ("tcp://h:0", "ports go from 1 to 65535"),
        ("tcp://h:70000", "ports go from 1 to 65535"),
        ("tcp://h:5001-5000", "the smaller one first"),
        ("tcp://h:5000-5064", "at most 64 ports"),
    ],
)
def test_what_is_no_address_is_refused_with_what_one_looks_like(url: str, says: str) -> None:
    with pytest.raises(AddressError, match=says) as caught:
        parse(url)
    assert repr(url) in str(caught.value)


def test_a_path_that_is_too_long_for_a_socket_is_refused_with_what_to_do() -> None:
    with pytest.raises(AddressError, match=r"too long for a Unix socket by 1 bytes.*allows 107.*shorter directory"):
        parse(f"ipc://{LONGEST}d/")


def test_the_length_of_a_path_is_that_of_its_bytes() -> None:
    with pytest.raises(AddressError, match="too long"):
        parse("ipc:///" + "ä" * 50)


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.from_regex(r"(tcp|ipc)://[^\n]{0,20}", fullmatch=True))
def test_any_text_is_an_address_that_reads_back_or_an_error(url: str) -> None:
    try:
        address = parse(url)
    except AddressError:
        return
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    "url", ["ipc:///run/x/", "tcp://127.0.0.1:5000", "tcp://127.9.9.9:1", "tcp://[::1]:1", "tcp://localhost:1"]
)
def test_what_no_other_machine_reaches_is_let_through(url: str) -> None:
    check_exposure(parse(url), insecure_tcp=False)


@pytest.mark.parametrize(
    "url", ["tcp://0.0.0.0:1", "tcp://*:1", "tcp://10.0.0.1:1", "tcp://[::]:1", "tcp://localhost.evil:1"]
)
def test_what_strangers_can_reach_is_refused_unless_somebody_says_so(url: str) -> None:
    with pytest.raises(AddressError, match=r"neither encrypted nor authenticated.*--insecure-tcp"):
        check_exposure(parse(url), insecure_tcp=False)
    check_exposure(parse(url), insecure_tcp=True)


def test_a_private_directory_is_let_through(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    check_private(IpcDirectory(tmp_path), os.getuid())


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o770, 0o777, 0o710])
def test_a_directory_that_others_may_enter_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(AddressError, match=rf"mode {mode:04o}.*chmod 700 {tmp_path}"):
        check_private(IpcDirectory(tmp_path), os.getuid())


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    owner = os.getuid()
    with pytest.raises(AddressError, match=f"belongs to user {owner}, but this process runs as user {owner + 1}"):
        check_private(IpcDirectory(tmp_path), owner + 1)


def test_a_directory_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="there is no such directory"):
        check_private(IpcDirectory(tmp_path / "none"), os.getuid())
    file = tmp_path / "file"
    file.touch(0o600)
    with pytest.raises(AddressError, match="is not a directory"):
        check_private(IpcDirectory(file), os.getuid())


def test_the_default_is_what_the_environment_says() -> None:
    assert default_url({"CHANNELS_BRIDGE_URL": "tcp://h:1", "XDG_RUNTIME_DIR": "/run/user/1"}) == "tcp://h:1"


def test_without_a_word_it_is_a_directory_of_this_users_own() -> None:
    assert default_url({"XDG_RUNTIME_DIR": "/run/user/1"}) == "ipc:///run/user/1/channels-bridge/"
    assert default_url({"CHANNELS_BRIDGE_URL": "", "XDG_RUNTIME_DIR": "/run/user/1"}).startswith("ipc:///run/user/1/")
    assert default_url({}).endswith(f"/channels-bridge-{os.getuid()}/")
    assert isinstance(parse(default_url({})), IpcDirectory)
