"""Consumers turn by turn: what a turn does happens at its commit or not at all, one turn after the other."""

# ruff: noqa: ARG001 - applications and consumers share a signature, whether they need all of it or not

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import anyio
import pytest

from channels_bridge import (
    AsyncConsumer,
    ChannelLayer,
    Config,
    SoftTimeLimitExceeded,
    SyncChannelLayer,
    SyncConsumer,
    TimeLimitExceeded,
)
from channels_bridge.shared import frames
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.shared.errors import ApplicationError, LocalProtocolError
from channels_bridge.shared.wire import pack_scope
from channels_bridge.testing import bridged
from channels_bridge.worker import overseer
from channels_bridge.worker.building import is_async
from channels_bridge.worker.time_limits import Limits
from halves import bridging, directory, hosting, is_idle
from played_server import Call, Event, eventually, fetch, http_scope, websocket_scope

pytestmark = pytest.mark.anyio


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


class Gate:
    """Stops a consumer at a place until the test opens it, and tells that it is there."""

    def __init__(self) -> None:
        self.reached = anyio.Event()
        self._opened = anyio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self._opened.wait()

    def open(self) -> None:
        self._opened.set()


class Echo(AsyncConsumer):
    async def websocket_receive(self, message: Event) -> None:
        await self.send({"type": "websocket.send", "text": message["text"], "bytes": message["bytes"]})


async def fence(bridge: Any) -> None:
    """Have one connection go all the way and back: what was under way before it has arrived."""
    async with Call(bridge, websocket_scope("/fence")) as call:
        await call.connect()
        call.leave()
        await call.end()


def text(message: str) -> Event:
    return {"type": "websocket.send", "text": message}


# -- what a turn does, and when it happens ---------------------------------------------------------------------


async def test_what_a_turn_sends_appears_when_it_is_over() -> None:
    gate = Gate()

    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            await self.send(text("one"))
            await gate()
            await self.send(text("two"))

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go")
        await gate.reached.wait()
        await fence(bridge)
        assert call.unread() == []
        gate.open()
        assert [await call.hear(), await call.hear()] == ["one", "two"]


async def test_a_consumer_that_raises_sends_nothing_of_that_turn(caplog: pytest.LogCaptureFixture) -> None:
    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            await self.send(text(f"echo {message['text']}"))
            if message["text"] == "bad":
                raise ValueError("of its own")

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("good", "bad", "never")
        assert await call.hear() == "echo good"
        assert await call.next() == {"type": "websocket.close", "code": 1011, "reason": "error"}
        assert await call.end() is None
        assert call.unread() == []
        assert is_idle(bridge)
    assert "ValueError: of its own" in caplog.text
    assert "Exception in consumer (connection 1, epoch 1, message 3)" in caplog.text


async def test_an_exception_before_the_accept_is_told_to_the_server() -> None:
    class Consumer(AsyncConsumer):
        async def websocket_connect(self, message: Event) -> None:
            await self.send({"type": "websocket.accept"})
            raise ValueError("of its own")

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        call.give({"type": "websocket.connect"})
        error = await call.end()
        assert isinstance(error, ApplicationError)
        assert str(error) == "ValueError: of its own"
        assert call.sent == []
        assert is_idle(bridge)


async def test_an_exception_in_the_constructor_is_one_of_the_first_turn() -> None:
    class Consumer(AsyncConsumer):
        def __init__(self, *args: Any) -> None:
            raise ValueError("too early")

    async with bridged(Consumer, same_loop=True, interface="consumer") as bridge:
        with pytest.raises(ApplicationError, match="ValueError: too early"):
            await fetch(bridge)
        assert is_idle(bridge)


async def test_flush_commits_what_was_done_so_far_and_the_end_of_the_turn_the_rest() -> None:
    gate = Gate()

    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            await self.send(text("early"))
            await self.flush()
            await self.send(text("late"))
            await gate()

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go")
        assert await call.hear() == "early"
        await gate.reached.wait()
        await fence(bridge)
        assert call.unread() == []
        gate.open()
        assert await call.hear() == "late"


async def test_what_was_flushed_stays_when_the_rest_of_the_turn_raises() -> None:
    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            await self.send(text("early"))
            await self.flush()
            await self.send(text("late"))
            raise ValueError

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go")
        assert await call.hear() == "early"
        assert (await call.next())["code"] == 1011
        await call.end()
        assert is_idle(bridge)


CHUNK = 50_000


class Streaming(AsyncConsumer):
    sent: ClassVar[int] = 0

    async def http_request(self, message: Event) -> None:
        await self.send({"type": "http.response.start", "status": 200})
        for _ in range(40):
            await self.send({"type": "http.response.body", "body": bytes(CHUNK), "more_body": True})
            await self.flush()
            type(self).sent += CHUNK
        await self.send({"type": "http.response.body", "body": b""})

    async def websocket_disconnect(self, message: Event) -> None: ...


