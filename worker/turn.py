"""One turn: the handling of one message, and what it has done so far."""

from __future__ import annotations

from ..shared import frames
from ..shared.errors import LocalProtocolError
from ..shared.wire import MAX_ARRAY
from .overseer import Run

EFFECT = 8  # bytes on the wire around one effect, about


class Turn:
    """What one turn has done so far."""

    __slots__ = ("effects", "run", "seq", "since", "size", "state")

    def __init__(self, seq: int, since: float) -> None:
        self.seq = seq  # 0: a disconnect that was made up here; there is nobody to commit to
        self.since = since
        self.effects: list[frames.Effect] = []  # for the client, and what was asked of the channel layer, in order
        self.size = 0
        self.state = b""  # of a resumable consumer at the end; empty: as it was
        self.run: Run | None = None  # of its handler, if there is a time limit

    @property
    def given_up(self) -> bool:
        """Say whether it counts as ended though its handler may still run: nothing of it may happen any more."""
        return self.run is not None and self.run.given_up

    @property
    def outcome(self) -> str:
        """Say what it is, as in FAILED, if an exception ends it."""
        return "timeout" if self.run is not None and (self.run.interrupted or self.run.given_up) else "raised"

    def record(self, effect: frames.Effect, limit: int) -> None:
        """Keep an effect for the commit. Raises ``LocalProtocolError`` when all have more than ``limit`` bytes."""
        self.size += EFFECT + (len(effect) if isinstance(effect, bytes) else _size(effect))
        if self.size > limit:
            raise LocalProtocolError(
                f"this turn has sent more than turn_bytes, {limit}, before its commit: flush() now and then"
            )
        if len(self.effects) >= MAX_ARRAY:
            raise LocalProtocolError(
                f"this turn has sent {MAX_ARRAY} messages before its commit, the most there can be: flush() in between"
            )
        self.effects.append(effect)

    def take(self) -> Turn:
        """Move what was done so far into a turn of its own, for an early commit."""
        early = Turn(self.seq, self.since)
        early.effects, self.effects = self.effects, []
        early.state, self.state = self.state, b""
        self.size = 0
        return early


def _size(frame: frames.LayerFrame) -> int:
    """Give the bytes of a frame, about."""
    if isinstance(frame, frames.GroupSend):
        return len(frame.event) + sum(map(len, frame.exclude))
    return len(frame.channel) + (len(frame.event) if isinstance(frame, frames.ChannelSend) else len(frame.group))
