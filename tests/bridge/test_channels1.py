"""What Channels 1 code sends, and what its client's server is told: as a protocol server of that time did it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from channels_bridge.bridge.channels1 import Channels1

ACCEPT = {"type": "websocket.accept"}


def text(text: str) -> dict[str, Any]:
    return {"type": "websocket.send", "text": text}


def close(code: int = 1000) -> dict[str, Any]:
    return {"type": "websocket.close", "code": code}


@pytest.mark.parametrize(
    ("message", "handshake", "opened"),
    [
        ({"accept": True}, [ACCEPT], []),
        ({"accept": False}, [close()], []),
        ({"accept": None}, [], []),
        ({}, [], []),
        ({"text": "a"}, [ACCEPT, text("a")], [text("a")]),
        (
            {"bytes": b"a"},
            [ACCEPT, {"type": "websocket.send", "bytes": b"a"}],
            [{"type": "websocket.send", "bytes": b"a"}],
        ),
        ({"text": ""}, [], []),
        ({"text": "", "bytes": b""}, [], []),
        ({"text": "a", "bytes": b""}, [ACCEPT, text("a")], [text("a")]),
        ({"text": None, "bytes": None, "close": True}, [close()], [close()]),
        ({"accept": True, "text": "a"}, [ACCEPT, text("a")], [text("a")]),
        ({"accept": False, "text": "a"}, [ACCEPT, text("a")], [text("a")]),
        ({"close": True}, [close()], [close()]),
        ({"close": False}, [], []),
        ({"close": 3001}, [close(3001)], [close(3001)]),
        ({"close": 1}, [close()], [close()]),
        ({"close": "soon"}, [close()], [close()]),
        ({"text": "a", "close": 4000}, [ACCEPT, text("a"), close(4000)], [text("a"), close(4000)]),
        ({"accept": True, "close": True}, [ACCEPT, close()], [close()]),
    ],
)
def test_a_socket(message: dict[str, Any], handshake: list[Any], opened: list[Any]) -> None:
    assert Channels1("websocket").events({"type": "x", **message}, begun=False) == handshake
    assert Channels1("websocket").events({"type": "x", **message}, begun=True) == opened


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"text": "a", "bytes": b"a"}, "both text and bytes"),
        ({"txet": "a"}, "a WebSocket takes accept, text, bytes and close, not txet"),
        ({"status": 200}, "not status"),
        ({"text": 1}, "text has to be a str"),
        ({"bytes": "a"}, "bytes to be bytes"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_what_a_socket_does_not_take(
    message: dict[str, Any], says: str, begun: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert Channels1("websocket").events({"type": "x", **message}, begun) == []
    assert says in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


def test_the_subprotocol_that_was_chosen_goes_with_whatever_accepts() -> None:
    told = Channels1("websocket")
    assert told.events({"type": "x", "subprotocol": "chat"}, begun=False) == []
    assert told.events({"type": "x", "text": "a"}, begun=False) == [{**ACCEPT, "subprotocol": "chat"}, text("a")]


def body(content: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def test_a_response_in_one_message() -> None:
    message = {"type": "x", "status": 201, "headers": [[b"X-Kind", b"A"], ["Other", "b"]], "content": b"hi"}
    headers = [(b"x-kind", b"A"), (b"other", b"b")]
    start = {"type": "http.response.start", "status": 201, "headers": headers}
    assert Channels1("http").events(message, begun=False) == [start, body(b"hi")]


def test_a_response_in_several() -> None:
    told = Channels1("http")
    start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
    assert told.events({"type": "x", "status": 200, "more_content": True}, begun=False) == [start, body(b"", more=True)]
    assert told.events({"type": "x", "content": b"a", "more_content": True}, begun=True) == [body(b"a", more=True)]
    assert told.events({"type": "x", "content": "ü"}, begun=True) == [body("ü".encode())]


@pytest.mark.parametrize(
    ("message", "begun", "says"),
    [
        ({"content": b"a"}, False, "a response begins with its status, a number, not None"),
        ({"status": "200"}, False, "not '200'"),
        ({"status": True}, False, "not True"),
        ({"status": 200}, True, "a second status"),
        ({"text": "a"}, False, "a request takes status, headers, content and more_content, not text"),
        ({"status": 200, "headers": [[b"a"]]}, False, "headers are pairs of bytes"),
        ({"status": 200, "headers": [[b"a", 1]]}, False, "headers are pairs of bytes"),
        ({"status": 200, "headers": "ab"}, False, "headers are pairs of bytes"),
        ({"status": 200, "content": 1}, False, "content has to be bytes"),
    ],
)
def test_what_a_request_does_not_take(
    message: dict[str, Any], begun: bool, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Channels1("http").events({"type": "x", **message}, begun) == []
    assert says in caplog.text
