"""The layer as a backend of Channels 4: its documented behaviour, Django around it, and Channels' own test tools."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer, InMemoryChannelLayer, channel_layers, get_channel_layer
from channels.testing import ApplicationCommunicator, WebsocketCommunicator
from django.test import override_settings

import channels1_project
import channels_bridge
from channels_bridge import ChannelLayer
from halves import directory
from layers.site import loop_thread
from layers.test_bridges import bridging

channels1_project.choose()

pytestmark = pytest.mark.anyio
Configure = Callable[..., Any]
X = {"type": "x"}
bridge_only = pytest.mark.parametrize("configure", ["bridge"], indirect=True)


@pytest.fixture
def anyio_backend() -> str:
    """Channels runs on nothing else."""
    return "asyncio"


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url, loop_thread("asyncio") as portal, bridging(portal, url):
        yield url


@pytest.fixture(params=["bridge", "memory"])
def configure(request: pytest.FixtureRequest) -> Iterator[Configure]:
    """Have CHANNEL_LAYERS made of these options; give the layer as Channels does."""
    made: list[Any] = []
    settings: list[override_settings] = []

    def configure(**options: Any) -> Any:
        if request.param == "bridge":
            config = {"url": request.getfixturevalue("url"), **options}
            backend = {"BACKEND": "channels_bridge.ChannelLayer", "CONFIG": config}
        else:
            backend = {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": options}
        settings.append(override_settings(CHANNEL_LAYERS={"default": backend}))
        settings[-1].enable()
        made.append(get_channel_layer())
        return made[-1]

    yield configure
    for layer in made:
        async_to_sync(layer.close)()
    for setting in settings:
        setting.disable()


# -- what Channels documents -----------------------------------------------------------------------------------


def test_settings_name_the_layer(configure: Configure) -> None:
    layer = configure(capacity=7)
    assert isinstance(layer, (ChannelLayer, InMemoryChannelLayer))
    assert get_channel_layer() is layer
    assert channel_layers["default"] is layer
    assert get_channel_layer("nowhere") is None


def test_it_has_what_channels_layers_have(configure: Configure) -> None:
    layer = configure()
    assert {"groups", "flush"} <= set(layer.extensions)
    assert layer.MAX_NAME_LENGTH == BaseChannelLayer.MAX_NAME_LENGTH
    for method in ("send", "receive", "new_channel", "group_add", "group_discard", "group_send", "flush", "close"):
        assert inspect.iscoroutinefunction(getattr(layer, method))


async def test_send_and_receive(configure: Configure) -> None:
    layer = configure()
    await layer.send("test-channel-1", {"type": "test.message", "text": "Ahoy-hoy!"})
    assert await layer.receive("test-channel-1") == {"type": "test.message", "text": "Ahoy-hoy!"}


async def test_race_of_many_receivers(configure: Configure) -> None:
    layer = configure()
    channels = [await layer.new_channel() for _ in range(20)]
    receives = [asyncio.create_task(layer.receive(channel)) for channel in channels]
    for number, channel in enumerate(channels):
        await layer.send(channel, {"type": "x", "n": number})
    assert [message["n"] for message in await asyncio.gather(*receives)] == list(range(20))


async def test_process_local_channels(configure: Configure) -> None:
    layer = configure()
    channel = await layer.new_channel()
    other = await layer.new_channel("test")
    assert "!" in channel
    assert other.startswith("test")
    await layer.send(other, {"type": "x", "n": 2})
    await layer.send(channel, {"type": "x", "n": 1})
    assert ((await layer.receive(channel))["n"], (await layer.receive(other))["n"]) == (1, 2)


async def test_channel_full_is_channels_error(configure: Configure) -> None:
    layer = configure(capacity=3)
    for channel in ("full", await layer.new_channel()):
        for _ in range(3):
            await layer.send(channel, X)
        with pytest.raises(ChannelFull):
            await layer.send(channel, X)


@bridge_only
async def test_channel_full_is_ours_too(configure: Configure) -> None:
    """Whichever of the two one catches, it is caught."""
    layer = configure(capacity=1)
    await layer.send("full", X)
    with pytest.raises(ChannelFull) as channels_own:
        await layer.send("full", X)
    assert isinstance(channels_own.value, channels_bridge.ChannelFull)


@bridge_only  # the in-memory layer takes patterns, and cannot read them
async def test_channel_capacity(configure: Configure) -> None:
    layer = configure(capacity=2, channel_capacity={"http.request*": 1})
    await layer.send("other", X)
    await layer.send("other", X)
    await layer.send("http.request", X)
    with pytest.raises(ChannelFull):
        await layer.send("http.request", X)


async def test_groups(configure: Configure) -> None:
    layer = configure()
    channels = [await layer.new_channel(f"test-gr-chan-{number}") for number in range(3)]
    for channel in channels:
        await layer.group_add("test-group", channel)
    await layer.group_discard("test-group", channels[1])
    await layer.group_send("test-group", {"type": "message.1"})
    for channel in (channels[0], channels[2]):
        async with asyncio.timeout(5):
            assert (await layer.receive(channel))["type"] == "message.1"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(layer.receive(channels[1]), 0.05)


async def test_groups_of_full_members(configure: Configure) -> None:
    layer = configure(capacity=1)
    channel = await layer.new_channel()
    await layer.group_add("test-group", channel)
    for _ in range(3):
        await layer.group_send("test-group", X)
    assert await layer.receive(channel) == X


async def test_expiry(configure: Configure) -> None:
    layer = configure(expiry=0.1)
    for channel in (await layer.new_channel(), "test-channel-1"):
        await layer.send(channel, X)
        await asyncio.sleep(0.25)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(layer.receive(channel), 0.05)


async def test_a_receive_that_timed_out_takes_nothing(configure: Configure) -> None:
    layer = configure()
    for channel in (await layer.new_channel(), "test-channel-1"):
        for number in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(layer.receive(channel), 0.01)
            await layer.send(channel, {"type": "x", "n": number})
            assert (await layer.receive(channel))["n"] == number


async def test_flush(configure: Configure) -> None:
    layer = configure()
    channel = await layer.new_channel()
    await layer.group_add("test-group", channel)
    await layer.send(channel, X)
    await layer.flush()
    fresh = await layer.new_channel()
    await layer.send(fresh, {"type": "fresh"})
    assert await layer.receive(fresh) == {"type": "fresh"}


@pytest.mark.parametrize("name", ["¯\\_(ツ)_/¯", "chat", "chat room", "x" * 100])
async def test_names(configure: Configure, name: str) -> None:
    layer = configure()
    if name == "chat":
        await layer.group_send(name, X)
        await layer.send(name, X)
        return
    for call in (layer.group_send(name, X), layer.send(name, X), layer.group_add(name, "chat")):
        with pytest.raises(TypeError, match=re.compile("100|99")):
            await call


# -- sync code -------------------------------------------------------------------------------------------------


@bridge_only  # a queue of asyncio belongs to one loop
def test_async_to_sync_from_threads_without_a_loop(configure: Configure) -> None:
    """Each call has a loop of its own; the channel does not mind."""
    layer = configure()
    channel: str = async_to_sync(layer.new_channel)()
    threads = [threading.Thread(target=lambda: async_to_sync(layer.send)(channel, X)) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert [async_to_sync(layer.receive)(channel) for _ in range(5)] == [X] * 5
    for thread in threads:
        thread.join()


async def test_async_to_sync_under_sync_to_async(configure: Configure) -> None:
    """As a Django view does it in an ASGI server: the calls run in the server's loop."""
    layer = configure()
    channel = await layer.new_channel()
    await layer.group_add("test-group", channel)
    await asyncio.to_thread(async_to_sync(layer.group_send), "test-group", X)
    assert await layer.receive(channel) == X


