"""While consumers burn CPU the bridge goes on: it answers pings, accepts others, and serves what other workers have."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import ServerProcess, WorkerProcess
from halves import directory

pytestmark = pytest.mark.system

HERE = Path(__file__).parent
BURN = 4.0  # seconds for which a worker's loop stands still
SOON = 1.0  # seconds: far less than that, and far more than it takes
PATIENCE = 15.0

APP = """
import time
from channels_bridge import AsyncConsumer

class Burner(AsyncConsumer):
    async def websocket_receive(self, message):
        if message["text"] == "burn":
            time.sleep({burn})  # as a computation does: nothing else of this process runs
        await self.send({{"type": "websocket.send", "text": message["text"]}})
"""


class Site:
    """A server with two workers, each of which has one of the two sockets."""

    def __init__(self, folder: Path, stack: ExitStack, kind: str) -> None:
        (folder / "burning_app.py").write_text(APP.format(burn=BURN))
        url = stack.enter_context(directory())
        env = {"CHANNELS_BRIDGE_URL": url}
        self.stack = stack
        self.server = stack.enter_context(ServerProcess(kind, "bridge_app:application", env=env, pythonpath=[HERE]))
        workers = [WorkerProcess("burning_app:Burner", url, pythonpath=[folder]) for _ in range(2)]
        for worker in workers:
            stack.enter_context(worker)
        for worker in workers:
            worker.wait_for_log("connected to the bridge")
        self.burning, self.other = self.open(), self.open()

    def open(self) -> ClientConnection:
        return self.stack.enter_context(connect(self.server.ws_url, open_timeout=PATIENCE, ping_interval=None))


@pytest.fixture(params=["uvicorn", "hypercorn-trio"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack, request.param)


def test_pings_and_other_sockets_go_on(site: Site) -> None:
    site.burning.send("burn")
    time.sleep(0.1)
    begun = time.monotonic()
    assert site.burning.ping().wait(PATIENCE)
    site.other.send("hello")
    assert site.other.recv(timeout=PATIENCE) == "hello"
    newcomer = site.open()
    newcomer.send("hello")
    assert newcomer.recv(timeout=PATIENCE) == "hello"
    assert time.monotonic() - begun < SOON
    assert site.burning.recv(timeout=PATIENCE) == "burn"
    assert time.monotonic() - begun > BURN - 1.0
