"""A worker process in its loop: it waits for bridges and says so, takes no more than it should, and ends in order."""

# ruff: noqa: ARG001 - applications and consumers share a signature, whether they need all of it or not

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from channels_bridge import AsyncConsumer, Config, Router, SyncConsumer
from channels_bridge.shared.errors import AddressError, ConfigurationError
from channels_bridge.testing.processes import free_port
from channels_bridge.worker import links as links_module
from channels_bridge.worker import node as node_module
from channels_bridge.worker.load import wrap
from channels_bridge.worker.node import ASYNC_SLOTS, Node
from channels_bridge.worker.settings import Settings
from halves import bridging, directory, hosting, is_idle
from played_server import Call, Event, eventually, fetch, http_scope, websocket_scope

pytestmark = pytest.mark.anyio


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


class App:
    """Answers requests; at /wait only once it is told to. Echoes on sockets."""

    def __init__(self) -> None:
        self.gate = anyio.Event()
        self.running = 0
        self.cancelled = 0

    async def __call__(self, scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.running += 1
        try:
            if scope["type"] == "http":
                if scope["path"] == "/wait":
                    await self.gate.wait()
                await send({"type": "http.response.start", "status": 200})
                await send({"type": "http.response.body", "body": b"done"})
            else:
                await receive()
                await send({"type": "websocket.accept"})
                while (event := await receive())["type"] == "websocket.receive":
                    await send({"type": "websocket.send", "text": event["text"]})
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


def made(target: object, *urls: str, **settings: Any) -> Node:
    return Node(wrap(target, "auto", "app"), Settings(app="app", urls=urls, **settings))


REQUEST: Event = {"type": "http.request"}


# -- what it says of itself ------------------------------------------------------------------------------------


class Async(AsyncConsumer):
    pass


class Sync(SyncConsumer):
    pass


def factory(type: str, channel_layer: Any, consumer_channel: str, send: Any) -> Any: ...


@pytest.mark.parametrize(
    ("target", "settings", "turns", "slots", "connections"),
    [
        (App(), {}, False, 0, 0),
        (App(), {"max_connections": 5}, False, 0, 5),
        (App(), {"max_inflight": 7}, False, 0, 7),
        (App(), {"max_inflight": 7, "max_connections": 5}, False, 0, 5),
        (Async, {}, True, ASYNC_SLOTS, 0),
        (Async, {"max_inflight": 7}, True, 7, 0),
        (Async, {"max_connections": 5}, True, ASYNC_SLOTS, 5),
        (Sync, {"threads": 3}, True, 3, 0),
        (Sync, {"threads": 3, "max_inflight": 7}, True, 7, 0),
        (factory, {"threads": 3}, True, ASYNC_SLOTS, 0),
        (Router({"/a": Sync, "/b": Sync}), {"threads": 3}, True, 3, 0),
        (Router({"/a": Sync, "/b": Async}), {"threads": 3}, True, ASYNC_SLOTS, 0),
        (Router([("/a", Router({"/a": Sync}))]), {"threads": 3}, True, 3, 0),
    ],
)
async def test_what_it_offers(target: Any, settings: Any, turns: bool, slots: int, connections: int) -> None:
    hello = made(target, pools=("a", "b"), **settings).bridges.hello
    assert (hello.role, hello.pools) == ("worker", ["a", "b"])
    assert (hello.turns, hello.slots, hello.connections) == (turns, slots, connections)
    assert made(target).bridges.hello.boot != hello.boot


def task(message: Event) -> None: ...


async def async_task(message: Event) -> None: ...


@pytest.mark.parametrize(
    ("target", "settings", "slots"),
    [
        (task, {"threads": 3}, 3),
        (async_task, {"threads": 3}, ASYNC_SLOTS),
        (task, {"threads": 3, "max_inflight": 1}, 1),
        (Sync, {"threads": 3}, 3),
        (Async, {"max_inflight": 7}, 7),
    ],
)
async def test_what_it_takes_of_a_named_channel_at_once(url: str, target: Any, settings: Any, slots: int) -> None:
    with bridging(url) as bridge:
        async with hosting(target, url, pools=(), channels=("a", "b"), **settings):
            channels = bridge.start().link.core.layer.background._channels
            await eventually(lambda: sorted(channels) == ["a", "b"])
            for channel in channels.values():
                [(total, given)] = channel.listeners.values()
                assert (total, given) == (slots, 0)


async def test_a_channel_that_the_application_has_nobody_for_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--channels b: app has no route for it"):
        made(Router({"a": Async}), url, channels=("a", "b"))


async def test_channels_that_an_application_brings_are_listened_on_and_its_kinds_are_said(url: str) -> None:
    app = replace(wrap(Async, "auto", "app"), channels=("a", "more"), kinds=("http",))
    node = Node(app, Settings(app="app", urls=(url,), channels=("more",)))
    assert node.channels == ("a", "more")
    assert (node.bridges.hello.pools, node.bridges.hello.kinds) == (["default"], ["http"])
    node = Node(replace(app, kinds=()), Settings(app="app", urls=(url,)))
    assert (node.bridges.hello.pools, node.bridges.hello.kinds) == ([], [])


async def test_a_worker_of_named_channels_gets_no_connections(url: str) -> None:
    with bridging(url, Config(http_queue=0.05)) as bridge:
        async with hosting(Async, url, pools=(), channels=("a",)):
            assert (await fetch(bridge)).status == 503


async def test_settings_that_make_no_sense_are_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="beat < suspect"):
        made(App(), url, config=Config(beat=5.0))
    with pytest.raises(AddressError, match="can be reached from other machines"):
        made(App(), "tcp://10.0.0.1:5000")


