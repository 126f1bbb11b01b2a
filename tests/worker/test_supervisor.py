"""The supervisor as a process of its own, over stand-ins for worker processes; its grace is 0.3 s here."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from channels_bridge.testing.processes import POLL, ManagedProcess
from channels_bridge.worker.supervisor import FINAL, GRACE
from pids import alive, wait_gone

pytestmark = pytest.mark.system

STAND_IN = """
import os, signal, sys
kind, fd = sys.argv[1], int(sys.argv[sys.argv.index("--parent-fd") + 1])
if os.path.isfile(kind) and open(kind).read():  # what it says now; the next one may read another word
    kind = open(kind).read()
terms = 0
def say(*words):
    os.write(1, (" ".join(map(str, ("child", os.getpid(), *words))) + "\\n").encode())
def term(*_):
    global terms
    terms += 1
    say("term", terms)
    if kind == "warm" or (kind == "cold" and terms == 2):
        os._exit(0)
signal.signal(signal.SIGTERM, term)
signal.signal(signal.SIGINT, term)
signal.signal(signal.SIGUSR1, lambda *_: os.write(fd, b"r"))
say("up", os.getsid(0) == os.getpid())
if kind.isdecimal():
    sys.exit(int(kind))
if kind != "silent" and not kind.startswith("/"):
    try:
        os.write(fd, b"s")
        say("serves")
    except OSError:
        pass
if kind.startswith("/"):  # the first to make this file ends, the others stay
    try:
        os.close(os.open(kind, os.O_CREAT | os.O_EXCL))
        sys.exit(3)
    except FileExistsError:
        pass
while True:
    try:
        os.read(fd, 1)
        break
    except InterruptedError:
        pass
