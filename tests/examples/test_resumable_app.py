"""The counter counts on when its process is killed; without a bridge it counts as long as the server lives."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from websockets.sync.client import connect

from channels_bridge.testing.processes import ManagedProcess

pytestmark = pytest.mark.system
Site = tuple[str, ManagedProcess]


def test_it_counts_either_way(either_way: Callable[[str], Site]) -> None:
    url, _ = either_way("examples.resumable_app.main:app")
    with connect(url.replace("http", "ws") + "/count") as socket:
        for number in (1, 2, 3):
            socket.send("hello")
            assert str(socket.recv(timeout=20.0)).split()[:2] == [str(number), "hello"]


def test_it_counts_on_when_its_process_is_killed(serve: Callable[..., Site]) -> None:
    url, _ = serve("examples.resumable_app.main:app", "--workers", "2", workers=2)
    pids: set[int] = set()
    with connect(url.replace("http", "ws") + "/count") as socket:
        for number in range(1, 5):
            socket.send("hello")
            answer, _, pid = str(socket.recv(timeout=20.0)).split()
            assert answer == str(number)
            pids.add(int(pid))
            if number == 2:
                os.kill(int(pid), signal.SIGKILL)
    assert len(pids) == 2
