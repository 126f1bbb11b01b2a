"""Hosts consumers: one turn after the other per connection, async ones in the loop, sync ones in threads.

A turn is one message. What the consumer sends and asks of the channel layer is recorded, and travels in the one
COMMIT that ends the turn; if it raises, nothing of it happens.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from ..shared import frames
from ..shared.endpoint import now, wait_in_loop
from ..shared.errors import LocalProtocolError, TimeLimitExceeded
from ..shared.loop import Loop
from ..shared.names import owned_channel
from ..shared.wire import Event, pack_event, unpack_event, unpack_scope
from .asgi import DISCONNECTED
from .building import Consumer, Wanted
from .consumer import ConsumerFactory
from .core.mailbox import OVER, Mailbox
from .done import DONE, Done
from .link import Link
from .messages import COMPLETE, Outgoing, check_length
from .naming import name_of
from .overseer import Run
from .resuming import RESUMED, Keeper, hears_resumed
from .time_limits import Limits, limits_of, limits_to_make
from .turn import Turn

if TYPE_CHECKING:
    from .node import Node

logger = logging.getLogger("channels_bridge.worker")

GONE = ("closed", "lost")  # the connection is gone, and its consumer is told so


class ToClient:
    """The ``send`` of a consumer: records in the turn, sends at once outside of one. From any thread."""

    __slots__ = ("_host",)

    def __init__(self, host: ConsumerHost) -> None:
        self._host = host

    def __call__(self, message: Event) -> Done:
        """Send one ASGI message to the client."""
        self._host.send(message)
        return DONE if self._host.turn is not None else self._host.credit()

    def flush(self) -> Done:
        """Commit early; in a thread, wait until a slow client has taken enough; else awaiting what is returned does."""
        self._host.flush()
        return self._host.credit()

    @property
    def is_gone(self) -> bool:
        """Say whether what is sent goes nowhere. That an HTTP client has gone is known while a turn runs, too."""
        return self._host.client_is_gone


class ConsumerHost:
    """One connection of a consumer."""

    def __init__(self, node: Node, link: Link, mailbox: Mailbox) -> None:
        self._node = node
        self._loop: Loop = node.loop
        self._link = link
        self._mailbox = mailbox
        self._scope = unpack_scope(mailbox.scope)
        self._kind: str = self._scope["type"]
        self._outgoing = Outgoing(self._scope)
        self._consumer: Consumer | None = None
        self._keeper: Keeper | None = None  # of a resumable consumer
        self._limits = Limits()
        self._running = False
        self._resuming = False
        self._was_moved = False  # while it was resumed; that was cancelled
        self._was_complete = False  # at the beginning of this turn: closed, or answered, in an earlier one
        self._thread = threading.get_ident()
        self._changed = node.loop.signal()
        self.turn: Turn | None = None
        self.channel = owned_channel("consumer", link.session.boot, mailbox.conn)

    # -- turns -------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look at the mailbox: something changed."""
        self._changed.set()
        if self._resuming and not self._was_moved and self._mailbox.over == "moved":  # no drain is to wait for it
            self._was_moved = True
            self._node.cancel(self)
        if not self._running and (self._mailbox.queue or self._disconnect_due() or self._mailbox.state):
            self._running = True
            self._node.run(self)

    def _disconnect_due(self) -> bool:
        """Say whether the consumer has to be told that its client, or its bridge, is gone without a word."""
        mailbox = self._mailbox
        if mailbox.over not in GONE or mailbox.disconnected or self._consumer is None:
            return False
        return self._kind == "websocket" or self._outgoing.state is not COMPLETE

    async def run(self) -> None:
        """Take turns while there are messages. Does not raise, but for cancellation."""
        mailbox = self._mailbox
        try:
            if mailbox.state and not await self._resume():
                return
            while mailbox.queue and mailbox.over not in OVER and self._link.may_act():
                message = mailbox.queue.popleft()
                event = unpack_event(message.event)
                if event["type"] in ("http.disconnect", "websocket.disconnect"):
                    mailbox.disconnected = True
                if not await self._take_turn(message.seq, event):
                    return
            if self._disconnect_due():
                mailbox.disconnected = True
                await self._take_turn(0, dict(DISCONNECTED[self._kind]))
        finally:
            self._running = False
            self._node.ended(self)

    async def _take_turn(self, seq: int, event: Event) -> bool:
        """Run one turn and commit it. False: it failed, and the connection is over."""
        turn = self._begin(seq)
        try:
            await self._handle(event)
        except BaseException as error:
            if self._node.ends(error):
                raise
            self._fail(turn, error)
            return False
        finally:
            self.turn = None
            self._node.turns.discard(turn)
        self._commit(turn, done=True)
        return not turn.given_up

    def _begin(self, seq: int) -> Turn:
        turn = self.turn = Turn(seq, now())
        self._was_complete = self._outgoing.state is COMPLETE
        self._node.began(turn)
        return turn

    async def _build(self, turn: Turn, fail: Callable[[Exception], None]) -> Consumer:
        """Make the consumer; its constructor has the limits of a handler."""

        def limit(factory: ConsumerFactory) -> Run | None:
            self._limits = limits_to_make(factory, self._node.limits)
            return self._limited(turn, f"the making of {name_of(factory)}", fail)

        wanted = Wanted(self._kind, self._scope["path"], self.channel, ToClient(self), self.record)
        consumer = await self._node.builder.build(wanted, limit)
        self._limits = limits_of(consumer.handler, self._node.limits)
        if consumer.on_loss:
            self._mailbox.resumable = True
            self._keeper = Keeper(consumer.handler, self._node.config.state_bytes)
        return consumer

    async def _handle(self, event: Event) -> None:
        turn, consumer = self.turn, self._consumer
        assert turn is not None, "this is one"
        fail = partial(self._fail, turn)
        if consumer is None:
            consumer = self._consumer = await self._build(turn, fail)
            event = {**self._scope, **event}
        run = self._limited(turn, f"{event['type']} of {name_of(consumer.handler)}", fail) if self._limits.any else None
        if self._keeper is None or self._mailbox.disconnected:  # of what ends there is nothing to keep
            await self._node.builder.call(consumer, event, run=run)
        else:
            await self._node.builder.call(consumer, event, self._keep, run=run)

    def _limited(self, turn: Turn, what: str, fail: Callable[[Exception], None]) -> Run | None:
        """Set a time limit, if there is one. Given up, it has failed for bridge and client, whatever it still does."""

        def give_up(run: Run) -> None:
            fail(TimeLimitExceeded(f"{run.what} has run for longer than {run.limits.hard:g} s"))
            self._mailbox.over = "closed"
            self._changed.set()

        what = f"{what} (connection {self._mailbox.conn})"
        turn.run = self._node.limited(self, what, self._limits, give_up)
        return turn.run

    def _keep(self) -> None:
        """Note the consumer's state in the turn, as it is now."""
        if self._keeper is not None and self.turn is not None:
            self.turn.state = self._keeper.pack(self._outgoing)

    def _fail(self, turn: Turn, error: BaseException) -> None:
        mailbox = self._mailbox
        where = (mailbox.conn, mailbox.epoch, turn.seq)
        logger.error("Exception in consumer (connection %d, epoch %d, message %d)", *where, exc_info=error)
        self._link.session.forget(mailbox)
        if mailbox.over not in OVER:
            text = f"{type(error).__name__}: {error}"[:500]
            self._link.send(frames.Failed(mailbox.conn, mailbox.epoch, turn.seq, turn.outcome, text))

    def _commit(self, turn: Turn, done: bool) -> None:
        mailbox = self._mailbox
        if turn.given_up:
            return
        if not turn.seq:
            for effect in turn.effects:
                if not isinstance(effect, bytes):
                    self._node.hub.tell(effect)
        elif mailbox.over not in OVER:
            on_loss = self._consumer.on_loss if self._consumer is not None else ""
            where = (mailbox.conn, mailbox.epoch, turn.seq, done)
            self._link.send(frames.Commit(*where, turn.effects, turn.state, on_loss))

    # -- adoption ----------------------------------------------------------------------------------------------

    async def _resume(self) -> bool:
        """Make the consumer what it was at its last commit. False: it is given back, or may be another worker's now.

        One whose connection has ended meanwhile is made all the same, and told so.
        """
        mailbox = self._mailbox
        if not mailbox.over:
            self._link.may_act()
        if mailbox.over == "moved":
            return False
        state, mailbox.state = mailbox.state, b""
        self._resuming = True
        try:
            self._consumer = await self._timed(partial(self._restored, state))
        except BaseException as error:
            if self._node.ends(error):
                raise
            if self._was_moved:
                logger.debug("a consumer was moved (connection %d, epoch %d)", mailbox.conn, mailbox.epoch)
            else:
                self._give_back(error)
            return False
        finally:
            self._resuming = False
        if mailbox.over not in OVER:
            self._link.send(frames.Resumed(mailbox.conn, mailbox.epoch))
        return True

    async def _timed(self, work: Callable[[Turn], Awaitable[Consumer]]) -> Consumer:
        """Do what is no turn, but counts as one where time is measured. It is not one of a process's share of turns."""
        turn = Turn(0, now())
        self._node.turns.add(turn)
        try:
            consumer = await work(turn)
        finally:
            self._node.turns.discard(turn)
        if turn.given_up:
            raise TimeLimitExceeded("it has ended after it was given up")
        return consumer

    async def _restored(self, state: bytes, turn: Turn) -> Consumer:
        """Make the consumer, set its state, and tell it: each of the three within the limits of a handler."""
        builder = self._node.builder
        consumer = await self._build(turn, self._give_back)
        keeper, name = self._keeper, name_of(consumer.handler)
        if keeper is None:
            raise LocalProtocolError(f"{name} is not resumable")
        run = self._limited(turn, f"set_state of {name}", self._give_back)
        await builder.run(consumer, lambda: keeper.restore(state, self._scope, self._outgoing), run=run)
        if hears_resumed(consumer.handler):
            run = self._limited(turn, f"bridge.resumed of {name}", self._give_back)
            await builder.call(consumer, dict(RESUMED), run=run)
        return consumer

    def _give_back(self, error: BaseException) -> None:
        """Have another worker asked: this one cannot make a consumer of that state."""
        mailbox = self._mailbox
        where = (mailbox.conn, mailbox.epoch)
        logger.error("Exception in resuming a consumer (connection %d, epoch %d)", *where, exc_info=error)
        self._link.session.forget(mailbox)
        if mailbox.over not in OVER:
            self._link.send(frames.Unresumable(*where, f"{type(error).__name__}: {error}"[:500]))

    # -- what consumers call, from any thread ------------------------------------------------------------------

    def send(self, message: Event) -> None:
        """Record a message for the client; outside of a turn send it now.

        For a client that has gone, or was closed in an earlier turn, it is dropped: a group's message, or a farewell,
        is no reason to fail.
        """
        mailbox = self._mailbox
        if mailbox.over or mailbox.disconnected or self._was_complete:
            return
        packed = check_length(pack_event(self._outgoing.check(message)), self._link.session.max_message_bytes)
        mailbox.sent += len(packed)
        turn = self.turn
        if turn is None:
            self._at_once(lambda: self._link.send(frames.Output(mailbox.conn, mailbox.epoch, 0, [packed], "", "")))
        else:
            turn.record(packed, self._link.session.turn_bytes)

    def record(self, frame: frames.LayerFrame) -> bool:
        """Record what was asked of the channel layer; False: this is not in a turn."""
        turn = self.turn
        if turn is None:
            return False
        turn.record(frame, self._link.session.turn_bytes)
        return True

    def flush(self) -> None:
        """Commit early: what the turn did so far happens now."""
        turn = self.turn
        if turn is not None and turn.seq:
            if self._keeper is not None and not self._mailbox.disconnected:
                self._keep()  # first: what cannot be kept is an error, and takes nothing away
            early = turn.take()
            self._at_once(lambda: self._commit(early, done=False))

    @property
    def client_is_gone(self) -> bool:
        """Say whether what is sent goes nowhere."""
        return bool(self._mailbox.over) or self._mailbox.disconnected

    def credit(self) -> Done:
        """Give what waits until the client has taken enough of what was sent; in a thread, wait here."""
        if self._mailbox.may_send or self._mailbox.over:
            return DONE
        if threading.get_ident() == self._thread:
            return Done(self._wait_for_credit)
        wait_in_loop(self._wait_for_credit)
        return DONE

    async def _wait_for_credit(self) -> None:
        while not self._mailbox.may_send and not self._mailbox.over:
            await self._changed.wait()

    def _at_once(self, function: Callable[[], None]) -> None:
        """Do it in the loop's thread."""
        if threading.get_ident() == self._thread:
            function()
        else:
            self._loop.from_thread(function)
