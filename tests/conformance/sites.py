"""Servers with the probe in them: direct, or the bridge in the server and the probe in a worker."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from channels_bridge.testing.processes import ServerProcess, WorkerProcess

from .tap import FOLDER

TESTS = Path(__file__).resolve().parent.parent
PROBE = "conformance.probe:application"
BRIDGED = "conformance.bridged:application"


@dataclass(slots=True)
class Site:
    """A server that answers, the folder of notes and signals, and how many runs there have been."""

    server: ServerProcess
    folder: Path
    worker: WorkerProcess | None = None
    runs: int = field(default=0)

    @property
    def kind(self) -> str:
        """The server's name."""
        return self.server.kind.name

    @property
    def logs(self) -> str:
        """What server and worker logged."""
        worker = f"\n--- worker\n{self.worker.log}" if self.worker else ""
        return f"--- {self.kind}\n{self.server.log}{worker}"


@contextlib.contextmanager
def direct_site(kind: str, args: Sequence[str] = ()) -> Generator[Site]:
    """Run the probe in the server itself."""
    with tempfile.TemporaryDirectory(prefix="cb-notes-") as folder:
        env = {FOLDER: folder}
        with ServerProcess(kind, PROBE, env=env, pythonpath=[TESTS], args=args) as server:
            yield Site(server, Path(folder))


@contextlib.contextmanager
def bridged_site(kind: str, args: Sequence[str] = ()) -> Generator[Site]:
    """Run the bridge in the server, and the probe in a worker."""
    with (
        tempfile.TemporaryDirectory(prefix="cb-notes-") as folder,
        tempfile.TemporaryDirectory(prefix="cb-") as sockets,
    ):
        url = f"ipc://{sockets}/"
        env = {FOLDER: folder, "CHANNELS_BRIDGE_URL": url}
        with (
            ServerProcess(kind, BRIDGED, env=env, pythonpath=[TESTS], args=args) as server,
            WorkerProcess(PROBE, url, env=env, pythonpath=[TESTS]) as worker,
        ):
            yield Site(server, Path(folder), worker)
