"""A parent and its children, with real processes: nothing else has signals, sessions and pipes."""

import math
import os
import signal
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from channels_bridge.shared.children import STEERING, Child, News, Signals, Word, ending, stop

pytestmark = pytest.mark.system

# It notes what happens to it in a file, and ends with the SIGTERM or SIGINT of this number.
CHILD = """
import os, signal, sys, time
notes, last = open(sys.argv[1], "a", buffering=1), float(sys.argv[2])
fd = int(sys.argv[sys.argv.index("--parent-fd") + 1])
asked = 0
def ask(number, _):
    global asked
    asked += 1
    os.write(notes.fileno(), signal.Signals(number).name.encode() + b"\\n")  # the other may come at any point
    if asked >= last:
        os._exit(0)
signal.signal(signal.SIGTERM, ask)
signal.signal(signal.SIGINT, ask)
notes.write("up\\n")
os.read(fd, 1)
notes.write("orphaned\\n")
"""
NEVER = 1000


class Family:
    """Starts children that keep notes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.children: list[Child] = []

    def child(self, terms: int) -> Child:
        file = self._folder / f"notes-{len(self.children)}"
        child = Child([sys.executable, "-S", "-c", CHILD, str(file), str(terms)])
        self.children.append(child)
        wait_for(file, "up")
        return child

    def file(self, child: Child) -> Path:
        return self._folder / f"notes-{self.children.index(child)}"

    def notes(self, child: Child) -> list[str]:
        return self.file(child).read_text().split()


def wait_for(file: Path, word: str) -> None:
    deadline = time.monotonic() + 10.0
    while not file.exists() or word not in file.read_text():
        assert time.monotonic() < deadline, f"{word} never came"
        time.sleep(0.01)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    for child in family.children:
        child.kill()
        while child.poll() is None:
            time.sleep(0.01)


@contextmanager
def parent_pipe() -> Generator[tuple[int, int], None, None]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)


def test_a_child_has_a_session_of_its_own_and_sees_the_end_of_its_parent(family: Family) -> None:
    child = family.child(1)
    assert os.getsid(child.pid) == child.pid
    os.close(child._lifeline)  # as the kernel does when a process ends
    child._lifeline = -1
    with Signals() as signals:
        while child.poll() is None:
            signals.wait(1.0)
    assert child.poll() == 0
    assert family.notes(child) == ["up", "orphaned"]


def test_no_descriptor_is_left_open(family: Family) -> None:
    before = len(os.listdir("/dev/fd"))
    child = family.child(1)
    with Signals() as signals:
        stop([child], signals, 10.0, 10.0)
    assert len(os.listdir("/dev/fd")) == before


def test_a_command_that_is_not_there_leaves_no_descriptor_open() -> None:
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(FileNotFoundError):
        Child(["/nowhere/at/all"])
    assert len(os.listdir("/dev/fd")) == before


def test_signals_become_news_and_handlers_come_back() -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)}
    with Signals() as signals:
        assert signals.wait(0.0) == []
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGCHLD)
        assert signals.wait(math.inf) == [News.STOP, News.STOP, News.CHILD]
    assert {n: signal.getsignal(n) for n in before} == before


def test_the_end_of_the_parent_is_told_once() -> None:
    with parent_pipe() as (reading, writing), Signals(reading) as signals:
        assert signals.wait(0.0) == []
        os.close(writing)
        assert signals.wait(math.inf) == [News.ORPHANED]
        assert signals.wait(0.0) == []


def test_stop_returns_when_all_have_ended(family: Family) -> None:
    children = [family.child(1), family.child(1)]
    with Signals() as signals:
        assert stop(children, signals, 10.0, 10.0) == []
    assert [child.poll() for child in children] == [0, 0]


def test_stop_kills_what_is_left_after_its_patience(family: Family) -> None:
    good, deaf = family.child(1), family.child(NEVER)
    with Signals() as signals:
        assert stop([good, deaf], signals, 0.5, 10.0) == [deaf]
    assert (good.poll(), deaf.poll()) == (0, -signal.SIGKILL)
    assert family.notes(deaf) == ["up", "SIGTERM"]


def test_a_second_request_is_passed_on(family: Family) -> None:
    """When the child has noted the first."""
    child = family.child(2)
    program = f"""
