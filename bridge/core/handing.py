"""Messages on their way into a worker's hands, and in how many frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from ...shared import frames
from .actions import Action, Send
from .connection import Connection
from .pool import Worker

ADOPT_BYTES = 256 * 1024  # of messages that travel in ADOPT; the rest follows it: its reader bounds a frame
FAN_OUT = 3 * 8192  # numbers in one FAN_OUT: lists on the wire have a bound (shared/wire.py)


class Handing:
    """Gives messages to workers. The caller has counted them as sent."""

    def __init__(self, emit: Callable[[Action], None]) -> None:
        self._emit = emit

    def fan_out(self, worker: Worker, event: bytes, targets: list[int]) -> None:
        """Give one message to many: conn, epoch and seq of each."""
        for start in range(0, len(targets), FAN_OUT):
            frame = frames.FanOut(event, targets[start : start + FAN_OUT])
            self._emit(Send(worker.peer, worker.link_epoch, frame))

    def run(self, worker: Worker, event: bytes, run: list[tuple[Connection, int]]) -> None:
        """Give one message to these, each under its seq: a group's travels once for all."""
        if len(run) > 1 and not any(conn.attempt for conn, _ in run):
            targets = [number for conn, seq in run for number in (conn.id, conn.epoch, seq)]
            self.fan_out(worker, event, targets)
            return
        for conn, seq in run:
            self._message(worker, conn, seq, event)

    def next(self, worker: Worker, conn: Connection) -> None:
        """Give the first message that waits, and count it as sent."""
        event = conn.next_event()
        self._message(worker, conn, conn.sent, event)

    def _message(self, worker: Worker, conn: Connection, seq: int, event: bytes) -> None:
        message = frames.Message(conn.id, conn.epoch, seq, conn.attempt + 1, event)
        self._emit(Send(worker.peer, worker.link_epoch, message))


def beginning(journal: Iterable[bytes], most: int | None) -> Iterator[bytes]:
    """Give the first messages: one, and as many more as fit; not more than ``most``."""
    size = 0
    for event in islice(journal, most):
        size += len(event)
        if size > max(ADOPT_BYTES, len(event)):
            return
        yield event
