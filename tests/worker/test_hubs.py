"""The hubs of a process: in a worker, in the main thread's loops, in threads; gone when nobody uses them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from typing import Any

import anyio
import anyio.from_thread
import pytest
from anyio import to_thread

from channels_bridge import Bridge, ChannelLayer, Config, SyncChannelLayer
from channels_bridge.shared.errors import BridgeUnavailable
from channels_bridge.worker import hub as hub_module
from channels_bridge.worker import hubs
from channels_bridge.worker.core.channels import Bounds, Waiter
from channels_bridge.worker.crossing import ThreadTicket
from channels_bridge.worker.hub import Hub
from channels_bridge.worker.hubs import Membership, Registry, SharedHub
from channels_bridge.worker.links import Links, make_hello
from halves import bridging, directory
from played_server import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


def hub_of(layer: Any) -> Any:
    return layer._hub()


def threads() -> int:
    return sum(thread.name == "channels-bridge-layer" for thread in threading.enumerate())


async def test_layers_of_the_same_urls_share_one_hub(url: str) -> None:
    other_url = "ipc:///nowhere/"
    one, two = SyncChannelLayer(url), SyncChannelLayer([url.rstrip("/"), url])
    other = SyncChannelLayer([url, other_url])
    assert hub_of(one) is hub_of(one) is hub_of(two)
    assert hub_of(other) is not hub_of(one)
    assert hub_of(other) is hub_of(SyncChannelLayer([other_url, url]))
    one.close()
    assert not hub_of(two).over
    before = threads()
    two.close()
    other.close()
    await eventually(lambda: threads() < before)


async def test_a_layer_that_was_closed_begins_again_when_it_is_used(url: str) -> None:
    with bridging(url):
        layer = ChannelLayer(url)
        await layer.close()  # it had not begun
        channel = await layer.new_channel()
        await layer.close()
        await layer.close()
        again = await layer.new_channel()
        assert again.partition("!")[0] != channel.partition("!")[0]
        await layer.send(again, {"type": "x"})
        assert await layer.receive(again) == {"type": "x"}
        await layer.close()


async def test_a_hub_that_nobody_uses_ends_by_itself(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "IDLE", 0.05)
    layer = SyncChannelLayer(url)
    hub = hub_of(layer)
    del layer
    gc.collect()
    await eventually(lambda: hub.over)
    hub.wait()
    later = SyncChannelLayer(url)
    assert hub_of(later) is not hub
    later.close()


async def test_calls_that_are_under_way_when_a_hub_ends_are_waited_for(url: str) -> None:
    with bridging(url):
        layer, ticket = SyncChannelLayer(url), ThreadTicket()
        hub = hub_of(layer)
        await eventually(lambda: hub.links.ready)
        hub.call(layer._group_send("g", {"type": "x"}, ()), ticket, 5.0)
        hub.links.exchange.calls.make(layer._group_send("never", {"type": "x"}, ()), Waiter(), 1e9)  # nor for ever
        await to_thread.run_sync(layer.close)
        assert ticket.result == ""
        assert hub.over


def worker_hub(*urls: str) -> Hub:
    hub = Hub(Links(urls, make_hello("worker"), Config()))
    hub.links.started = True
    return hub


def test_workers_hubs_are_found_first_and_the_newest_of_them() -> None:
    registry = Registry()
    old, new = worker_hub("ipc:///a/"), worker_hub("ipc:///a/")
    for hub in (old, new):
        registry.enter(hub)
    assert registry.join(Membership(None)) is new
    assert registry.join(Membership(["ipc:///a/"])) is new
    assert registry.join_here(Membership(None)) is None  # in the loop of a worker, its own hub is as near
    assert registry.of_boot(old.boot) is old
    assert registry.of_boot(1) is None
    registry.leave(new)
    registry.leave(new)
    assert registry.join(Membership(None)) is old


def test_a_worker_that_starts_lends_its_urls_and_not_its_hub(url: str) -> None:
    """Its links come up behind the application's startup, which may use a layer."""
    registry = Registry()
    starting = worker_hub(url)
    starting.links.started = False
    registry.enter(starting)
    hub: Any = registry.join(Membership(None))
    assert hub is not starting
    assert hub.key == {url}
    registry.stop()


def test_a_consumers_layer_stays_with_its_worker() -> None:
    hub = worker_hub("ipc:///a/")
    membership = Membership(None, hub)
    hub.over = True
    assert membership.hub() is hub
    assert membership.close() == []


async def test_without_a_url_it_is_the_default_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs._registry, "_workers", [])  # those of other tests' fixtures
    monkeypatch.setenv("CHANNELS_BRIDGE_URL", url)
    layer = ChannelLayer()
    assert hub_of(layer).links.places == {url}
    await layer.close()


async def test_a_loop_that_fails_leaves_nobody_waiting(url: str) -> None:
    hub: Any = SharedHub(frozenset([url]), Config())

    async def fail(_: object) -> None:
        raise OSError("no threads left")

    hub.links.start = fail
    failed: list[object] = []
    before, threading.excepthook = threading.excepthook, failed.append
    try:
        hub.start_thread()
        hub.wait()
    finally:
        threading.excepthook = before
    assert len(failed) == 1
    assert hub.over
    with pytest.raises(BridgeUnavailable, match="was closed"):
        hub.receive("named", ThreadTicket(), Bounds(1, 1.0, 1.0))


# -- in the main thread's loops --------------------------------------------------------------------------------


def loops() -> pytest.MarkDecorator:
    """Give each kind of loop's way to run a coroutine function."""
    return pytest.mark.parametrize("run_loop", [anyio.run, functools.partial(anyio.run, backend="trio")])


