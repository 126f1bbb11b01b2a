"""Tests against a server: real sockets, and workers in processes of their own, on the test's database."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import TransactionTestCase

from ....shared.addresses import ENVIRONMENT
from .. import overriding
from ..asgi import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from ..layer import BridgeLayer
from ..management.becoming import APP, environment, project_options
from ..staticfiles import STATIC
from .base import replaced

START = 30.0  # seconds for the project to be imported, and served
END = 10.0  # seconds for it to end, before it is killed
POLL = 0.02  # seconds
ADDRESS = re.compile(r"^Serving \S+ on http://\S+:(\d+) ", re.MULTILINE)  # in its log
READY = re.compile(r"channels_bridge\.bridge: worker \S+ serves ")  # the same, once the project is imported


class ChannelLiveServerTestCase(TransactionTestCase):
    """Runs server, bridge and a worker for the tests of a class.

    What tests send to groups and channels themselves reaches its sockets, too. ``host``: where it listens;
    ``worker_threads``: how many consumers it runs at once; ``serve_static``: whether static files are there.

    The test's database has to be a file, for more than one process use it.
    """

    host: ClassVar[str] = "localhost"
    worker_threads: ClassVar[int] = 1
    serve_static: ClassVar[bool] = True
    _server: ClassVar[LiveServer | None] = None

    @classmethod
    def setUpClass(cls) -> None:
        """Start it. Raises ``ImproperlyConfigured``, or ``RuntimeError`` with its log if it does not start."""
        super().setUpClass()
        server = LiveServer(cls.host, cls.worker_threads, cls._variables())
        cls.addClassCleanup(server.stop)
        server.start()
        layer = ChannelLayerWrapper(BridgeLayer(server.bridge), DEFAULT_CHANNEL_LAYER, _routing())
        cls.enterClassContext(replaced(DEFAULT_CHANNEL_LAYER, layer))
        cls._server = server

    @classmethod
    def _variables(cls) -> dict[str, str]:
        """Give the environment in which the project runs as it does in this test."""
        own: Any = cls  # Django's decorators keep there what they override
        changed = {*(own._overridden_settings or {}), *(own._modified_settings or {}), "DEBUG"}
        others = {name: getattr(settings, name) for name in changed}
        others["ALLOWED_HOSTS"] = [*settings.ALLOWED_HOSTS, cls.host]
        try:
            told = overriding.written(_databases(cls.databases), others)
        except TypeError as error:
            raise ImproperlyConfigured(f"{cls.__name__}: these settings cannot be told to a worker: {error}") from error
        return {
            **environment(DEFAULT_CHANNEL_LAYER),
            overriding.VARIABLE: told,
            STATIC: "always" if cls.serve_static else "never",
        }

    @property
    def live_server_url(self) -> str:
        """Where it is."""
        return f"http://{self._address()}"

    @property
    def live_server_ws_url(self) -> str:
        """Where it is, for WebSockets."""
        return f"ws://{self._address()}"

    def _address(self) -> str:
        assert self._server is not None, "setUpClass has started it"
        return f"{self.host}:{self._server.port}"


def _databases(used: Any) -> dict[str, str]:
    """Give alias -> name of the databases. Raises ``ImproperlyConfigured`` if a ``used`` one is in memory."""
    for alias in connections if used == "__all__" else used:
        connection: Any = connections[alias]
        if connection.vendor == "sqlite" and connection.is_in_memory_db():
            raise ImproperlyConfigured(
                f"ChannelLiveServerTestCase: the database {alias!r} is in the memory of this process, and workers are"
                f' processes of their own. Set DATABASES[{alias!r}]["TEST"]["NAME"] to the name of a file'
            )
    return {alias: str(connections[alias].settings_dict["NAME"]) for alias in connections}


def _routing() -> Any:
    return channel_layers.configs[DEFAULT_CHANNEL_LAYER]["ROUTING"]


class LiveServer:
    """``channels-bridge serve`` with one worker, on a free port, as a child process."""

    def __init__(self, host: str, threads: int, variables: dict[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="channels-")
        self._log = Path(self._folder.name) / "log"
        self.bridge = f"ipc://{self._folder.name}/bridge/"
        self.port = 0
        self._command = [
            sys.executable, "-m", "channels_bridge.bridge", "serve", APP, *project_options(), f"--host={host}",
            "--port=0", f"--bridge={self.bridge}", f"--threads={threads}", "--no-access-log", "--drain-timeout=0",
        ]  # fmt: skip
        self._variables = {**variables, ENVIRONMENT: self.bridge}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when a worker serves. Raises ``RuntimeError`` with its log if none does."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._variables, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START
        while True:
            has_ended, said = self._process.poll() is not None, self._log.read_text(errors="replace")
            address = ADDRESS.search(said)
            if has_ended or time.monotonic() > deadline:
                raise RuntimeError(f"the live server did not start:\n{said}")
            if address is not None and READY.search(said):
                self.port = int(address[1])
                return
            time.sleep(POLL)

    def stop(self) -> None:
        """End it with its worker."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(END)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()
