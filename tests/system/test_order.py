"""A connection's messages arrive in the order in which they were sent, none is lost, none comes twice.

100 sockets send 10,000 numbered messages each, over 2 bridges to 3 workers, 64 of a socket's messages under way
at a time: enough to fill journals and windows, so that it is the flow control that is tested, and not only the
quiet path. The clients compare each echo with the number that is due, and listen on for a moment after the last.

$CHANNELS_BRIDGE_TEST_SCALE multiplies the messages: 0.1 for a quick look, and while coverage is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from channels_bridge.testing.processes import ServerProcess, WorkerProcess

pytestmark = pytest.mark.system

HERE = Path(__file__).resolve().parent
LOAD = HERE.parent.parent / "benchmarks" / "rig" / "load.py"
SOCKETS = 100
MEASURED = "COVERAGE_PROCESS_CONFIG" in os.environ  # coverage follows every line of every process
SCALE = float(os.environ.get("CHANNELS_BRIDGE_TEST_SCALE", "0.1" if MEASURED else "1"))
MESSAGES = int(10_000 * SCALE)
WINDOW = 64
BRIDGES = 2
WORKERS = 3
TIMEOUT = 280.0  # seconds; on an idle machine with 2 cores it takes a tenth of this


@pytest.mark.parametrize("app", ["hosted_apps:echo", "hosted_apps:Echo"])
def test_messages_of_many_sockets_arrive_in_order_once_each(app: str, tmp_path: Path) -> None:
    url = f"ipc://{tmp_path / 'bridges'}/"
    with ExitStack() as stack:
        servers = [stack.enter_context(bridge(url)) for _ in range(BRIDGES)]
        workers = [
            stack.enter_context(WorkerProcess(app, url, pythonpath=[HERE], args=["--loop", "uvloop"]))
            for _ in range(WORKERS)
        ]
        for worker in workers:
            worker.wait_for_log(rf"(connected to the bridge[\s\S]*){{{BRIDGES}}}")
        before = [worker.cpu_seconds() for worker in workers]
        clients = [stack.enter_context(start_clients(server)) for server in servers]
        for client in clients:
            stack.callback(client.kill)
        answered = sum(finish(client) for client in clients)
        assert answered == SOCKETS * MESSAGES
        spent = [worker.cpu_seconds() - since for worker, since in zip(workers, before, strict=True)]
        assert min(spent) > sum(spent) / WORKERS / 4, f"a worker had next to nothing to do: {spent}"


def bridge(url: str) -> ServerProcess:
    env = {"CHANNELS_BRIDGE_URL": url}
    return ServerProcess("uvicorn", "bridge_app:application", env=env, pythonpath=[HERE])


def start_clients(server: ServerProcess) -> subprocess.Popen[str]:
    options = [f"--connections={SOCKETS // BRIDGES}", f"--messages={MESSAGES}", f"--window={WINDOW}"]
    command = [sys.executable, str(LOAD), f"{server.ws_url}/", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(clients: subprocess.Popen[str]) -> int:
    """Return the number of right answers; fail with what the clients saw if one was wrong."""
    out, error = clients.communicate(timeout=TIMEOUT)
    assert clients.returncode == 0, error
    return int(json.loads(out.splitlines()[-1])["messages"])
