"""What one client may see and what its consumers may get, told by what happens: whatever is not possible asserts."""

from __future__ import annotations

from channels_bridge.testing.pair import Client
from channels_bridge.testing.scripted import Host, Part

DISCONNECT = b"disconnect"
BROADCASTS = (b"group", b"psst")  # how messages of groups and channels begin here; all others are of clients
TURN_WINDOW = 2  # turns of one connection that are out at once

MOST_DEATHS = 6  # of workers, until it is known which of those that died together it was


class Story:
    """One client. ``authors``: output -> the host that has named it; of all clients together."""

    def __init__(self, client: Client, boot: int, on_loss: str, authors: dict[bytes, Host]) -> None:
        self.client = client
        self.conn = client.conn
        self.boot = boot
        self.on_loss = on_loss  # of its pool
        self.sent: list[bytes] = []  # by the client, in order
        self.closed = False  # its ASGI call is over
        self.turns: list[int] = []  # seqs of turns that were applied
        self.saved = 0  # what the last SAVE that was applied has acknowledged
        self.state = b""  # as what was applied last has left it
        self.skipped = 0  # messages that were acknowledged without a turn
        self._authors = authors
        self._given: set[bytes] = set()  # messages of groups and channels that the client got
        self._handled: set[bytes] = set()  # and those that turns handled that were applied
        self._next = 0  # of what the client has sent, the first that no turn handled that was applied
        self._folded: list[int] = []  # what the state has to be
        self._owner: Host | None = None  # whose output was seen last
        self._part = self._index = 0  # of the owner's parts; of its events, those that were seen
        self._open = False  # the last turn has committed early, and not ended
        self._last: dict[Host, int] = {}  # host -> which of its client's messages it got last
        self._runs: dict[int, list[Host]] = {}  # seq -> hosts that have begun a turn with it

    # -- what the client gets ----------------------------------------------------------------------------------

    def written(self, event: bytes) -> None:
        """Take it that the client was given this, now."""
        if event.startswith(BROADCASTS):
            assert event not in self._given, "a message of a group reaches a client once"
            self._given.add(event)
        else:
            self._own(event, self._authors.get(event))

    def _own(self, event: bytes, host: Host | None) -> None:
        """Each owner's parts are seen from the first on, whole, each once, and of the present owner only."""
        assert host is not None, "nobody of ours has said that"
        assert (host.boot, host.mailbox.conn) == (self.boot, self.conn.id), "it is of another connection, or bridge"
        assert host.mailbox.epoch == self.conn.epoch, "only the present owner is heard"
        if host is not self._owner or self._is_whole:
            assert self._is_whole, "what one frame says is written whole"
            following = self._part + 1 if host is self._owner else 0
            assert following < len(host.parts), "nothing of a turn is seen before its commit"
            self._owner, self._part, self._index = host, following, 0
        part = host.parts[self._part]
        assert part.events[self._index : self._index + 1] == [event], "in the order in which it was sent, each once"
        if self._index == 0:
            self._apply(host, part)
        self._index += 1

    @property
    def _is_whole(self) -> bool:
        return self._owner is None or self._index == len(self._owner.parts[self._part].events)

    def _apply(self, host: Host, part: Part) -> None:
        if host.worker.has_turns and part.seq:
            self._turn(host, part)
        elif host.worker.saves and part.state:
            assert part.state == self._state(list(range(1, part.seq + 1))), "the state is that of all before"
            self.saved, self.state = part.seq, part.state

    def _turn(self, host: Host, part: Part) -> None:
        last = self.turns[-1] if self.turns else 0
        if part.seq == last:
            assert self._open, "a turn happens once"
        else:
            assert part.seq == last + 1 or (part.seq > last and self.on_loss == "skip"), "no turn is left out"
            self.turns.append(part.seq)
            self._count(dict(host.handled)[part.seq])
        self._open = not part.done
        if part.state:
            self._folded += [part.seq] * (part.seq not in self._folded)
            assert part.state == self._state(self._folded), "the state is that of all turns before"
            self.state = part.state

    def _state(self, seqs: list[int]) -> bytes:
        return b" ".join(b"%d" % number for number in (self.conn.id, *seqs))

    def _count(self, event: bytes) -> None:
        if event.startswith(BROADCASTS):
            assert event not in self._handled, "a message of a group reaches a consumer once"
            self._handled.add(event)
            return
        number = self.sent.index(event)
        assert number == self._next or (number > self._next and self.on_loss == "skip"), "no message is left out"
        self._next = number + 1

    # -- what its consumers get --------------------------------------------------------------------------------

    def taken(self, host: Host) -> None:
        """Take it that a host has just got hold of a message: in order, without a gap, a disconnect at last."""
        seq, event = host.handled[-1]
        if len(host.handled) > 1:
            before, previous = host.handled[-2]
            assert seq == before + 1, "without a gap"
            assert previous != DISCONNECT, "a disconnect is the last"
        if not event.startswith(BROADCASTS):
            number, last = self.sent.index(event), self._last.get(host)
            assert number == (0 if last is None else last + 1) or (last is None and self.on_loss), "in order"
            self._last[host] = number
        if host.worker.has_turns:
            self._begun(seq, host)

    def _begun(self, seq: int, host: Host) -> None:
        """Count how often a message was begun, but for workers that have left of their own accord.

        A few times, as others may have died with it, and once more for each that is out beside it: it may have been
        begun because the commit of the one before had left, and was lost as well. Where ``on_loss`` says so, and the
        bridge has been told that, not a second time.
        """
        once = self.on_loss in ("skip", "close")
        if once and not self.conn.on_loss:
            return
        self._runs.setdefault(seq, []).append(host)
        runs = sum(not run.worker.left for run in self._runs[seq])
        most = 1 if once else MOST_DEATHS + TURN_WINDOW - 1
        assert runs <= most, "a message that costs workers their lives is not given to more and more"

    # -- after each step ---------------------------------------------------------------------------------------

    def holds(self) -> None:
        """Compare with what the bridge has of it: what was applied, and nothing else, is acknowledged and kept."""
        conn = self.conn
        assert conn.state == self.state, "the state is that of the last commit that was applied"
        if conn.finished:
            return  # its journal was given up, and accounted for
        if self.saved:
            assert conn.acked == self.saved, "what a SAVE does not say is not acknowledged"
        elif conn.turns:
            self.skipped = conn.acked - len(self.turns)
            assert self.skipped == 0 or (self.skipped > 0 and self.on_loss == "skip")
