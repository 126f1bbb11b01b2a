"""Numbered messages and what became of each: no loop, no socket, no clock.

A client says ``<number> <microseconds> <bytes>``: its number on this connection, from 1 on, for how long the consumer
is to burn CPU, and how much memory it is to lose. It is answered ``<number> <count>``, count being how many messages
the consumer has handled so far.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

_leaked: list[bytes] = []


def question(number: int, burn: float, leak: int) -> str:
    """Give what a client says. ``burn``: seconds; ``leak``: bytes."""
    return f"{number} {burn * 1e6:.0f} {leak}"


def reply(text: str, count: int) -> str:
    """Burn CPU and lose memory as asked; give the answer."""
    number, burn, leak = text.split()
    if leak != "0":
        _leaked.append(bytes(int(leak)))
    if burn != "0":
        end = time.thread_time_ns() + int(burn) * 1000
        while time.thread_time_ns() < end:
            pass
    return f"{number} {count}"


@dataclass(slots=True)
class Ledger:
    """Of all messages of all sockets.

    Messages that are ``lost`` were not answered, or are missing in the count; those that are ``duplicated`` were
    answered or counted twice.
    """

    sent: int = 0
    lost: int = 0
    duplicated: int = 0
    disordered: int = 0
    dropped: int = 0  # sockets that were open and are not, by no wish of the client
    refused: int = 0  # handshakes that were answered, but not by 101
    closes: Counter[str] = field(default_factory=Counter[str])  # "code reason" of those that were dropped -> sockets
    stalls: list[float] = field(default_factory=list[float])  # seconds from when a message was due to its answer

    def figures(self) -> dict[str, float]:
        """Give all that is a number; stalls in milliseconds."""
        stalls = sorted(self.stalls)
        return {
            "messages": self.sent, "dropped": self.dropped, "lost": self.lost, "duplicated": self.duplicated,
            "disordered": self.disordered, "refused": self.refused, **quantiles(stalls),
        }  # fmt: skip


def quantiles(stalls: list[float]) -> dict[str, float]:
    """Give p50, p99 and max of sorted seconds, in milliseconds; 0 if there are none."""
    last = len(stalls) - 1
    of = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: stalls[min(last, int(q * len(stalls)))] * 1e3 if stalls else 0.0 for name, q in of.items()}


class Account:
    """The messages of one connection."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._under_way: dict[int, float] = {}  # number -> when it was due
        self._last = 0  # number that was sent
        self._highest = 0  # number that was answered
        self._ahead = 0  # of the count before the number; other than 0 once something was lost or doubled

    @property
    def settled(self) -> bool:
        """True if all was answered."""
        return not self._under_way

    def sent(self, due: float) -> int:
        """Give the number of a message that is sent now."""
        self._last += 1
        self._under_way[self._last] = due
        self._ledger.sent += 1
        return self._last

    def answered(self, text: str, now: float) -> None:
        """Judge an answer."""
        number, count = map(int, text.split())
        due = self._under_way.pop(number, None)
        if due is None:
            self._ledger.duplicated += 1
            return
        self._ledger.stalls.append(now - due)
        if number < self._highest:
            self._ledger.disordered += 1
            self._ahead += 1  # it has been counted after all
            return
        self._judge(count - number, skipped=number - self._highest - 1)
        self._highest = number

    def _judge(self, ahead: int, skipped: int) -> None:
        """Compare the count with that of the answer before; who was skipped is lost anyway, if nothing comes."""
        change, self._ahead = ahead - self._ahead, ahead
        self._ledger.duplicated += max(0, change)
        self._ledger.lost += max(0, -change - skipped)

    def close(self) -> None:
        """Nothing more will be answered."""
        self._ledger.lost += len(self._under_way)
        self._under_way.clear()
