"""Connections of resumable consumers whose session was lost: their bridge may live, and have given them to others.

Then nobody may tell these consumers that their clients have gone, or they would undo what lives on: leave groups, say
goodbye to a room. So they are kept aside until it is known: the same bridge says WELCOME, or it is gone.
"""

from __future__ import annotations

from collections.abc import Callable

from .actions import Action, Wake
from .mailbox import Mailbox

BEYOND_VERDICT = 2.0  # seconds for a bridge that lives to be reached again, once it may have given us up


class Orphans:
    """Those of one link. ``patience``: seconds without a word of the bridge after which it is taken to be gone."""

    def __init__(self, emit: Callable[[Action], None], patience: float) -> None:
        self._emit = emit
        self._patience = patience
        self._bridge = 0  # boot
        self._deadline = 0.0  # 0: counts from the next tick
        self._mailboxes: list[Mailbox] = []

    def __len__(self) -> int:
        return len(self._mailboxes)

    def add(self, bridge: int, mailbox: Mailbox) -> None:
        """Keep one aside. It may do nothing more, as its connection may be another worker's."""
        self._bridge, self._deadline = bridge, 0.0
        mailbox.over = "moved"
        self._mailboxes.append(mailbox)
        self._emit(Wake(mailbox))

    def met(self, bridge: int) -> None:
        """Take it that a bridge has said WELCOME, at the address where theirs was."""
        if bridge == self._bridge:
            self.drop()
        else:
            self.end()

    def tick(self, now: float) -> None:
        """Look at the time."""
        if self._mailboxes and not self._deadline:
            self._deadline = now + self._patience
        elif self._mailboxes and now >= self._deadline:
            self.end()

    def drop(self) -> None:
        """Forget them: they live on elsewhere."""
        self._mailboxes.clear()

    def end(self) -> None:
        """Have them told that their clients are gone, as their bridge is."""
        mailboxes, self._mailboxes = self._mailboxes, []
        for mailbox in mailboxes:
            mailbox.over = "lost"
            self._emit(Wake(mailbox))
