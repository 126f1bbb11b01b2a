"""A message that kills workers is set aside, found by an operator, and run again once its cause is mended.

Real servers, workers and commands: the consumer kills its own process, as long as a file is not there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import ServerProcess, WorkerProcess, free_port
from halves import directory

pytestmark = pytest.mark.system

PATIENCE = 20.0  # seconds

BRIDGE = """
import os
from channels_bridge import Bridge

application = Bridge(dead_letters=os.environ.get("LETTERS"))
"""

APP = """
import os, signal
from pathlib import Path
from channels_bridge import AsyncConsumer

FOLDER = Path(__file__).parent

class Ledger(AsyncConsumer):
    resumable = True

    async def websocket_connect(self, message):
        self.done = []

    async def websocket_receive(self, message):
        text = message["text"]
        if text == "poison" and not (FOLDER / "mended").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        self.done.append(text)
        with (FOLDER / "effects").open("a") as file:
            print(*self.done, file=file)
        await self.send({"type": "websocket.send", "text": text})
"""


class Site:
    """A server with its bridge, two workers under a supervisor, and an operator."""

    def __init__(self, folder: Path, stack: ExitStack, *, letters: bool) -> None:
        (folder / "letters_bridge.py").write_text(BRIDGE)
        (folder / "letters_app.py").write_text(APP)
        self.folder = folder
        self._url = stack.enter_context(directory())
        self._env = {"CHANNELS_BRIDGE_URL": self._url}
        if letters:
            self._env["LETTERS"] = str(folder / "letters")
        self._stack, self._port = stack, free_port()
        self.server = self.serve()
        worker = WorkerProcess("letters_app:Ledger", self._url, pythonpath=[folder], args=["-c", "2"])
        stack.enter_context(worker)

    def serve(self) -> ServerProcess:
        """Start the server; the one before has to be gone."""
        application = "letters_bridge:application"
        process = ServerProcess("uvicorn", application, env=self._env, pythonpath=[self.folder], port=self._port)
        return self._stack.enter_context(process)

    def command(self, *args: str, status: int = 0) -> str:
        """Run ``channels-bridge``; give what it prints."""
        command = [sys.executable, "-m", "channels_bridge.bridge", *args, "-b", self._url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def letters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.command("letters", "-j"))["letters"]
        return found

    def poison(self) -> None:
        """Let a client send what kills workers, behind a message that does not."""
        with connect(self.server.ws_url) as socket:
            assert say(socket, "fine") == "fine"
            socket.send("poison")
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "poison")

    def mend(self) -> None:
        (self.folder / "mended").touch()

    @property
    def effects(self) -> list[str]:
        return (self.folder / "effects").read_text().splitlines()


def say(socket: ClientConnection, text: str) -> str:
    socket.send(text)
    return str(socket.recv(timeout=PATIENCE))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_message_that_kills_workers_is_set_aside_and_replayed(tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, letters=False)
    site.poison()
    [letter] = site.letters()
    assert (letter["event"], letter["seq"], letter["attempts"]) == ("websocket.receive", 3, 2)
    assert letter["id"] in site.server.log
    assert letter["id"] in site.command("letters")
    assert "poison" in site.command("letters", "show", letter["id"])
    site.mend()
    assert site.command("letters", "replay", letter["id"]) == f"{letter['id']}: returned\n"
    assert site.effects == ["fine", "fine poison"]  # with the state that it had
    assert site.letters() == []
    check_ledgers(site, dead_lettered=1)
    with connect(site.server.ws_url) as socket:
        assert say(socket, "poison") == "poison"


def check_ledgers(site: Site, dead_lettered: int) -> None:
    """Every message is accounted for, and nothing is under way."""
    [bridge] = json.loads(site.command("status", "-j"))["bridges"]
    ledgers = {ledger["pool"]: ledger for ledger in bridge["ledgers"]}
    ledger = ledgers["default"]
    ends = ("delivered", "shed", "expired", "dead_lettered", "in_flight")
    assert ledger["accepted"] == sum(ledger[end] for end in ends) > 0
    assert (ledger["dead_lettered"], ledger["in_flight"]) == (dead_lettered, 0)
    assert {ledger["balance"] for ledger in ledgers.values()} == {0}


def test_letters_in_a_folder_outlive_the_bridge(tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, letters=True)
    site.poison()
    [before] = site.letters()
    site.server.kill()
    site.server.stop()
    site.server = site.serve()
    assert site.letters() == [before]
    [row] = json.loads(site.command("letters", "replay", before["id"], "-j", status=1))["letters"]
    assert row["outcome"] == "poison"  # nothing was mended: one more worker is lost
    [again] = site.letters()
    assert again["again_of"] == before["id"]
    assert again["id"] in row["text"]
    site.mend()
    site.command("letters", "replay", "--all")
    assert site.effects == ["fine", "fine poison"]
    assert site.letters() == []
    assert list((tmp_path / "letters").iterdir()) == []


def test_without_a_server_it_is_said_what_to_do(tmp_path: Path, stack: ExitStack) -> None:
    site = Site(tmp_path, stack, letters=False)
    site.server.stop()
    assert site.command("status", status=69) == ""
