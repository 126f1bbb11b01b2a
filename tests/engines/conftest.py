"""The servers, one per kind for all tests that leave them alone; the tests run on asyncio and trio."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial

import pytest

from engine_members import all_threads_end, engine_threads
from servers import Server, nats_server, redis_server

KINDS: dict[str, Callable[..., AbstractContextManager[Server]]] = {
    "nats": nats_server,
    "redis": redis_server,
    "redis+cluster": partial(redis_server, cluster=True),
}
numbers = itertools.count()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


@pytest.fixture(scope="session")
def running() -> Iterator[Callable[[str], Server]]:
    """Give the server of a kind, started when it is asked for first."""
    with ExitStack() as stack:
        servers: dict[str, Server] = {}

        def get(kind: str) -> Server:
            if kind not in servers:
                servers[kind] = stack.enter_context(KINDS[kind]())
            return servers[kind]

        yield get


@pytest.fixture(params=["local", *KINDS])
def url(request: pytest.FixtureRequest, running: Callable[[str], Server]) -> str:
    """Give the URL of an engine of each kind; the namespace is this test's alone."""
    kind: str = request.param
    prefix = f"test{next(numbers)}"
    return f"local://{prefix}" if kind == "local" else f"{running(kind).url}?prefix={prefix}"


@pytest.fixture(params=list(KINDS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Give a server of each kind that this test may kill."""
    with KINDS[request.param]() as started:
        yield started


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert all_threads_end(), engine_threads()
