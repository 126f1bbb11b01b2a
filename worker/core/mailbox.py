"""One hosted connection, seen by the worker: what came for it, what it may send, whether it is over."""

from __future__ import annotations

from collections import deque

from ...shared.frames import Adopt, Message

OVER = ("closed", "lost", "moved")  # the connection, and not only the client, is gone, or it is another worker's


class Mailbox:
    """Messages of one connection, in order, and its credit. The session fills it, its host empties it."""

    __slots__ = (
        "acked", "allowed", "conn", "dirty", "disconnected", "epoch", "first_seq", "host", "next_seq", "out", "over",
        "queue", "resumable", "scope", "sent", "state",
    )  # fmt: skip

    def __init__(self, adopt: Adopt) -> None:
        self.conn = adopt.conn
        self.epoch = adopt.epoch
        self.scope = adopt.scope
        self.state = adopt.state  # that the host has not set yet; empty: there is none (any more)
        self.resumable = bool(adopt.state)  # its consumer outlives this worker; the host says so
        self.first_seq = adopt.next_seq  # 1: all that the client has said comes here
        self.next_seq = adopt.next_seq
        self.queue: deque[Message] = deque()
        self.out: list[bytes] = []  # for the client, since the last OUTPUT
        self.acked = 0  # what the application has received, not said yet; 0: nothing
        self.dirty = False  # in the link's list of those that have something to say
        self.sent = 0  # bytes towards the client
        self.allowed = adopt.window  # up to which total
        self.over = ""  # why nothing more can be sent: "gone", "closed", "lost", "moved"; empty while it lives
        self.disconnected = False  # the host was given the disconnect, the client's or one made up
        self.host: object = None  # whatever runs it; not looked at here
        for event in adopt.events:
            self.queue.append(Message(adopt.conn, adopt.epoch, self.next_seq, adopt.attempt, event))
            self.next_seq += 1

    def put(self, message: Message) -> bool:
        """Take a message. False: it is not the next one, which only a stale or confused sender can cause."""
        if message.epoch != self.epoch or message.seq != self.next_seq:
            return False
        self.next_seq += 1
        self.queue.append(message)
        return True

    def grant(self, total: int) -> None:
        """Extend the credit. Totals only grow, so that a repeated grant does no harm."""
        self.allowed = max(self.allowed, total)

    @property
    def may_send(self) -> bool:
        """Say whether there is credit. One message may overrun it, so that no message is too long for it."""
        return self.sent < self.allowed
