"""What comes from a bridge, as messages of Channels 1, and what their consumers send, as parts of a turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from channels_bridge.shared.names import CHANNELS1
from channels_bridge.worker.legacy import host as host_module
from channels_bridge.worker.legacy.asgi import ChannelLayerWrapper
from channels_bridge.worker.legacy.channel import Channel, Group
from channels_bridge.worker.legacy.exceptions import ConsumeLater, DenyConnection
from channels_bridge.worker.legacy.host import Host
from channels_bridge.worker.legacy.layer import BridgeLayer
from channels_bridge.worker.legacy.message import Message
from channels_bridge.worker.legacy.routing import route
from channels_bridge.worker.legacy.worker import Worker

SCOPE = {
    "path": "/chat/é/",
    "headers": [(b"origin", b"http://example.com"), (b"x_forwarded_for", b"1.2.3.4")],
    "query_string": b"a=1",
    "client": ("127.0.0.1", 4000),
    "server": None,
    "subprotocols": ["b", "a"],
}


class Sender:
    """The ``send`` of a consumer, which notes."""

    def __init__(self, done: list[Any]) -> None:
        self._done = done

    def __call__(self, message: Any) -> None:
        self._done.append(("client", message))

    def flush(self) -> None:
        self._done.append("flush")


class Layer:
    """A layer that notes: that of a turn, or that for what happens at once."""

    def __init__(self, name: str, done: list[Any]) -> None:
        self._name, self._done = name, done

    def send(self, channel: str, message: Any) -> None:
        self._done.append((self._name, channel, message))

    send_group = send

    def group_add(self, group: str, channel: str) -> None:
        self._done.append((f"{self._name} add", group, channel))


class Bench:
    """A host with these routes, and what its consumers have got and done."""

    def __init__(self, *routes: Any, listens_on: set[str] | None = None, subprotocols: tuple[str, ...] = ()) -> None:
        self.done: list[Any] = []
        layer = BridgeLayer("ipc:///tmp/nobody/")
        layer._layer = Layer("at once", self.done)  # type: ignore[assignment]
        wrapper = ChannelLayerWrapper(layer, "default", list(routes))
        wrapper.router.check_default(lambda message: None)
        self.host = Host(Worker(wrapper), layer, listens_on or wrapper.router.channels, subprotocols)
        self.layer = layer

    def open(self, kind: str = "websocket", channel: str = "consumer.0123456789abcdef!7") -> Callable[[Any], Any]:
        turn: Any = Layer("commit", self.done)
        send: Any = Sender(self.done)
        return self.host(kind, turn, channel, send)

    def take(self) -> list[Any]:
        done = self.done[:]
        self.done.clear()
        return done


REPLY = "reply.0123456789abcdef!7"


def client(**content: Any) -> tuple[str, Any]:
    return ("client", {"type": CHANNELS1, **content})


def noting(seen: list[Any]) -> Callable[..., None]:
    return lambda message, **kwargs: seen.append({**message.content, **kwargs})


def test_the_messages_of_a_socket() -> None:
    seen: list[Any] = []
    consumer = noting(seen)
    bench = Bench(*(route(f"websocket.{what}", consumer) for what in ("connect", "receive", "disconnect")))
    socket = bench.open()
    socket({"type": "websocket.connect", **SCOPE})
    socket({"type": "websocket.receive", "text": "a"})
    socket({"type": "websocket.receive", "text": None, "bytes": b"b"})
    socket({"type": "websocket.receive", "bytes": b""})
    socket({"type": "websocket.disconnect", "code": 1001})
    common = {"reply_channel": REPLY, "path": "/chat/é/"}
    headers = [[b"origin", b"http://example.com"]]
    where = {"headers": headers, "query_string": b"a=1", "client": ["127.0.0.1", 4000], "server": None}
    assert seen == [
        {**common, "order": 0, **where},
        {**common, "order": 1, "text": "a"},
        {**common, "order": 2, "bytes": b"b"},
        {**common, "order": 3, "bytes": b""},
        {**common, "order": 4, "code": 1001},
    ]


def test_another_worker_goes_on_with_the_path_and_the_order() -> None:
    seen: list[Any] = []
    bench = Bench(route("websocket.receive", noting(seen), path="^/chat/(?P<room>.+)/$"))
    one: Any = bench.open()
    assert one.resumable
    one({"type": "websocket.connect", **SCOPE})
    other: Any = bench.open()
    other.set_state(one.get_state())
    other({"type": "websocket.receive", "text": "a"})
    assert seen == [{"reply_channel": REPLY, "path": "/chat/é/", "order": 1, "text": "a", "room": "é"}]


def test_what_a_consumer_sends_leaves_when_it_ends_and_what_is_about_groups_at_once() -> None:
    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        Group("all").send({"text": "hello"})
        Group("all").add(message.reply_channel)
        message.reply_channel.send({"text": "welcome"})
        Channel("elsewhere").send({"x": 1})
        Channel("now").send({"x": 2}, immediately=True)
        message.channel_layer.send("raw", {"x": 3})

    bench = Bench(route("websocket.connect", consumer))
    previous = host_layers("default", bench)
    try:
        bench.open()({"type": "websocket.connect", **SCOPE})
    finally:
        host_layers("default", previous)
    assert bench.take() == [
        ("at once add", "all", REPLY),
        ("at once", "now", {"type": CHANNELS1, "x": 2}),
        ("at once", "raw", {"type": CHANNELS1, "x": 3}),
        ("commit", "all", {"type": CHANNELS1, "text": "hello"}),
        client(text="welcome"),
        ("commit", "elsewhere", {"type": CHANNELS1, "x": 1}),
    ]


def host_layers(alias: str, bench: Any) -> Any:
    """Have ``Channel`` and ``Group`` send by this bench's layer, or by what was there before."""
    from channels_bridge.worker.legacy.asgi import channel_layers

    wrapper = bench.host.worker.channel_layer if isinstance(bench, Bench) else bench
    before = channel_layers.set(alias, wrapper)
    if before is None:
        before = channel_layers.make_backend(alias)
    return before


