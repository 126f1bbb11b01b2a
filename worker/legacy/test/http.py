"""The client's name before it had its own for WebSockets."""

from __future__ import annotations

from .websocket import WSClient


class HttpClient(WSClient):
    """A :class:`WSClient`."""
