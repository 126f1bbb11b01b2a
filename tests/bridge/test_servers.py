"""What single servers cannot bear: a stand-in for daphne's ``send``, and everybody else's."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from channels_bridge.bridge import servers


class Transport:
    """A connection that can be cut."""

    def __init__(self) -> None:
        self.cuts = 0

    def loseConnection(self) -> None:  # noqa: N802 - Twisted's name
        self.cuts += 1


class Protocol:
    """What daphne binds its ``send`` to."""

    def __init__(self) -> None:
        self.transport = Transport()


def send_of(module: str, protocol: Protocol) -> Callable[[Any], Awaitable[None]]:
    async def handle_reply(protocol: Protocol, message: Any) -> None:  # noqa: ARG001
        raise AssertionError("nothing is sent")

    handle_reply.__module__ = module
    return functools.partial(handle_reply, protocol)


def test_daphnes_connection_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    protocol = Protocol()
    assert servers.cut(send_of("daphne.server", protocol))
    assert protocol.transport.cuts == 1
    assert "the connection is cut" in caplog.text


def test_another_servers_is_not() -> None:
    protocol = Protocol()
    assert not servers.cut(send_of("elsewhere.server", protocol))
    assert protocol.transport.cuts == 0


@pytest.mark.parametrize("send", [print, object(), None])
def test_what_is_bound_to_nothing_is_left_alone(send: object) -> None:
    assert not servers.cut(send)