def test_what_is_sent_to_the_client_at_once_is_flushed() -> None:
    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": "later"})
        message.reply_channel.send({"text": "now"}, immediately=True)

    bench = Bench(route("websocket.receive", consumer))
    bench.open()({"type": "websocket.receive", "text": ""})
    assert bench.take() == [client(text="now"), "flush", client(text="later")]


def test_a_consumer_that_raises_has_sent_what_it_sent(caplog: pytest.LogCaptureFixture) -> None:
    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": "a"})
        raise ValueError("no")

    bench = Bench(route("websocket.receive", consumer))
    bench.open()({"type": "websocket.receive", "text": ""})
    assert bench.take() == [client(text="a")]
    assert "Error processing message with consumer" in caplog.text


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_consumer_that_would_end_the_process_has_failed(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": "a"})
        raise error

    bench = Bench(route("websocket.receive", consumer))
    bench.open()({"type": "websocket.receive", "text": ""})
    assert bench.take() == [client(text="a")]
    assert "tried to end its worker" in caplog.text


def test_an_asgi_message_goes_the_way_that_it_would_from_elsewhere() -> None:
    """The bridge knows whether it fits; here nobody does."""

    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"type": "websocket.send", "text": "a"})

    bench = Bench(route("websocket.receive", consumer))
    bench.open()({"type": "websocket.receive", "text": ""})
    assert bench.take() == [("commit", REPLY, {"type": "websocket.send", "text": "a"})]


def test_a_connection_is_denied_behind_what_was_sent() -> None:
    def consumer(message: Message) -> None:
        assert message.reply_channel is not None
        message.reply_channel.send({"text": "no"})
        raise DenyConnection

    bench = Bench(route("websocket.connect", consumer))
    bench.open()({"type": "websocket.connect", **SCOPE})
    assert bench.take() == [client(text="no"), client(close=True)]


def test_consume_later_puts_the_message_to_the_back_of_its_channel() -> None:
    def consumer(message: Message) -> None:
        message["seen"] = True
        raise ConsumeLater

    bench = Bench(route("websocket.receive", consumer))
    bench.open()({"type": "websocket.receive", "text": "a"})
    (kind, channel, message) = bench.take()[0]
    assert (kind, channel) == ("commit", "websocket.receive")
    assert message == {
        "type": CHANNELS1, "reply_channel": REPLY, "text": "a", "path": "/", "order": 0, "seen": True, "__retries__": 1,
    }  # fmt: skip
    bench.open("channel", "websocket.receive")({**message, "__retries__": 10})
    assert bench.take() == []


