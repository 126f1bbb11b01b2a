"""The wall on two machines, as processes: what crosses, what goes on while the engine is away, and what ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import POLL, ManagedProcess, ProcessFailedError, free_port
from servers import Server, nats_server

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parent.parent.parent
START = 60.0  # seconds for all processes of both machines
PATIENCE = 15.0  # seconds for something to be heard
SILENCE = 0.3  # seconds in which a message that crosses would have come, many times over
HOSTS = {"one": "127.0.0.1", "two": "127.0.0.2"}


def free_port_of_both() -> int:
    """Give a port that is free at both addresses."""
    while True:
        port = free_port()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOSTS["two"], port))
            return port


class TwoMachines(ManagedProcess):
    """``python -m examples.two_machines`` on free ports. It is ready when all of it is."""

    def __init__(self, *args: str) -> None:
        self.port, bridge_port = free_port_of_both(), free_port_of_both()
        ports = ["--port", str(self.port), "--bridge-port", str(bridge_port)]
        super().__init__([sys.executable, "-m", "examples.two_machines", *ports, *args], pythonpath=[ROOT])

    def wait_ready(self) -> None:
        self.wait_for_log("Ctrl-C ends all", START)

    def url(self, machine: str) -> str:
        """Give the URL that it prints for a machine."""
        return self.wait_for_log(rf"Machine {machine} is at (http://{HOSTS[machine]}:{self.port})$")[1]

    @contextlib.contextmanager
    def person(self, machine: str) -> Generator[Person, None, None]:
        """Open a socket on a machine."""
        with connect(self.url(machine).replace("http", "ws") + "/wall/", open_timeout=PATIENCE) as connection:
            yield Person(connection)


class Person:
    """A socket, and who hosts its consumer."""

    def __init__(self, connection: ClientConnection) -> None:
        self._socket = connection
        hello = self.hear()
        assert hello["kind"] == "hello"
        self.worker = hello["shown_by"]

    @property
    def pid(self) -> int:
        """The worker's process."""
        return int(self.worker.rpartition(" ")[2])

    def say(self, text: str) -> None:
        self._socket.send(text)

    def hear(self) -> dict[str, str]:
        """Give the next message that is shown."""
        message: dict[str, str] = json.loads(self._socket.recv(timeout=PATIENCE))
        return message

    def sees(self, kind: str, text: str, handled_by: str) -> None:
        """Hear this, shown by this person's own worker."""
        assert self.hear() == {"kind": kind, "text": text, "handled_by": handled_by, "shown_by": self.worker}

    def hears_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            self._socket.recv(timeout=SILENCE)

    def wait_cut(self) -> None:
        """Return when the socket has ended without a word."""
        with pytest.raises(ConnectionClosed) as closed:
            self._socket.recv(timeout=PATIENCE)
        assert closed.value.rcvd is None

    def wait_closed(self) -> int:
        """Give the code with which the socket is closed."""
        with pytest.raises(ConnectionClosed) as closed:
            self._socket.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        return int(closed.value.rcvd.code)


@pytest.fixture(scope="module")
def nats() -> Iterator[Server]:
    with nats_server() as server:
        yield server


@pytest.fixture(scope="module")
def machines(nats: Server) -> Iterator[TwoMachines]:
    """Both machines, with an engine that tests can kill."""
    with TwoMachines("--engine", nats.url) as machines:
        with machines.person("one") as one, machines.person("two") as two:
            acquaint(one, two)
        yield machines


def acquaint(one: Person, other: Person) -> None:
    """Return when they hear each other: a bridge subscribes to a group of the engine when its first member comes.

    It stays subscribed for 10 s after the last one has left: longer than from one test to the next.
    """
    for speaker, listener in ((one, other), (other, one)):
        listening = threading.Thread(target=listener.hear)
        listening.start()
        while listening.is_alive():
            speaker.say("can you hear me?")
            speaker.hear()
            listening.join(POLL)


@pytest.fixture
def join(machines: TwoMachines) -> Iterator[Callable[[str], Person]]:
    """``join("two")``: somebody on this machine."""
    with ExitStack() as people:
        yield lambda machine: people.enter_context(machines.person(machine))


Join = Callable[[str], Person]


