"""Which pages may open a socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test.utils import override_settings

from channels1_project.recorder import Recorder, recording
from channels_bridge.worker.legacy.exceptions import DenyConnection
from channels_bridge.worker.legacy.security.websockets import (
    AllowedHostsOnlyOriginValidator,
    BaseOriginValidator,
    allowed_hosts_only,
)


@pytest.fixture
def layer() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@allowed_hosts_only
def consumer(message: Any, word: str = "") -> str:
    """Say that this one is in."""
    return f"in {word}" if message.reply_channel else "of no socket"


def is_in(layer: Recorder, origin: bytes | str | None) -> bool:
    headers = [[b"host", b"example.com"]] + ([] if origin is None else [[b"origin", origin]])
    try:
        return consumer(layer.connect(headers=headers), word="now") == "in now"
    except DenyConnection:
        return False


@pytest.mark.parametrize("origin", [b"http://example.com", b"https://EXAMPLE.com:8443", "http://example.com"])
def test_pages_of_allowed_hosts_are_in(layer: Recorder, origin: bytes | str) -> None:
    assert is_in(layer, origin)


@pytest.mark.parametrize(
    "origin",
    [
        b"http://evil.com",
        b"http://example.com.evil.com",
        b"null",
        b"file://",
        b"example.com",
        b"\xff",
        b"http://[",
        b"",
        None,
    ],
)
def test_others_are_denied(layer: Recorder, origin: bytes | None) -> None:
    assert not is_in(layer, origin)


def test_any_host_may_be_allowed(layer: Recorder) -> None:
    with override_settings(ALLOWED_HOSTS=["*"]):
        assert is_in(layer, b"http://evil.com")
        assert not is_in(layer, b"null")
        assert not is_in(layer, None)


@pytest.mark.parametrize(
    "origin", [b"http://localhost:8000", b"http://app.localhost", b"http://127.0.0.1", b"http://[::1]:80"]
)
def test_while_one_debugs_this_computer_is_allowed(layer: Recorder, origin: bytes) -> None:
    with override_settings(ALLOWED_HOSTS=[], DEBUG=True):
        assert is_in(layer, origin)
        assert not is_in(layer, b"http://example.com")
    with override_settings(ALLOWED_HOSTS=[], DEBUG=False):
        assert not is_in(layer, origin)


def test_headers_may_be_a_dict_as_the_test_client_has_them(layer: Recorder) -> None:
    assert consumer(layer.connect(headers={"origin": b"http://example.com"})) == "in "
    assert consumer(layer.connect(headers={b"Origin": "http://example.com"})) == "in "
    with pytest.raises(DenyConnection):
        consumer(layer.connect(headers={"origin": "http://evil.com"}))


def test_a_message_without_headers_is_denied(layer: Recorder) -> None:
    with pytest.raises(DenyConnection):
        consumer(layer.frame("x"))


class PathValidator(BaseOriginValidator):
    """Lets in who connects to a path that is named as its origin."""

    def validate_origin(self, message: Any, origin: str) -> bool:
        return origin == message["path"]


def test_a_project_decides_for_itself(layer: Recorder) -> None:
    decorated = PathValidator(lambda message: "in")
    assert decorated(layer.connect(headers=[[b"origin", b"/a"]], path="/a")) == "in"
    with pytest.raises(DenyConnection):
        decorated(layer.connect(headers=[[b"origin", b"/b"]], path="/a"))


def test_who_does_not_decide_lets_nobody_in(layer: Recorder) -> None:
    with pytest.raises(DenyConnection):
        BaseOriginValidator(lambda message: "in")(layer.connect(headers=[[b"origin", b"http://example.com"]]))


def test_methods_are_decorated_too(layer: Recorder) -> None:
    class Consumer:
        @allowed_hosts_only
        def handle(self, message: Any, **kwargs: Any) -> Any:
            return self, kwargs

    made = Consumer()
    assert made.handle(layer.connect(headers=[[b"origin", b"http://example.com"]]), word=1) == (made, {"word": 1})
    with pytest.raises(DenyConnection):
        made.handle(layer.connect())
    assert isinstance(Consumer.handle, AllowedHostsOnlyOriginValidator)


def test_a_call_without_a_message_is_told() -> None:
    with pytest.raises(ValueError, match="AllowedHostsOnlyOriginValidator"):
        consumer("no message")


def test_it_has_the_name_of_what_it_decorates() -> None:
    assert vars(consumer)["__name__"] == "consumer"
    assert consumer.__doc__ == "Say that this one is in."

    class Unordered:
        ordered = False

    assert vars(allowed_hosts_only(Unordered))["ordered"] is False
