"""Routing that is written as a dict."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanned import scanned, told


def test_each_channel_of_a_dict(tmp_path: Path) -> None:
    source = """\
    from . import consumers
    channel_routing = {
        "websocket.connect": "site.consumers.connect",
        "websocket.keepalive": consumers.keepalive,
        "chat.receive": consumers.receive,
    }
    """
    assert told(scanned(tmp_path, source)) == [
        (3, "routing: websocket.connect", "runs"),
        (4, "routing: websocket.keepalive", "change"),
        (5, "routing: chat.receive", "runs"),
    ]


def test_a_dict_within_the_layers(tmp_path: Path) -> None:
    source = 'CHANNEL_LAYERS = {"default": {"ROUTING": {"http.request": "site.consumers.http"}}}'
    assert told(scanned(tmp_path, source)) == [
        (1, "settings.CHANNEL_LAYERS", "runs"),
        (1, "routing: http.request", "runs"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        'x = {"chat.receive": "site.f"}',
        'x = {"websocket.connect": {"a": 1}}',
        'def f():\n  x = {"websocket.connect": "site.f"}',
        'send({"websocket.connect": "site.f"})',
        "x = {**y}",
    ],
)
def test_other_dicts(tmp_path: Path, source: str) -> None:
    assert scanned(tmp_path, source) == ()
