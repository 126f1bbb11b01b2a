"""Sockets are made of ZeroMQ, but where another network stands in."""

from pathlib import Path

from channels_bridge.shared import endpoint, network
from channels_bridge.shared.endpoint import Endpoint


class Made(Endpoint):
    """A socket that is none."""

    def __init__(self, url: str) -> None:
        self.url = url


class Elsewhere:
    def bind(self, url: str) -> Endpoint:
        return Made(f"bound {url}")

    def connect(self, url: str) -> Endpoint:
        return Made(f"connected {url}")


def test_a_network_stands_in_until_its_block_is_left(tmp_path: Path) -> None:
    with network.played(Elsewhere()):
        made = endpoint.bind("ipc://a"), endpoint.connect("ipc://b")
    assert [socket.url for socket in made if isinstance(socket, Made)] == ["bound ipc://a", "connected ipc://b"]
    assert network.standing_in() is None
    real = endpoint.bind(f"ipc://{tmp_path}/s")
    assert type(real) is Endpoint
    real.close()