class SyncStreaming(SyncConsumer):
    sent: ClassVar[int] = 0

    def http_request(self, message: Event) -> None:
        self.send({"type": "http.response.start", "status": 200})
        for _ in range(40):
            self.send({"type": "http.response.body", "body": bytes(CHUNK), "more_body": True})
            self.flush()
            type(self).sent += CHUNK
        self.send({"type": "http.response.body", "body": b""})

    def websocket_disconnect(self, message: Event) -> None: ...


@pytest.mark.parametrize("base", [Streaming, SyncStreaming])
async def test_flush_waits_for_a_client_that_reads_slowly(base: Any) -> None:
    consumer: Any = type("Fresh", (base,), {"sent": 0})
    config = Config(window_bytes=256 * 1024)
    async with bridged(consumer, same_loop=True, config=config) as bridge:
        async with Call(bridge, http_scope(), {"type": "http.request"}) as call:
            call.send_waits = True
            await call.until(lambda: call.sending)
            await fence(bridge)
            await fence(bridge)
            assert 0 < consumer.sent <= 64 * 1024 + 2 * CHUNK
            await call.let_through(20)
            await fence(bridge)
            taken = 19 * CHUNK
            assert consumer.sent <= taken + config.window_bytes + 2 * CHUNK
            call.go_on()
            assert await call.end() is None
            assert sum(len(event.get("body", b"")) for event in call.sent) == consumer.sent == 40 * CHUNK
        await eventually(lambda: is_idle(bridge))


@pytest.mark.parametrize("base", [Streaming, SyncStreaming])
async def test_a_flush_that_waits_goes_on_when_the_client_is_gone(base: Any) -> None:
    consumer: Any = type("Fresh", (base,), {"sent": 0})
    async with bridged(consumer, same_loop=True) as bridge:
        async with Call(bridge, http_scope(), {"type": "http.request"}) as call:
            call.send_waits = True
            await call.until(lambda: call.sending)
            await fence(bridge)
            call.cancel()
            await call.end()
        await eventually(lambda: consumer.sent == 40 * CHUNK)
        await eventually(lambda: is_idle(bridge))


async def test_a_flush_from_a_thread_of_the_users_own_waits_for_nobody() -> None:
    consumers: list[Any] = []

    class Consumer(SyncConsumer):
        def websocket_connect(self, message: Event) -> None:
            consumers.append(self)

        def websocket_receive(self, message: Event) -> None:
            self.send(text("x" * 200_000))
            thread = threading.Thread(target=self.flush)
            thread.start()
            thread.join()
            self.send(text("y"))

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go")
        assert len(await call.hear()) == 200_000
        assert await call.hear() == "y"


async def test_a_turn_that_flushed_is_the_only_one_of_its_connection() -> None:
    gate = Gate()
    began: list[str] = []

    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            began.append(message["text"])
            await self.flush()
            await gate()
            await self.send(text(message["text"]))

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("1", "2")
        await gate.reached.wait()
        await fence(bridge)
        assert began == ["1"]
        gate.open()
        assert [await call.hear(), await call.hear()] == ["1", "2"]


async def test_outside_of_a_turn_send_works_at_once_and_flush_does_nothing() -> None:
    consumers: list[Any] = []

    class Consumer(AsyncConsumer):
        async def websocket_connect(self, message: Event) -> None:
            consumers.append(self)

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        await fence(bridge)
        await consumers[0].flush()
        await consumers[0].send(text("from outside"))
        assert await call.hear() == "from outside"
        await anyio.to_thread.run_sync(consumers[0]._send, text("from a thread"))
        assert await call.hear() == "from a thread"


# -- threads ---------------------------------------------------------------------------------------------------


async def test_sync_consumers_run_in_threads_one_turn_after_the_other() -> None:
    here = threading.get_ident()
    threads: set[int] = set()
    at_once: list[int] = []
    running = 0

    class Consumer(SyncConsumer):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            threads.add(threading.get_ident())

        def websocket_receive(self, message: Event) -> None:
            nonlocal running
            running += 1
            at_once.append(running)
            threads.add(threading.get_ident())
            self.send(text(message["text"]))
            running -= 1

    async with (
        bridged(Consumer, same_loop=True, interface="consumer") as bridge,
        Call(bridge, websocket_scope()) as call,
    ):
        await call.connect()
        numbers = [str(number) for number in range(50)]
        call.say(*numbers)
        assert [await call.hear() for _ in numbers] == numbers
    assert here not in threads
    assert set(at_once) == {1}


async def test_turns_of_sync_consumers_on_several_connections_run_side_by_side() -> None:
    barrier = threading.Barrier(3, timeout=10.0)

    class Consumer(SyncConsumer):
        def websocket_receive(self, message: Event) -> None:
            barrier.wait()
            self.send(text("together"))

    async with (
        bridged(Consumer, same_loop=True, threads=3) as bridge,
        Call(bridge, websocket_scope()) as one,
        Call(bridge, websocket_scope()) as two,
        Call(bridge, websocket_scope()) as three,
    ):
        for call in (one, two, three):
            await call.connect()
            call.say("go")
        for call in (one, two, three):
            assert await call.hear() == "together"


