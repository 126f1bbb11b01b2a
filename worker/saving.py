"""ASGI applications that outlive their worker: what one that saves has received, sent and saved since its last commit.

It saves, and from then on commits as a consumer does: what it sends while it holds a message waits here, and leaves
in one SAVE with the word that the message is handled and with its state. It is done with a message when it asks for
the next, or saves. Another worker calls it anew, with the same scope and what it has saved; the socket was accepted
long ago, so what it does about that is kept from the client.
"""

from __future__ import annotations

from typing import Any

from ..shared import frames
from ..shared.errors import ClientDisconnected, LocalProtocolError, RemoteProtocolError
from ..shared.wire import MAX_ARRAY, Event, pack_event, unpack_event
from .core.mailbox import OVER, Mailbox
from .link import Link
from .messages import ACCEPTED, COMPLETE, HANDSHAKE, REFUSING, Outgoing, State
from .states import from_plain, to_plain

EXTENSION = "bridge.resume"
SAVE = "bridge.resume.save"
EVENT = 8  # bytes on the wire around one message, about
DENIED = 1008  # policy violation (RFC 6455, 7.4.1): for a client whom the application, called anew, does not let in


class Again:
    """The handshake of an application that is called anew on a socket that is open, or was closed since."""

    __slots__ = ("_closed", "_outgoing")

    def __init__(self, scope: dict[str, Any], *, closed: bool) -> None:
        self._outgoing = Outgoing(scope)
        self._closed = closed

    @property
    def is_over(self) -> bool:
        """Say whether what it sends from now on is for the client."""
        return self._outgoing.state is ACCEPTED and not self._closed

    def check(self, event: Event) -> Event | None:
        """Give what the client is to be sent for this; None: nothing. Raises as :meth:`Outgoing.check`.

        Raises ``ClientDisconnected`` once it has accepted a socket that is closed.
        """
        if self._closed and self._outgoing.state is ACCEPTED:
            raise ClientDisconnected("the client is gone")
        event = self._outgoing.check(event)
        if self._closed:
            return None
        if event["type"] == "websocket.http.response.start":
            return {"type": "websocket.close", "code": DENIED, "reason": ""}
        return event if event["type"] == "websocket.close" else None