say("orphaned")
"""
PROGRAM = """
import logging, sys
from channels_bridge.worker.supervisor import Supervisor
logging.basicConfig(level=logging.INFO, format="%(message)s")
stand_in, kind, processes, drain_timeout, parent_fd = sys.argv[1:]
command = [sys.executable, "-S", "-c", stand_in, kind]
supervisor = Supervisor(
    command, int(processes), drain_timeout=float(drain_timeout), grace=0.3,
    parent_fd=int(parent_fd) if parent_fd.isdecimal() else None, persistent=parent_fd == "persistent",
)
sys.exit(supervisor.run())
"""


class Supervised(ManagedProcess):
    """A supervisor with ``processes`` stand-ins of a kind: "warm", "cold", "deaf", or an exit code."""

    def __init__(self, kind: str, processes: int = 2, drain_timeout: float = 30.0, parent_fd: str = "") -> None:
        arguments = [STAND_IN, kind, str(processes), str(drain_timeout), parent_fd]
        super().__init__([sys.executable, "-c", PROGRAM, *arguments])
        self.processes = processes

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 10.0
        while len(self.children) < self.processes and self.alive and time.monotonic() < deadline:
            time.sleep(POLL)

    @property
    def children(self) -> list[int]:
        """The pids of all children that ever came up, oldest first."""
        return [int(pid) for pid in re.findall(r"^child (\d+) up", self.log, re.MULTILINE)]

    def wait_children(self, count: int) -> list[int]:
        self.wait_for_log(rf"(^child \d+ up[^^]*?){{{count}}}")
        return self.children

    def wait_serving(self, count: int) -> None:
        """Return when so many have said that they serve, as far as one can see from here."""
        self.wait_for_log(rf"(^child \d+ serves[^^]*?){{{count}}}")

    def said(self, words: str) -> int:
        return len(re.findall(rf"^child \d+ {words}", self.log, re.MULTILINE))


def test_children_live_in_sessions_of_their_own() -> None:
    with Supervised("warm") as supervisor:
        assert supervisor.said("up True") == 2
        assert f"supervisor {supervisor.pid} keeps 2 worker processes" in supervisor.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_sends_term_waits_and_exits_with_0(number: int) -> None:
    with Supervised("warm") as supervisor:
        children = supervisor.children
        supervisor.signal(number)
        assert supervisor.wait() == 0
        assert not any(alive(pid) for pid in children)
        assert supervisor.said("term 1") == 2
        assert supervisor.said("term 2") == 0
        assert "connections have up to 30 s to end" in supervisor.log
        assert "all worker processes have ended" in supervisor.log


def test_a_killed_child_is_replaced() -> None:
    with Supervised("warm") as supervisor:
        first, second = supervisor.children
        os.kill(first, signal.SIGKILL)
        third = supervisor.wait_children(3)[-1]
        assert alive(second)
        assert alive(third)
        assert f"worker process {first} was killed by SIGKILL" in supervisor.log


def test_a_child_that_ends_by_itself_is_replaced() -> None:
    """Somebody sent it SIGTERM, or the app called exit: nobody wants fewer processes for that."""
    with Supervised("warm", 1) as supervisor:
        os.kill(supervisor.children[0], signal.SIGTERM)
        supervisor.wait_children(2)
        assert "exited with 0" in supervisor.log


def test_children_that_end_at_once_are_restarted_with_growing_delays() -> None:
    with Supervised("1", 1) as supervisor:
        began = time.monotonic()
        supervisor.wait_children(4)
        assert time.monotonic() - began > 0.3  # 0.1 + 0.2 + 0.4, less the start of the test
        supervisor.sigterm()
        assert supervisor.wait() == 0


@pytest.mark.parametrize("code", FINAL)
def test_a_final_exit_code_ends_all_and_is_passed_on(code: int) -> None:
    with Supervised(str(code)) as supervisor:
        assert supervisor.wait() == code
        assert 1 <= len(supervisor.children) <= 2
        assert f"stopping: {FINAL[code]}" in supervisor.log


def test_a_final_exit_code_of_one_ends_the_others(tmp_path: Path) -> None:
    with Supervised(str(tmp_path / "first"), 3, drain_timeout=0.1) as supervisor:
        assert supervisor.wait() == 3
        wait_gone(supervisor.children)


def test_after_the_drain_timeout_and_some_grace_children_are_killed() -> None:
    with Supervised("deaf", drain_timeout=0.2) as supervisor:
        children = supervisor.children
        supervisor.sigterm()
        assert supervisor.wait() == 0
        assert not any(alive(pid) for pid in children)
        for pid in children:
            assert f"worker process {pid} did not end in time and was killed" in supervisor.log


def test_a_second_request_is_forwarded() -> None:
    with Supervised("cold", drain_timeout=30.0) as supervisor:
        supervisor.sigterm()
        supervisor.wait_for_log(r"(child \d+ term 1[^^]*?){2}")
        supervisor.signal(signal.SIGINT)
        assert supervisor.wait() == 0
        assert supervisor.said("term 2") == 2
        assert "was killed" not in supervisor.log


def test_two_requests_at_once_are_two() -> None:
    with Supervised("cold", drain_timeout=30.0) as supervisor:
        supervisor.signal(signal.SIGSTOP)
        supervisor.sigterm()
        supervisor.signal(signal.SIGINT)
        supervisor.signal(signal.SIGCONT)
        assert supervisor.wait() == 0
        assert supervisor.said("term 2") == 2


def test_after_a_second_request_nobody_is_waited_for_long() -> None:
    with Supervised("deaf", drain_timeout=60.0) as supervisor:
        supervisor.sigterm()
        supervisor.wait_for_log(r"(child \d+ term 1[^^]*?){2}")
        supervisor.sigterm()
        assert supervisor.wait() == 0


def test_children_end_when_the_supervisor_is_killed() -> None:
    with Supervised("warm") as supervisor:
        children = supervisor.children
        supervisor.kill()
        wait_gone(children)
        assert supervisor.said("orphaned") == 2


def test_it_ends_when_its_own_parent_does() -> None:
    """Between the two stands a shell that passes the pipe on and keeps its other end open until it is killed."""
    program = f"""
