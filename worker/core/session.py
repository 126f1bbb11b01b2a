"""One bridge, seen by this worker: greeting, lease, hosted connections, end.

A session ends for good: when the bridge says so, when its connection is cut, or when the lease runs out, which is
before the bridge gives this worker's connections away (shared/liveness.py). Then a new session begins on a new
socket, with HELLO. No await, no I/O, no clock, no log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...shared import frames
from ...shared.config import Config
from ...shared.frames import Frame
from ...shared.liveness import back_off, lease_holds
from ...shared.transitions import SESSION, SessionEvent, may, step
from ...shared.transitions import Session as State
from .actions import Action, Hear, Log, Over, Reconnect, Send, Start, Up, Wake
from .mailbox import Mailbox
from .orphans import BEYOND_VERDICT, Orphans

REFUSED_DELAY = 30.0  # seconds until another try after REFUSE: somebody has to change something first


class Session:
    """The worker's end of one link. ``failures``: sessions before this one that came to nothing.

    ``draining``: say so at once.
    """

    def __init__(
        self,
        hello: frames.Hello,
        config: Config,
        emit: Callable[[Action], None],
        failures: int = 0,
        *,
        draining: bool = False,
    ) -> None:
        self.state = State.CONNECTING
        self.link_epoch = 0
        self.boot = 0  # of the bridge, from WELCOME on
        self.max_message_bytes = config.max_message_bytes
        self.turn_bytes = config.turn_bytes
        self.mailboxes: dict[int, Mailbox] = {}  # conn -> hosted connection
        self.orphans = Orphans(emit, config.verdict + BEYOND_VERDICT)  # of this session and those before it
        self.fenced = 0  # frames about connections that are not ours (any more)
        self.failures = failures
        self.draining = draining  # this worker wants no new connections, from nobody
        self._hello = hello
        self._config = config
        self._emit = emit
        self._lease = config.lease
        self._beat = config.beat
        self._greeted_at = 0.0
        self._beat_sent = 0.0
        self._acknowledged = 0.0  # when we sent the last beat that the bridge answered

    def next(self) -> Session:
        """Make the session that follows this one."""
        session = Session(self._hello, self._config, self._emit, self.failures, draining=self.draining)
        session.orphans = self.orphans
        return session

    @property
    def ready(self) -> bool:
        """True between WELCOME and the end."""
        return self.state is State.READY or self.state is State.DRAINING

    def may_act(self, now: float) -> bool:
        """Say whether the lease holds. Asked before each turn and before each send; a lapse ends the session.

        A beat that is answered late must not revive it: what was not sent in between would be missing.
        """
        if not self.ready:
            return False
        if lease_holds(now, self._acknowledged, self._lease):
            return True
        self.lost(f"no beat was answered for {self._lease:g} s")
        return False

    @property
    def acknowledged(self) -> float:
        """When the last beat was sent that the bridge has answered: it has acted on all that was sent before."""
        return self._acknowledged

    def hurry(self) -> None:
        """Beat at the next tick, however long ago the last one was."""
        self._beat_sent = -self._beat

    # -- the socket --------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """Greet: the socket has reached a bridge."""
        self.state = step(SESSION, self.state, SessionEvent.CONNECTED)
        self._greeted_at = self._beat_sent = now
        self._emit(Send(self._hello))

    def lost(self, reason: str, delay: float | None = None, *, expected: bool = False) -> None:
        """End the session: the connection was cut, or something that amounts to it.

        ``expected``: the bridge stops, and takes the connections along.
        """
        if not may(SESSION, self.state, SessionEvent.LOST):
            return
        was_ready = self.ready
        self.state = step(SESSION, self.state, SessionEvent.LOST)
        if was_ready:
            level = "info" if expected or not self.mailboxes else "warning"
            self._emit(Log(level, f"lost the bridge ({reason}), with {len(self.mailboxes)} connections"))
            self._emit(Over(self.boot))
        for mailbox in list(self.mailboxes.values()):
            if mailbox.resumable and not expected:
                self.forget(mailbox)
                self.orphans.add(self.boot, mailbox)
            else:
                self._end(mailbox, "lost")
        if expected:
            self.orphans.end()
        failures = 0 if was_ready else self.failures + 1
        self.failures = failures
        self._emit(Reconnect(back_off(failures) if delay is None else delay))

    def drain(self) -> None:
        """Ask for no new connections."""
        self.draining = True
        if self.ready:
            self.state = step(SESSION, self.state, SessionEvent.DRAIN)
            self._emit(Send(frames.Drain()))

    def close(self, reason: str) -> None:
        """Say goodbye; what is still hosted is the bridge's to deal with: it gives resumable consumers to others."""
        if not may(SESSION, self.state, SessionEvent.CLOSE):
            return
        was_ready = self.ready
        if was_ready:
            self._emit(Send(frames.Goodbye(reason)))
        self.state = step(SESSION, self.state, SessionEvent.CLOSE)
        if was_ready:
            self._emit(Over(self.boot))
        self.orphans.drop()
        for mailbox in list(self.mailboxes.values()):
            self._end(mailbox, "moved" if mailbox.resumable else "lost")

    def tick(self, now: float, oldest: float) -> None:
        """Beat, and look at the lease. ``oldest``: seconds for which the oldest running turn has been running."""
        self.orphans.tick(now)
        if self.state is State.GREETING and now - self._greeted_at >= self._config.hello:
            self.lost("it does not answer HELLO")
        elif self.may_act(now) and now - self._beat_sent >= self._beat:
            self._beat_sent = now
            self._emit(Send(frames.Beat(now, 0.0, oldest)))

    # -- frames ------------------------------------------------------------------------------------------------

    def receive(self, link_epoch: int, received: Sequence[Frame]) -> None:
        """Take what the bridge sent."""
        for frame in received:
            if isinstance(frame, frames.Message) and link_epoch == self.link_epoch:
                self._message(frame)
            elif type(frame) is frames.Welcome and self.state is State.GREETING:
                self._welcome(frame)
            elif self.ready and link_epoch == self.link_epoch and (self._of_layer(frame) or self._of_connection(frame)):
                pass
            else:
                self._of_link(frame)

    def _of_layer(self, frame: Frame) -> bool:
        """Deal with a frame of the channel layer; False if it is of another kind."""
        if type(frame) is frames.FanOut:
            targets = iter(frame.targets)
            for conn, epoch, seq in zip(targets, targets, targets, strict=False):
                self._message(frames.Message(conn, epoch, seq, 1, frame.event))
        elif type(frame) in _OF_LAYER:
            self._emit(Hear(self.boot, frame))
        else:
            return False
        return True

    def _message(self, frame: frames.Message) -> None:
        mailbox = self.mailboxes.get(frame.conn)
        if mailbox is not None and mailbox.put(frame):
            self._emit(Wake(mailbox))
        else:
            self.fenced += 1

    def _welcome(self, frame: frames.Welcome) -> None:
        self.state = step(SESSION, self.state, SessionEvent.WELCOME)
        self.link_epoch, self.boot = frame.link_epoch, frame.boot
        self._lease, self._beat = frame.lease, frame.beat
        self.max_message_bytes, self.turn_bytes = frame.max_message_bytes, frame.turn_bytes
        self._acknowledged = self._greeted_at  # HELLO is the first beat, WELCOME its answer
        self.failures = 0
        self.orphans.met(self.boot)
        self._emit(Log("info", "connected to the bridge"))
        if self.draining:
            self.drain()
        self._emit(Up(self.boot))

    def _of_connection(self, frame: Frame) -> bool:
        """Deal with a frame about a connection; False if it is of another kind."""
        if type(frame) is frames.Adopt:
            self._adopt(frame)
        elif type(frame) is frames.Credit:
            if (mailbox := self._owned(frame.conn, frame.epoch)) is not None:
                mailbox.grant(frame.total)
                self._emit(Wake(mailbox))
        elif type(frame) is frames.Cancel:
            self._cancel(frame)
        else:
            return False
        return True

    def _of_link(self, frame: Frame) -> None:
        if type(frame) is frames.Beat:
            self._acknowledged = max(self._acknowledged, frame.echo)
        elif type(frame) is frames.Reset:
            self.lost(f"reset: {frame.reason}")
        elif type(frame) is frames.Goodbye:
            self.lost(f"it stops: {frame.reason}", expected=True)
        elif type(frame) is frames.Refuse:
            self._emit(Log("error", f"the bridge refused this worker: {frame.text}; next try in {REFUSED_DELAY:g} s"))
            self.lost("refused", REFUSED_DELAY)
        else:
            self.fenced += 1

    def _owned(self, conn: int, epoch: int) -> Mailbox | None:
        mailbox = self.mailboxes.get(conn)
        if mailbox is None or mailbox.epoch != epoch:
            self.fenced += 1
            return None
        return mailbox

    def _adopt(self, frame: frames.Adopt) -> None:
        older = self.mailboxes.get(frame.conn)
        if older is not None:
            if older.epoch >= frame.epoch:
                self.fenced += 1
                return
            self._end(older, "moved" if older.resumable else "lost")
        mailbox = self.mailboxes[frame.conn] = Mailbox(frame)
        self._emit(Start(mailbox))

    def _cancel(self, frame: frames.Cancel) -> None:
        mailbox = self._owned(frame.conn, frame.epoch)
        if mailbox is None:
            return
        if frame.reason == "gone":
            mailbox.over = mailbox.over or "gone"
            self._emit(Wake(mailbox))
        else:
            self._end(mailbox, frame.reason)

    def forget(self, mailbox: Mailbox) -> None:
        """Drop a connection whose application has ended."""
        if self.mailboxes.get(mailbox.conn) is mailbox:
            del self.mailboxes[mailbox.conn]

    def _end(self, mailbox: Mailbox, reason: str) -> None:
        self.forget(mailbox)
        mailbox.over = reason
        self._emit(Wake(mailbox))


_OF_LAYER = frozenset({
    frames.GroupSend, frames.ChannelSend, frames.GroupAdd, frames.GroupDiscard, frames.Answer, frames.Relay,
    frames.Relayed,
})  # fmt: skip