# -- channels.testing ------------------------------------------------------------------------------------------


@pytest.fixture
async def application(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Any:
    configure()
    monkeypatch.setenv(channels1_project.NAME, "layers.project.settings")  # the import sets it, for good
    from layers.project.asgi import application

    return application


async def connected(application: Any, path: str) -> Any:
    communicator = WebsocketCommunicator(application, path)
    assert (await communicator.connect())[0]
    assert json.loads(await communicator.receive_from()) == {"pid": os.getpid()}
    return communicator


async def test_communicators_hear_each_other(application: Any) -> None:
    chats = [await connected(application, path) for path in ("/chat/room/", "/sync/room/", "/chat/room/")]
    for number, chat in enumerate(chats):
        await chat.send_to(f"hello {number}")
        for other in chats:
            assert json.loads(await other.receive_from()) == {"text": f"hello {number}"}
    await chats[0].disconnect()
    for other in chats[1:]:
        assert json.loads(await other.receive_from()) == {"text": "left 1000"}
    await chats[2].disconnect()
    assert json.loads(await chats[1].receive_from()) == {"text": "left 1000"}
    await chats[1].disconnect()


async def test_communicators_and_the_layer(application: Any) -> None:
    chat = await connected(application, "/chat/room/")
    layer: Any = get_channel_layer()
    await layer.group_send("room.room", {"type": "chat.message", "text": "from the test"})
    assert json.loads(await chat.receive_from()) == {"text": "from the test"}
    assert await chat.receive_nothing()
    await chat.disconnect()


async def test_a_background_consumer(application: Any) -> None:
    layer: Any = get_channel_layer()
    reply = await layer.new_channel()
    background = ApplicationCommunicator(application, {"type": "channel", "channel": "thumbnails"})
    await background.send_input({"type": "thumbnail.make", "picture": "duck", "reply": reply})
    assert (await layer.receive(reply))["thumbnail"] == "small duck"
    background.stop()
    await background.wait()
