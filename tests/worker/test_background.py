"""Background work: what each kind of application gets, how much at once, and what becomes of it when something ends."""

# ruff: noqa: ARG001 - applications and consumers share a signature, whether they need all of it or not

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

import channels1_project
from channels_bridge import (
    AsyncConsumer,
    ChannelLayer,
    Config,
    Router,
    SyncChannelLayer,
    SyncConsumer,
    TimeLimitExceeded,
)
from channels_bridge.bridge.app import Bridge
from channels_bridge.shared import frames
from channels_bridge.shared.errors import ConfigurationError
from channels_bridge.testing.processes import WorkerProcess
from channels_bridge.worker import background as background_module
from channels_bridge.worker.background import check
from channels_bridge.worker.load import wrap
from channels_bridge.worker.node import Node
from halves import bridging, directory, hosting
from pids import alive, wait_gone
from played_server import Event, eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


async def idle(scope: Event, receive: Any, send: Any) -> None:
    """Host nothing: for a process that only sends."""


def layer_of(node: Node) -> ChannelLayer:
    """Give a layer that uses the links of this worker, outside of any turn."""
    return ChannelLayer.of_turns(node.hub, lambda frame: False)


@contextlib.asynccontextmanager
async def listening(app: object, *channels: str, **settings: Any) -> AsyncGenerator[ChannelLayer, None]:
    """Run a bridge and a worker that listens; give the layer of another process."""
    with directory() as url, bridging(url):
        settings = {"pools": (), "channels": channels or ("a",), **settings}
        async with hosting(app, url, **settings), hosting(idle, url) as sender:
            yield layer_of(sender)


def question(text: str = "hello") -> Event:
    return {"type": "shout", "text": text}


def shouted(text: str = "hello") -> Event:
    return {"type": "shouted", "text": text.upper()}


# -- each kind of application ----------------------------------------------------------------------------------


def function(message: Event) -> Event:
    return shouted(message["text"])


async def async_function(message: Event) -> Event:
    return shouted(message["text"])


class CallableObject:
    async def __call__(self, message: Event) -> Event:
        return shouted(message["text"])


class Shouter(AsyncConsumer):
    async def shout(self, message: Event) -> None:
        assert self.scope["type"] == "channel"
        await self.send(shouted(message["text"]))


class SyncShouter(SyncConsumer):
    type = "channel"

    def shout(self, message: Event) -> None:
        self.send(shouted(message["text"]))


def raw(type: str, channel_layer: Any, consumer_channel: str, send: Any) -> Any:
    assert (type, consumer_channel) == ("channel", "a")

    def handle(message: Event) -> None:
        send(shouted(message["text"]))

    return handle


