"""Who is alive: arithmetic on times, nothing else.

The rule that keeps a frozen worker from acting after its connections moved: the worker counts its lease from
the moment at which it *sent* the last beat that the bridge acknowledged, the bridge counts its verdict from
the moment at which it last *received* anything. Sending comes before receiving, and ``lease < verdict``
(config.py), so the worker stops first, and no two clocks are compared.
"""

from __future__ import annotations

from enum import Enum


class Health(Enum):
    """What a bridge thinks of a link, from silence alone."""

    READY = "ready"
    SUSPECT = "suspect"  # no new work
    DEAD = "dead"  # for good: what returns has to say HELLO again


def health(now: float, last_received: float, suspect: float, verdict: float) -> Health:
    """Judge a link by its silence. All arguments are seconds on the bridge's own clock."""
    silence = now - last_received
    if silence >= verdict:
        return Health.DEAD
    return Health.SUSPECT if silence >= suspect else Health.READY


def lease_holds(now: float, acknowledged_beat_sent: float, lease: float) -> bool:
    """Say whether a worker may still act. All arguments are seconds on the worker's own clock."""
    return now - acknowledged_beat_sent < lease


def back_off(attempt: int, first: float = 0.1, last: float = 2.0) -> float:
    """Seconds to wait before the attempt after ``attempt`` failed ones (0, 1, ...): doubling, bounded."""
    return min(last, first * float(2 ** min(attempt, 16)))
