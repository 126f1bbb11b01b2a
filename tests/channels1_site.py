"""The projects of examples/channels1 as sites: unmodified, behind servers of today; tests may kill their workers."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from channels_bridge.testing.processes import POLL, ManagedProcess, ServerProcess, WorkerProcess

PROJECTS = Path(__file__).resolve().parent.parent / "examples" / "channels1"
PATIENCE = 20.0  # seconds for an answer, or for processes to be up
BRIDGE = """
from channels_bridge import Bridge, Config

application = Bridge(config=Config(handshake=5.0, answer=120.0))
"""
TOKEN = re.compile(r"""name=.csrfmiddlewaretoken. value=["']([^"']+)""")
EVERYTHING: tuple[str, ...] = ()  # options of a worker that takes what comes


@dataclass(frozen=True)
class Project:
    """One of the projects, with a database of its own. ``shims``: it imports what Django has no more."""

    name: str
    database: Path
    shims: bool = False

    @property
    def folder(self) -> Path:
        """Where its manage.py is."""
        return PROJECTS / self.name

    @property
    def app(self) -> str:
        """What its deployments gave to daphne."""
        return f"{self.name}.asgi:channel_layer"

    @property
    def env(self) -> dict[str, str]:
        """What it reads of the environment."""
        return {f"{self.name.upper()}_DB": str(self.database), "PYTHONDONTWRITEBYTECODE": "1"}

    @property
    def options(self) -> list[str]:
        return ["--django-shims"] if self.shims else []

    def command(self, *args: str) -> list[str]:
        """Give the command line of ``manage.py ARGS``."""
        return [sys.executable, "-m", "channels_bridge.worker.legacy", *self.options, "manage.py", *args]

    def manage(self, *args: str, env: Mapping[str, str] | None = None) -> str:
        """Run ``manage.py ARGS``, and give what it prints."""
        settings = {**os.environ, **self.env, **(env or {})}
        command = self.command(*args)
        done = subprocess.run(
            command, cwd=self.folder, env=settings, check=False, timeout=120, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout

    def prepare(self, *fixtures: str) -> None:
        """Make its tables, and fill them."""
        self.manage("migrate", "--verbosity=0")
        if fixtures:
            self.manage("loaddata", *fixtures)

    def copied_to(self, folder: Path) -> Project:
        """Give one with a copy of the database."""
        database = folder / "db.sqlite3"
        shutil.copy(self.database, database)
        return Project(self.name, database, self.shims)


class Site:
    """A project that is served. ``pools``: the options of each of its workers; ``env``: variables of all of it.

    ``runworker``: workers beside a server are started by that command of the project, and not by channels-worker.
    """

    url: str

    def __init__(
        self,
        project: Project,
        exits: ExitStack,
        pools: Sequence[Sequence[str]],
        env: Mapping[str, str],
        *,
        runworker: bool,
    ) -> None:
        self.project = project
        self.pools = pools
        self.runworker = runworker
        self._exits = exits
        self._folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="cb-")))
        bridges = {"CHANNELS_BRIDGE_URL": f"ipc://{self._folder}/"}
        self.env = {**project.env, **bridges, **env}
        self._cookies: dict[str, str] = {}
        self._start()

    def _start(self) -> None:
        """Start it."""
        raise AssertionError("each kind of site starts in its own way")

    def manage(self, *args: str) -> str:
        """Run ``manage.py ARGS`` beside it, and give what it prints."""
        return self.project.manage(*args, env=self.env)

    def background(self, *args: str) -> ManagedProcess:
        """Run ``manage.py ARGS`` beside it until the site ends."""
        python, *rest = self.project.command(*args)
        inside = f"import os, sys; os.chdir({str(self.project.folder)!r}); os.execv(sys.argv[1], sys.argv[1:])"
        return self._exits.enter_context(ManagedProcess([python, "-c", inside, python, *rest], env=self.env))

    def kill_a_worker(self) -> None:
        """SIGKILL one; another takes its place."""
        raise AssertionError("each kind of site has its workers in its own way")

    def wait_replaced(self) -> None:
        """Wait until that other one is there, and nothing is given to the one that is dead."""
        raise AssertionError("each kind of site has its workers in its own way")

    @contextmanager
    def without_workers(self) -> Generator[None]:
        """Have no worker within; then they are started again."""
        raise AssertionError("each kind of site has its workers in its own way")
        yield

    def login(self, name: str, page: str) -> str:
        """Log in on that page, once; give the cookies."""
        if name not in self._cookies:
            with httpx.Client(base_url=self.url, timeout=PATIENCE) as client:
                found = TOKEN.search(client.get(page).text)
                assert found, f"{page} has no form"
                form = {"username": name, "password": "sesame", "csrfmiddlewaretoken": found[1]}
                answer = client.post(page, data=form)
                assert answer.status_code == 302, answer.text
                self._cookies[name] = "; ".join(f"{key}={value}" for key, value in client.cookies.items())
        return self._cookies[name]

    @contextmanager
    def socket(self, path: str, cookies: str = "", origin: str | None = None) -> Generator[Line]:
        """Open a WebSocket."""
        headers = {"Cookie": cookies} if cookies else {}
        address = self.url.replace("http", "ws", 1) + path
        page = Origin(origin) if origin else None
        with connect(address, origin=page, additional_headers=headers, open_timeout=PATIENCE) as connection:
            yield Line(connection)


