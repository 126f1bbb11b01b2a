"""One connection: its journal, its owner and what is under way in each direction.

The journal holds each message for the consumer from its arrival until it is acknowledged::

    1 ........ acked | acked+1 ........ sent | sent+1 ........ seq
    gone             given to the owner      waits here

so that a worker's end loses nothing: ``sent`` goes back to ``acked`` and the next owner gets the rest.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ...shared.config import Config

if TYPE_CHECKING:
    from .pool import Pool, Worker


class Broadcast(bytes):
    """A message of a group or channel: one that a full connection may lose (``Config.slow_member``)."""

    unpacked: dict[str, Any] | None = None  # kept by the first client that needs it, for all others


GROUP_SHARE = 64  # messages of groups and channels that a journal takes beyond the client's own bound


class Connection:
    """State of one ASGI scope at the bridge. The core alone changes it."""

    __slots__ = (
        "acked", "adopting", "answered", "attempt", "base", "begun", "closing", "edge", "epoch", "finished", "granted",
        "groups", "id", "idempotent", "is_guilty", "journal", "journal_bytes", "kind", "ledger", "lost_with",
        "on_loss", "owner", "parked", "pool", "queued", "reached", "received", "refused_by", "scope", "sent", "seq",
        "state", "suspect_until", "turn", "turns", "waits_since", "written",
    )  # fmt: skip

    def __init__(self, conn: int, kind: str, pool: Pool, scope: bytes, idempotent: bool, edge: object) -> None:
        self.id = conn
        self.kind = kind  # "http" or "websocket"
        self.pool = pool
        self.scope = scope  # wire.pack_scope
        self.idempotent = idempotent  # may be run again if it was neither read nor answered
        self.edge = edge  # the ASGI side's own object; not looked at here
        self.ledger = pool.ledger

        self.journal: deque[bytes] = deque()  # messages acked+1 .. seq
        self.journal_bytes = 0
        self.seq = self.sent = self.acked = 0
        self.parked = False  # the ASGI side has stopped reading and waits for Room

        self.owner: Worker | None = None
        self.epoch = 0
        self.adopting = False  # its owner has a state, and has not said yet that it can go on with it
        self.attempt = 0  # workers that were lost with it in their hands: adopting, or with a message
        self.suspect_until = 0  # the last of these messages
        self.is_guilty = False  # it was found to be what they were lost by
        self.lost_with: list[str] = []  # the names of these workers
        self.state = b""  # of a resumable consumer, as its last commit left it
        self.on_loss = ""  # "": not resumable; else what becomes of a turn that is lost: "replay", "skip", "close"
        self.refused_by: tuple[int, ...] = ()  # link epochs of workers that could not read the state
        self.waits_since = 0.0  # for a worker, or in its queue, last; 0: it never had to
        self.queued = False  # in its worker's queue for a slot
        self.turns = False  # its owner, present or last, hosts consumers
        self.turn = 0  # the turn that has committed early (flush) and still runs; 0: none

        self.begun = False  # the client was sent something
        self.reached = False  # the server was given some of that: not all can be made use of
        self.answered = False  # its answer is complete, and the turn that flushed it goes on
        self.closing = False  # the journal ends with a disconnect; nothing may come behind it
        self.finished = False  # the ASGI side was told to end
        self.received = 0  # bytes for the client, from whomever
        self.written = 0  # of these, what the server has taken
        self.granted = 0  # up to which total the owner may send
        self.base = 0  # of these totals, what is not the present owner's
        self.groups: set[tuple[str, str]] = set()  # (group, role); kept in step with core/groups.py

    def append(self, event: bytes) -> None:
        """Journal a message for the consumer."""
        self.seq += 1
        self.ledger.accepted += 1
        self.journal.append(event)
        self.journal_bytes += len(event)

    def acknowledge(self, seq: int) -> int:
        """Drop what was delivered, up to ``seq``, from the journal; return the bytes that this frees."""
        self.ledger.delivered += seq - self.acked
        return self.drop(seq)

    def drop(self, seq: int) -> int:
        """Drop messages up to ``seq``, whatever became of them, and return the bytes that this frees."""
        freed = 0
        while self.acked < seq:
            freed += len(self.journal.popleft())
            self.acked += 1
        self.journal_bytes -= freed
        return freed

    def next_event(self) -> bytes:
        """Give the first message that is not with the owner, and count it as sent."""
        event = self.journal[self.sent - self.acked]
        self.sent += 1
        return event

    def drop_oldest(self) -> int:
        """Drop the oldest message of a group that is not with the owner; return its bytes, 0 if there is none."""
        for index in range(self.sent - self.acked, len(self.journal)):
            if type(self.journal[index]) is Broadcast:
                size = len(self.journal[index])
                self.ledger.shed += 1
                del self.journal[index]
                self.seq -= 1  # those behind it were given to nobody: they move up
                self.journal_bytes -= size
                return size
        return 0

    @property
    def out(self) -> int:
        """Messages that the owner has and has not acknowledged."""
        return self.sent - self.acked

    @property
    def in_hand(self) -> bool:
        """Say whether its owner may be at work on it: what ends that worker now may have been this."""
        return self.turns_held > 0 or self.adopting or not (self.turns or self.on_loss)

    @property
    def is_isolated(self) -> bool:
        """Say whether it is given to workers one at a time: they were lost with several, and it is one of these."""
        return self.attempt > 1

    @property
    def is_movable(self) -> bool:
        """Say whether another worker may take it over now: between two turns, not at its end.

        A consumer that is resumable, or one that its worker has not made yet, as its first turn has not begun.
        """
        between_turns = not self.out and not self.turn and not self.finished
        is_new = self.turns and not self.sent
        return between_turns and (bool(self.on_loss) or is_new) and not (self.closing and not self.journal)

    @property
    def turns_held(self) -> int:
        """Slots of its owner that it takes."""
        return self.out + (1 if self.turn else 0)

    @property
    def buffered(self) -> int:
        """Bytes for the client that the server has not taken yet."""
        return self.received - self.written

    def takes_from_client(self, config: Config, crowded: bool) -> bool:
        """Say whether the ASGI side may read on. ``crowded``: all journals together are over their bound."""
        if not self.journal:
            return True
        full = len(self.journal) >= config.journal_messages or self.journal_bytes >= config.journal_bytes
        return not (full or crowded)

    def takes_from_others(self, config: Config) -> bool:
        """Say whether a message of a group or channel fits; such a sender cannot be made to wait."""
        messages, size = config.journal_messages + GROUP_SHARE, 2 * config.journal_bytes
        return len(self.journal) < messages and self.journal_bytes < size
