"""What Prometheus is told: figures that agree, at an address of their own, from any thread, and of nobody else."""

from __future__ import annotations

import logging
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from channels_bridge import Bridge, Config
from channels_bridge.bridge import metrics as metrics_module
from channels_bridge.bridge.link import Link
from channels_bridge.bridge.metrics import Figures, InLoop, address_of, taken
from channels_bridge.shared.addresses import TcpRange, parse
from channels_bridge.shared.errors import AddressError
from channels_bridge.testing.processes import free_port
from halves import bridging, directory, hosting
from played_server import fetch

pytestmark = pytest.mark.anyio

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]  # (name, labels) -> value


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


def read(port: int) -> Samples:
    """Scrape. Blocks: not in the loop of the bridge."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


async def scrape(port: int) -> Samples:
    return await anyio.to_thread.run_sync(read, port)


async def hello(scope: Any, _: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


# -- what is told ----------------------------------------------------------------------------------------------


async def test_requests_show_in_the_ledger(url: str) -> None:
    port = free_port()
    with bridging(url, metrics=f"127.0.0.1:{port}") as bridge:
        async with hosting(hello, url):
            for _ in range(3):
                await fetch(bridge)
            found = await scrape(port)
    pool = (("pool", "default"),)
    assert found["channels_bridge_up", ()] == 1
    accepted = found["channels_bridge_messages_accepted_total", pool]
    ended = sum(
        value
        for (name, labels), value in found.items()
        if name == "channels_bridge_messages_ended_total" and ("pool", "default") in labels
    )
    assert accepted == ended + found["channels_bridge_messages_in_flight", pool] >= 3
    assert found["channels_bridge_links", (("role", "worker"), ("state", "ready"))] == 1
    assert found["channels_bridge_pool_workers", pool] == 1
    assert found["channels_bridge_malformed_total", ()] == 0
    assert found["process_resident_memory_bytes", ()] > 0
    assert not any(name.startswith("channels_bridge_engine") for name, _ in found)


async def test_what_was_refused_and_the_engine_show(url: str) -> None:
    port = free_port()
    config = Config(http_queue=0.05)
    with bridging(url, config, metrics=f"127.0.0.1:{port}", engine="local://metrics") as bridge:
        await fetch(bridge)
        found = await scrape(port)
    assert found["channels_bridge_refused_total", (("pool", "default"), ("reason", "no-worker"))] == 1
    assert found["channels_bridge_engine_connected", ()] == 1


async def test_scrapes_while_connections_come_and_go(url: str) -> None:
    """They are taken between two turns of the loop: nothing changes under them, and every ledger balances."""
    port = free_port()
    found: list[Samples] = []
    with bridging(url, metrics=f"127.0.0.1:{port}") as bridge:
        async with hosting(hello, url):

            async def scrape_on() -> None:
                while len(found) < 20:
                    found.append(await scrape(port))
                group.cancel_scope.cancel()

            async def fetch_on() -> None:
                while True:
                    await fetch(bridge)

            async with anyio.create_task_group() as group:
                for task in (scrape_on, fetch_on, fetch_on):
                    group.start_soon(task)
    assert len(found) == 20
    assert {samples["channels_bridge_up", ()] for samples in found} == {1.0}


# -- a loop that does not answer -------------------------------------------------------------------------------


def names(figures: Figures) -> list[str]:
    return [metric.name for metric in figures.collect()]


def test_a_loop_that_does_not_answer_is_down() -> None:
    figures = Figures(lambda: None)
    [metric] = figures.collect()
    assert (metric.name, [sample.value for sample in metric.samples]) == ("channels_bridge_up", [0])


class Loop:
    """One that does what it is asked, or not."""

    def __init__(self, *, busy: bool = False, over: bool = False) -> None:
        self.busy, self.over = busy, over

    def from_thread(self, function: Any) -> None:
        if self.over:
            raise RuntimeError("Event loop is closed")
        if not self.busy:
            function()


def in_loop(loop: Any, link: Any = None) -> InLoop:
    return InLoop(link or Link(parse("ipc:///nowhere/"), Config()), loop)


def test_a_busy_loop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "PATIENCE", 0.001)
    assert in_loop(Loop(busy=True))() is None


def test_a_loop_that_has_ended_is_given_up_at_once() -> None:
    assert in_loop(Loop(over=True))() is None


def test_a_bug_of_ours_does_not_reach_the_servers_loop(caplog: pytest.LogCaptureFixture) -> None:
    assert in_loop(Loop(), link=object())() is None
    assert "the figures cannot be taken" in caplog.text


def test_a_bridge_without_anything_has_all_that_does_not_depend_on_it() -> None:
    link = Link(parse("ipc:///nowhere/"), Config())
    assert in_loop(Loop(), link)() == taken(link)
    found = names(Figures(lambda: taken(link)))
    assert {"channels_bridge_dead_letters", "channels_bridge_turns_out", "channels_bridge_fenced"} <= set(found)
    assert len(found) == len(set(found))


# -- where -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["9100", "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:9200-9100", "http://x:1"]
)
def test_what_is_no_address_is_said_at_once(url: str, where: str) -> None:
    with pytest.raises(AddressError, match=re.escape(f"metrics: {where!r} should be host:port")):
        Bridge(url, metrics=where)


def test_an_address_that_others_reach_needs_a_word(url: str) -> None:
    with pytest.raises(AddressError, match="can be reached from other machines, and asks for no password"):
        Bridge(url, metrics="0.0.0.0:9100")
    assert address_of("0.0.0.0:9100", insecure_tcp=True) == TcpRange("0.0.0.0", 9100, 9100)
    assert address_of("localhost:9100-9103", insecure_tcp=False) == TcpRange("localhost", 9100, 9103)


async def test_each_process_takes_the_first_free_port(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), bridging(url, metrics=f"127.0.0.1:{port}-{port + 3}") as bridge:
        exporter = bridge.start().exporter
        assert exporter is not None
        assert port < exporter.port <= port + 3
        assert f"metrics are at http://127.0.0.1:{exporter.port}/metrics" in caplog.text
        assert (await scrape(exporter.port))["channels_bridge_up", ()] == 1


async def test_a_port_that_is_taken_is_said_when_the_bridge_starts(url: str) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        bridge = Bridge(url, metrics=f"127.0.0.1:{port}")
        with pytest.raises(AddressError, match=f"metrics: 127.0.0.1:{port}: no port is free; give a range"):
            bridge.start()


async def test_a_bridge_that_cannot_listen_leaves_no_port_behind() -> None:
    port, of_metrics = free_port(), free_port()
    with socket.create_server(("127.0.0.1", port)):
        bridge = Bridge(f"tcp://127.0.0.1:{port}", metrics=f"127.0.0.1:{of_metrics}")
        with pytest.raises(AddressError, match="no port is free"):
            bridge.start()
    socket.create_server(("127.0.0.1", of_metrics)).close()


async def test_the_port_is_free_again_at_once(url: str) -> None:
    port = free_port()
    for _ in range(3):
        with bridging(url, metrics=f"127.0.0.1:{port}"):
            assert (await scrape(port))["channels_bridge_up", ()] == 1


def test_after_a_fork_the_parent_keeps_its_port_and_the_child_has_none(url: str) -> None:
    program = """
import asyncio, os, sys, urllib.request
from channels_bridge import Bridge
url, port = sys.argv[1:]
bridge = Bridge(url, metrics=f"127.0.0.1:{port}")
def sockets():
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:  # that of the listing
            pass
    return found
def read():
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read()
async def main():
    exporter = bridge.start().exporter
    own = f"socket:[{os.fstat(exporter._server.socket.fileno()).st_ino}]"
    assert own in sockets()
    pid = os.fork()
    if not pid:
        os._exit(own in sockets())
    assert os.waitpid(pid, 0)[1] == 0, "the child kept the socket"
    assert b"channels_bridge_up 1.0" in await asyncio.to_thread(read)
    bridge.stop()
asyncio.run(main())
"""
    command = [sys.executable, "-c", program, url, str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_a_variable_says_where_as_well(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNELS_BRIDGE_METRICS", "nowhere")
    with pytest.raises(AddressError, match="metrics: 'nowhere'"):
        Bridge(url)


def test_a_bridge_without_metrics_does_not_load_the_library() -> None:
    program = (
        "import sys; from channels_bridge import Bridge; import channels_bridge.bridge.cli; Bridge();"
        " sys.exit(any(name.split('.')[0] in ('prometheus_client', 'rich') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
