"""All scenarios, by topic: importing this enters them."""

from ..scenario import SCENARIOS
from . import (
    http2,
    http_disconnects,
    http_failures,
    http_requests,
    http_responses,
    websocket_closing,
    websocket_handshakes,
    websocket_messages,
)

MODULES = (
    http_requests,
    http_responses,
    http_failures,
    http_disconnects,
    http2,
    websocket_handshakes,
    websocket_messages,
    websocket_closing,
)

__all__ = ["MODULES", "SCENARIOS"]
