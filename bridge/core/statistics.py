"""What is counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Statistics:
    """Counters of what did not go the usual way; each is a fact, none is an error of its own."""

    fenced: int = 0  # frames about a connection from a worker that does not own it (any more)
    malformed: int = 0  # messages that were not of this protocol
    dropped: int = 0  # messages of groups and channels that a full connection did not take
    unknown: int = 0  # messages to channels that are gone
    full: int = 0  # messages that a named channel did not take
    unrelayed: int = 0  # what turns did to other bridges of the machine, and no worker could pass on
    unpublished: int = 0  # messages for other machines that the engine did not take
    missed: int = 0  # messages of other machines that the engine lost, as their numbers tell
    gaps: int = 0  # times at which some may have been lost, as the engine's client tells
    skipped: int = 0  # messages in flight that on_loss = "skip" gave up with their worker
    cut_turns: int = 0  # turns that had flushed when their worker was lost: their rest was not run
    lost_workers: int = 0
