"""An operator reaches every bridge process behind a URL, asks it, and knows who does not answer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels_bridge.bridge.app import Bridge
from channels_bridge.bridge.commands import asking
from channels_bridge.bridge.commands.asking import Silent, join, reaching
from channels_bridge.bridge.core.actions import SetAside
from channels_bridge.bridge.operating import ROWS
from channels_bridge.shared import frames, wire
from channels_bridge.shared.config import Config
from channels_bridge.shared.endpoint import Endpoint, PeerGone, bind, running_loop
from channels_bridge.shared.errors import AddressError
from channels_bridge.testing.processes import free_port
from commands_site import letter
from halves import bridging, directory
from played_server import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


def links(bridge: Bridge) -> list[str]:
    return [worker.hello.role for worker in bridge.start().link.core.supervisor.links.values()]


async def test_every_bridge_of_a_directory_answers_and_nothing_is_left(url: str) -> None:
    with bridging(url) as one, bridging(url) as two:
        async with reaching([url]) as lines:
            answers = [await line.ask("status") for line in lines]
            assert links(one) == links(two) == ["operator"]
        assert [answer["url"][-5:] for answer in answers] == [".sock", ".sock"]
        assert {answer["pid"] for answer in answers} == {os.getpid()}
        assert len({answer["boot"] for answer in answers}) == 2
        await eventually(lambda: links(one) == links(two) == [])
        assert one.start().link.core.statistics.lost_workers == 0


async def test_over_tcp_ports_without_a_listener_are_passed_over() -> None:
    port = free_port()
    with bridging(f"tcp://127.0.0.1:{port}"):
        async with reaching([f"tcp://localhost:{port}-{port + 3}"]) as lines:
            assert [line.url for line in lines] == [f"tcp://127.0.0.1:{port}"]
            assert (await lines[0].ask("status"))["pid"] == os.getpid()


async def test_a_socket_that_a_killed_bridge_left_behind_is_passed_over(url: str) -> None:
    with bridging(url):
        (Path(url.removeprefix("ipc://")) / "bridge-5.sock").touch()
        async with reaching([url]) as lines:
            assert len(lines) == 1


async def test_where_nobody_is_there_are_no_lines(url: str) -> None:
    async with reaching([url, "ipc:///nowhere/at/all/"]) as lines:
        assert lines == []


async def test_an_impossible_address_is_said() -> None:
    with pytest.raises(AddressError, match="is not an address"):
        async with reaching(["http://x"]):
            pass


async def test_long_answers_come_whole(url: str) -> None:
    with bridging(url) as bridge:
        operating = bridge.start().link.operating
        for _ in range(ROWS + 5):
            operating.set_aside(SetAside(letter()))
        async with reaching([url]) as [line]:
            answer = await line.ask("letters")
    assert len({row["id"] for row in answer["letters"]}) == ROWS + 5


async def test_what_a_bridge_does_not_know_is_said(url: str) -> None:
    with bridging(url):
        async with reaching([url]) as [line]:
            with pytest.raises(Silent, match="does not know 'dance'"):
                await line.ask("dance")


async def test_an_operator_that_waits_stays_linked(url: str) -> None:
    """A replay takes longer than the bridge's patience with a silent peer."""
    config = Config(beat=0.02, suspect=0.1, lease=0.2, verdict=0.3, http_queue=0.6)
    with bridging(url, config) as bridge:
        operating = bridge.start().link.operating
        operating.set_aside(SetAside(letter()))
        async with reaching([url]) as [line]:
            name = operating.letters.all()[0].id
            answer = await line.ask("replay", [name], 60.0)
    assert answer["letters"][0]["outcome"] == "no-worker"


async def test_a_bridge_that_stops_meanwhile_is_silent(url: str) -> None:
    with bridging(url) as bridge:
        async with reaching([url]) as [line]:
            bridge.stop()
            with pytest.raises(Silent, match=r"stopped|was cut"):
                await line.ask("status")


class Mute:
    """One that listens and greets as it is told, and else says nothing."""

    def __init__(self, url: str, *said: frames.Frame) -> None:
        self._said = said
        self.endpoint: Endpoint = bind(f"{url}bridge-0.sock")
        self.endpoint.start(running_loop(), self._receive)

    def _receive(self, message: list[bytes]) -> None:
        for answer in wire.encode(0, self._said):
            with contextlib.suppress(PeerGone):  # it has seen enough
                self.endpoint.send([message[0], *answer])


WELCOME = frames.Welcome(1, 7, 8.0, 1.0, 1000, 1000)


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        ((), ""),
        ((frames.Refuse("links", "no more links"),), "no more links"),
        ((frames.Reset("no link"),), "no link"),
    ],
)
async def test_one_that_does_not_greet_is_no_line_that_is_ready(
    url: str, said: Any, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "GREETS", 0.1)
    mute = Mute(url, *said)
    async with reaching([url]) as [line]:
        assert (line.is_ready, line.trouble) == (False, trouble)
    mute.endpoint.close()


async def test_one_that_greets_and_says_no_more_is_silent(url: str) -> None:
    mute = Mute(url, WELCOME)
    async with reaching([url]) as [line]:
        with pytest.raises(Silent, match=r"no answer for 0.1 s"):
            await line.ask("status", patience=0.1)
    mute.endpoint.close()


async def test_garbage_is_the_bridges_fault(url: str) -> None:
    mute = Mute(url, WELCOME)
    async with reaching([url]) as [line]:
        line._receive([b"garbage"])
        with pytest.raises(Silent, match="not protocol version 1"):
            await line.ask("status")
    mute.endpoint.close()


def test_pieces_are_put_together() -> None:
    pieces: list[dict[str, Any]] = [{"type": "t", "a": 1}, {"type": "t", "rows": [1]}, {"type": "t", "rows": [2, 3]}]
    assert join(pieces) == {"type": "t", "a": 1, "rows": [1, 2, 3]}
    assert pieces[1]["rows"] == [1]
