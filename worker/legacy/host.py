"""Hosts Channels 1 routing for a bridge: the article's consumer, whose turns are messages of Channels 1.

A socket keeps nothing here but where it is and how many messages it has had, so any worker takes its next one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ...shared.names import CHANNELS1
from ...shared.wire import Event
from ..consumer import Handler, SendToClient
from ..layers import SyncChannelLayer
from .layer import BridgeLayer, Turn, content_of, event_of
from .logs import logger
from .message import Message
from .routing import CONNECT, DISCONNECT, RECEIVE, REQUEST, Consumer
from .worker import Worker

HTTP_DISCONNECT = "http.disconnect"
CHANNEL = "channel"  # the type of a consumer for named channels
MAX_BODY = 256 * 1024 * 1024  # bytes of a request, which is one message: it is whole in memory, as it was in daphne's


class Host:
    """Makes the consumers of one worker process. ``worker`` handles their messages.

    ``listens_on``: the channels that this process is for. What comes to it on others goes on to those that are.
    ``subprotocols``: of WebSockets, in the order in which they are liked.
    """

    is_async = False

    def __init__(
        self, worker: Worker, layer: BridgeLayer, listens_on: Collection[str], subprotocols: Collection[str] = ()
    ) -> None:
        self.worker = worker
        self.layer = layer
        self.listens_on = frozenset(listens_on)
        self.subprotocols = list(subprotocols)

    def __call__(
        self, type: str, channel_layer: SyncChannelLayer, consumer_channel: str, send: SendToClient
    ) -> Handler:
        """Make the consumer of a connection, or of a message of a named channel."""
        if type == CHANNEL:
            return Background(self, channel_layer, consumer_channel)
        kind = Socket if type == "websocket" else Request
        return kind(self, channel_layer, consumer_channel.replace("consumer.", "reply.", 1), send)

    def handle(self, channel: str, content: dict[str, Any], turn: Turn) -> None:
        """Handle a message in its turn; or pass it on, if it is for others, or need not wait for its turn.

        A consumer that raises what would end the process, ``sys.exit()`` say, has failed, and nothing more.
        """
        try:
            self._handle(channel, content, turn)
        except (SystemExit, KeyboardInterrupt):
            logger.exception("A consumer of %s tried to end its worker", channel)

    def _handle(self, channel: str, content: dict[str, Any], turn: Turn) -> None:
        with self.layer.in_turn(turn):
            if channel not in self.listens_on:
                self._pass_on(channel, content, turn)
                return
            message = Message(content, channel, self.worker.channel_layer)
            match = self.worker.match(message)
            if match is None:
                return
            if turn.send is not None and not _is_ordered(match[0]):
                self._pass_on(channel, content, turn)
            else:
                self.worker.consume(message, *match)

    def _pass_on(self, channel: str, content: dict[str, Any], turn: Turn) -> None:
        """Have any worker that listens on the channel handle this, as part of the turn's commit."""
        turn.layer.send(channel, event_of(content))


def _is_ordered(consumer: Consumer) -> bool:
    """Say whether a consumer's messages wait for one another: they do, unless it has ``ordered = False``."""
    return bool(getattr(consumer, "ordered", True))


class _Connection:
    def __init__(self, host: Host, layer: SyncChannelLayer, reply_channel: str, send: SendToClient) -> None:
        self._host = host
        self._reply_channel = reply_channel
        self._turn = Turn(layer, send, reply_channel)

    def _handle(self, channel: str, content: dict[str, Any]) -> None:
        self._host.handle(channel, {"reply_channel": self._reply_channel, **content}, self._turn)


