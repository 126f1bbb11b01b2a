"""The model: every rule, and after every step every invariant.

What it promises, and where it is asserted:

* a connection has one owner, its epoch only grows, no epoch is given out twice, and it moves between two turns only
  (``Machine``, ``invariants``);
* a client sees what its turns sent: of each turn that was applied, all of it, in order, once, and of the worker that
  owns the connection at that moment; nothing of any other turn (``Story.written``);
* the state is that of the turns that were applied, and of no others; what is acknowledged is what was applied, but
  for what ``on_loss = "skip"`` counts as skipped (``Story.holds``);
* journals, windows, slots and credit keep their bounds (``invariants``);
* no message of an old epoch, an old link, another worker, another bridge or a stranger has an effect
  (``Story.written``, ``Faults``);
* groups have no ghosts, and a message of a group reaches each member at most once (``invariants``, ``Story``);
* a consumer gets its messages in order, without a gap, its disconnect last (``Story.taken``);
* nothing is sent to a link that is over, and a connection ends once (``Pair``);
* who was frozen does nothing once its connections were given away for its silence (``Site.take``);
* a message is begun by two workers at most, where it waits behind no other (``Story.taken``);
* when the faults are over, all that was accepted was handled, or its connection has ended (``Site.teardown``).
"""

from __future__ import annotations

from hypothesis.stateful import invariant

from model.dramas import Dramas
from model.invariants import check


class Machine(Dramas):
    """Counts its steps, of all runs together, in ``total``."""

    total = 0

    def __init__(self) -> None:
        super().__init__()
        self.epochs: dict[tuple[int, int], int] = {}  # (bridge, conn) -> highest epoch seen
        self.adopted: set[tuple[int, int, int]] = set()  # (bridge, conn, epoch) that a worker was given
        self.seen = 0  # hosts that are in there

    @invariant()
    def all_holds(self) -> None:
        self.steps += 1
        Machine.total += 1
        core = self.pair.core
        check(core)
        for story in self.open:
            story.holds()
            assert story.conn.epoch >= self.epochs.get((core.boot, story.conn.id), 0)
            self.epochs[core.boot, story.conn.id] = story.conn.epoch
        skipped = sum(self.story(client.conn.id).skipped for client in self.pair.clients)
        assert skipped <= core.statistics.skipped, "what is given up is counted"
        assert not any(core.balance().values()), "every message has one end, or is in flight"
        self.every_epoch_is_given_out_once()
        self.nobody_is_moved_in_a_turn()

    def every_epoch_is_given_out_once(self) -> None:
        for host in self.pair.hosts[self.seen :]:
            key = (host.boot, host.mailbox.conn, host.mailbox.epoch)
            assert key not in self.adopted
            self.adopted.add(key)
            conn = self.stories[key[:2]].conn
            assert not (conn.closing and host.first > conn.seq), "it would never end: nothing comes for it"
        self.seen = len(self.pair.hosts)

    def nobody_is_moved_in_a_turn(self) -> None:
        for host in self.in_turn:
            is_here = host.peer == host.worker.cable.peer and host.worker.session.ready
            assert not is_here or host.mailbox.over != "moved"
