"""What a bridge process has and does, as plain values: for operators (bridge/operating.py) and bridge/metrics.py."""

from __future__ import annotations

import dataclasses
import heapq
from collections import Counter
from typing import TYPE_CHECKING, Any

from .core.core import Core

if TYPE_CHECKING:
    from .engines.engine import Engine
    from .letters import Letters

Row = dict[str, Any]  # name of a figure -> a plain value
MOST = 256  # named channels in a list: a site may have one for each of its users


def workers(core: Core) -> list[Row]:
    """Give one row per link: workers, channel layers, operators. ``oldest``: seconds, as its last beat says."""
    return [
        {
            "name": worker.hello.name,
            "role": worker.hello.role,
            "state": worker.state.value,
            "pools": list(worker.hello.pools),
            "connections": len(worker.conns),
            "turns_out": worker.turns_out,
            "slots": worker.hello.slots,
            "oldest": worker.oldest,
        }
        for worker in core.supervisor.links.values()
    ]


def pools(core: Core) -> list[Row]:
    """Give one row per pool. ``waiting``: connections without a worker; ``queue``: messages that no worker has."""
    connections: Counter[str] = Counter()
    queue: Counter[str] = Counter()
    for conn in core.connections.values():
        connections[conn.pool.name] += 1
        queue[conn.pool.name] += conn.seq - conn.sent
    return [
        {
            "name": pool.name,
            "workers": len(pool.workers),
            "connections": connections[pool.name],
            "waiting": len(pool.waiting),
            "queue": queue[pool.name],
        }
        for pool in core.dispatcher.pools.values()
    ]


def channels(core: Core) -> list[Row]:
    """Give one row per named channel, MOST at most; first those on which nobody listens, as a mistyped name would be.

    ``listeners``: processes; ``waiting``: messages.
    """
    rows = (
        {"name": name, "listeners": len(channel.listeners), "waiting": len(channel.queue)}
        for name, channel in core.layer.background.channels.items()
    )
    return heapq.nsmallest(MOST, rows, key=lambda row: (row["listeners"] > 0, -row["waiting"], row["name"]))


def statistics(core: Core) -> dict[str, int]:
    """Give the counters of what did not go the usual way (core/statistics.py)."""
    return dataclasses.asdict(core.statistics)


def engine(engine: Engine | None) -> Row:
    """Give the state of what joins this bridge with those of other machines; of none: an empty URL."""
    if engine is None:
        return {"url": "", "connected": False, "problem": ""}
    counted = dataclasses.asdict(engine.statistics)
    return {"url": engine.url, "connected": engine.connected, "problem": engine.problem, **counted}


def ledgers(core: Core) -> list[Row]:
    """Give one row per pool, and one for named channels. ``balance`` is what no counter accounts for: always 0."""
    in_flight = core.in_flight()
    return [
        {
            "pool": pool,
            "accepted": ledger.accepted,
            "delivered": ledger.delivered,
            "shed": ledger.shed,
            "expired": ledger.expired,
            "dead_lettered": ledger.dead_lettered,
            "in_flight": in_flight[pool],
            "balance": ledger.balance(in_flight[pool]),
            "refused": dict(ledger.refused),
        }
        for pool, ledger in core.ledgers.items()
    ]


def letters(store: Letters) -> Row:
    """Give how many dead letters are kept, and how many this process has dropped for want of room."""
    return {"count": store.count, "dropped": store.dropped}