import os, subprocess, sys, time
reading, writing = os.pipe()
command = [sys.executable, "-c", {PROGRAM!r}, {STAND_IN!r}, "warm", "2", "60", str(reading)]
subprocess.Popen(command, pass_fds=[reading])
time.sleep(60)
"""
    with ManagedProcess([sys.executable, "-c", program]) as parent:
        parent.wait_for_log(r"(child \d+ up[^^]*?){2}")
        pids = parent.tree()[1:]
        parent.kill()
        wait_gone(pids)
        assert "the process that started this one is gone" in parent.log


def test_a_command_that_cannot_be_run_is_tried_again() -> None:
    program = """
import logging, sys
from channels_bridge.worker.supervisor import Supervisor
logging.basicConfig(level=logging.INFO)
sys.exit(Supervisor(["/nowhere/at/all"], 1, drain_timeout=1.0).run())
"""
    with ManagedProcess([sys.executable, "-c", program]) as supervisor:
        supervisor.wait_for_log(r"(cannot be started[^^]*){2}")
        supervisor.sigterm()
        assert supervisor.wait() == 0


# -- steering --------------------------------------------------------------------------------------------------


def test_hup_replaces_one_after_the_other_and_each_only_once_its_successor_serves() -> None:
    with Supervised("warm", 3) as supervisor:
        supervisor.wait_serving(3)
        old = supervisor.children
        supervisor.signal(signal.SIGHUP)
        supervisor.wait_for_log(r"(serves: \d+ is told to stop[^^]*){3}")
        new = supervisor.children[3:]
        assert len(new) == 3
        wait_gone(old)
        assert all(alive(pid) for pid in new)
        told = [line for line in supervisor.log.splitlines() if "to replace" in line or "is told to stop" in line]
        assert ["replace" in line for line in told] == [True, False] * 3


@pytest.mark.parametrize("word", ["3", "78", "1"])
def test_a_reload_that_brings_nobody_up_leaves_the_old_ones(tmp_path: Path, word: str) -> None:
    kind = tmp_path / "kind"
    kind.write_text("warm")
    with Supervised(str(kind), 2) as supervisor:
        supervisor.wait_serving(2)
        old = supervisor.children
        kind.write_text(word)
        supervisor.signal(signal.SIGHUP)
        supervisor.wait_for_log("the 2 worker processes that run are kept")
        assert all(alive(pid) for pid in old)
        assert len(supervisor.children) == 3
        kind.write_text("warm")
        supervisor.signal(signal.SIGHUP)
        supervisor.wait_for_log(r"(serves: \d+ is told to stop[^^]*){2}")
        wait_gone(old)


def test_a_child_that_cannot_be_restarted_does_not_end_those_that_serve(tmp_path: Path) -> None:
    kind = tmp_path / "kind"
    kind.write_text("warm")
    with Supervised(str(kind), 2) as supervisor:
        supervisor.wait_serving(2)
        first, second = supervisor.children
        kind.write_text("3")
        os.kill(first, signal.SIGKILL)
        supervisor.wait_children(4)
        assert alive(second)
        kind.write_text("warm")
        supervisor.wait_for_log(r"up[^^]*up[^^]*exited with 3[^^]*started")
        supervisor.sigterm()
        assert supervisor.wait() == 0


def test_a_child_that_asks_for_it_is_replaced_and_works_on_until_then() -> None:
    with Supervised("warm", 1) as supervisor:
        supervisor.wait_serving(1)
        [old] = supervisor.children
        os.kill(old, signal.SIGUSR1)
        new = supervisor.wait_children(2)[-1]
        wait_gone([old])
        assert alive(new)
        assert supervisor.said("term 1") == 1
        assert f"worker process {new} serves: {old} is told to stop" in supervisor.log


def test_a_child_that_asks_for_a_successor_which_cannot_start_stays(tmp_path: Path) -> None:
    kind = tmp_path / "kind"
    kind.write_text("warm")
    with Supervised(str(kind), 1) as supervisor:
        supervisor.wait_serving(1)
        [old] = supervisor.children
        kind.write_text("3")
        os.kill(old, signal.SIGUSR1)
        supervisor.wait_for_log("the 1 worker processes that run are kept")
        assert alive(old)
        kind.write_text("warm")
        supervisor.wait_for_log("is told to stop")
        wait_gone([old])


def test_an_old_one_that_dies_meanwhile_leaves_its_place_to_the_successor(tmp_path: Path) -> None:
    kind = tmp_path / "kind"
    kind.write_text("warm")
    with Supervised(str(kind), 1) as supervisor:
        supervisor.wait_serving(1)
        [old] = supervisor.children
        kind.write_text("silent")
        supervisor.signal(signal.SIGHUP)
        new = supervisor.wait_children(2)[-1]
        os.kill(old, signal.SIGKILL)
        supervisor.wait_for_log(f"worker process {old} was killed by SIGKILL")
        os.kill(new, signal.SIGKILL)
        third = supervisor.wait_children(3)[-1]
        assert alive(third)


def test_what_was_told_to_stop_and_does_not_is_killed(tmp_path: Path) -> None:
    kind = tmp_path / "kind"
    kind.write_text("deaf")
    with Supervised(str(kind), 1, drain_timeout=0.2) as supervisor:
        supervisor.wait_serving(1)
        [old] = supervisor.children
        kind.write_text("warm")
        supervisor.signal(signal.SIGHUP)
        supervisor.wait_for_log(f"worker process {old} did not end in time and is killed")
        wait_gone([old])
        supervisor.sigterm()
        assert supervisor.wait() == 0


def test_a_terminal_that_is_closed_is_a_request_to_stop() -> None:
    """Its hang-up has the same number as a wish to reload."""
    terminal, stdin = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, STAND_IN, "warm", "1", "30", ""]
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        os.close(stdin)
        assert process.stdout is not None
        wait_for_line(process.stdout, "serves")
        process.send_signal(signal.SIGHUP)
        wait_for_line(process.stdout, "is told to stop")
        os.close(terminal)
        process.send_signal(signal.SIGHUP)
        wait_for_line(process.stdout, "stopping: connections have up to")
        process.stdout.read()
        assert process.wait(10.0) == 0


def wait_for_line(output: IO[str], words: str) -> None:
    assert any(words in line for line in output), f"{words} never came"


def test_ttin_is_one_more_and_ttou_one_less_but_never_none() -> None:
    with Supervised("warm", 1) as supervisor:
        supervisor.wait_serving(1)
        supervisor.signal(signal.SIGTTIN)
        first, second = supervisor.wait_children(2)
        supervisor.wait_serving(2)
        supervisor.signal(signal.SIGTTOU)
        wait_gone([second])
        supervisor.signal(signal.SIGTTOU)
        supervisor.signal(signal.SIGTTIN)
        supervisor.wait_children(3)
        assert alive(first)
        assert "one worker process more: 2" in supervisor.log
        assert "one worker process less: 1" in supervisor.log
        assert "less: 0" not in supervisor.log


def test_one_that_persists_waits_for_a_reload(tmp_path: Path) -> None:
    kind = tmp_path / "kind"
    kind.write_text("3")
    with Supervised(str(kind), 1, parent_fd="persistent") as supervisor:
        supervisor.wait_for_log("waiting for a change")
        kind.write_text("warm")
        supervisor.signal(signal.SIGHUP)
        assert alive(supervisor.wait_children(2)[-1])
        supervisor.sigterm()
        assert supervisor.wait() == 0


def test_the_grace_is_some_seconds() -> None:
    assert 2.0 <= GRACE <= 10.0
