"""The smallest application and the smallest consumer, each with one command, and in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from channels_bridge.testing import bridged
from channels_bridge.testing.processes import ManagedProcess

BOTH = ("examples.echo:application", "examples.echo:EchoConsumer")


@pytest.fixture(scope="module", params=BOTH)
def url(request: pytest.FixtureRequest, serve: Callable[..., tuple[str, ManagedProcess]]) -> str:
    """Where it is served."""
    return serve(request.param)[0]


@pytest.mark.system
@pytest.mark.parametrize("message", ["hello", "", "grüße 😀", b"\x00\xff", b"", "x" * 100_000])
def test_it_says_back_what_it_is_told(url: str, message: str | bytes) -> None:
    with connect(url.replace("http", "ws")) as socket:
        socket.send(message)
        assert socket.recv() == message


@pytest.mark.system
def test_it_keeps_the_order(url: str) -> None:
    numbers = [str(number) for number in range(2000)]
    with connect(url.replace("http", "ws")) as socket:
        for number in numbers:
            socket.send(number)
        assert [socket.recv() for _ in numbers] == numbers


@pytest.mark.system
def test_a_request_is_none_of_its_business(url: str) -> None:
    assert httpx.get(url).status_code == 500


@pytest.mark.parametrize("app", BOTH)
@pytest.mark.parametrize("same_loop", [False, True])
def test_in_one_process(load: Callable[[str], Any], talk: Callable[..., Any], app: str, same_loop: bool) -> None:
    async def main() -> None:
        async with (
            bridged(load(app), same_loop=same_loop) as application,
            talk(application, "websocket", "/") as socket,
        ):
            await socket.connect()
            await socket.say("hello")
            assert await socket.hear() == "hello"
            await socket.end()

    asyncio.run(main())


@pytest.mark.system
def test_in_worker_processes(monkeypatch: pytest.MonkeyPatch, root: Path, talk: Callable[..., Any]) -> None:
    monkeypatch.chdir(root)

    async def main() -> None:
        async with bridged(BOTH[1], workers=2) as application, talk(application, "websocket", "/") as socket:
            await socket.connect()
            await socket.say("hello")
            assert await socket.hear() == "hello"
            await socket.end()

    asyncio.run(main())