class Served(Site):
    """All in one: ``channels-bridge serve``, which is uvicorn with a bridge, and a supervisor of workers."""

    def _start(self) -> None:
        command = [sys.executable, "-m", "channels_bridge.bridge", "serve", self.project.app, "--port=0"]
        command += ["--interface=channels1", *self.project.options, f"--app-dir={self.project.folder}"]
        command += [f"--workers={len(self.pools)}", "--no-access-log"]
        self._process = self._exits.enter_context(ManagedProcess(command, env=self.env))
        self.url = self._process.wait_for_log(r"^Serving \S+ on (\S+)", PATIENCE)[1]
        self._expected = len(self.pools)
        self.wait_replaced()

    def wait_replaced(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._process.log.count("connected to the bridge") < self._expected:
            assert time.monotonic() < deadline, self._process.log
            time.sleep(POLL)

    def _workers(self) -> list[psutil.Process]:
        supervisor, *_ = psutil.Process(self._process.pid).children()
        return [child for child in supervisor.children() if child.status() != psutil.STATUS_ZOMBIE]

    def kill_a_worker(self) -> None:
        self._workers()[0].send_signal(signal.SIGKILL)
        self._expected += 1

    @contextmanager
    def without_workers(self) -> Generator[None]:
        for worker in self._workers():
            worker.send_signal(signal.SIGKILL)
            self._expected += 1
        yield


class Behind(Site):
    """A server with a bridge, and workers beside it, as large sites have it."""

    server = "daphne"

    def _start(self) -> None:
        (self._folder / "channels1_bridge.py").write_text(BRIDGE)
        bridge = "channels1_bridge:application"
        server = ServerProcess(self.server, bridge, env=self.env, pythonpath=[self._folder])
        self.url = self._exits.enter_context(server).url
        self.workers = self._started()
        httpx.get(self.url, timeout=PATIENCE)  # daphne has no lifespan: a bridge begins with its first request
        self.wait_replaced()

    def _started(self) -> list[ManagedProcess]:
        return [self._worker(options) for options in self.pools]

    def wait_replaced(self) -> None:
        for worker in self.workers:
            worker.wait_for_log("connected to the bridge", PATIENCE)

    def _worker(self, options: Sequence[str]) -> ManagedProcess:
        if self.runworker:
            return self.background("runworker", *options)
        args = ["--interface=channels1", f"--app-dir={self.project.folder}", *self.project.options, *options]
        worker = WorkerProcess(self.project.app, self.env["CHANNELS_BRIDGE_URL"], env=self.env, args=args)
        return self._exits.enter_context(worker)

    def kill_a_worker(self) -> None:
        self.workers[0].kill()
        self.workers[0] = self._worker(self.pools[0])

    @contextmanager
    def without_workers(self) -> Generator[None]:
        for worker in self.workers:
            worker.sigterm()
        for worker in self.workers:
            worker.wait()
        yield
        self.workers = self._started()


SITES: dict[str, type[Site]] = {"served": Served, "daphne": Behind}


@contextmanager
def running(
    kind: str,
    project: Project,
    *,
    pools: Sequence[Sequence[str]] = (EVERYTHING, EVERYTHING),
    env: Mapping[str, str] | None = None,
    runworker: bool = False,
) -> Generator[Site]:
    """Run a project as one of ``SITES``, with a copy of its database."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="cb-database-")))
        yield SITES[kind](project.copied_to(folder), exits, pools, env or {}, runworker=runworker)


class Line:
    """One WebSocket, as its client has it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, what: str | bytes) -> None:
        self.connection.send(what)

    def read(self) -> str | bytes:
        """Wait for what comes next."""
        return self.connection.recv(timeout=PATIENCE)

    def say(self, **content: Any) -> None:
        """Send JSON."""
        self.connection.send(json.dumps(content))

    def hear(self) -> Any:
        """Wait for JSON."""
        return json.loads(self.read())

    def ask(self, **content: Any) -> Any:
        """Send JSON, and wait for JSON."""
        self.say(**content)
        return self.hear()
