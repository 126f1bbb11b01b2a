"""What is Redis's own; what all engines do is in tests/engines."""

import socket
from pathlib import Path

import pytest

from channels_bridge.bridge.engines.choice import open_engine
from channels_bridge.shared.endpoint import running_loop
from channels_bridge.testing.processes import HOST
from engine_members import Member, Told, member, problem
from servers import Server, make_certificate, redis_cluster, redis_server

pytestmark = pytest.mark.anyio


def command(server: Server, *lines: str) -> str:
    with socket.create_connection((HOST, server.port), 5.0) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in lines).encode())
        return connection.recv(65536).decode()


async def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    with redis_server(password="pw", tls=made) as server:
        url = f"{server.url}?ca={made.cert}"
        async with member(url) as a, member(url) as b:
            await b.subscribe("x")
            await a.publish("x", b"1")
            await b.has(Told("message", "x", b"1"))
        await problem(server.url, "CERTIFICATE_VERIFY_FAILED")


async def test_a_cluster_is_used_by_its_shards() -> None:
    """PUBLISH would go to every node of it."""
    with redis_server(cluster=True) as server:
        async with member(server.url) as a, member(server.url) as b:
            await b.subscribe("x", "y")
            await a.publish("x", b"1")
            await b.has(Told("message", "x", b"1"))
            assert "*0" in command(server, "PUBSUB CHANNELS")
            assert "cb.x" in command(server, "PUBSUB SHARDCHANNELS")


async def test_all_nodes_of_a_cluster_are_used() -> None:
    """Of which the URL names one; when one is lost, so is the session, as a part of the topics is dead."""
    topics = [f"g.{number}" for number in range(50)]
    with redis_cluster() as (one, two):
        async with member(one.url) as a, member(two.url) as b:
            await b.subscribe(*topics)
            for topic in topics:
                await a.publish(topic, b"")
            await b.has(*(Told("message", topic) for topic in topics))
            for node in (one, two):
                assert "g." in command(node, "PUBSUB SHARDCHANNELS")
            two.kill()
            await a.heard("down")
            await b.heard("down")


async def test_a_slot_that_leaves_its_node_is_a_loss() -> None:
    """The server ends the subscriptions of the slot; nobody else would tell."""
    with redis_server(cluster=True) as server:
        async with member(server.url) as a:
            await a.subscribe("x")
            command(server, "CLUSTER DELSLOTSRANGE 0 16383")
            await a.heard("down")
            assert a.told[1] == Told("down", "a part of the cluster has moved to another node")
            command(server, "CLUSTER ADDSLOTSRANGE 0 16383")
            await a.heard("gap")


async def test_a_cluster_without_all_its_slots_is_not_used() -> None:
    with redis_server(cluster=True) as server:
        command(server, "CLUSTER DELSLOTSRANGE 100 199")
        await problem(server.url, "100 of the cluster's 16384 slots have no node")


async def test_a_server_without_a_cluster_is_none() -> None:
    with redis_server() as server:
        await problem(server.url.replace("redis://", "redis+cluster://"), "cluster support disabled")


async def test_a_topic_that_may_not_be_subscribed_to_is_a_problem_with_a_name() -> None:
    with redis_server() as server:
        command(server, "ACL SETUSER me on >pw +@all resetchannels")
        engine = open_engine(server.url.replace("://", "://me:pw@"))
        one = Member(engine)
        engine.start(running_loop(), one)
        await one.heard("up")
        await one.subscribe("x")
        await one.heard("down")
        assert "permissions" in one.told[1].topic
        engine.stop()