def test_a_consumer_that_is_not_ordered_gets_its_messages_by_way_of_the_channel() -> None:
    seen: list[Any] = []

    def consumer(message: Message) -> None:
        seen.append(message.content)

    consumer.ordered = False  # type: ignore[attr-defined]
    bench = Bench(route("websocket.receive", consumer))
    bench.open()({"type": "websocket.receive", "text": "a"})
    content = {"reply_channel": REPLY, "text": "a", "path": "/", "order": 0}
    assert bench.take() == [("commit", "websocket.receive", {"type": CHANNELS1, **content})]
    assert seen == []
    bench.open("channel", "websocket.receive")({"type": CHANNELS1, **content})
    assert seen == [content]


def test_what_this_process_is_not_for_goes_on_to_those_that_are() -> None:
    bench = Bench(listens_on={"websocket.connect"})
    socket = bench.open()
    socket({"type": "websocket.connect", **SCOPE})
    assert bench.take() == [client(accept=True)]
    socket({"type": "websocket.receive", "text": "a"})
    [(kind, channel, message)] = bench.take()
    assert (kind, channel, message["text"], message["order"]) == ("commit", "websocket.receive", "a", 1)


def test_a_subprotocol_is_chosen_by_the_order_of_the_settings() -> None:
    bench = Bench(subprotocols=("a", "b"))
    bench.open()({"type": "websocket.connect", **SCOPE})
    assert bench.take() == [client(accept=True, subprotocol="a")]
    bench.open()({"type": "websocket.connect", **SCOPE, "subprotocols": []})
    assert bench.take() == [client(accept=True)]


REQUEST = {"type": "http.request", "method": "POST", **SCOPE}


def test_a_request_is_one_message_however_its_body_comes() -> None:
    seen: list[Any] = []
    bench = Bench(route("http.request", noting(seen)))
    request = bench.open("http")
    request({**REQUEST, "body": b"a", "more_body": True})
    request({"type": "http.request", "body": b"b"})
    request({"type": "http.disconnect"})
    assert seen == [
        {
            "reply_channel": REPLY, "http_version": "1.1", "method": "POST", "path": "/chat/é/", "root_path": "",
            "scheme": "http", "query_string": b"a=1", "headers": [[b"origin", b"http://example.com"]],
            "client": ["127.0.0.1", 4000], "server": None, "body": b"ab",
        }
    ]  # fmt: skip


def test_the_end_of_a_request_is_told_to_who_has_a_route_for_it() -> None:
    seen: list[Any] = []
    bench = Bench(route("http.disconnect", noting(seen)))
    request = bench.open("http")
    request({**REQUEST, "body": b""})
    request({"type": "http.disconnect"})
    assert seen == [{"reply_channel": REPLY, "path": "/chat/é/"}]


def test_a_body_that_is_too_long_is_refused_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "MAX_BODY", 3)
    seen: list[Any] = []
    bench = Bench(route("http.request", noting(seen)))
    request = bench.open("http")
    request({**REQUEST, "body": b"ab", "more_body": True})
    request({"type": "http.request", "body": b"cd", "more_body": True})
    request({"type": "http.request", "body": b"ef"})
    assert seen == []
    assert [done[1]["status"] for done in bench.take()] == [413]


def test_a_named_channel() -> None:
    seen: list[Any] = []

    def consumer(message: Message, what: str) -> None:
        seen.append((message.channel.name, what, message.content))
        Channel("next", channel_layer=message.channel_layer).send({"x": 1})

    bench = Bench(route("chat.receive", consumer, command="^(?P<what>.+)$"))
    bench.open("channel", "chat.receive")({"type": CHANNELS1, "command": "join"})
    bench.open("channel", "chat.receive")({"type": "of.others", "command": "join"})
    assert seen == [
        ("chat.receive", "join", {"command": "join"}),
        ("chat.receive", "join", {"type": "of.others", "command": "join"}),
    ]
    assert bench.take() == [("commit", "next", {"type": CHANNELS1, "x": 1})] * 2
