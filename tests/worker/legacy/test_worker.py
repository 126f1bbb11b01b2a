"""What becomes of one message, and of the loops that take them. Nothing that a message brings ends a worker."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from channels_bridge.worker.legacy.asgi import ChannelLayerWrapper
from channels_bridge.worker.legacy.channel import Channel
from channels_bridge.worker.legacy.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from channels_bridge.worker.legacy.memory import ChannelLayer
from channels_bridge.worker.legacy.message import Message, pending_message_store
from channels_bridge.worker.legacy.routing import route
from channels_bridge.worker.legacy.signals import consumer_finished, consumer_started, worker_ready
from channels_bridge.worker.legacy.worker import Worker, WorkerGroup, selected

REPLY = "reply.socket"


def worker(consumer: Any, *channels: str, **options: Any) -> Worker:
    """Make one whose consumer listens on these channels."""
    routes = [route(list(channels or ("websocket.connect", "websocket.receive", "work")), consumer)]
    return Worker(ChannelLayerWrapper(ChannelLayer(), "default", routes), signal_handlers=False, **options)


def dispatch(worker: Worker, channel: str = "work", **content: Any) -> Message:
    """Have it handle a message."""
    message = Message({"reply_channel": REPLY, **content}, channel, worker.channel_layer)
    worker.dispatch(message)
    return message


def sent(worker: Worker, channel: str = REPLY) -> list[Any]:
    """Give all that was sent to a channel."""
    layer = worker.channel_layer
    return list(iter(lambda: layer.receive([channel])[1], None))


def raising(error: BaseException) -> Callable[[Message], None]:
    """Make a consumer that sends, and raises."""

    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": "before"})
        raise error

    return consumer


@contextmanager
def connected(signal: Any, receiver: Callable[..., Any]) -> Generator[None]:
    """Have a receiver called."""
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


# -- one message -----------------------------------------------------------------------------------------------


def test_its_consumer_is_called_between_the_signals_and_then_sends() -> None:
    seen: list[Any] = []

    def consumer(message: Message, name: str) -> None:
        assert pending_message_store.active
        Channel(REPLY, channel_layer=it.channel_layer).send({"n": 1})
        seen.append((message["path"], name, sent(it)))

    def started(sender: object, environ: object, **_: object) -> None:
        seen.append(("started", sender, environ))

    def finished(sender: object, **_: object) -> None:
        seen.append(("finished", sender))

    it = worker(consumer)
    it.channel_layer.router.root[:] = [route("work", consumer, path=r"^/(?P<name>\w+)")]
    with connected(consumer_started, started), connected(consumer_finished, finished):
        dispatch(it, path="/blue")
    assert seen == [("started", Worker, {}), ("/blue", "blue", []), ("finished", Worker)]
    assert sent(it) == [{"n": 1}]
    assert not pending_message_store.active


def test_callbacks_are_told_before() -> None:
    seen: list[Any] = []
    it = worker(lambda message: seen.append("consumed"), callback=lambda *told: seen.append(told))
    message = dispatch(it)
    assert seen == [("work", message), "consumed"]


@pytest.mark.parametrize("error", [ValueError("it broke"), TypeError("it broke"), ChannelLayer.ChannelFull("it broke")])
def test_errors_are_logged_and_what_was_sent_before_is_sent(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    it = worker(raising(error))
    dispatch(it)
    assert sent(it) == [{"text": "before"}]
    assert "Error processing message with consumer" in caplog.text
    assert "raising.<locals>.consumer" in caplog.text
    assert "it broke" in caplog.text
    assert {record.name for record in caplog.records} == {"django.channels"}


def test_arguments_that_a_consumer_does_not_take_are_an_error_of_it(caplog: pytest.LogCaptureFixture) -> None:
    it = worker(lambda message: None)
    it.channel_layer.router.root[:] = [route("work", lambda message: None, path=r"(?P<name>.*)")]
    dispatch(it, path="x")
    assert "unexpected keyword argument 'name'" in caplog.text


def test_what_ends_a_process_does() -> None:
    it = worker(raising(SystemExit(3)))
    with pytest.raises(SystemExit):
        dispatch(it)
    assert sent(it) == [{"text": "before"}]


def test_a_message_without_a_route_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    it = worker(lambda message: None, "other")
    dispatch(it)
    assert "No route for a message on work" in caplog.text
    it.channel_layer.router.root[:] = [None]
    dispatch(it)
    assert "Error in the routing of a message on work" in caplog.text


# -- what consumers raise on purpose ---------------------------------------------------------------------------


def test_a_socket_is_denied_after_what_was_sent() -> None:
    it = worker(raising(DenyConnection()))
    dispatch(it, "websocket.connect")
    assert sent(it) == [{"text": "before"}, {"close": True}]


@pytest.mark.parametrize("channel", ["websocket.receive", "work"])
def test_nothing_but_a_new_socket_can_be_denied(channel: str, caplog: pytest.LogCaptureFixture) -> None:
    it = worker(raising(DenyConnection()))
    dispatch(it, channel)
    assert f"DenyConnection was raised on {channel}" in caplog.text
    assert sent(it) == [{"text": "before"}]


@pytest.mark.parametrize(("code", "close"), [(None, True), (4001, 4001)])
def test_a_socket_is_closed_after_what_was_sent(code: int | None, close: Any) -> None:
    it = worker(raising(WebsocketCloseException(code)))
    dispatch(it, "websocket.receive")
    assert sent(it) == [{"text": "before"}, {"close": close}]


def test_an_error_in_what_is_to_be_done_to_a_socket_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ChannelSocketException):
        def run(self, message: Message) -> None:
            raise KeyError("broken")

    it = worker(raising(Broken()))
    dispatch(it)
    assert "Error behind a message" in caplog.text
    assert "KeyError: 'broken'" in caplog.text
    assert sent(it) == [{"text": "before"}]


def test_later_is_again_behind_what_waits() -> None:
    seen: list[Any] = []

    def consumer(message: Message) -> None:
        seen.append(message.get("__retries__"))
        message["touched"] = len(seen)
        if len(seen) < 3:
            raise ConsumeLater

    it = worker(consumer)
    dispatch(it, n=1)
    for expected in (1, 2):
        channel, content = it.channel_layer.receive(["work"])
        assert content == {"reply_channel": REPLY, "n": 1, "touched": expected, "__retries__": expected}
        it.dispatch(Message(content, channel, it.channel_layer))
    assert seen == [None, 1, 2]
    assert it.channel_layer.receive(["work"]) == (None, None)


def test_after_ten_times_it_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    doomed: list[bool] = []

    def consumer(message: Any) -> None:
        doomed.append(getattr(message, "__doomed__", False))
        raise ConsumeLater

    it = worker(consumer)
    content: Any = {}
    while content is not None:
        it.dispatch(Message(content, "work", it.channel_layer))
        content = it.channel_layer.receive(["work"])[1]
    assert doomed == [False] * 10 + [True]
    assert "Exceeded number of retries for message on channel work" in caplog.text


def test_how_often_can_be_said() -> None:
    it = worker(raising(ConsumeLater()), message_retries=0)
    dispatch(it)
    assert it.channel_layer.receive(["work"]) == (None, None)


def test_what_cannot_be_put_back_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    it = worker(raising(ConsumeLater()))
    for _ in range(10):
        it.channel_layer.send("work", {})
    dispatch(it)
    assert "What a consumer has sent to work was dropped" in caplog.text


# -- loops -----------------------------------------------------------------------------------------------------


def test_which_channels_a_worker_is_for() -> None:
    channels = ["http.request", "websocket.connect", "websocket.receive", "work"]
    assert selected(reversed(channels), [], []) == channels
    assert selected(channels, ["websocket.*", "w?rk"], []) == channels[1:]
    assert selected(channels, [], ["websocket.*"]) == ["http.request", "work"]
    assert selected(channels, ["*.re*"], ["websocket.*"]) == ["http.request"]
    assert selected(channels, ["WORK"], []) == []
    it = worker(None.__class__, only_channels=["w*"], exclude_channels=["work"])
    assert it.apply_channel_filters(channels) == ["websocket.connect", "websocket.receive"]


def test_a_worker_says_that_it_is_ready() -> None:
    seen: list[object] = []

    def ready(sender: object, **_: object) -> None:
        seen.append(sender)

    it = worker(lambda message: None)
    group = WorkerGroup(it.channel_layer, n_threads=3)
    with connected(worker_ready, ready):
        it.ready()
        group.ready()
    assert seen == [it, *group.workers]


def test_it_takes_messages_until_it_is_told_to_stop() -> None:
    seen: list[Any] = []

    def consumer(message: Message) -> None:
        assert it.in_job
        seen.append(message["n"])
        if message["n"] == 2:
            it.sigterm_handler(signal.SIGTERM, None)  # it ends this message first

    it = worker(consumer, only_channels=["work"])
    for number in range(4):
        it.channel_layer.send("work", {"n": number})
    it.channel_layer.send("websocket.receive", {"n": 9})
    it.run()
    assert seen == [0, 1, 2]
    assert it.termed
    assert not it.in_job


def test_while_it_waits_it_ends_at_once() -> None:
    it = worker(lambda message: None)
    with pytest.raises(SystemExit) as ended:
        it.sigterm_handler(signal.SIGTERM, None)
    assert ended.value.code == 0


def test_without_a_message_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels_bridge.worker.legacy.memory.BLOCK", 0.001)
    it = worker(lambda message: None)
    rounds: list[int] = []

    class Counting:
        router = it.channel_layer.router

        def receive(self, channels: Any, block: bool) -> Any:
            rounds.append(len(rounds))
            it.termed = len(rounds) == 3
            return it_layer.receive(channels, block)

    it_layer = it.channel_layer
    it.channel_layer = Counting()
    it.run()
    assert rounds == [0, 1, 2]


def test_signals_stop_it_if_it_may_have_them() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        it = worker(lambda message: signal.raise_signal(signal.SIGTERM))
        it.signal_handlers = True
        it.channel_layer.send("work", {})
        it.run()
        assert it.termed
        group = WorkerGroup(it.channel_layer, n_threads=2)
        it.channel_layer.router.root[:] = [route("work", lambda message: signal.raise_signal(signal.SIGINT))]
        group.workers[1].termed = True
        it.channel_layer.send("work", {})
        group.run()
        assert group.termed
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


def test_a_group_works_in_threads_and_ends_when_all_have_ended() -> None:
    threads: set[str] = set()
    together = threading.Barrier(3)

    def consumer(_: Message) -> None:
        threads.add(threading.current_thread().name)
        together.wait(10)
        group.stop()

    it = worker(consumer)
    group = WorkerGroup(it.channel_layer, n_threads=3, signal_handlers=False, only_channels=["work"])
    assert not group.termed
    for _ in range(3):
        it.channel_layer.send("work", {})
    group.run()
    assert len(threads) == 3
    assert threading.current_thread().name in threads