async def test_a_sync_consumer_flushes_from_its_thread() -> None:
    gate = threading.Event()

    class Consumer(SyncConsumer):
        def websocket_receive(self, message: Event) -> None:
            self.send(text("early"))
            self.flush()
            self.send(text("late"))
            assert gate.wait(10.0)

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go")
        assert await call.hear() == "early"
        gate.set()
        assert await call.hear() == "late"


# -- what can be a consumer ------------------------------------------------------------------------------------


async def test_an_async_class_is_built_in_the_loop_and_given_the_async_layer() -> None:
    seen: list[Any] = []

    class Consumer(AsyncConsumer):
        def __init__(self, type: str, channel_layer: ChannelLayer, consumer_channel: str, send: Any) -> None:
            super().__init__(type, channel_layer, consumer_channel, send)
            seen.append((type, channel_layer.is_async, threading.get_ident()))

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
    assert seen == [("websocket", True, threading.get_ident())]


def raw_async_factory(type: str, channel_layer: Any, consumer_channel: str, send: Any) -> Callable[[Event], Any]:
    async def handle(message: Event) -> None:
        await answer_with_flavour(message, channel_layer, send)

    return handle


def raw_sync_factory(type: str, channel_layer: Any, consumer_channel: str, send: Any) -> Callable[[Event], Any]:
    def handle(message: Event) -> None:
        if message["type"] == "websocket.connect":
            send({"type": "websocket.accept"})
            send(text(f"{channel_layer.is_async} {threading.current_thread() is threading.main_thread()}"))

    return handle


async def answer_with_flavour(message: Event, layer: Any, send: Any) -> None:
    if message["type"] == "websocket.connect":
        await send({"type": "websocket.accept"})
        await send(text(f"{layer.is_async} {threading.current_thread() is threading.main_thread()}"))


class RawAsyncClass:
    def __init__(self, type: str, channel_layer: Any, consumer_channel: str, send: Any) -> None:
        self.layer, self.send = channel_layer, send

    async def __call__(self, message: Event) -> None:
        await answer_with_flavour(message, self.layer, self.send)


class RawSyncClass:
    def __init__(self, type: str, channel_layer: Any, consumer_channel: str, send: Any) -> None:
        self.handle = raw_sync_factory(type, channel_layer, consumer_channel, send)

    def __call__(self, message: Event) -> None:
        self.handle(message)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (RawAsyncClass, "True True"),
        (RawSyncClass, "False False"),
        (raw_async_factory, "True True"),
        (functools.partial(raw_async_factory), "True True"),
    ],
)
async def test_classes_and_factories_are_run_as_what_they_are(factory: Any, words: str) -> None:
    async with bridged(factory, same_loop=True) as bridge:
        for _ in range(2):
            async with Call(bridge, websocket_scope()) as call:
                assert (await call.connect())["type"] == "websocket.accept"
                assert await call.hear() == words


