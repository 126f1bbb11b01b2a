"""The bridge as the server sees it: lifespan or none, pools, one loop, a fork, and errors that say what to do."""

# ruff: noqa: ARG001 - applications share a signature, whether they need all of it or not

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from channels_bridge import Bridge, Config
from channels_bridge.shared.errors import AddressError, ConfigurationError
from channels_bridge.testing import bridged
from channels_bridge.testing.processes import free_port
from halves import bridging, directory, hosting
from played_server import Call, Event, eventually, fetch, http_scope, websocket_scope

pytestmark = pytest.mark.anyio


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url:
        yield url


async def hello(scope: Event, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


# -- lifespan --------------------------------------------------------------------------------------------------

LIFESPAN: Event = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}


async def test_lifespan_starts_and_stops_it(url: str) -> None:
    bridge = Bridge(url)
    path = Path(url.removeprefix("ipc://")) / "bridge-0.sock"
    for _ in range(2):  # a server that restarts its lifespan in one process
        async with Call(bridge, LIFESPAN, {"type": "lifespan.startup"}) as call:
            assert await call.next() == {"type": "lifespan.startup.complete"}
            assert path.is_socket()
            call.give({"type": "lifespan.shutdown"})
            assert await call.next() == {"type": "lifespan.shutdown.complete"}
            assert await call.end() is None
        assert not path.exists()


async def test_an_address_that_is_taken_is_told_through_the_lifespan_protocol() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        bridge = Bridge(f"tcp://127.0.0.1:{port}")
        async with Call(bridge, LIFESPAN, {"type": "lifespan.startup"}) as call:
            event = await call.next()
            assert await call.end() is None
    assert event["type"] == "lifespan.startup.failed"
    assert f"tcp://127.0.0.1:{port}: no port is free; give a range" in event["message"]
    assert "Address already in use" in event["message"]