async def here(layer: ChannelLayer) -> Any:
    hub = hub_of(layer)
    await eventually(lambda: hub.is_here)
    return hub


@loops()
def test_async_layers_of_the_main_thread_share_a_hub_in_their_loop(run_loop: Any, url: str) -> None:
    async def main() -> None:
        one, two, before = ChannelLayer(url), ChannelLayer(url), threads()
        hub = await here(one)
        assert hub_of(two) is hub is hub_of(one)
        assert threads() == before
        await one.close()
        assert not hub.over
        await two.close()
        assert hub.over

    run_loop(main)


@loops()
def test_a_channel_outlives_the_loop_that_it_was_made_in(run_loop: Any, url: str) -> None:
    with anyio.from_thread.start_blocking_portal() as portal, bridged_in(portal, url):
        layer = ChannelLayer(url)
        names: list[str] = []

        async def make() -> None:
            names.append(await layer.new_channel())
            await layer.group_add("g", names[0])
            await layer.send(names[0], {"type": "kept"})

        async def use() -> None:
            await layer.group_send("g", {"type": "of the group"})
            assert [(await layer.receive(names[0]))["type"] for _ in range(2)] == ["kept", "of the group"]

        run_loop(make)
        run_loop(use)
        run_loop(layer.close)


@loops()
def test_a_hub_whose_layers_went_with_the_loop_ends_with_it(run_loop: Any, url: str) -> None:
    hubs_of_it: list[Any] = []

    async def main() -> None:
        layer = ChannelLayer(url)
        hubs_of_it.append(await here(layer))
        await layer.close()
        hubs_of_it.append(await here(ChannelLayer(url)))  # it is collected at once

    run_loop(main)
    gc.collect()
    [closed, left] = hubs_of_it
    assert closed.over
    if not left.over:  # nobody had told it before the loop ended: it goes on in a thread, and ends by itself
        left.wait()
    assert left.over


def test_a_loop_that_is_closed_without_a_word_is_noticed_by_the_next(url: str) -> None:
    layer = ChannelLayer(url)
    loop = asyncio.new_event_loop()
    hub = loop.run_until_complete(here(layer))
    loop.close()  # its tasks are not cancelled
    assert hub.is_left

    async def use_it() -> None:
        other = ChannelLayer(url)
        assert hub_of(other) is hub  # with all that the first layer has in it
        assert hub.has_thread
        await other.close()

    asyncio.run(use_it())
    assert not hub.over
    asyncio.run(layer.close())
    hub.wait()
    assert hub.over
    gc.collect()


@contextlib.contextmanager
def bridged_in(portal: Any, url: str) -> Generator[None, None, None]:
    """Run a bridge in another thread's loop."""

    async def start() -> Any:
        bridge = Bridge(url)
        bridge.start()
        return bridge

    bridge = portal.call(start)
    try:
        yield
    finally:
        portal.call(bridge.stop)


def test_a_first_channel_is_known_to_a_bridge_when_it_is_there(url: str) -> None:
    with anyio.from_thread.start_blocking_portal() as portal, bridged_in(portal, url):
        sender, receiver = SyncChannelLayer(url), SyncChannelLayer([url, "ipc:///nowhere/"])
        sender.group_send("nobody", {"type": "x"})
        assert not hub_of(receiver).greeted
        channel = receiver.new_channel()
        sender.send(channel, {"type": "x"}, require=True)
        assert receiver.receive(channel) == {"type": "x"}
        assert hub_of(receiver).greeted
        sender.close()
        receiver.close()


def test_without_a_bridge_a_channel_is_there_for_this_process(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "GREETING", 0.05)
    layer = SyncChannelLayer(url)
    for _ in range(2):
        channel = layer.new_channel()
        layer.send(channel, {"type": "x"})
        assert layer.receive(channel) == {"type": "x"}
    layer.close()


# -- processes -------------------------------------------------------------------------------------------------

FORK = """
import os, sys
from channels_bridge import SyncChannelLayer
layer = SyncChannelLayer(sys.argv[1])
mine = layer.new_channel()
layer.send(mine, {"type": "x"})
if os.fork() == 0:
    own = layer.new_channel()
    layer.send(own, {"type": "of the child"})
    print(layer.receive(own)["type"], own.partition("!")[0] != mine.partition("!")[0], flush=True)
    del mine
    sys.exit()
os.wait()
print(layer.receive(mine)["type"], flush=True)
layer.send(mine, {"type": "of the parent"})
print(layer.receive(mine)["type"], flush=True)
"""

EXIT = """
import sys
from functools import partial
from channels_bridge import SyncChannelLayer
layer = SyncChannelLayer(sys.argv[1])
layer.send("before", {"type": "x"})
hub = layer._hub()
hub.post(partial(hub.tell, layer._channel_send("last", {"type": "x"})))
"""


def run(program: str, url: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=dict(os.environ))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.system
async def test_a_forked_child_has_a_hub_of_its_own(url: str) -> None:
    with bridging(url):
        assert await to_thread.run_sync(run, FORK, url) == "of the child True\nx\nof the parent\n"


@pytest.mark.system
async def test_what_was_sent_leaves_before_the_interpreter_ends(url: str) -> None:
    with bridging(url):
        await to_thread.run_sync(run, EXIT, url)
        layer = ChannelLayer(url)
        assert [await layer.receive(name) for name in ("before", "last")] == [{"type": "x"}] * 2
        await layer.close()


async def test_without_a_bridge_it_says_so_in_time(url: str) -> None:
    layer = ChannelLayer(url, timeout=0.1)
    with pytest.raises(BridgeUnavailable, match=f"no bridge at {url} within 0.1 s"):
        await layer.send("named", {"type": "x"})
    await layer.close()