async def test_a_sync_factory_is_known_as_one_from_its_second_connection_on_or_by_its_word() -> None:
    async with bridged(raw_sync_factory, same_loop=True, interface="consumer") as bridge:
        heard: list[str | bytes] = []
        for _ in range(2):
            async with Call(bridge, websocket_scope()) as call:
                await call.connect()
                heard.append(await call.hear())
        assert heard == ["True False", "False False"]

    said = functools.partial(raw_sync_factory)
    said.is_async = False  # type: ignore[attr-defined]
    async with bridged(said, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        assert await call.hear() == "False False"


def test_is_async_looks_at_functions_and_at_calls() -> None:
    async def function(message: Event) -> None: ...

    assert is_async(function)
    assert is_async(RawAsyncClass("websocket", None, "", None))
    assert not is_async(RawSyncClass("websocket", None, "", None))
    assert not is_async(print)


# -- bounds ----------------------------------------------------------------------------------------------------


async def test_a_turn_that_sends_too_much_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            for _ in range(11):
                await self.send(text("x" * 1000))
                if message["text"] == "flush":
                    await self.flush()

    async with bridged(Consumer, same_loop=True, config=Config(turn_bytes=10_000)) as bridge:
        async with Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("flush")
            assert [len(await call.hear()) for _ in range(11)] == [1000] * 11
            call.say("at once")
            assert (await call.next())["code"] == 1011
        assert is_idle(bridge)
    assert "this turn has sent more than turn_bytes, 10000, before its commit: flush() now and then" in caplog.text


async def test_layer_messages_count_as_what_a_turn_sends(caplog: pytest.LogCaptureFixture) -> None:
    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            for _ in range(11):
                await self.channel_layer.send_group("g", {"type": "x", "text": "x" * 1000})

    async with (
        bridged(Consumer, same_loop=True, config=Config(turn_bytes=10_000)) as bridge,
        Call(bridge, websocket_scope()) as call,
    ):
        await call.connect()
        call.say("go")
        assert (await call.next())["code"] == 1011
    assert "more than turn_bytes, 10000" in caplog.text


async def test_a_message_that_is_too_long_is_refused_at_the_line_at_fault() -> None:
    errors: list[Exception] = []

    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            try:
                await self.send(text("x" * int(message["text"])))
            except LocalProtocolError as error:
                errors.append(error)
                await self.send(text("refused"))

    async with (
        bridged(Consumer, same_loop=True, config=Config(max_message_bytes=10_000)) as bridge,
        Call(bridge, websocket_scope()) as call,
    ):
        await call.connect()
        call.say("10000", "20000")
        assert len(await call.hear()) == 10_000
        assert await call.hear() == "refused"
    assert "is longer than max_message_bytes, 10000" in str(errors[0])


# -- HTTP ------------------------------------------------------------------------------------------------------


class Body(AsyncConsumer):
    """Answers with what it was sent, in one piece, and with the scope's words."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.parts: list[bytes] = []

    async def http_request(self, message: Event) -> None:
        self.parts.append(message["body"])
        if not message.get("more_body"):
            words = f" {self.scope['method']} {self.scope['path']}".encode()
            await self.send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"1")]})
            await self.send({"type": "http.response.body", "body": b"|".join(self.parts) + words})


async def test_an_http_consumer_answers_a_body_in_parts() -> None:
    async with (
        bridged(Body, same_loop=True, interface="consumer") as bridge,
        Call(bridge, http_scope("/up", "POST")) as call,
    ):
        call.give({"type": "http.request", "body": b"1", "more_body": True})
        call.give({"type": "http.request", "body": b"2", "more_body": True})
        call.give({"type": "http.request", "body": b"3", "more_body": False})
        assert await call.end() is None
        assert [event.get("body") for event in call.sent] == [None, b"1|2|3 POST /up"]
        await eventually(lambda: is_idle(bridge))


async def test_an_http_consumer_that_raises_after_the_beginning_cuts_the_response() -> None:
    class Consumer(AsyncConsumer):
        async def http_request(self, message: Event) -> None:
            await self.send({"type": "http.response.start", "status": 200})
            await self.send({"type": "http.response.body", "body": b"x", "more_body": True})
            await self.flush()
            raise ValueError("in the middle")

    async with bridged(Consumer, same_loop=True) as bridge:
        async with Call(bridge, http_scope(), {"type": "http.request"}) as call:
            error = await call.end()
            assert isinstance(error, ApplicationError)
            assert str(error) == "ValueError: in the middle"
            assert call.sent[-1]["more_body"] is True
        assert is_idle(bridge)


async def test_an_http_consumer_is_told_of_a_client_that_left_before_the_answer_and_not_after_it() -> None:
    seen: list[str] = []

    class Consumer(AsyncConsumer):
        async def http_request(self, message: Event) -> None:
            seen.append("request")
            if self.scope["path"] == "/answer":
                await self.send({"type": "http.response.start", "status": 204})
                await self.send({"type": "http.response.body"})

        async def http_disconnect(self, message: Event) -> None:
            seen.append("disconnect")

    async with bridged(Consumer, same_loop=True) as bridge:
        assert (await fetch(bridge, "/answer")).status == 204
        async with Call(bridge, http_scope("/"), {"type": "http.request"}) as call:
            call.give({"type": "http.disconnect"})
            assert await call.end() is None
        await eventually(lambda: is_idle(bridge))
    assert seen == ["request", "request", "disconnect"]


async def test_a_turn_can_see_that_its_client_has_gone(url: str) -> None:
    """Else a response without an end would be made for nobody, for ever. The worker has no slot but the one in use."""
    seen: list[bool] = []
    working = anyio.Event()

    class Consumer(AsyncConsumer):
        async def http_request(self, message: Event) -> None:
            seen.append(self.sender.is_gone)
            working.set()
            await eventually(lambda: self.sender.is_gone)
            seen.append(self.sender.is_gone)

        async def http_disconnect(self, message: Event) -> None:
            seen.append(self.sender.is_gone)

        @property
        def sender(self) -> Any:
            return self._send

    with bridging(url) as bridge:
        async with hosting(Consumer, url, max_inflight=1):
            async with Call(bridge, http_scope("/"), {"type": "http.request"}) as call:
                await working.wait()
                call.give({"type": "http.disconnect"})
                await call.end()
            await eventually(lambda: is_idle(bridge))
    assert seen == [False, True, True]


# -- the end is always told ------------------------------------------------------------------------------------


class Witness(AsyncConsumer):
    """Notes how its client left, and the number of turns that it took until then."""

    ends: ClassVar[list[tuple[int, str]]]
    gate: ClassVar[Gate | None] = None

    async def websocket_receive(self, message: Event) -> None:
        if message["text"] == "close":
            await self.send({"type": "websocket.close", "code": 4000, "reason": "mine"})
        elif self.gate is not None:
            await self.gate()

    async def websocket_disconnect(self, message: Event) -> None:
        self.ends.append((message["code"], message["reason"]))


@pytest.fixture
def witness() -> type[Witness]:
    return type("Fresh", (Witness,), {"ends": []})


async def test_a_client_that_closes(witness: type[Witness]) -> None:
    async with bridged(witness, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.leave(1001, "going")
        assert await call.end() is None
        assert witness.ends == [(1001, "going")]
        assert is_idle(bridge)


async def test_a_consumer_that_closes(witness: type[Witness]) -> None:
    async with bridged(witness, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("close")
        assert await call.next() == {"type": "websocket.close", "code": 4000, "reason": "mine"}
        assert await call.end() is None
        assert witness.ends == [(4000, "mine")]
        assert is_idle(bridge)


async def test_a_call_that_the_server_cancels(witness: type[Witness]) -> None:
    async with bridged(witness, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.cancel()
        await call.end()
        await eventually(lambda: witness.ends)
        assert witness.ends == [(1006, "")]
        assert is_idle(bridge)


async def test_a_call_that_the_server_cancels_in_a_turn(witness: type[Witness]) -> None:
    witness.gate = Gate()
    async with bridged(witness, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("wait", "too late")
        await witness.gate.reached.wait()
        call.cancel()
        await call.end()
        await fence(bridge)
        witness.gate.open()
        await eventually(lambda: len(witness.ends) == 2)
        assert witness.ends == [(1000, ""), (1006, "")]  # the fence's, and its own
        assert is_idle(bridge)


async def test_a_bridge_that_stops(witness: type[Witness]) -> None:
    with directory() as url:
        async with hosting(witness, url, bridges=0):
            with bridging(url) as bridge:
                async with Call(bridge, websocket_scope()) as call:
                    await call.connect()
                    bridge.stop()
                    await eventually(lambda: witness.ends)
    assert witness.ends == [(1006, "")]


async def test_a_server_whose_send_says_that_the_client_is_gone() -> None:
    """It says so before its receive() does: uvicorn does, when a socket breaks."""

    class Talker(Witness):
        ends: ClassVar[list[tuple[int, str]]] = []

        async def websocket_receive(self, message: Event) -> None:
            await self.send(text("reply"))

    async with bridged(Talker, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.send_raises = OSError("broken pipe")
        call.say("hello", "more")
        await call.until(lambda: call.taken == 3)
        await fence(bridge)
        call.leave(1005)
        assert await call.end() is None
        assert Talker.ends == [(1000, ""), (1005, "")]
        assert is_idle(bridge)


async def test_a_consumer_that_was_never_built_is_told_nothing(witness: type[Witness]) -> None:
    """All slots are taken, so the connection has not begun when it ends."""
    witness.gate = Gate()
    async with bridged(witness, same_loop=True, max_inflight=1) as bridge, Call(bridge, websocket_scope()) as first:
        await first.connect()
        first.say("wait")
        await witness.gate.reached.wait()
        async with Call(bridge, websocket_scope(), {"type": "websocket.connect"}) as second:
            await second.until(lambda: second.asked == 2)
            second.cancel()
            await second.end()
        witness.gate.open()
        first.leave()
        await first.end()
        assert witness.ends == [(1000, "")]
        assert is_idle(bridge)


async def test_what_comes_for_a_consumer_that_has_closed_does_not_keep_the_disconnect_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Messages of groups and of the client that were on their way when it closed: their answers are dropped."""
    ends: list[tuple[int, str]] = []

    class Consumer(AsyncConsumer):
        async def websocket_connect(self, message: Event) -> None:
            await self.channel_layer.group_add("room", self.consumer_channel)

        async def websocket_receive(self, message: Event) -> None:
            if message["text"] == "bye":
                await self.channel_layer.send_group("room", {"type": "said", "text": "somebody leaves"})
                await self.send({"type": "websocket.close", "code": 4000})
            else:
                await self.send(text("too late"))

        async def said(self, message: Event) -> None:
            await self.send(text(message["text"]))

        async def websocket_disconnect(self, message: Event) -> None:
            ends.append((message["code"], message["reason"]))

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("bye", "more", "more")
        assert (await call.next())["code"] == 4000
        assert await call.end() is None
        assert call.unread() == []
        assert ends == [(4000, "")]
        assert is_idle(bridge)
    assert "Exception" not in caplog.text


async def test_what_a_consumer_sends_to_a_client_that_has_gone_is_dropped() -> None:
    class Talker(Witness):
        ends: ClassVar[list[tuple[int, str]]] = []

        async def websocket_disconnect(self, message: Event) -> None:
            await self.send(text("farewell"))
            await super().websocket_disconnect(message)

    async with bridged(Talker, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.leave()
        assert await call.end() is None
        assert call.unread() == []
        assert Talker.ends == [(1000, "")]


async def test_an_exception_in_the_disconnect_handler_is_logged_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Consumer(AsyncConsumer):
        async def websocket_disconnect(self, message: Event) -> None:
            raise ValueError("at the end")

    async with bridged(Consumer, same_loop=True) as bridge:
        async with Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.leave()
            assert await call.end() is None
            assert call.unread() == []  # the client has left: there is nobody to close
        async with Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.cancel()
        await eventually(lambda: caplog.text.count("ValueError: at the end") == 2)
        assert is_idle(bridge)


async def test_a_group_send_in_a_disconnect_that_nobody_sent_reaches_the_others() -> None:
    """The client vanished, so there is no turn to commit; the others are told all the same."""

    class Consumer(AsyncConsumer):
        async def websocket_connect(self, message: Event) -> None:
            await self.channel_layer.group_add("room", self.consumer_channel)

        async def websocket_disconnect(self, message: Event) -> None:
            await self.channel_layer.send_group("room", {"type": "left", "code": message["code"]})

        async def left(self, message: Event) -> None:
            await self.send(text(f"somebody left with {message['code']}"))

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as stays:
        await stays.connect()
        async with Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.cancel()
        assert await stays.hear() == "somebody left with 1006"


# -- what must not take more than its connection down ----------------------------------------------------------


async def test_a_handler_that_awaits_something_cancelled_fails_like_any_other() -> None:
    """Asyncio tells of a cancelled task by CancelledError, which is no Exception; nobody cancelled the handler."""

    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            if message["text"] == "bad":
                raise anyio.get_cancelled_exc_class()
            await self.send(text(message["text"]))

    if type(running_loop()).__name__ == "_TrioLoop":
        pytest.skip("trio's Cancelled cannot be made")
    async with bridged(Consumer, same_loop=True, max_inflight=1) as bridge:
        async with Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("good", "bad")
            assert await call.hear() == "good"
            assert (await call.next())["code"] == 1011
            await call.end()
        assert is_idle(bridge)
        async with Call(bridge, websocket_scope()) as call:
            await call.connect()


async def test_a_sync_handler_that_exits_fails_like_any_other() -> None:
    class Consumer(SyncConsumer):
        def websocket_receive(self, message: Event) -> None:
            raise SystemExit(1)

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go")
        assert (await call.next())["code"] == 1011
        await call.end()
        assert is_idle(bridge)


# -- several bridges -------------------------------------------------------------------------------------------


async def test_effects_at_other_bridges_follow_the_commit() -> None:
    gate = Gate()

    class Consumer(AsyncConsumer):
        async def websocket_connect(self, message: Event) -> None:
            await self.channel_layer.group_add("room", self.consumer_channel)

        async def websocket_receive(self, message: Event) -> None:
            await self.channel_layer.send_group("room", {"type": "said", "text": message["text"]})
            if message["text"] == "flushed":
                await self.flush()
            if message["text"] == "failed":
                raise ValueError
            await gate()

        async def said(self, message: Event) -> None:
            await self.send(text(message["text"]))

    with directory() as url, bridging(url) as here, bridging(url) as there:
        async with (
            hosting(Consumer, url, bridges=2),
            Call(here, websocket_scope()) as call,
            Call(there, websocket_scope()) as other,
        ):
            await call.connect()
            await other.connect()
            await fence(there)
            call.say("whole")
            await gate.reached.wait()
            await fence(there)
            assert other.unread() == []
            gate.open()
            assert await other.hear() == "whole"
            assert await call.hear() == "whole"
            call.say("flushed")
            assert await other.hear() == "flushed"
            assert await call.hear() == "flushed"
            call.say("failed")
            assert (await call.next())["code"] == 1011
            await fence(there)
            assert other.unread() == []


# -- resumable consumers: more in test_resuming.py -------------------------------------------------------------


class Kept(AsyncConsumer):
    """Keeps what it is told; flushes, or waits at a gate, if it is told so."""

    resumable = True
    on_loss = "skip"
    gate: ClassVar[Gate]
    told: ClassVar[list[str]]
    last = ""

    async def websocket_receive(self, message: Event) -> None:
        self.last = message["text"]
        await self.send(text(self.last))
        if self.last == "flush":
            await self.flush()
            self.last = "flushed"
        elif self.last == "wait":
            await self.gate()

    async def websocket_disconnect(self, message: Event) -> None:
        self.told.append("disconnect")


class Forgotten(Kept):
    resumable = False


def noting(node: Any) -> list[frames.Commit]:
    """Note what a worker commits from now on."""
    [link] = node.links.values()
    commits: list[frames.Commit] = []
    send = link.send

    def note(frame: Any) -> None:
        if isinstance(frame, frames.Commit):
            commits.append(frame)
        send(frame)

    link.send = note
    return commits


async def test_a_commit_carries_the_state_where_it_has_changed_and_what_becomes_of_a_loss() -> None:
    consumer: Any = type("Fresh", (Kept,), {"told": []})
    with directory() as url, bridging(url) as bridge:
        async with hosting(consumer, url) as node, Call(bridge, websocket_scope()) as call:
            commits = noting(node)
            await call.connect()
            call.say("a", "a", "b", "flush")
            assert [await call.hear() for _ in range(4)] == ["a", "a", "b", "flush"]
            await eventually(lambda: len(commits) == 6)
            assert [bool(commit.state) for commit in commits] == [True, True, False, True, True, True]
            assert [commit.done for commit in commits] == [True, True, True, True, False, True]
            assert b"flushed" not in commits[4].state
            assert b"flushed" in commits[5].state
            assert {commit.on_loss for commit in commits} == {"skip"}


async def test_a_consumer_that_is_not_resumable_leaves_nothing_behind() -> None:
    with directory() as url, bridging(url) as bridge:
        async with hosting(Forgotten, url) as node, Call(bridge, websocket_scope()) as call:
            commits = noting(node)
            await call.connect()
            call.say("flush")
            assert await call.hear() == "flush"
            await eventually(lambda: len(commits) == 3)
            assert {(commit.state, commit.on_loss) for commit in commits} == {(b"", "")}


@pytest.mark.parametrize("in_turn", [True, False])
async def test_a_connection_that_moves_leaves_its_consumer_in_silence(in_turn: bool) -> None:
    """Nothing of a turn that runs is committed, what waits behind it is not begun, and no disconnect is told."""
    gate = Gate()
    consumer: Any = type("Fresh", (Kept,), {"gate": gate, "told": []})
    with directory() as url, bridging(url) as bridge:
        async with hosting(consumer, url) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("a")
            await call.hear()
            commits = noting(node)
            if in_turn:
                call.say("wait", "behind")
                await gate.reached.wait()
            [link] = node.links.values()
            link.session.receive(link.session.link_epoch, [frames.Cancel(1, 1, "moved")])
            gate.open()
            await eventually(lambda: not node.turns and not node._tasks)
            assert (node.connections, commits, consumer.told, call.unread()) == (0, [], [], [])


async def test_a_turn_that_fails_after_its_connection_has_moved_fails_nobody(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()

    class Failing(AsyncConsumer):
        resumable = True

        async def websocket_receive(self, message: Event) -> None:
            await gate()
            raise ValueError("too late")

    with directory() as url, bridging(url) as bridge:
        async with hosting(Failing, url) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("a")
            await gate.reached.wait()
            [link] = node.links.values()
            link.session.receive(link.session.link_epoch, [frames.Cancel(1, 1, "moved")])
            gate.open()
            await eventually(lambda: "too late" in caplog.text)
            await fence(bridge)
            assert call.unread() == []


async def test_an_adopted_consumer_whose_connection_has_ended_by_then_is_told_so() -> None:
    """Its bridge stops as it arrives: what another worker has begun is ended here."""
    consumer: Any = type("Fresh", (Kept,), {"told": []})
    with directory() as url, bridging(url) as bridge:
        async with hosting(consumer, url) as node, Call(bridge, websocket_scope()) as call:
            commits = noting(node)
            await call.connect()
            await eventually(lambda: commits)
            [link] = node.links.values()
            scope = pack_scope(websocket_scope())
            adopt = frames.Adopt(99, 2, scope, 5, 65536, 1, commits[0].state, [])
            link.session.receive(link.session.link_epoch, [adopt, frames.Cancel(99, 2, "closed")])
            await eventually(lambda: consumer.told == ["disconnect"])


async def test_an_adopted_consumer_whose_connection_has_moved_on_is_not_made() -> None:
    made: list[int] = []

    class Counted(AsyncConsumer):
        resumable = True

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(1)

    with directory() as url, bridging(url):
        async with hosting(Counted, url, interface="consumer") as node:
            [link] = node.links.values()
            adopt = frames.Adopt(99, 2, pack_scope(websocket_scope()), 5, 65536, 1, b"state", [])
            link.session.receive(link.session.link_epoch, [adopt, frames.Cancel(99, 2, "moved")])
            await eventually(lambda: not node._tasks)
            assert made == []


def test_the_layer_flavours_are_what_consumers_are_annotated_with() -> None:
    assert (ChannelLayer.is_async, SyncChannelLayer.is_async) == (True, False)


# -- time limits -----------------------------------------------------------------------------------------------


async def timed_out(bridge: Any, call: Call) -> None:
    """Hear that the connection was closed because its turn took too long, and that nothing is left of it."""
    assert await call.next() == {"type": "websocket.close", "code": 1011, "reason": "timeout"}
    assert await call.end() is None
    await eventually(lambda: is_idle(bridge))


async def test_a_turn_that_takes_too_long_has_failed_and_nothing_of_it_happens() -> None:
    class Consumer(AsyncConsumer):
        soft_time_limit = 0.01

        async def websocket_receive(self, message: Event) -> None:
            await self.send(text("never"))
            await anyio.sleep_forever()

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go")
        await timed_out(bridge, call)
        assert call.unread() == []


async def test_a_sync_turn_that_catches_the_limit_commits() -> None:
    class Consumer(SyncConsumer):
        soft_time_limit = 0.01

        def websocket_receive(self, message: Event) -> None:
            try:
                while True:
                    time.sleep(0.001)
            except SoftTimeLimitExceeded:
                self.send(text("half of it"))

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go", "go")
        assert [await call.hear(), await call.hear()] == ["half of it"] * 2


async def test_of_a_turn_that_was_given_up_nothing_happens_any_more(caplog: pytest.LogCaptureFixture) -> None:
    """Its handler goes on, sends, flushes and commits into the void; the bridge has long closed the connection."""
    gate, ended = anyio.Event(), anyio.Event()

    class Consumer(AsyncConsumer):
        time_limit = 0.01

        async def websocket_receive(self, message: Event) -> None:
            with anyio.CancelScope(shield=True):
                await gate.wait()
                await self.send(text("late"))
                await self.channel_layer.send("late", {"type": "late"})
                await self.flush()
                await self.send(text("later"))
            ended.set()

    with directory() as url, bridging(url) as bridge:
        async with hosting(Consumer, url) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.say("go")
            await timed_out(bridge, call)
            errors = [record.exc_info[0] for record in caplog.records if record.exc_info]
            assert errors == [TimeLimitExceeded]
            assert len(node.turns) == 1  # as its beats say
            gate.set()
            await ended.wait()
            await eventually(lambda: not node.turns and not node._tasks)
            assert call.unread() == []
            assert bridge.start().link.core.layer.background._channels == {}


async def test_a_handler_that_was_given_up_and_does_not_end_has_its_process_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overseer, "CLEARING", 0.01)
    reasons: list[str] = []

    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            with anyio.CancelScope(shield=True):
                await gate.wait()

    gate = anyio.Event()
    with directory() as url, bridging(url) as bridge:
        async with hosting(Consumer, url, time_limit=0.01) as node, Call(bridge, websocket_scope()) as call:
            node.on_retire = reasons.append
            await call.connect()
            call.say("go")
            await timed_out(bridge, call)
            await eventually(lambda: reasons != [])
            assert len(reasons) == 1
            assert reasons[0].startswith("websocket.receive of test_a_handler_that_was_given_up")
            assert reasons[0].endswith("Consumer (connection 1) does not end")
            await node.drain(60.0)  # it waits for nobody who does not end
            gate.set()
            await eventually(lambda: not node._tasks)


async def test_a_limit_that_makes_no_sense_is_an_error_of_the_first_turn() -> None:
    class Consumer(AsyncConsumer):
        time_limit = -1.0

    async with bridged(Consumer, same_loop=True) as bridge:
        with pytest.raises(ApplicationError, match=r"time_limit is a number of seconds, 0 for none, not -1\.0"):
            await fetch(bridge)


@pytest.mark.parametrize("base", [AsyncConsumer, SyncConsumer])
async def test_the_constructor_has_the_limits_of_its_class_or_of_the_process(base: Any, url: str) -> None:
    """One that burns CPU in the loop cannot be cancelled; that its run is known is what lets the watchdog act."""
    seen: list[tuple[str, Limits, bool]] = []

    def init(self: Any, *args: Any) -> None:
        base.__init__(self, *args)
        seen.extend((run.what, run.limits, run.in_the_loop) for run in node.overseer.runs)

    consumer: Any = type("Timed", (base,), {"soft_time_limit": 30.0, "__init__": init})
    with bridging(url) as bridge:
        async with hosting(consumer, url, time_limit=60.0) as node, Call(bridge, websocket_scope()) as call:
            await call.connect()
            call.leave()
            await call.end()
            assert node.overseer.runs == set()
    in_the_loop = base is AsyncConsumer
    assert seen == [("the making of Timed (connection 1)", Limits(30.0, 60.0), in_the_loop)]


async def test_a_constructor_that_takes_too_long_fails_the_first_message(url: str) -> None:
    gate, handled = threading.Event(), list[Event]()

    class Consumer(SyncConsumer):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            for _ in range(2000):
                with contextlib.suppress(TimeLimitExceeded):
                    if gate.wait(0.005):
                        break

        def websocket_connect(self, message: Event) -> None:
            handled.append(message)

    with bridging(url) as bridge:
        async with hosting(Consumer, url, time_limit=0.02) as node, Call(bridge, websocket_scope()) as call:
            call.give({"type": "websocket.connect"})
            assert (await call.next())["status"] == 504
            await call.end()
            gate.set()
            await eventually(lambda: not node.turns and not node._tasks)
            assert handled == []


async def test_the_end_of_a_generator_that_a_handler_lets_through_is_its_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Consumer(AsyncConsumer):
        async def websocket_receive(self, message: Event) -> None:
            raise GeneratorExit

    async with bridged(Consumer, same_loop=True) as bridge, Call(bridge, websocket_scope()) as call:
        await call.connect()
        call.say("go")
        assert await call.next() == {"type": "websocket.close", "code": 1011, "reason": "error"}
        await call.end()
        await eventually(lambda: is_idle(bridge))
    assert "Exception in consumer (connection 1, epoch 1, message 2)" in caplog.text
