"""What is NATS's own; what all engines do is in tests/engines."""

from pathlib import Path

import pytest

from channels_bridge.bridge.engines.nats import Nats
from channels_bridge.bridge.engines.url import parse
from engine_members import Told, member, problem
from servers import make_certificate, nats_server

pytestmark = pytest.mark.anyio


async def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    with nats_server(user="me", password="pw", tls=made) as server:
        url = f"{server.url}?ca={made.cert}"
        async with member(url) as a, member(url) as b:
            await b.subscribe("x")
            await a.publish("x", b"1")
            await b.has(Told("message", "x", b"1"))
        await problem(server.url, "CERTIFICATE_VERIFY_FAILED")


async def test_tls_is_never_given_up_for_clear_text() -> None:
    """The server decides, for nats-py; whoever sits between could say no, and read the password."""
    with nats_server(user="me", password="pw") as server:
        await problem(server.url.replace("nats://", "tls://"), "offers no TLS")
    with nats_server() as server:
        await problem(server.url.replace("nats://", "tls://"), "offers no TLS")


async def test_a_server_that_is_none() -> None:
    with nats_server() as server:
        server.kill()
        await problem(server.url, "Connect call failed")


def test_servers_are_tried_one_after_the_other() -> None:
    nats = Nats(parse("nats://me:pw@one,[::1]:5"))
    assert [nats._next_server() for _ in range(3)] == ["nats://one:4222", "nats://[::1]:5", "nats://one:4222"]
