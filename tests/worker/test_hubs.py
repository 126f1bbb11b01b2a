"""Hubs with threads of their own: one per set of URLs, gone when nobody uses it, forgotten by a forked child."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from anyio import to_thread

from channels_bridge import ChannelLayer, Config, SyncChannelLayer
from channels_bridge.shared.errors import BridgeUnavailable
from channels_bridge.worker import hubs
from channels_bridge.worker.core.channels import Bounds, Waiter
from channels_bridge.worker.crossing import ThreadTicket
from channels_bridge.worker.hub import Hub
from channels_bridge.worker.hubs import Membership, Registry, ThreadHub
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


async def test_workers_hubs_are_found_first_and_the_newest_of_them() -> None:
    registry = Registry()
    old, new = (Hub(Links(("ipc:///a/",), make_hello("worker"), Config())) for _ in range(2))
    for hub in (old, new):
        registry.enter(hub)
    assert registry.join(Membership(None)) is new
    assert registry.join(Membership(["ipc:///a/"])) is new
    registry.leave(new)
    registry.leave(new)
    assert registry.join(Membership(None)) is old
    fixed = Membership(None, new)
    new.over = True
    assert fixed.hub() is new


async def test_without_a_url_it_is_the_default_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNELS_BRIDGE_URL", url)
    layer = ChannelLayer()
    assert hub_of(layer).links.places == {url}
    await layer.close()


async def test_a_loop_that_fails_leaves_nobody_waiting(url: str) -> None:
    hub: Any = ThreadHub(frozenset([url]), Config())

    async def fail(_: object) -> None:
        raise OSError("no threads left")

    hub.links.start = fail
    failed: list[object] = []
    before, threading.excepthook = threading.excepthook, failed.append
    try:
        hub.start()
        hub.wait()
    finally:
        threading.excepthook = before
    assert len(failed) == 1
    assert hub.over
    with pytest.raises(BridgeUnavailable, match="was closed"):
        hub.receive("named", ThreadTicket(), Bounds(1, 1.0, 1.0))


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