async def test_an_unsafe_directory_is_refused_at_the_start(url: str) -> None:
    Path(url.removeprefix("ipc://")).chmod(0o777)
    node = made(App(), url)
    with pytest.raises(AddressError, match="others may enter it"):
        await node.start()
    node.abandon()


class Lasting(AsyncConsumer):
    """A consumer that outlives its worker."""

    resumable = True


async def test_the_last_worker_does_not_wait_for_connections_that_outlive_it(url: str) -> None:
    """They wait at the bridge for the next worker, which may be the same one in its new release."""
    with bridging(url) as bridge:
        async with Call(bridge, websocket_scope()) as call:
            async with hosting(Lasting, url) as node:
                await call.connect()
                await eventually(lambda: node.connections == 1 and not node.staying)
                with anyio.fail_after(5.0):
                    await node.drain(30.0)
            async with hosting(Lasting, url) as node:
                await eventually(lambda: node.connections == 1)
            assert not call.ended


# -- bridges that come and go ----------------------------------------------------------------------------------


async def test_it_waits_for_a_bridge_and_says_so(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "FIRST_SAY", 0.05)
    app = App()
    async with hosting(app, url, bridges=0) as node:
        await eventually(lambda: f"no bridge at {url} yet; waiting" in caplog.text)
        with bridging(url) as bridge:
            assert (await fetch(bridge)).body == b"done"
            await eventually(lambda: not node.bridges._said)
        await eventually(lambda: sum("no bridge at" in message for message in caplog.messages) == 2)


async def test_it_says_it_again_now_and_then(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "FIRST_SAY", 0.05)
    monkeypatch.setattr(links_module, "SAY", 0.1)
    async with hosting(App(), url, bridges=0):
        await eventually(lambda: sum("no bridge at" in message for message in caplog.messages) == 3)


async def test_a_directory_that_became_unsafe_is_said_and_the_worker_goes_on(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "FIRST_SAY", 0.05)
    monkeypatch.setattr(links_module, "SCAN", 0.05)
    path = Path(url.removeprefix("ipc://"))
    async with hosting(App(), url, bridges=0):
        path.chmod(0o777)
        await eventually(lambda: "others may enter it" in caplog.text)
        path.chmod(0o700)
        with bridging(url) as bridge:
            assert (await fetch(bridge)).body == b"done"


async def test_bridges_that_come_later_are_found_and_those_that_went_are_forgotten(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "SCAN", 0.05)
    with bridging(url) as first:
        async with hosting(App(), url) as node:
            with bridging(url) as second:
                assert (await fetch(second)).body == b"done"
                assert len(node.links) == 2
            await eventually(lambda: len(node.links) == 1)
            assert (await fetch(first)).body == b"done"


