"""Calls: what was asked of bridges, and which of them still owe an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...shared import frames
from .actions import LayerAction, Settle
from .channels import Waiter

DONE, FULL, UNKNOWN = "", "full", "unknown"  # what answers say
TIMEOUT, CLOSED = "timeout", "closed"  # what is never sent: nobody answered; nobody will


class Call:
    """One call."""

    __slots__ = ("code", "deadline", "frame", "number", "owed", "waiter")

    def __init__(self, number: int, frame: frames.LayerFrame | None, waiter: Waiter, deadline: float) -> None:
        self.number = number
        self.frame = frame  # None: it waits for a link and asks nothing
        self.waiter = waiter
        self.deadline = deadline
        self.code = DONE
        self.owed: set[int] = set()  # boots of bridges; empty: it was not sent, or waits for something else
        waiter.place = self


class Calls:
    """The calls that are not over."""

    def __init__(self, emit: Callable[[LayerAction], None]) -> None:
        self._emit = emit
        self._number = 0
        self._calls: dict[int, Call] = {}  # number -> call
        self._unsent: dict[int, Call] = {}  # those of them that wait for a link, in order

    def __len__(self) -> int:
        return len(self._calls)

    def number(self) -> int:
        """Give a number that nothing else has."""
        self._number += 1
        return self._number

    def make(self, frame: frames.LayerFrame | None, waiter: Waiter, deadline: float) -> Call:
        """Begin a call, which is over at the deadline."""
        call = Call(self.number(), frame, waiter, deadline)
        self._calls[call.number] = call
        return call

    def is_open(self, call: Call) -> bool:
        """Say whether somebody still waits for it."""
        return call.number in self._calls

    def finish(self, call: Call, code: str) -> None:
        """End a call; again is no error."""
        if self._calls.pop(call.number, None) is not None:
            self._unsent.pop(call.number, None)
            call.waiter.result = code
            self._emit(Settle((call.waiter,)))

    def forget(self, call: Call) -> None:
        """End a call for which nobody waits any more. What was sent was sent."""
        self._calls.pop(call.number, None)
        self._unsent.pop(call.number, None)

    # -- links -------------------------------------------------------------------------------------------------

    def hold(self, call: Call) -> None:
        """Let a call wait for a link."""
        self._unsent[call.number] = call

    def held(self) -> Iterable[Call]:
        """Give, once, the calls that have waited for a link."""
        held, self._unsent = self._unsent, {}
        return held.values()

    def answered(self, bridge: int, number: int, code: str) -> None:
        """Take a bridge's answer."""
        call = self._calls.get(number)
        if call is not None and bridge in call.owed:
            call.owed.discard(bridge)
            call.code = call.code or code
            if not call.owed:
                self.finish(call, call.code)

    def lose(self, bridge: int) -> None:
        """Take it that this bridge answers nothing more."""
        for call in [call for call in self._calls.values() if bridge in call.owed]:
            self.answered(bridge, call.number, UNKNOWN if isinstance(call.frame, frames.ChannelSend) else DONE)

    # -- time --------------------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """End the calls whose time is over."""
        for call in [call for call in self._calls.values() if call.deadline <= now]:
            self.finish(call, TIMEOUT)

    def finish_all(self, code: str) -> None:
        """End all calls: nobody will answer them."""
        for call in list(self._calls.values()):
            self.finish(call, code)
