"""What became of the messages of a pool: none is lost in silence.

At every moment ``accepted == delivered + shed + expired + dead_lettered + in flight``, where what is in flight is
counted in the journals themselves. A message is accepted when it is journaled for the consumer of a connection, or
given to a named channel.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

CHANNELS = "#channels"  # the ledger of all named channels; pools have names of their own

OWN_ENDS = frozenset({"returned", "raised", "disconnected", "timeout"})  # of the consumer, and not of the bridge
EXPIRED = frozenset({"no-worker", "overload"})  # ends by a deadline: what waited has waited for nothing


@dataclass(slots=True)
class Ledger:
    """Counters of messages, which only grow."""

    accepted: int = 0
    delivered: int = 0  # its consumer is done with it, or had it when it ended by itself
    shed: int = 0  # given up: its connection ended before, or something newer took its place
    expired: int = 0  # nobody took it in time
    dead_lettered: int = 0  # two workers were lost with it
    refused: Counter[str] = field(default_factory=Counter[str])  # connections that the bridge ended, by outcome

    def balance(self, in_flight: int) -> int:
        """Give what the counters cannot explain: 0, else messages were lost, or came from nowhere."""
        return self.accepted - self.delivered - self.shed - self.expired - self.dead_lettered - in_flight
