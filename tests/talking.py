"""Clients that exchange numbered messages all the time, and know what is wrong with an answer.

The consumer says back what it was told, how many messages its socket has sent, its process id, and what else there is:
so what is lost, handled twice with effect, or out of order shows at once, and a socket that is closed as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from websockets.sync.client import ClientConnection

PATIENCE = 20.0  # seconds for an answer: a frozen worker is noticed late
LOOK = 0.01


class Talk:
    """Sockets in threads of their own, each ``ahead`` messages ahead of its answers; ``pause``: seconds between two."""

    def __init__(self, sockets: Sequence[ClientConnection], *, ahead: int = 1, pause: float = 0.0) -> None:
        self.rounds = 0
        self.wrong: list[str] = []
        self.pids: set[int] = set()  # of the workers that have answered
        self.extras: set[str] = set()  # what they say besides
        self._ahead, self._pause = ahead, pause
        self._over = False
        self._threads = [threading.Thread(target=self._talk, args=(socket,)) for socket in sockets]
        for thread in self._threads:
            thread.start()

    def _talk(self, socket: ClientConnection) -> None:
        sent = heard = 0
        try:
            while not (self._over and sent == heard):
                while not self._over and sent < heard + self._ahead:
                    sent += 1
                    socket.send(str(sent))
                if heard < sent:
                    heard += 1
                    self._hear(heard, str(socket.recv(timeout=PATIENCE)))
                    time.sleep(self._pause)
        except Exception as error:
            self.wrong.append(repr(error))

    def _hear(self, number: int, text: str) -> None:
        said, count, pid, *extras = text.split()
        if (said, count) != (str(number), str(number)):
            raise ValueError(f"message {number} was answered with {said}, counted {count}")
        self.pids.add(int(pid))
        self.extras.update(extras)
        self.rounds += 1

    def go_on(self, rounds: int) -> None:
        """Return when so many more messages were answered."""
        goal = self.rounds + rounds
        self.until(lambda: self.rounds >= goal)

    def until(self, condition: Callable[[], bool]) -> None:
        """Go on until that holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition() and not self.wrong:
            assert time.monotonic() < deadline, "it does not come to that"
            time.sleep(LOOK)

    def end(self) -> None:
        """Stop talking, and say what went wrong."""
        self._over = True
        for thread in self._threads:
            thread.join()
        assert self.wrong == []