async def test_a_bridge_that_comes_back_in_the_same_place_is_met_again(url: str) -> None:
    async with hosting(App(), url, bridges=0):
        for _ in range(3):
            with bridging(url) as bridge:
                assert (await fetch(bridge)).body == b"done"


async def test_a_name_is_looked_up_and_again_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "RESOLVE", 0.05)
    port = free_port()
    with bridging(f"tcp://127.0.0.1:{port}") as bridge:
        async with hosting(App(), f"tcp://localhost:{port}") as node:
            assert (await fetch(bridge)).body == b"done"
            before = node.bridges._resolved_at
            await eventually(lambda: node.bridges._resolved_at > before)


async def test_a_look_up_that_takes_long_holds_up_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats have to go on, or the lease runs out."""
    monkeypatch.setattr(links_module, "RESOLVE", 0.02)
    resolving, go_on = threading.Event(), threading.Event()
    config = Config(beat=0.05, suspect=0.2, lease=0.4, verdict=0.6)
    port = free_port()
    with bridging(f"tcp://127.0.0.1:{port}", config) as bridge:
        async with hosting(App(), f"tcp://localhost:{port}", config=config) as node:

            def slow() -> None:
                resolving.set()
                assert go_on.wait(10.0)

            monkeypatch.setattr(node.bridges._discovery, "resolve", slow)
            try:
                await eventually(resolving.is_set)
                link = next(link for link in node.links.values() if link.session.ready)
                acknowledged = link.session._acknowledged
                await eventually(lambda: link.session._acknowledged > acknowledged + 0.5 or not link.session.ready)
                assert link.session.ready
                assert (await fetch(bridge)).body == b"done"
            finally:
                go_on.set()


async def test_consumers_that_keep_all_threads_busy_do_not_stop_the_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "RESOLVE", 0.02)
    busy, go_on = threading.Event(), threading.Event()

    class Busy(SyncConsumer):
        def websocket_receive(self, message: Event) -> None:
            busy.set()
            assert go_on.wait(10.0)
            self.send({"type": "websocket.send", "text": "done"})

    config = Config(beat=0.05, suspect=0.2, lease=0.4, verdict=0.6)
    port = free_port()
    with bridging(f"tcp://127.0.0.1:{port}", config) as bridge:
        async with (
            hosting(Busy, f"tcp://localhost:{port}", config=config, threads=1) as node,
            Call(bridge, websocket_scope()) as call,
        ):
            await call.connect()
            try:
                call.say("go")
                await eventually(busy.is_set)
                link = next(link for link in node.links.values() if link.session.ready)
                acknowledged = link.session._acknowledged
                await eventually(lambda: link.session._acknowledged > acknowledged + 0.5 or not link.session.ready)
                assert link.session.ready
            finally:
                go_on.set()
            assert await call.hear() == "done"


# -- bounds ----------------------------------------------------------------------------------------------------


async def test_it_hosts_no_more_connections_than_it_may(url: str) -> None:
    app = App()
    with bridging(url) as bridge:
        async with hosting(app, url, max_connections=1), Call(bridge, http_scope("/wait"), REQUEST) as one:
            await eventually(lambda: app.running == 1)
            async with Call(bridge, http_scope(), REQUEST) as two:
                await eventually(lambda: len(bridge.start().link.core.connections) == 2)
                assert two.sent == []
                app.gate.set()
                await one.end()
                await two.end()
                assert two.sent[1]["body"] == b"done"


async def test_of_two_workers_the_less_loaded_one_gets_the_next_connection(url: str) -> None:
    one, two = App(), App()
    with bridging(url) as bridge:
        async with (
            hosting(one, url),
            hosting(two, url),
            Call(bridge, http_scope("/wait"), REQUEST),
            Call(bridge, http_scope("/wait"), REQUEST),
        ):
            await eventually(lambda: (one.running, two.running) == (1, 1))


async def test_the_age_of_the_oldest_turn_is_in_its_beats(url: str) -> None:
    gate = anyio.Event()
    began = anyio.Event()

    class Slow(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            began.set()
            await gate.wait()

    config = Config(beat=0.02, suspect=0.5, lease=0.8, verdict=1.2)
    with bridging(url, config) as bridge:
        async with hosting(Slow, url, config=config) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("go")
            await began.wait()
            assert len(node.turns) == 1
            gate.set()
            await eventually(lambda: not node.turns)


# -- the end ---------------------------------------------------------------------------------------------------


async def test_draining_takes_nothing_new_and_lets_finish_what_is_there(url: str) -> None:
    old, new = App(), App()
    with bridging(url) as bridge:
        async with hosting(old, url) as node, Call(bridge, http_scope("/wait"), REQUEST) as call:
            await eventually(lambda: old.running)
            async with hosting(new, url), anyio.create_task_group() as tasks:
                tasks.start_soon(node.drain, 10.0)
                await eventually(lambda: not bridge_takes(bridge, node))
                for _ in range(5):
                    assert (await fetch(bridge)).body == b"done"
                assert not new.running
                assert old.running == 1
                old.gate.set()
                assert await call.end() is None
                assert call.sent[1]["body"] == b"done"


def bridge_takes(bridge: Any, node: Node) -> bool:
    workers = bridge.start().link.core.supervisor.links.values()
    return any(worker.takes_connections for worker in workers if worker.hello.boot == node.bridges.hello.boot)


async def test_draining_ends_at_once_if_there_is_nothing_and_when_it_is_enough(url: str) -> None:
    app = App()
    with bridging(url) as bridge:
        async with hosting(app, url) as node:
            with anyio.fail_after(1.0):
                await node.drain(60.0)
        async with hosting(app, url) as node, Call(bridge, http_scope("/wait"), REQUEST):
            await eventually(lambda: app.running)
            with anyio.fail_after(1.0):
                await node.drain(60.0, lambda: True)
            await node.drain(0.05)
            assert app.running


async def test_a_bridge_that_comes_while_it_drains_gets_nothing_of_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "SCAN", 0.02)
    app = App()
    with bridging(url) as bridge:
        async with hosting(app, url) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(node.drain, 10.0)
                with bridging(url, Config(http_queue=0.2)) as late:
                    assert (await fetch(late)).status == 503
                    assert not late.start().link.core.supervisor.links
                call.leave()


async def test_closing_tells_sockets_1012_and_their_applications_1006(url: str) -> None:
    ends: list[int] = []

    class Witness(AsyncConsumer):
        async def websocket_disconnect(self, message: Event) -> None:
            ends.append(message["code"])

    with bridging(url) as bridge:
        async with hosting(Witness, url) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            await node.drain(0.0)
            await node.close("drained")
            assert (await call.next())["code"] == 1012
            assert ends == [1006]
            await call.end()
            await eventually(lambda: is_idle(bridge))


async def test_closing_waits_for_applications_and_then_cancels_them(url: str) -> None:
    app = App()
    with bridging(url) as bridge:
        async with hosting(app, url) as node, Call(bridge, http_scope("/wait"), REQUEST):
            await eventually(lambda: app.running)
            await node.close("drained", grace=0.05)
            await eventually(lambda: app.cancelled == 1)


async def test_an_application_whose_shutdown_hangs_does_not_keep_it_for_ever(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "GRACE", 0.05)

    async def app(scope: Event, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await anyio.sleep_forever()

    node = made(app, url)
    await node.start()
    with anyio.fail_after(2.0):
        await node.close("stopped")
    node.abandon()


async def test_abandoning_waits_for_nothing(url: str) -> None:
    app = App()
    with bridging(url, Config(http_queue=0.1)) as bridge:
        node = made(app, url)
        await node.start()
        await eventually(lambda: any(link.session.ready for link in node.links.values()))
        async with Call(bridge, http_scope("/wait"), REQUEST) as call:
            await eventually(lambda: app.running)
            node.abandon()
            await eventually(lambda: app.cancelled == 1)
            await call.end()
        await eventually(lambda: not bridge.start().link.core.supervisor.links)


async def test_what_a_layer_asks_of_nobody_goes_nowhere(url: str) -> None:
    """A channel that no bridge gave belongs to none of them."""

    class Sender(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            await self.channel_layer.send("nobodys", {"type": "x"})
            await self.channel_layer.group_add("g", "nobodys!1")
            await self.send({"type": "websocket.send", "text": "ok"})

    with bridging(url) as bridge:
        async with hosting(Sender, url), Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("go")
            assert await call.hear() == "ok"
            assert not bridge.start().link.core.layer.groups
