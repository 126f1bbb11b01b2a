"""The older name of the client."""

from __future__ import annotations

from channels_bridge.worker.legacy.test.http import HttpClient
from channels_bridge.worker.legacy.test.websocket import WSClient


def test_it_is_a_client_for_websockets() -> None:
    client = HttpClient(ordered=True)
    assert isinstance(client, WSClient)
    assert client.reply_channel.startswith("default")