async def test_whatever_goes_wrong_is_told_through_the_lifespan_protocol(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Raised, it would say to uvicorn that there is no lifespan here, and the server would serve errors."""
    bridge = Bridge(url)

    def start() -> None:
        raise OSError("no more files")

    monkeypatch.setattr(bridge, "start", start)
    async with Call(bridge, LIFESPAN, {"type": "lifespan.startup"}) as call:
        assert await call.next() == {"type": "lifespan.startup.failed", "message": "no more files"}
    assert "the bridge cannot start" in caplog.text


async def test_an_unsafe_directory_is_told_through_the_lifespan_protocol(url: str) -> None:
    Path(url.removeprefix("ipc://")).chmod(0o755)
    async with Call(Bridge(url), LIFESPAN, {"type": "lifespan.startup"}) as call:
        event = await call.next()
        assert event["type"] == "lifespan.startup.failed"
        assert "chmod 700" in event["message"]


async def test_without_lifespan_it_starts_with_its_first_connection(url: str) -> None:
    bridge = Bridge(url)
    try:
        async with hosting(hello, url, bridges=0):
            assert (await fetch(bridge)).body == b"hello"
            assert (await fetch(bridge)).body == b"hello"
    finally:
        bridge.stop()
        bridge.stop()  # again is no error


async def test_without_lifespan_an_address_that_is_taken_is_raised_by_each_connection() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        bridge = Bridge(f"tcp://127.0.0.1:{port}")
        for _ in range(2):
            with pytest.raises(AddressError, match="no port is free"):
                await fetch(bridge)


async def test_other_scopes_are_refused_with_a_word(url: str) -> None:
    async with Call(Bridge(url), {"type": "webtransport"}) as call:
        error = await call.end()
    assert isinstance(error, ConfigurationError)
    assert str(error) == "the bridge serves http, websocket and lifespan, not 'webtransport'"


async def test_the_servers_state_is_its_own(url: str) -> None:
    """What middleware around the bridge put in its lifespan's state is left alone."""
    state: Event = {"of": "the server"}
    async with Call(Bridge(url), {**LIFESPAN, "state": state}, {"type": "lifespan.startup"}) as call:
        await call.next()
        call.give({"type": "lifespan.shutdown"})
        await call.end()
    assert state == {"of": "the server"}


# -- where it listens ------------------------------------------------------------------------------------------


def test_the_url_is_what_workers_are_given(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Bridge(url).url == url
    assert Bridge("tcp://127.0.0.1:5000-5003").url == "tcp://127.0.0.1:5000-5003"
    monkeypatch.setenv("CHANNELS_BRIDGE_URL", "tcp://127.0.0.1:6000")
    assert Bridge().url == "tcp://127.0.0.1:6000"
    assert Bridge("").url == "tcp://127.0.0.1:6000"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("http://x", "is not an address"),
        ("ipc://relative/", "is an absolute directory"),
        ("tcp://127.0.0.1:70000", "ports go from 1 to 65535"),
        ("ipc:///" + "x" * 120, "too long for a Unix socket"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_at_once(wrong: str, message: str) -> None:
    with pytest.raises(AddressError, match=message):
        Bridge(wrong)


def test_settings_that_contradict_each_other_are_said_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="beat < suspect < lease < verdict"):
        Bridge(url, config=Config(lease=20.0))


async def test_two_bridges_of_one_process_take_a_slot_each_and_share_the_workers(url: str) -> None:
    with bridging(url) as one, bridging(url) as two:
        async with hosting(hello, url, bridges=2):
            assert one.start().link.url.endswith("bridge-0.sock")
            assert two.start().link.url.endswith("bridge-1.sock")
            assert (await fetch(one)).body == (await fetch(two)).body == b"hello"


async def test_over_tcp() -> None:
    url = f"tcp://127.0.0.1:{free_port()}"
    with bridging(url) as bridge:
        async with hosting(hello, url):
            assert (await fetch(bridge)).body == b"hello"


# -- pools -----------------------------------------------------------------------------------------------------


async def test_the_longest_prefix_picks_the_pool(url: str) -> None:
    seen: list[tuple[str, str]] = []

    def app_of(pool: str) -> Any:
        async def app(scope: Event, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                seen.append((scope["path"], pool))
                await hello(scope, receive, send)

        return app

    pools = {"/render/": "cpu", "/render/small/": "quick"}
    with bridging(url, pools=pools) as bridge:
        async with (
            hosting(app_of("default"), url),
            hosting(app_of("cpu"), url, pools=("cpu",)),
            hosting(app_of("quick"), url, pools=("quick",)),
        ):
            for path in ("/", "/render/x", "/render/small/x", "/render"):
                await fetch(bridge, path)
    assert seen == [("/", "default"), ("/render/x", "cpu"), ("/render/small/x", "quick"), ("/render", "default")]


async def test_a_callable_picks_the_pool_by_the_scope(url: str) -> None:
    def pick(scope: Event) -> str:
        return "sockets" if scope["type"] == "websocket" else "default"

    config = Config(http_queue=0.1)
    with bridging(url, config, pools=pick) as bridge:
        async with hosting(hello, url):
            assert (await fetch(bridge)).body == b"hello"
            async with Call(bridge, websocket_scope(), {"type": "websocket.connect"}) as call:
                await call.end()
                assert call.sent[0]["status"] == 503  # no worker serves that pool


@pytest.mark.parametrize("answer", [None, 5, ""])
async def test_a_callable_that_gives_no_pool_is_said(url: str, answer: Any) -> None:
    def pick(scope: Event) -> Any:
        return answer

    with bridging(url, pools=pick) as bridge, pytest.raises(ConfigurationError, match="pools"):
        await fetch(bridge)


async def test_an_exception_of_the_callable_is_the_servers_to_answer(url: str) -> None:
    def pick(scope: Event) -> str:
        raise KeyError("tenant")

    with bridging(url, pools=pick) as bridge:
        with pytest.raises(KeyError, match="tenant"):
            await fetch(bridge)
        assert not bridge.start().link.core.connections


@pytest.mark.parametrize("pools", [{"render/": "cpu"}, {"": "cpu"}, {"/render/": ""}, {"/render/": None}, {5: "cpu"}])
def test_pools_that_make_no_sense_are_said_at_once(url: str, pools: Any) -> None:
    with pytest.raises(ConfigurationError, match="should be a path prefix and a pool, '/render/': 'cpu'"):
        Bridge(url, pools=pools)


# -- dead letters ----------------------------------------------------------------------------------------------


def test_dead_letters_are_kept_where_it_is_said(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def folder(**options: Any) -> object:
        bridge = Bridge(url, **options)
        letters = bridge.start().link.operating.letters
        bridge.stop()
        return getattr(letters, "_folder", None)

    assert anyio.run(folder) is None
    monkeypatch.setenv("CHANNELS_BRIDGE_DEAD_LETTERS", str(tmp_path / "a"))
    assert anyio.run(folder) == tmp_path / "a"
    assert anyio.run(partial(folder, dead_letters=str(tmp_path / "b"))) == tmp_path / "b"


async def test_a_folder_that_others_may_enter_is_told_through_the_lifespan_protocol(url: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    async with Call(Bridge(url, dead_letters=tmp_path), LIFESPAN, {"type": "lifespan.startup"}) as call:
        event = await call.next()
    assert event["type"] == "lifespan.startup.failed"
    assert f"make it private: chmod 700 {tmp_path}" in event["message"]


# -- loops, threads, processes ---------------------------------------------------------------------------------


async def test_another_loop_is_told_to_make_its_own(url: str) -> None:
    async def elsewhere() -> None:
        bridge.start()

    message = "this Bridge runs in another event loop: make one for each"
    with bridging(url) as bridge, pytest.raises(ConfigurationError, match=message):
        await anyio.to_thread.run_sync(anyio.run, elsewhere)


def test_a_loop_that_has_ended_does_not_stand_in_the_way(url: str) -> None:
    """Tests make a loop each, and not all of them run the lifespan; the bridge is a module's one object."""
    bridge = Bridge(url)

    async def serve() -> str:
        return bridge.start().link.url

    try:
        for backend in ("asyncio", "trio", "asyncio"):
            assert anyio.run(serve, backend=backend).endswith("bridge-0.sock")
    finally:
        bridge.stop()


def script(url: str, text: str) -> list[str]:
    """Run a program in a process of its own; give the lines that it prints."""
    program = textwrap.dedent("""
        import asyncio, os, sys
        from pathlib import Path
        from channels_bridge import Bridge
        url = sys.argv[1]
        bridge = Bridge(url)
        async def serve():
            return Path(bridge.start().link.url).name
        def files():
            return sorted(os.listdir(url.removeprefix("ipc://")))
    """) + textwrap.dedent(text)
    command = [sys.executable, "-W", "error", "-W", "ignore:Unclosed socket:ResourceWarning", "-c", program, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_process_that_ends_without_lifespan_frees_its_address(url: str) -> None:
    assert script(url, "print(asyncio.run(serve()), *files())") == ["bridge-0.sock bridge-0.lock bridge-0.sock"]
    assert os.listdir(url.removeprefix("ipc://")) == ["bridge-0.lock"]


def test_after_a_fork_it_starts_anew_and_leaves_the_parents_alone(url: str) -> None:
    lines = script(
        url,
        """
        print("parent", asyncio.run(serve()), flush=True)
        pid = os.fork()
        if not pid:
            print("child", asyncio.run(serve()), flush=True)
            sys.exit()
        os.waitpid(pid, 0)
        print(*files())
        """,
    )
    assert lines == ["parent bridge-0.sock", "child bridge-1.sock", "bridge-0.lock bridge-0.sock bridge-1.lock"]


def test_a_child_does_not_keep_the_slot_of_its_parent(url: str) -> None:
    """A lock belongs to the open file, which a fork shares."""
    lines = script(
        url,
        """
        print("parent", asyncio.run(serve()), flush=True)
        reading, writing = os.pipe()
        began, begins = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(writing)
            os.write(begins, b"x")
            os.read(reading, 1)
            sys.exit()
        os.read(began, 1)
        bridge.stop()
        print("again", asyncio.run(serve()), flush=True)
        os.close(writing)
        os.waitpid(pid, 0)
        """,
    )
    assert lines == ["parent bridge-0.sock", "again bridge-0.sock"]


async def test_it_says_that_it_waits_for_nobody(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with bridging(url):
        assert f"listening for workers on {url}bridge-0.sock" in caplog.text


async def test_as_an_application_among_others() -> None:
    """Starlette's Mount and Django's URL routing give it scopes of their own; the server's objects stay behind."""

    async def app(scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": f"{scope['root_path']} {scope['path']}".encode()})

    def mounted(bridge: Bridge) -> Callable[..., Any]:
        async def outer(scope: Event, receive: Any, send: Any) -> None:
            await bridge({**scope, "root_path": "/mounted", "app": outer, "endpoint": bridge}, receive, send)

        return outer

    async with bridged(app, same_loop=True) as bridge:
        assert (await fetch(mounted(bridge), "/mounted/x")).body == b"/mounted /mounted/x"


async def test_what_is_left_in_a_loop_that_ends_is_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="cb-") as name:
        bridge = Bridge(f"ipc://{name}/")
        async with Call(bridge, http_scope(), {"type": "http.request"}) as call:
            await eventually(lambda: call.taken)
            call.cancel()
        assert not bridge.start().link.core.connections
        bridge.stop()
        assert os.listdir(name) == ["bridge-0.lock"]