class Saving:
    """The commits of one connection of an ASGI application. ``limit``: bytes of a state.

    Without effect until the application saves, which makes it ``active``.
    """

    __slots__ = ("_held", "_limit", "_link", "_mailbox", "_next", "_outgoing", "_packed", "_plain", "_seq", "_size",
                 "_stood", "again", "begins")  # fmt: skip

    def __init__(self, mailbox: Mailbox, link: Link, outgoing: Outgoing, limit: int) -> None:
        self._mailbox = mailbox
        self._link = link
        self._outgoing = outgoing
        self._limit = limit
        self._plain: Any = None  # what was saved last ...
        self._next = b""  # ... packed, with where the connection stood then:
        self._stood: State = outgoing.state
        self._packed = b""  # the same as the bridge has it, once what was sent has arrived
        self._seq = 0  # the message that the application holds; 0: none
        self._held: list[bytes] = []  # what it has sent meanwhile
        self._size = 0
        self.again: Again | None = None  # while an application that is called anew has not accepted
        self.begins = False  # it is to be given a websocket.connect: the client's own was handled elsewhere

    @property
    def active(self) -> bool:
        """Say whether the application has saved, here or in another worker."""
        return self._mailbox.resumable

    @property
    def holds(self) -> bool:
        """Say whether what is sent now waits for a commit: in a message, and in a denial, which leaves whole."""
        return self._seq != 0 or self._outgoing.state is REFUSING

    def offer(self) -> dict[str, Any]:
        """Give the scope extension of an application that is called for the first time."""
        return {"state": None, "epoch": self._mailbox.epoch, "attempt": 1, "reason": "new", "save": self.save}

    def restore(self, packed: bytes, scope: dict[str, Any], seq: int, attempt: int) -> dict[str, Any]:
        """Stand where an application in another worker stood. Returns what the extension says of that.

        ``seq``: the next message. Raises ``RemoteProtocolError`` for what no ASGI application has saved.
        """
        envelope = unpack_event(packed)
        if envelope["type"] != "app" or sorted(envelope) != ["sent", "state", "type"]:
            raise RemoteProtocolError("not what an ASGI application has saved")
        self._outgoing.resume(envelope["sent"])
        self._plain, self._next, self._packed = envelope["state"], packed, packed
        self._stood = stood = self._outgoing.state
        self.begins = seq > 1
        if stood is not HANDSHAKE:
            self.again = Again(scope, closed=stood is COMPLETE)
        return {"state": from_plain(self._plain), "attempt": attempt, "reason": "lost" if attempt > 1 else "moved"}

    # -- what the application does -----------------------------------------------------------------------------

    async def save(self, state: object) -> None:
        """Keep this, and commit: what was received is handled, what was sent leaves.

        Without effect once the client is gone. Raises ``LocalProtocolError`` for what cannot be kept.
        """
        mailbox = self._mailbox
        if mailbox.over or mailbox.disconnected:
            return
        try:
            plain = to_plain(state)
            packed = self._pack(plain)
        except LocalProtocolError as error:
            raise LocalProtocolError(f"what was saved cannot be kept: {error}") from error
        self._plain, self._next, self._stood = plain, packed, self._outgoing.state
        mailbox.resumable = True
        self.commit()

    def received(self, seq: int) -> None:
        """Note that it has this message in its hands."""
        self._seq = seq

    def translate(self, event: Event) -> Event | None:
        """Give what the client is to be sent, now that it is called anew. None: nothing. Raises as :class:`Again`."""
        again = self.again
        if again is None:
            return event
        translated = again.check(event)
        if again.is_over:
            self.again = None
        return translated

    def sent(self, packed: bytes) -> bool:
        """Take what it has sent. False: it may leave as it is, nothing waits for it and nothing goes with it."""
        if not self.holds and self._outgoing.state is self._stood:
            return False
        self._hold(packed)
        if not self.holds:
            self.commit()  # a handshake, or its close, and where the connection stands then: as one
        return True

    def commit(self) -> None:
        """Say that what it has received is handled, with all that it has sent and saved."""
        outgoing, mailbox = self._outgoing, self._mailbox
        if outgoing.state is REFUSING or mailbox.over in OVER:
            return
        if outgoing.state is not self._stood:
            self._next, self._stood = self._pack(self._plain), outgoing.state
        state = b"" if self._next == self._packed else self._next
        if not (self._seq or self._held or state):
            return
        self._link.tell(mailbox)
        self._link.send(frames.Save(mailbox.conn, mailbox.epoch, self._seq, self._held, state))
        mailbox.sent += self._size
        self._packed, self._seq, self._held, self._size = self._next, 0, [], 0

    def end(self) -> None:
        """Put what is held into the mailbox: it leaves with the application's end."""
        mailbox = self._mailbox
        if self._seq or self._held:
            self._link.tell(mailbox)
            mailbox.out, mailbox.acked = self._held, self._seq

    def _hold(self, packed: bytes) -> None:
        size, limit = self._size + len(packed) + EVENT, self._link.session.turn_bytes
        if size > limit:
            raise LocalProtocolError(
                f"the application has sent more than turn_bytes, {limit}, since it received a message: save in between"
            )
        if len(self._held) >= MAX_ARRAY:
            raise LocalProtocolError(
                f"the application has sent {MAX_ARRAY} messages since it received one, the most there can be:"
                " save in between"
            )
        self._size = size
        self._held.append(packed)

    def _pack(self, plain: Any) -> bytes:
        packed = pack_event({"type": "app", "sent": self._outgoing.kept(), "state": plain})
        if len(packed) > self._limit:
            raise LocalProtocolError(
                f"it has {len(packed)} bytes, more than state_bytes, {self._limit}; keep a key to what is elsewhere"
            )
        return packed
