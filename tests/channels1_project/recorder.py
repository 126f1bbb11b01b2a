"""A Channels 1 layer that keeps what is done to it, in order, and messages as they come from sockets."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from channels_bridge.worker.legacy.asgi import channel_layers
from channels_bridge.worker.legacy.message import Message

SOCKET = "reply.00000000000000aa!1"


class Recorder:
    """``calls``: (method, channel or group, message or channel) of each call."""

    alias = "default"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.waiting: list[tuple[str, dict[str, Any]]] = []  # what receive() gives, the first first

    def send(self, channel: str, message: dict[str, Any]) -> None:
        self.calls.append(("send", channel, message))

    def send_group(self, group: str, message: dict[str, Any]) -> None:
        self.calls.append(("send_group", group, message))

    def group_add(self, group: str, channel: str) -> None:
        self.calls.append(("add", group, channel))

    def group_discard(self, group: str, channel: str) -> None:
        self.calls.append(("discard", group, channel))

    def receive(self, channels: list[str], block: bool = False) -> tuple[str | None, dict[str, Any] | None]:
        for position, (channel, _) in enumerate(self.waiting):
            if channel in channels:
                return self.waiting.pop(position)
        return None, None

    def taken(self) -> list[tuple[Any, ...]]:
        """Give the calls so far, and forget them."""
        calls, self.calls = self.calls, []
        return calls

    # -- messages of a socket, as this layer brings them --------------------------------------------------------

    def connect(self, reply_channel: str = SOCKET, **content: Any) -> Any:
        """A ``websocket.connect``."""
        headers: dict[str, Any] = {"headers": [], "query_string": b"", "client": None, "server": None, "order": 0}
        return self.message("websocket.connect", reply_channel, **{**headers, **content})

    def frame(self, text: str | bytes, reply_channel: str = SOCKET, **content: Any) -> Any:
        """A ``websocket.receive``."""
        content["text" if isinstance(text, str) else "bytes"] = text
        return self.message("websocket.receive", reply_channel, **{"order": 1, **content})

    def disconnect(self, reply_channel: str = SOCKET, **content: Any) -> Any:
        """A ``websocket.disconnect``."""
        return self.message("websocket.disconnect", reply_channel, **{"order": 2, "code": 1000, **content})

    def message(self, channel: str, reply_channel: str | None, **content: Any) -> Any:
        """Any message; ``reply_channel``: None if it is of no connection."""
        if reply_channel is not None:
            content = {"reply_channel": reply_channel, "path": "/", **content}
        return Message(content, channel, self)


@contextmanager
def recording() -> Generator[Recorder]:
    """Put a recorder in the place of the default layer."""
    before = channel_layers["default"]
    recorder: Any = Recorder()
    channel_layers.set("default", recorder)
    try:
        yield recorder
    finally:
        channel_layers.set("default", before)
