"""Sites last as long as the run; what a test makes at one lasts as long as the test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from layers.seats import Seat
from layers.site import Client, MemorySite, Site

_numbers = itertools.count(1)

GetSite = Callable[[str], Any]


@pytest.fixture(scope="session")
def get_site() -> Iterator[GetSite]:
    """Give the site of a place; it is made when it is asked for first."""
    sites: dict[str, Site | MemorySite] = {}
    with ExitStack() as stack:

        def get(place: str) -> Any:
            if place not in sites:
                sites[place] = MemorySite(stack) if place == "memory" else Site(place, stack)
            return sites[place]

        yield get


@pytest.fixture
def near(request: pytest.FixtureRequest, get_site: GetSite) -> Seat:
    """The seat that the test sits in; see :mod:`layers.cases`."""
    place, flavour = request.param
    seat: Seat = get_site(place).seat(flavour)
    return seat


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """Which site that is."""
    params = request.node.callspec.params
    chosen: tuple[str, str] = params["near"] if "near" in params else params["make"]
    return chosen[0]


@pytest.fixture
def site(place: str, get_site: GetSite) -> Any:
    """Where the seat is."""
    return get_site(place)


@pytest.fixture
def far(site: Any) -> Seat:
    """A seat in another process."""
    seat: Seat = site.far
    return seat


@pytest.fixture
def make(request: pytest.FixtureRequest, get_site: GetSite) -> Iterator[Callable[..., Seat]]:
    """Make layers with options. They are closed after the test."""
    place, flavour = request.param
    with ExitStack() as stack:

        def make(**options: Any) -> Seat:
            seat: Seat = get_site(place).layer(flavour, **options)
            stack.callback(seat.close)
            return seat

        yield make


@pytest.fixture
def connect(site: Any) -> Iterator[Callable[..., Client]]:
    """Connect clients. They leave after the test, if they have not before."""
    with ExitStack() as stack:

        def connect(**options: Any) -> Client:
            client: Client = site.client(**options)
            stack.callback(client.close)
            return client

        yield connect


@pytest.fixture
def name() -> str:
    """A name for a group or channel that no other test has."""
    return f"test.{next(_numbers)}"
