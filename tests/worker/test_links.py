"""The links of a process: which bridges there are, and what its exchange hears and says. More in test_node.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from channels_bridge import Config
from channels_bridge.shared import frames
from channels_bridge.shared.endpoint import now, running_loop
from channels_bridge.shared.errors import AddressError, ConfigurationError
from channels_bridge.shared.frames import Frame
from channels_bridge.worker import links as links_module
from channels_bridge.worker.core.calls import DONE
from channels_bridge.worker.core.channels import Bounds, Waiter
from channels_bridge.worker.links import Links, make_hello
from halves import bridging, directory
from played_server import eventually

pytestmark = pytest.mark.anyio

GROUP = frames.GroupSend("g", b"\x81\xa4type\xa1x", [], [], [])


class Noted(Waiter):
    """Notes when it is settled; ``stays``: whether anybody is there to be woken."""

    __slots__ = ("stays", "times")

    def __init__(self, stays: bool = True) -> None:
        super().__init__()
        self.stays = stays
        self.times = 0

    def settle(self) -> bool:
        self.times += 1
        return self.stays


class Quiet:
    """A link that sends nothing."""

    def send(self, frame: Frame) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


def made(*urls: str, config: Config | None = None) -> Links:
    return Links(urls, make_hello("layer"), config or Config())


async def started(*urls: str) -> Links:
    links = made(*urls)
    await links.start(running_loop())
    return links


async def test_who_it_says_it_is() -> None:
    one, two = make_hello("layer"), make_hello("layer")
    assert one.boot != two.boot
    assert (one.role, one.pools, one.turns, one.slots, one.connections) == ("layer", [], False, 0, 0)


async def test_what_cannot_be_is_refused_at_once(url: str) -> None:
    with pytest.raises(AddressError, match="is not an address"):
        made("redis://localhost")
    with pytest.raises(ConfigurationError, match="beat < suspect"):
        made(url, config=Config(beat=5.0))


async def test_urls_that_mean_the_same_are_the_same_places() -> None:
    assert made("ipc:///a/b").places == made("ipc:///a/b/").places == {"ipc:///a/b/"}
    assert made("tcp://localhost:5000-5000", "ipc:///a/").places == {"tcp://localhost:5000", "ipc:///a/"}


async def test_its_exchange_talks_to_all_bridges(url: str) -> None:
    with bridging(url) as one, bridging(url) as two:
        links = await started(url)
        await eventually(lambda: len(links.exchange.bridges) == 2)
        assert links.ready
        waiter = Noted()
        links.exchange.call(GROUP, waiter, now() + 10.0, now())
        await eventually(lambda: waiter.result == DONE)
        assert waiter.times == 1
        boots = {bridge.start().link.core.boot for bridge in (one, two)}
        assert set(links.exchange.bridges) == boots
        links.close("the test is over")
        await eventually(lambda: not one.start().link.core.supervisor.links)
    assert (links.ready, links.by_url, links.exchange.bridges) == (False, {}, [])


async def test_a_bridge_that_ends_is_left_and_another_found(url: str) -> None:
    with bridging(url):
        links = await started(url)
        await eventually(lambda: links.ready)
    await eventually(lambda: not links.ready)
    assert links.exchange.bridges == []
    with bridging(url) as late:
        await eventually(lambda: links.exchange.bridges == [late.start().link.core.boot])
        links.close("the test is over")


async def test_messages_may_be_as_long_as_the_strictest_bridge_says(url: str) -> None:
    assert made(url).max_message_bytes == Config().max_message_bytes
    with bridging(url, Config(max_message_bytes=5000)), bridging(url):
        links = await started(url)
        await eventually(lambda: len(links.exchange.bridges) == 2)
        assert links.max_message_bytes == 5000
        links.close("the test is over")


async def test_a_message_for_somebody_who_is_gone_is_the_next_ones(url: str) -> None:
    links = made(url)
    exchange: Any = links.exchange
    channel = exchange.open("specific.1!p1", 1, Bounds(10, 60.0, 60.0))
    gone = Noted(stays=False)
    assert channel.wait(gone)
    exchange.hear(0, GROUP, now())  # of no bridge: counted
    exchange.bridges.append(1)
    exchange.groups.add("g", channel, now(), None)
    exchange.hear(1, GROUP, now())
    assert (gone.times, len(channel.queue)) == (1, 1)


async def test_the_same_bridge_by_another_address_is_one_bridge() -> None:
    """It ends the older of the two links; that end must not take the newer one away."""
    links: Any = made("ipc:///nowhere/")
    older, newer = Quiet(), Quiet()
    links.up(older, 7)
    links.up(newer, 7)
    links.over(older, 7)
    assert links.exchange.bridges == [7]
    links.over(newer, 7)
    assert links.exchange.bridges == []


async def test_trouble_is_kept_and_goes_when_it_is_over(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "SCAN", 0.02)
    path = Path(url.removeprefix("ipc://"))
    path.chmod(0o777)
    links = await started(url)
    assert "others may enter it" in str(links.trouble)
    path.chmod(0o700)
    await eventually(lambda: links.trouble is None)
    links.close("the test is over")


async def test_in_a_forked_child_the_sockets_are_left_alone(url: str) -> None:
    with bridging(url):
        links = await started(url)
        await eventually(lambda: links.ready)
        [link] = links.by_url.values()
        endpoint: Any = link._endpoint
        links.forget()
        assert endpoint.closed
        endpoint.closed = False  # this is no child: it has to be closed all the same
        links.close("the test is over")
        await anyio.lowlevel.checkpoint()