class Socket(_Connection):
    """A WebSocket. Its state: the path, and the number of its next message."""

    resumable = True

    def __init__(self, host: Host, layer: SyncChannelLayer, reply_channel: str, send: SendToClient) -> None:
        super().__init__(host, layer, reply_channel, send)
        self._path = "/"
        self._order = 0

    def get_state(self) -> list[Any]:
        """Give what the next worker has to know."""
        return [self._path, self._order]

    def set_state(self, state: Any) -> None:
        """Go on where another worker has stopped."""
        self._path, self._order = state

    def __call__(self, event: Event) -> None:
        """Handle what the client has done."""
        channel: str = event["type"]
        content: dict[str, Any] = {}
        if channel == CONNECT:
            content = self._connected(event)
        elif channel == RECEIVE:
            content = _frame(event)
        elif channel == DISCONNECT:
            content = {"code": event.get("code", 1005)}
        else:  # of a group that the consumer channel was put into: Channels 1 has no such name
            content = content_of(event)
        content["path"] = self._path
        content["order"] = self._order
        self._order += 1
        self._handle(channel, content)

    def _connected(self, event: Mapping[str, Any]) -> dict[str, Any]:
        self._path = event["path"]
        content = {
            "headers": _headers(event),
            "query_string": event.get("query_string", b""),
            "client": _pair(event.get("client")),
            "server": _pair(event.get("server")),
        }
        chosen = next((one for one in self._host.subprotocols if one in event.get("subprotocols", ())), "")
        self._turn = self._turn._replace(subprotocol=chosen)
        return content


def _frame(event: Mapping[str, Any]) -> dict[str, Any]:
    """Give what was received: exactly one of ``text`` and ``bytes``."""
    text = event.get("text")
    return {"text": text} if text is not None else {"bytes": event.get("bytes") or b""}


class Request(_Connection):
    """An HTTP request: one message, once its body is there."""

    def __init__(self, host: Host, layer: SyncChannelLayer, reply_channel: str, send: SendToClient) -> None:
        super().__init__(host, layer, reply_channel, send)
        self._content: dict[str, Any] = {}
        self._body: list[bytes] = []
        self._size = 0

    def __call__(self, event: Event) -> None:
        """Take a part of the request; with the last one handle it."""
        if event["type"] == HTTP_DISCONNECT:
            if HTTP_DISCONNECT in self._host.worker.channel_layer.router.channels:
                self._handle(HTTP_DISCONNECT, {"path": self._content.get("path", "/")})
            return
        if not self._content:
            self._content = _request(event)
        body: bytes = event.get("body", b"")
        self._size += len(body)
        if self._size > MAX_BODY:
            if self._size - len(body) <= MAX_BODY:
                self._too_big()
            return
        self._body.append(body)
        if not event.get("more_body"):
            content, self._content = self._content, {"path": self._content["path"]}
            content["body"], self._body = b"".join(self._body), []
            self._handle(REQUEST, content)

    def _too_big(self) -> None:
        """Answer in the project's place: what is longer is no message."""
        self._body = []
        send = self._turn.send
        assert send is not None, "a request has a client"
        text = f"The body has more than {MAX_BODY} bytes.".encode()
        _ = send({"type": CHANNELS1, "status": 413, "headers": [], "content": text})


def _request(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "http_version": event.get("http_version", "1.1"),
        "method": event["method"],
        "path": event["path"],
        "root_path": event.get("root_path", ""),
        "scheme": event.get("scheme", "http"),
        "query_string": event.get("query_string", b""),
        "headers": _headers(event),
        "client": _pair(event.get("client")),
        "server": _pair(event.get("server")),
    }


def _headers(event: Mapping[str, Any]) -> list[list[bytes]]:
    """Give the headers; names with underscores are dropped, as they would pass for others in Django's META."""
    return [[bytes(name), bytes(value)] for name, value in event.get("headers", ()) if b"_" not in name]


def _pair(address: Any) -> list[Any] | None:
    return None if address is None else list(address)


class Background:
    """One message of a named channel."""

    def __init__(self, host: Host, layer: SyncChannelLayer, channel: str) -> None:
        self._host = host
        self._channel = channel
        self._turn = Turn(layer, None, "")

    def __call__(self, event: Event) -> None:
        """Handle it."""
        self._host.handle(self._channel, content_of(event), self._turn)
