"""Which seats a test sits in: ``@every`` and its like are parameters of the fixture ``near``, ``@made`` of ``make``.

One bridge is tried from every seat. With two, and on TCP, some seats stand for others that differ by their loop alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from layers.site import CLIENTS, HOSTED, REMOTE

ALL = (*CLIENTS, *REMOTE, *HOSTED)
OUT_OF_TURNS = (*CLIENTS, *REMOTE, "outside", "outside-sync", "asgi")  # a call is over when it is done, or raises
AWAITED = ("asyncio", "trio", *REMOTE, "turn", "outside", "asgi")
AT_TWO = ("asyncio", "sync", "main-trio", "turn", "turn-sync", "outside", "asgi")
AT_TCP = ("trio", "sync", "turn")
EVERY = {"one": ALL, "two": AT_TWO, "tcp": AT_TCP}
FEW = {"one": ("asyncio", "turn"), "two": ("trio", "turn-sync"), "tcp": ("sync",)}  # for what takes its time
MADE = {"one": CLIENTS, "two": ("asyncio",), "tcp": ("sync",)}


def parameters(name: str, seats: Mapping[str, Collection[str]], memory: bool) -> pytest.MarkDecorator:
    """Run the test in each of these seats: place -> flavours. ``memory``: with Channels' in-memory layer, too."""
    chosen = [(place, flavour) for place, flavours in seats.items() for flavour in flavours]
    chosen += [("memory", "asyncio")] if memory else []
    return pytest.mark.parametrize(name, [pytest.param(seat, id="-".join(seat)) for seat in chosen], indirect=True)


def sitting(flavours: Collection[str], memory: bool = False) -> pytest.MarkDecorator:
    """Sit in seats of these flavours, at each place."""
    seats = {place: [flavour for flavour in flavours if flavour in at] for place, at in EVERY.items()}
    return parameters("near", seats, memory)


every = sitting(ALL, memory=True)
bridged = sitting(ALL)
out_of_turns = sitting(OUT_OF_TURNS)
awaited = sitting(AWAITED, memory=True)
few = parameters("near", FEW, memory=False)


def made(memory: bool = True, *, slow: bool = False) -> pytest.MarkDecorator:
    """Have the test make layers with options of its own: ``make(capacity=3)``. ``slow``: at one place only."""
    return parameters("make", {"one": CLIENTS} if slow else MADE, memory)
