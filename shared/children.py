"""Child processes: they cannot outlive us, and they are ended in three steps.

A child lives in a session of its own, so that Ctrl-C in a terminal reaches its parent alone, which decides.
It is told ``--parent-fd N``, one end of a pair of sockets into which we never write. Only we have the other
end: whatever ends us, SIGKILL too, closes it; then the child reads an end of file and ends as well. In the other
direction a child may say something of itself: single bytes, :class:`Word`.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from types import FrameType
from typing import Self


class Word(bytes, Enum):
    """What a child says of itself, each once."""

    SERVING = b"s"  # it does its work
    RETIRING = b"r"  # it wants to be replaced, and works on until it is told to stop

    def say(self, parent_fd: int) -> None:
        """Say it to who has started this process; no error if that is gone, or does not listen."""
        with contextlib.suppress(OSError):
            os.write(parent_fd, self.value)


class Child:
    """A process, started as it is made; ``OSError`` if it cannot be. Call :meth:`poll` when SIGCHLD comes."""

    def __init__(self, command: Sequence[str]) -> None:
        ours, its = (end.detach() for end in socket.socketpair())
        try:
            self._process = subprocess.Popen(
                [*command, "--parent-fd", str(its)],
                stdin=subprocess.DEVNULL,  # a session of its own has no terminal to read from
                pass_fds=(its,),
                start_new_session=True,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(its)
        os.set_blocking(ours, False)
        self._lifeline = ours
        self._silent = False
        self.said: set[Word] = set()
        self.pid = self._process.pid
        self.started = time.monotonic()

    @property
    def voice(self) -> int | None:
        """What becomes readable when it says something, for :meth:`Signals.wait`; None: it is silent for good."""
        return self._lifeline if self._lifeline >= 0 and not self._silent else None

    def listen(self) -> None:
        """Note in :attr:`said` what it has said."""
        if self.voice is None:
            return
        with contextlib.suppress(BlockingIOError, ConnectionError):
            words = os.read(self._lifeline, 64)
            self._silent = not words  # it has closed its end; that it has ended is another matter
            self.said.update(word for word in Word if word.value in words)

    def poll(self) -> int | None:
        """Give the exit status (negative: the signal that killed it), or None while it runs."""
        status = self._process.poll()
        if status is not None and self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        return status

    def terminate(self) -> None:
        """Ask it to end. No error if it is gone."""
        self._process.terminate()

    def hurry(self) -> None:
        """Ask once more, in another way: two SIGTERMs, one upon the other, would reach it as one."""
        self._process.send_signal(signal.SIGINT)

    def reload(self) -> None:
        """Ask a supervisor to replace its processes. No error if it is gone."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it and what it has started in its session."""
        if self.poll() is None:  # not reaped, so the number is still its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


class News(Enum):
    """What :class:`Signals` tells."""

    STOP = "stop"  # TERM or INT
    CHILD = "child"  # some child has ended: poll them
    WORD = "word"  # some child has said something: listen to them
    ORPHANED = "orphaned"  # our own parent is gone; told once
    RELOAD = "reload"  # HUP
    MORE = "more"  # TTIN
    FEWER = "fewer"  # TTOU


_MEANING: dict[int, News] = {signal.SIGTERM: News.STOP, signal.SIGINT: News.STOP, signal.SIGCHLD: News.CHILD}
STEERING: dict[int, News] = {signal.SIGHUP: News.RELOAD, signal.SIGTTIN: News.MORE, signal.SIGTTOU: News.FEWER}


class Signals:
    """TERM, INT, the end of a child and of our parent, as news to wait for. Enter it in the main thread.

    ``parent_fd``: the number behind ``--parent-fd``, if we were given one. ``steering``: further signals that are news.
    """

    def __init__(self, parent_fd: int | None = None, steering: Mapping[int, News] | None = None) -> None:
        self._parent_fd = parent_fd
        self._meaning = {**_MEANING, **(steering or {})}

    def __enter__(self) -> Self:
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(writing, False)
        # The handlers do nothing: it is the interpreter that writes each signal's number into the pipe.
        self._before = {number: signal.signal(number, _nothing) for number in self._meaning}
        self._writing, self._fd_before = writing, signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reading)
        os.close(self._writing)

    def wait(self, timeout: float, children: Iterable[Child] = ()) -> list[News]:
        """Wait for news, at most ``timeout`` seconds (``math.inf``: for ever); none come when it runs out.

        A word of one of the ``children`` is news, too.
        """
        own = [self._reading] if self._parent_fd is None else [self._reading, self._parent_fd]
        voices = [child.voice for child in children if child.voice is not None]
        patience = None if timeout == math.inf else max(0.0, timeout)
        readable, _, _ = select.select([*own, *voices], [], [], patience)
        news: list[News] = []
        if self._reading in readable:
            news = [self._meaning[number] for number in os.read(self._reading, 4096) if number in self._meaning]
        if self._parent_fd is not None and self._parent_fd in readable:
            self._parent_fd = None
            news.append(News.ORPHANED)
        if any(voice in readable for voice in voices):
            news.append(News.WORD)
        return news


def _nothing(number: int, frame: FrameType | None) -> None: ...


def stop(
    children: Sequence[Child], signals: Signals, patience: float, cold: float, *, hurried: bool = False
) -> list[Child]:
    """End all children; return, when none is left, those that had to be killed.

    They get SIGTERM and ``patience`` seconds. When we are asked to stop a second time, which ``hurried`` says was
    before, they get SIGINT and ``cold`` seconds. When we are asked yet again, or the time is over, SIGKILL.
    """
    killed: list[Child] = []
    asked = 2 if hurried else 1
    deadline = time.monotonic() + (cold if hurried else patience)
    for child in children:
        child.terminate()
        if hurried:
            child.hurry()
    while living := [child for child in children if child.poll() is None]:
        for news in signals.wait(deadline - time.monotonic()):
            if news in (News.STOP, News.ORPHANED):
                asked += 1
                for child in living:
                    child.hurry()
                deadline = min(deadline, time.monotonic() + cold)
        if not killed and (asked > 2 or time.monotonic() >= deadline):
            killed = [child for child in living if child.poll() is None]
            for child in killed:
                child.kill()
            deadline = math.inf  # nothing is left to be tried
    return killed


def ending(status: int) -> str:
    """Say how a process ended: "exited with 1", "was killed by SIGKILL"."""
    if status >= 0:
        return f"exited with {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