class Application:
    """As the consumers of Channels do it: answers through the channel layer."""

    def __init__(self) -> None:
        self.scopes: list[Event] = []

    async def __call__(self, scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.scopes.append(scope)
        while True:
            message = await receive()
            await ChannelLayer().send(message["reply_channel"], shouted(message["text"]))


KINDS: list[Any] = [
    function,
    async_function,
    CallableObject(),
    Shouter,
    SyncShouter,
    raw,
    Router({"/": AsyncConsumer, "a": Shouter}),
    Router([("a", Router({"a": SyncShouter}))]),
    Application(),
]


@pytest.mark.parametrize("app", KINDS)
async def test_each_kind_of_application_answers(app: Any) -> None:
    async with listening(app) as layer:
        for text in ("one", "two", "three"):
            assert await layer.request("a", question(text)) == shouted(text)


async def test_an_asgi_application_is_called_once_for_each_channel() -> None:
    app = Application()
    async with listening(app, "a", "b") as layer:
        for channel in ("a", "b", "a", "b"):
            assert await layer.request(channel, question()) == shouted()
    scopes = sorted(app.scopes, key=lambda scope: str(scope["channel"]))  # trio begins tasks in any order
    assert scopes == [{"type": "channel", "channel": "a"}, {"type": "channel", "channel": "b"}]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_router_of_channels_4() -> None:
    pytest.importorskip("channels")
    channels1_project.choose()
    from channels.consumer import AsyncConsumer as TheirConsumer
    from channels.routing import ChannelNameRouter

    async def shout(self: object, message: Event) -> None:
        await ChannelLayer().send(message["reply_channel"], shouted(message["text"]))

    # here ours is used by itself, not by the settings' name
    theirs: Any = type("Theirs", (TheirConsumer,), {"shout": shout, "channel_layer_alias": ""})
    async with listening(ChannelNameRouter({"a": theirs.as_asgi()})) as layer:
        for text in ("one", "two"):
            assert await layer.request("a", question(text)) == shouted(text)


async def test_a_consumer_is_made_for_each_message() -> None:
    made: list[Any] = []

    class Counting(Shouter):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    async with listening(Counting) as layer:
        await layer.request("a", question())
        await layer.request("a", question())
    assert len(made) == 2


async def test_without_a_wish_for_an_answer_none_is_sent() -> None:
    heard: list[Event] = []

    def listener(message: Event) -> Event:
        heard.append(message)
        return shouted()

    async with listening(listener) as layer:
        await layer.send("a", question())
        await eventually(lambda: heard == [question()])
        with pytest.raises(TimeoutError):
            await layer.request("b", question(), timeout=0.05)


async def test_a_function_that_returns_nothing_gives_no_answer() -> None:
    def silent(message: Event) -> None:
        """Answer nothing."""

    async with listening(silent) as layer:
        with pytest.raises(TimeoutError):
            await layer.request("a", question(), timeout=0.05)


# -- turns -----------------------------------------------------------------------------------------------------


class Teller(AsyncConsumer):
    """Does as it is told, with a gate in the middle of its turn."""

    gate: anyio.Event
    begun: anyio.Event

    async def tell(self, message: Event) -> None:
        await self.channel_layer.send(message["to"], {"type": "told"})
        await self.send({"type": "answer"})
        if message.get("flush"):
            await self.flush()
        type(self).begun.set()
        await type(self).gate.wait()
        if message.get("fail"):
            raise ValueError("on purpose")

    async def shout(self, message: Event) -> None:
        await self.send(shouted(message["text"]))


@pytest.fixture
def teller() -> type[Teller]:
    class Fresh(Teller):
        gate = anyio.Event()
        begun = anyio.Event()

    return Fresh


async def own_channels(layer: ChannelLayer) -> tuple[str, str]:
    return await layer.new_channel("told"), await layer.new_channel("answers")


async def arrives(layer: ChannelLayer, channel: str) -> bool:
    """Say whether a message is there, or comes within a moment."""
    with anyio.move_on_after(0.1):
        await layer.receive(channel)
        return True
    return False


async def test_what_a_turn_does_happens_at_its_end(teller: type[Teller]) -> None:
    async with listening(teller) as layer:
        told, answers = await own_channels(layer)
        await layer.send("a", {"type": "tell", "to": told, "reply_channel": answers})
        await teller.begun.wait()
        assert not await arrives(layer, told)
        assert not await arrives(layer, answers)
        teller.gate.set()
        assert await layer.receive(told) == {"type": "told"}
        assert await layer.receive(answers) == {"type": "answer"}


async def test_a_turn_that_raises_does_nothing_and_the_next_goes_on(
    teller: type[Teller], caplog: pytest.LogCaptureFixture
) -> None:
    teller.gate.set()
    async with listening(teller, max_inflight=1) as layer:
        told, answers = await own_channels(layer)
        await layer.send("a", {"type": "tell", "to": told, "reply_channel": answers, "fail": True})
        assert await layer.request("a", question()) == shouted()
        assert not await arrives(layer, told)
        assert not await arrives(layer, answers)
    assert "Exception in the background, channel a" in caplog.text
    assert "ValueError: on purpose" in caplog.text


async def test_flush_does_the_first_part_of_a_turn(teller: type[Teller]) -> None:
    async with listening(teller) as layer:
        told, answers = await own_channels(layer)
        await layer.send("a", {"type": "tell", "to": told, "reply_channel": answers, "flush": True, "fail": True})
        assert await layer.receive(told) == {"type": "told"}
        assert await layer.receive(answers) == {"type": "answer"}
        teller.gate.set()
        assert await layer.request("a", question()) == shouted()
        assert not await arrives(layer, told)


async def test_a_sync_consumer_flushes_in_its_thread() -> None:
    begun, gate = threading.Event(), threading.Event()

    class Flushing(SyncConsumer):
        def shout(self, message: Event) -> None:
            self.send(shouted(message["text"]))
            self.flush()
            begun.set()
            assert gate.wait(10.0)

    async with listening(Flushing) as layer:
        try:
            assert await layer.request("a", question()) == shouted()
            await eventually(begun.is_set)  # the answer may be faster
        finally:
            gate.set()


async def test_what_is_sent_after_the_turn_goes_out_at_once() -> None:
    kept: list[Shouter] = []

    class Late(Shouter):
        async def shout(self, message: Event) -> None:
            kept.append(self)

    async with listening(Late) as layer:
        told, answers = await own_channels(layer)
        await layer.send("a", {"type": "shout", "reply_channel": answers})
        await eventually(lambda: kept)
        await kept[0].send({"type": "answer"})
        await kept[0].channel_layer.send(told, {"type": "told"})
        assert await layer.receive(answers) == {"type": "answer"}
        assert await layer.receive(told) == {"type": "told"}


# -- what goes wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", [Shouter, SyncShouter])
@pytest.mark.parametrize("kind", ["nobody.knows", "websocket.receive"])
async def test_a_type_without_a_handler_is_said(app: Any, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(app, max_inflight=1) as layer:
        await layer.send("a", {"type": kind})
        assert await layer.request("a", question()) == shouted()
    assert f"has no handler {kind.replace('.', '_')!r} for the message {kind!r}" in caplog.text


def answer_of(message: Event) -> Any:
    return {"big": {"type": "x", "data": b"x" * 100_000}, "typeless": {"no": "type"}, "wrong": {"type": object()}}[
        message["type"]
    ]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"type": "big", "reply_channel": "b"}, "longer than max_message_bytes"),
        ({"type": "typeless"}, "a message has to have a 'type'"),
        ({"type": "wrong"}, "LocalProtocolError"),
    ],
)
async def test_an_answer_that_cannot_be_sent_is_said(
    message: Event, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = Config(max_message_bytes=50_000)
    with directory() as url, bridging(url, config):
        async with hosting(answer_of, url, pools=(), channels=("a",)) as node:
            await layer_of(node).send("a", message)
            await eventually(lambda: error in caplog.text)


async def test_a_reply_channel_that_is_no_name_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(function) as layer:
        await layer.send("a", {**question(), "reply_channel": "no name at all"})
        await eventually(lambda: "'no name at all' is not a channel name" in caplog.text)
        await layer.send("a", {**question(), "reply_channel": 5})  # nowhere
        assert await layer.request("a", question()) == shouted()


async def test_what_is_no_message_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Another process may send whatever it likes."""
    app = Application()
    with directory() as url, bridging(url):
        async with (
            hosting(function, url, pools=(), channels=("a",)),
            hosting(app, url, pools=(), channels=("b",)),
            hosting(idle, url) as sender,
        ):
            for channel in ("a", "b"):
                sender.hub.tell(frames.ChannelSend(channel, b"\xc1", 0, 0.0, []))
                assert await layer_of(sender).request(channel, question()) == shouted()
    assert "Exception in the background, channel a" in caplog.text
    assert "What came on channel b is no message" in caplog.text


async def test_an_answer_to_who_is_gone_is_counted_and_the_next_goes_on(teller: type[Teller]) -> None:
    with directory() as url, bridging(url) as bridge:
        async with hosting(teller, url, pools=(), channels=("a",)), hosting(idle, url) as sender:
            layer = layer_of(sender)
            channel = await layer.new_channel()
            with pytest.raises(TimeoutError):
                await layer.request("a", {"type": "tell", "to": channel}, timeout=0.05)
            teller.gate.set()
            assert await layer.receive(channel) == {"type": "told"}
            assert await layer.request("a", question()) == shouted()
            assert not bridge.start().link.core.layer.background.has_listener("reply")


async def test_an_asgi_application_has_no_client_to_send_to(caplog: pytest.LogCaptureFixture) -> None:
    async def sending(scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] == "channel":
            await receive()
            await send({"type": "websocket.send", "text": "x"})

    async with listening(sending) as layer:
        await layer.send("a", question())
        await eventually(lambda: "a named channel has no client for" in caplog.text)


class Ending:
    """An ASGI application that ends, by raising or by returning, after so many messages."""

    def __init__(self, error: Exception | None, after: int) -> None:
        self.calls: list[float] = []
        self._error, self._after = error, after

    async def __call__(self, scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.calls.append(anyio.current_time())
        for _ in range(self._after):
            message = await receive()
            await ChannelLayer().send(message["reply_channel"], shouted(message["text"]))
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    ("error", "said"), [(ValueError("on purpose"), "ValueError: on purpose"), (None, "has returned from channel a")]
)
async def test_an_asgi_application_that_ends_is_started_anew_but_not_at_once(
    error: Exception | None, said: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def back_off(attempt: int) -> float:
        asked.append(attempt)
        return 0.02

    monkeypatch.setattr(background_module, "back_off", back_off)
    app = Ending(error, after=0)
    async with listening(app):
        await eventually(lambda: len(app.calls) >= 4)
    assert asked[:3] == [1, 2, 3]
    assert said in caplog.text
    assert "starting it anew" in caplog.text


async def test_an_asgi_application_that_works_for_a_while_is_started_anew_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def back_off(attempt: int) -> float:
        asked.append(attempt)
        return 0.01

    monkeypatch.setattr(background_module, "back_off", back_off)
    app = Ending(ValueError("on purpose"), after=2)
    async with listening(app) as layer:
        for text in ("one", "two", "three", "four"):
            assert await layer.request("a", question(text)) == shouted(text)
        await eventually(lambda: len(app.calls) == 3)
    assert asked == [0, 0]


async def test_a_worker_does_not_wait_for_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    def back_off(attempt: int) -> float:
        return 60.0

    monkeypatch.setattr(background_module, "back_off", back_off)
    app = Ending(None, after=0)
    with directory() as url, bridging(url):
        async with hosting(app, url, pools=(), channels=("a",)) as node:
            await eventually(lambda: app.calls)
            with anyio.fail_after(5.0):
                await node.drain(60.0)


# -- how much at once ------------------------------------------------------------------------------------------


class Work:
    """A function that says what it does now, and goes on when it is told to."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.done: list[str] = []
        self.most = 0
        self.gate = anyio.Event()

    async def __call__(self, message: Event) -> Event:
        self.running.append(message["text"])
        self.most = max(self.most, len(self.running))
        await self.gate.wait()
        self.running.remove(message["text"])
        self.done.append(message["text"])
        return shouted(message["text"])


async def put(layer: ChannelLayer, *texts: str) -> None:
    """Send messages, each to the channel that its first letter names."""
    for text in texts:
        await layer.send(text[0], question(text), require=True)


async def test_slots_bound_what_runs_at_once_also_over_two_channels() -> None:
    work = Work()
    async with listening(work, "a", "b", max_inflight=2) as layer:
        await put(layer, "a1", "b1", "a2", "b2", "a3", "b3")
        await eventually(lambda: len(work.running) == 2)
        work.gate.set()
        await eventually(lambda: len(work.done) == 6)
        assert work.most == 2


async def test_a_channel_may_have_all_slots() -> None:
    work = Work()
    async with listening(work, "a", "b", max_inflight=3) as layer:
        await put(layer, "b1", "b2", "b3")
        await eventually(lambda: len(work.running) == 3)
        work.gate.set()
        await eventually(lambda: len(work.done) == 3)


async def test_sync_functions_are_bound_by_the_threads() -> None:
    lock, gate = threading.Lock(), threading.Event()
    running: list[int] = []
    most: list[int] = []

    def slow(message: Event) -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        assert gate.wait(10.0)
        with lock:
            running.pop()

    async with listening(slow, threads=2) as layer:
        try:
            await put(layer, "a1", "a2", "a3", "a4")
            await eventually(lambda: len(most) == 2)
        finally:
            gate.set()
        await eventually(lambda: len(most) == 4)
        assert max(most) == 2


async def test_a_busy_worker_takes_nothing_that_an_idle_one_could_do(url: str) -> None:
    """Not even of another channel."""
    one, two = Work(), Work()
    with bridging(url):
        async with (
            hosting(one, url, pools=(), channels=("a", "b"), max_inflight=1),
            hosting(idle, url) as sender,
        ):
            await put(layer_of(sender), "a1")
            await eventually(lambda: one.running == ["a1"])
            async with hosting(two, url, pools=(), channels=("a", "b"), max_inflight=1):
                two.gate.set()
                await put(layer_of(sender), "b1", "b2", "a2")
                await eventually(lambda: sorted(two.done) == ["a2", "b1", "b2"])
                one.gate.set()
                await eventually(lambda: one.done == ["a1"])


async def test_two_workers_take_turns(url: str) -> None:
    one, two = Work(), Work()
    settings: dict[str, Any] = {"pools": (), "channels": ("a",), "max_inflight": 10}
    with bridging(url) as bridge:
        async with hosting(one, url, **settings), hosting(two, url, **settings), hosting(idle, url) as sender:
            channel = bridge.start().link.core.layer.background._channels
            await eventually(lambda: "a" in channel and len(channel["a"].ready) == 2)
            await put(layer_of(sender), *(f"a{n}" for n in range(10)))
            await eventually(lambda: (len(one.running), len(two.running)) == (5, 5))
            one.gate.set()
            two.gate.set()


# -- the end ---------------------------------------------------------------------------------------------------


def waiting(bridge: Bridge, channel: str) -> int:
    """Count what waits at the bridge."""
    found = bridge.start().link.core.layer.background._channels.get(channel)
    return 0 if found is None else len(found.queue)


async def test_a_worker_that_stops_finishes_what_runs_and_gives_back_what_waits(url: str) -> None:
    old, new = Work(), Work()
    with bridging(url) as bridge:
        async with (
            hosting(old, url, pools=(), channels=("a", "b"), max_inflight=2) as node,
            hosting(idle, url) as sender,
            anyio.create_task_group() as tasks,
        ):
            layer = layer_of(sender)
            await put(layer, "a1", "a2", "b1", "b2", "b3")
            await eventually(lambda: len(old.running) == 2)
            tasks.start_soon(node.drain, 10.0)
            await eventually(lambda: waiting(bridge, "a") + waiting(bridge, "b") == 3)
            async with hosting(new, url, pools=(), channels=("a", "b")):
                new.gate.set()
                await eventually(lambda: len(new.done) == 3)
            assert len(old.running) == 2
            old.gate.set()
            await eventually(lambda: len(old.done) == 2)
    assert sorted(old.done + new.done) == ["a1", "a2", "b1", "b2", "b3"]


async def test_what_was_under_way_when_a_worker_stopped_is_given_back(url: str) -> None:
    """The bridge gives messages away until it hears that nobody listens any more."""
    work = Work()
    with bridging(url) as bridge:
        async with (
            hosting(work, url, pools=(), channels=("a",), max_inflight=3) as node,
            hosting(idle, url) as sender,
        ):
            background = bridge.start().link.core.layer.background
            await eventually(lambda: background.has_listener("a"))
            for number in range(3):
                sender.hub.tell(frames.ChannelSend("a", b"\x81\xa4type\xa1" + str(number).encode(), 0, 0.0, []))
            node.background.stop()
            with anyio.fail_after(5.0):
                await node.drain(5.0)
            await node.close("stopped")
            assert not work.running
            await eventually(lambda: waiting(bridge, "a") == 3)


async def test_what_does_not_end_in_time_is_cut_off_and_does_nothing(url: str, teller: type[Teller]) -> None:
    with bridging(url):
        async with hosting(teller, url, pools=(), channels=("a",)) as node, hosting(idle, url) as sender:
            layer = layer_of(sender)
            channel = await layer.new_channel()
            await layer.send("a", {"type": "tell", "to": channel})
            await teller.begun.wait()
            await node.drain(0.05)
            assert node.background.busy == 1
            await node.close("drained", grace=0.0)
            await eventually(lambda: not node.background.busy)
            assert not await arrives(layer, channel)


@pytest.mark.parametrize("app", [function, Application()])
async def test_an_idle_worker_ends_at_once(url: str, app: Any) -> None:
    with bridging(url):
        async with hosting(app, url, pools=(), channels=("a", "b")) as node:
            with anyio.fail_after(10.0):
                await node.drain(60.0)
                await node.close("stopped", grace=60.0)
        async with hosting(app, url, pools=(), channels=("a", "b")) as node:
            with anyio.fail_after(10.0):
                await node.close("not drained", grace=60.0)


async def test_an_asgi_application_finishes_its_message(url: str) -> None:
    gate, begun, ended = anyio.Event(), anyio.Event(), anyio.Event()

    async def app(scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] == "channel":
            try:
                while True:
                    await receive()
                    begun.set()
                    await gate.wait()
            finally:
                ended.set()

    with bridging(url) as bridge:
        async with hosting(app, url, pools=(), channels=("a",)) as node, hosting(idle, url) as sender:
            await put(layer_of(sender), "a1", "a2")
            await begun.wait()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(node.drain, 10.0)
                await eventually(lambda: waiting(bridge, "a") == 1)
                assert not ended.is_set()
                gate.set()
            assert ended.is_set()


# -- what nobody is there for ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Router({"/": Shouter}), "--channels a: m:app has no route for it"),
        (Router({"a": Shouter}), "--channels b: m:app has no route for it"),
        (Router([("a", Shouter), ("b", Router({"c": Shouter}))]), "--channels b: m:app has no route for it"),
        (type("Sockets", (AsyncConsumer,), {"type": "websocket"}), "m:app is for 'websocket', by its attribute type"),
    ],
)
def test_a_channel_that_nobody_is_there_for_is_an_error(target: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check(wrap(target, "auto", "m:app", is_background=True), ("a", "b"))


@pytest.mark.parametrize("target", KINDS)
def test_where_there_is_somebody_there_is_none(target: Any) -> None:
    check(wrap(target, "auto", "m:app", is_background=True), ("a",))


# -- real processes --------------------------------------------------------------------------------------------

TASKS = """
import os, pathlib, time

def app(message):
    if message["type"] == "wait":
        pathlib.Path(message["begun"]).write_text(str(os.getpid()))
        while not pathlib.Path(message["gate"]).exists():
            time.sleep(0.02)
    return {"type": "done", "pid": os.getpid()}
"""


class Tasks:
    """Workers of TASKS, and what a script does with them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.layer = SyncChannelLayer(url, timeout=20.0)

    def ask(self) -> int:
        return int(self.layer.request("x", {"type": "ask"})["pid"])

    def wait_for(self, name: str) -> Event:
        return {"type": "wait", "begun": str(self.folder / name), "gate": str(self.folder / "gate")}

    def begun(self, name: str) -> int:
        """Give the process that has begun with it; 0: none has."""
        file = self.folder / name
        return int(file.read_text() or 0) if file.exists() else 0


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await anyio.to_thread.run_sync(function, *arguments)


@pytest.mark.system
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_workers_are_killed_and_stopped(tmp_path: Path, url: str) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    args = ["--channels", "x", "-c", "2", "--max-inflight", "1"]
    tasks = Tasks(tmp_path, url)
    with bridging(url), WorkerProcess("tasks:app", url, pythonpath=[tmp_path], args=args) as worker:
        first = await in_thread(tasks.ask)
        await in_thread(tasks.layer.send, "x", tasks.wait_for("killed"))
        await eventually(lambda: tasks.begun("killed"))
        victim = tasks.begun("killed")
        other = await in_thread(tasks.ask)
        assert {first, other} <= set(worker.tree()[1:])
        assert other != victim
        os.kill(victim, signal.SIGKILL)
        await in_thread(wait_gone, [victim])
        assert (await in_thread(tasks.ask)) != victim

        await eventually(lambda: len([pid for pid in worker.tree()[1:] if alive(pid)]) == 2)
        (tmp_path / "killed").unlink()
        answers: list[Event] = []
        async with anyio.create_task_group() as group:

            async def request() -> None:
                answers.append(await in_thread(tasks.layer.request, "x", tasks.wait_for("stopped")))

            group.start_soon(request)
            await eventually(lambda: tasks.begun("stopped"))
            worker.sigterm()
            await eventually(lambda: "1 messages in the background have up to 30 s to be handled" in worker.log)
            assert worker.alive
            (tmp_path / "gate").touch()
        assert answers == [{"type": "done", "pid": tasks.begun("stopped")}]
        assert await in_thread(worker.wait) == 0
        assert tasks.begun("killed") == 0  # at most once: what the killed one had was given to nobody
    await in_thread(tasks.layer.close)


# -- time limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["function", "consumer"])
async def test_a_message_that_takes_too_long_fails_and_the_next_one_is_handled(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def task(message: Event) -> Event:
        if message["text"] == "slow":
            await anyio.sleep_forever()
        return shouted(message["text"])

    class Consumer(AsyncConsumer):
        async def shout(self, message: Event) -> None:
            await self.send(await task(message))

    app = task if kind == "function" else Consumer
    async with listening(app, soft_time_limit=0.02, max_inflight=1) as layer:
        await layer.send("a", question("slow"))
        assert await layer.request("a", question("next"), timeout=10.0) == shouted("next")
    assert "channel a of " in caplog.text
    assert "its soft time limit: telling it to end" in caplog.text


async def test_of_a_message_that_was_given_up_nothing_happens_any_more_and_beats_tell_its_age() -> None:
    gate, ended = threading.Event(), threading.Event()

    def task(message: Event) -> Event:
        try:
            while not gate.is_set():
                with contextlib.suppress(TimeLimitExceeded):
                    gate.wait(0.005)
            return shouted("late")
        finally:
            ended.set()

    with directory() as url, bridging(url):
        async with hosting(task, url, pools=(), channels=("a",), time_limit=0.02) as node, hosting(idle, url) as sender:
            layer = layer_of(sender)
            answer = await layer.new_channel()
            await layer.send("a", {**question(), "reply_channel": answer})
            await eventually(lambda: bool(node.overseer.given_up))
            [turn] = node.turns
            assert node._tick(turn.since + 7.0) == 7.0
            gate.set()
            await eventually(ended.is_set)
            await eventually(lambda: not node.turns)
            with anyio.move_on_after(0.1) as waited:
                await layer.receive(answer)
            assert waited.cancelled_caught


@pytest.mark.parametrize("limit", [None, 60.0])
async def test_making_a_consumer_has_the_limits_of_a_handler(limit: float | None) -> None:
    seen: list[str] = []

    class Consumer(AsyncConsumer):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            seen.extend(run.what for run in node.overseer.runs)

        async def shout(self, message: Event) -> None:
            await self.send(shouted(message["text"]))

    with directory() as url, bridging(url):
        settings: dict[str, Any] = {"pools": (), "channels": ("a",), "time_limit": limit}
        async with hosting(Consumer, url, **settings) as node, hosting(idle, url) as sender:
            assert await layer_of(sender).request("a", question("x")) == shouted("x")
    assert len(seen) == (limit is not None)
    assert all(what.startswith("channel a of test_making_a_consumer") for what in seen)
