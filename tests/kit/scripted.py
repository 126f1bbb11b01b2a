"""Scripted consumers and applications for :mod:`.pair`: each does one thing when it is told to.

What a host gives the bridge for its client it gives in *parts*: a turn's commit, one early commit, one OUTPUT, one
SAVE. Every part says in ``state`` what the host would go on from, so that a model can tell what was applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels_bridge.shared import frames
from channels_bridge.shared.frames import Effect, Frame
from channels_bridge.worker.core.mailbox import Mailbox

if TYPE_CHECKING:
    from .pair import Worker


@dataclass(frozen=True, slots=True)
class Part:
    """What a host gave the bridge in one frame. ``events``: those for its own client."""

    seq: int  # of the turn; of a SAVE, what it acknowledges; 0: an OUTPUT
    events: list[bytes]
    state: bytes = b""  # empty: as it was
    done: bool = True  # False: an early commit, the turn goes on


class Host:
    """One hosted connection: a consumer, or an ASGI application, without code of its own."""

    def __init__(self, worker: Worker, mailbox: Mailbox) -> None:
        self.worker = worker
        self.mailbox = mailbox
        self.boot = worker.session.boot  # of the bridge that has the connection
        self.peer = worker.cable.peer  # what its session's socket is called there
        self.first = mailbox.next_seq - len(mailbox.queue)  # seq of the first message that it will get
        self.turn: frames.Message | None = None  # with turns: the message that is being handled
        self.said: list[Effect] = []  # recorded in the turn, not committed yet
        self.handled: list[tuple[int, bytes]] = []  # (seq, event) of all that it has got hold of
        self.parts: list[Part] = []  # in the order in which they left; the last may have got no further than the socket
        self.ended = False
        self.adopted = bool(mailbox.state)  # and has not said yet that it goes on with it
        self.kept = [int(seq) for seq in mailbox.state.split()[1:]]  # its state: seqs that it has handled
        assert mailbox.state.split()[:1] in ([], [b"%d" % mailbox.conn]), "the state is of another connection"

    @property
    def may_take(self) -> bool:
        """Say whether a message waits that may be handled now."""
        return bool(self.mailbox.queue) and self.turn is None and self.lives and self.worker.may_act

    @property
    def is_unsaved(self) -> bool:
        """Say whether an application that saves has received what no SAVE has said yet."""
        said = max((part.seq for part in self.parts), default=0)
        return self.worker.saves and bool(self.handled) and self.handled[-1][0] > said

    @property
    def lives(self) -> bool:
        """Say whether the bridge still waits for it. To a client that is gone nothing is sent; the rest goes on."""
        return self.mailbox.over in ("", "gone") and not self.ended

    def resume(self) -> None:
        """Say that it goes on with the state that it was given."""
        self.adopted = False
        if self.lives:
            self.worker.send(frames.Resumed(self.mailbox.conn, self.mailbox.epoch))

    def take(self) -> bytes:
        """Begin a turn with the next message; without turns receive it. An application that saves says so then."""
        if self.adopted:
            self.resume()
        message = self.mailbox.queue.popleft()
        self.handled.append((message.seq, message.event))
        if self.worker.has_turns:
            self.turn = message
        elif self.worker.saves:
            self.kept.append(message.seq)
        else:
            self._put(frames.Output(self.mailbox.conn, self.mailbox.epoch, message.seq, [], "", ""))
        return message.event

    def ask(self) -> None:
        """Ask for the first message of a client that waits for that."""
        self._put(frames.Output(self.mailbox.conn, self.mailbox.epoch, 0, [], "", ""))

    def record(self, *effects: Effect) -> None:
        """Send, in a turn: kept until its commit."""
        self.said += effects

    def send(self, event: bytes) -> bool:
        """Send to the client at once, if there is credit: an application's ``send()``, a consumer's between turns."""
        if self.ended or self.mailbox.over or not self.mailbox.may_send:
            return False
        self.mailbox.sent += len(event)
        self._output([event])
        return True

    def commit(self, *effects: Effect, done: bool = True, keeps: bool = True) -> None:
        """End the turn, or with ``done=False`` commit early. ``keeps``: its state has changed."""
        turn = self.turn
        assert turn is not None
        self.record(*effects)
        said, self.said = self.said, []
        if done:
            self.turn = None
        if keeps and turn.seq not in self.kept:
            self.kept.append(turn.seq)
        state = self._state() if self.worker.on_loss and keeps else b""
        if self.lives:
            commit = frames.Commit(turn.conn, turn.epoch, turn.seq, done, said, state, self.worker.on_loss)
            self._put(commit, Part(turn.seq, _for_client(said), state, done))

    def save(self, *events: bytes) -> None:
        """Commit as an application without turns: all that it has received and sent, and what it keeps."""
        if self.lives:
            acked, state = self.kept[-1] if self.kept else 0, self._state()
            frame = frames.Save(self.mailbox.conn, self.mailbox.epoch, acked, list(events), state)
            self.mailbox.sent += sum(map(len, events))
            self._put(frame, Part(acked, list(events), state))

    def fail(self) -> None:
        """Raise in the turn."""
        turn, self.turn = self.turn, None
        assert turn is not None
        self._end(frames.Failed(turn.conn, turn.epoch, turn.seq, "raised", "boom"))

    def refuse(self) -> None:
        """Say that its state is of another release."""
        self._end(frames.Unresumable(self.mailbox.conn, self.mailbox.epoch, "no such attribute"))

    def end(self, *events: bytes) -> None:
        """Return from the ASGI application, with its last words."""
        last = frames.Output(self.mailbox.conn, self.mailbox.epoch, 0, list(events), "returned", "")
        self._end(last, Part(0, list(events)))

    def _end(self, frame: Frame, part: Part | None = None) -> None:
        self.worker.session.forget(self.mailbox)
        if self.lives:
            self._put(frame, part)
        self.ended = True

    def _output(self, events: list[bytes]) -> None:
        frame = frames.Output(self.mailbox.conn, self.mailbox.epoch, 0, events, "", "")
        self._put(frame, Part(0, events))

    def _state(self) -> bytes:
        return b" ".join(b"%d" % number for number in (self.mailbox.conn, *self.kept))

    def _put(self, frame: Frame, part: Part | None = None) -> None:
        if part is not None:
            self.parts.append(part)
        self.worker.send(frame)


def _for_client(effects: Sequence[Effect]) -> list[bytes]:
    return [effect for effect in effects if isinstance(effect, bytes)]