import os, sys, time
while "SIGTERM" not in open({str(family.file(child))!r}).read():
    time.sleep(0.01)
os.kill({os.getpid()}, 15)
"""
    asking = Child([sys.executable, "-S", "-c", program])
    with Signals() as signals:
        assert stop([child], signals, 10.0, 10.0) == []
        stop([asking], signals, 10.0, 10.0)
    assert child.poll() == 0
    assert family.notes(child) == ["up", "SIGTERM", "SIGINT"]


def test_a_second_request_shortens_the_patience(family: Family) -> None:
    deaf = family.child(NEVER)
    began = time.monotonic()
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        assert stop([deaf], signals, 60.0, 0.2) == [deaf]
    assert time.monotonic() - began < 30.0


def test_who_was_asked_twice_before_says_so_at_once(family: Family) -> None:
    child = family.child(2)
    with Signals() as signals:
        assert stop([child], signals, 60.0, 10.0, hurried=True) == []
    assert sorted(family.notes(child)) == ["SIGINT", "SIGTERM", "up"]


def test_a_third_request_kills_at_once(family: Family) -> None:
    deaf = family.child(NEVER)
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop([deaf], signals, 60.0, 60.0) == [deaf]
    assert deaf.poll() == -signal.SIGKILL


def test_a_child_that_is_gone_can_be_asked_and_killed_again(family: Family) -> None:
    child = family.child(1)
    with Signals() as signals:
        stop([child], signals, 10.0, 10.0)
    child.terminate()
    child.kill()
    assert child.poll() == 0


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "exited with 0"),
        (3, "exited with 3"),
        (-9, "was killed by SIGKILL"),
        (-120, "was killed by signal 120"),
    ],
)
def test_endings_are_readable(status: int, text: str) -> None:
    assert ending(status) == text


# -- what children say, and what else is news ------------------------------------------------------------------

TALKER = """
import os, sys, time
fd = int(sys.argv[sys.argv.index("--parent-fd") + 1])
os.write(fd, sys.argv[1].encode())
os.close(fd)
time.sleep(60)
"""


def test_what_a_child_says_is_news_and_its_silence_is_not() -> None:
    child = Child([sys.executable, "-S", "-c", TALKER, "sr"])
    try:
        assert child.said == set()
        child.listen()  # too early is no error
        with Signals() as signals:
            while child.voice is not None:
                assert News.WORD in signals.wait(10.0, [child])
                child.listen()
            assert child.said == {Word.SERVING, Word.RETIRING}
            assert signals.wait(0.05, [child]) == []  # it has closed its end, which is no reason to wake for ever
            child.listen()
    finally:
        child.kill()
        while child.poll() is None:
            time.sleep(0.01)
    assert child.voice is None


def test_a_word_to_nobody_is_lost() -> None:
    with parent_pipe() as (reading, writing):
        Word.SERVING.say(reading)
        os.close(writing)
        Word.SERVING.say(reading)


def test_a_wish_to_reload_is_hup() -> None:
    child = Child([sys.executable, "-c", "import time; time.sleep(60)"])
    child.reload()
    while child.poll() is None:
        time.sleep(0.01)
    assert child.poll() == -signal.SIGHUP
    child.reload()


def test_further_signals_are_news_where_they_are_asked_for() -> None:
    before = {number: signal.getsignal(number) for number in STEERING}
    with Signals(steering=STEERING) as signals:
        for number in STEERING:
            signal.raise_signal(number)
        assert signals.wait(10.0) == [News.RELOAD, News.MORE, News.FEWER]
    assert {number: signal.getsignal(number) for number in STEERING} == before


def test_they_are_no_reason_to_hurry_an_end(family: Family) -> None:
    child = family.child(2)
    with Signals(steering=STEERING) as signals:
        signal.raise_signal(signal.SIGHUP)
        assert stop([child], signals, 0.3, 10.0) == [child]
    assert family.notes(child) == ["up", "SIGTERM"]