def until(condition: Callable[[], Any], what: str) -> None:
    """Return when it is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(POLL)


def test_what_is_said_on_one_machine_is_seen_on_both(join: Join) -> None:
    people = [join(machine) for machine in ("one", "two", "one", "two")]
    for number, person in enumerate(people):
        person.say(f"message {number}")
        for other in people:
            other.sees("said", f"message {number}", handled_by=person.worker)
    assert [person.worker.split(",")[0] for person in people] == [f"machine {name}" for name in ("one", "two") * 2]


def test_order_is_kept_between_machines(join: Join) -> None:
    one, two = join("one"), join("two")
    lines = [str(number) for number in range(60)]  # fewer than wait for one consumer, however slow its worker is
    for line in lines:
        one.say(line)
    for person in (two, one):
        assert [person.hear()["text"] for _ in lines] == lines


@pytest.mark.parametrize("machine", ["one", "two"])
def test_a_summary_is_made_on_machine_one_for_who_asked(machine: str, join: Join) -> None:
    asking, other = join(machine), join(machine)
    for line in ("all is well", "well done"):
        asking.say(line)
        assert [asking.hear()["text"], other.hear()["text"]] == [line, line]
    asking.say("/summary")
    made = asking.hear()
    assert (made["kind"], made["text"]) == ("summary", "2 messages, 5 words, most often “well” (2)")
    assert made["handled_by"].startswith("machine one, worker ")
    assert made["handled_by"] != asking.worker
    other.say("and so on")
    assert other.hear()["text"] == "and so on", "who did not ask has heard the answer"


def test_the_engine_goes_and_comes_back(machines: TwoMachines, nats: Server, join: Join) -> None:
    people = {machine: [join(machine), join(machine)] for machine in HOSTS}
    nats.kill()
    try:
        for machine in HOSTS:
            machines.wait_for_log(rf"^{machine} server +\| .*the engine at \S+ is lost", PATIENCE)
        for machine, (speaker, listener) in people.items():
            speaker.say(f"only on {machine}")
            for person in (speaker, listener):
                person.sees("said", f"only on {machine}", handled_by=speaker.worker)
        people["one"][0].say("/summary")
        assert people["one"][0].hear()["kind"] == "summary", "its worker is on the same machine"
        for person in (*people["one"], *people["two"]):
            person.hears_nothing()
    finally:
        nats.start()
    everybody = [*people["one"], *people["two"]]
    for person in everybody:
        assert person.hear()["kind"] == "gap"
    for speaker in everybody:
        speaker.say("together again")
        for person in everybody:
            person.sees("said", "together again", handled_by=speaker.worker)
    people["two"][0].say("/summary")
    assert people["two"][0].hear()["kind"] == "summary"


def test_a_worker_is_killed(machines: TwoMachines, join: Join) -> None:
    """Its sockets are closed; all others, on either machine, see nothing of it; there is a new worker at once."""
    people = [join(machine) for machine in ("one", "one", "two")]
    lost = people[0]
    staying = [person for person in people if person.pid != lost.pid]
    assert staying[-1].worker.startswith("machine two")
    os.kill(lost.pid, signal.SIGKILL)
    assert lost.wait_closed() == 1011
    with machines.person("one") as back:
        for speaker in (back, *staying):
            speaker.say("still here")
            for person in (back, *staying):
                person.sees("said", "still here", handled_by=speaker.worker)
    machines.wait_for_log(
        rf"worker process {lost.pid} was killed by SIGKILL(?s:.*)worker process \d+ started", PATIENCE
    )


def test_the_page(machines: TwoMachines) -> None:
    pages = [httpx.get(machines.url(machine)) for machine in HOSTS]
    assert pages[0].headers["content-type"] == "text/html; charset=utf-8"
    assert pages[0].text == pages[1].text
    assert re.findall(r"""(?:src|href|url)\s*[=(]\s*["'](?!/|data:|#)""", pages[0].text) == []
    assert re.findall(r'"(/\w+)"|}(/\w+/)`', pages[0].text) == [("", "/wall/"), ("/summary", "")]


def test_the_readme_names_what_is_there(load: Callable[[str], Any]) -> None:
    readme = (ROOT / "examples/two_machines/README.md").read_text()
    named = set(re.findall(r"examples\.two_machines\.\w+:\w+", readme))
    assert len(named) == 3
    assert all(callable(load(name)) for name in named)
    files = re.findall(r"\]\(([\w.]+)\)", readme)
    assert set(files) == {"app.py", "summaries.py", "asgi.py", "machines.py", "__main__.py"}
    assert all((ROOT / "examples/two_machines" / file).exists() for file in files)


# -- the command -----------------------------------------------------------------------------------------------


def test_one_command_starts_all_and_ctrl_c_ends_all() -> None:
    """With a NATS server of its own, which is started again when it has ended."""
    with TwoMachines("--nats-port", str(free_port()), "--restart-after", "0.5") as machines:
        children = [psutil.Process(pid) for pid in machines.tree()[1:]]
        assert len(children) == 8  # two servers, a supervisor with two workers, a worker, summaries, NATS
        with machines.person("one") as one, machines.person("two") as two:
            one.say("hello")
            two.sees("said", "hello", handled_by=one.worker)
            assert one.hear()["text"] == "hello"
            engine = next(child for child in children if child.name() == "nats-server")
            engine.kill()
            machines.wait_for_log(r"nats +\| has ended, and is started again in 0.5 s")
            assert [one.hear()["kind"], two.hear()["kind"]] == ["gap", "gap"]
            two.say("hello again")
            one.sees("said", "hello again", handled_by=two.worker)
        children = [psutil.Process(pid) for pid in machines.tree()[1:]]
        machines.signal(signal.SIGINT)
        assert machines.wait(PATIENCE) == 0
        assert machines.log.endswith("all has ended\n")
        assert psutil.wait_procs(children, 0.0)[1] == []


def test_a_server_is_killed_and_its_worker_finds_the_next() -> None:
    """Its sockets end with it, as nothing can hold them; the other machine goes on."""
    with (
        TwoMachines("--nats-port", str(free_port()), "--restart-after", "0.5") as machines,
        machines.person("one") as one,
    ):
        with machines.person("two") as two:
            worker = two.worker
            for process in psutil.Process(machines.pid).children():
                if HOSTS["two"] in process.cmdline() and "uvicorn" in " ".join(process.cmdline()):
                    process.kill()
            two.wait_cut()
        one.say("alone")
        one.sees("said", "alone", handled_by=one.worker)
        until(lambda: machines.log.count("Uvicorn running on") == 3, "it is started again")
        with machines.person("two") as two:
            assert two.worker == worker
            two.say("back")
            for person in (one, two):
                person.sees("said", "back", handled_by=two.worker)


def test_a_part_that_cannot_start_ends_all() -> None:
    """And is shown with what it has logged."""
    with socket.socket() as taken:
        taken.bind((HOSTS["one"], 0))
        taken.listen()
        machines = TwoMachines("--nats-port", str(taken.getsockname()[1]))
        with pytest.raises(ProcessFailedError) as failed, machines:
            pass
    assert re.search(r"(?m)^Error: nats-server .* ended before it was ready", str(failed.value))
    assert "address already in use" in str(failed.value)
