"""Tests of consumers: each is called in the test's process, its messages go by a layer in memory.

``from channels.test import ChannelTestCase, WSClient``; ``channels.tests`` is the same.
"""

from __future__ import annotations

from .base import ChannelTestCase, Client, TransactionChannelTestCase, apply_routes
from .http import HttpClient
from .liveserver import ChannelLiveServerTestCase
from .websocket import WSClient

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "Client",
    "HttpClient",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
]
