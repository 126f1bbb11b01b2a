"""Layers and what a process does with them: fork, many loops, many layers, and simply ending.

Most of it runs as scripts, with warnings as errors: what is left behind shows in their output, if not in their end.
"""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from channels_bridge import ChannelLayer, SyncChannelLayer
from halves import directory
from layers.seats import RemoteSeat, until
from layers.site import loop_thread
from layers.test_bridges import bridging

LAYERS = 1000
PRELUDE = """
import asyncio, gc, os, sys, threading, trio
from channels_bridge import ChannelLayer, SyncChannelLayer
url = sys.argv[1]
"""


@pytest.fixture
def url() -> Iterator[str]:
    with directory() as url, loop_thread("asyncio") as portal, bridging(portal, url):
        yield url


def run(script: str, url: str, tmp_path: Path) -> None:
    """Run a script to its end. It may say nothing, not even as it ends."""
    file = tmp_path / "script.py"
    file.write_text(PRELUDE + textwrap.dedent(script))
    command = [sys.executable, "-X", "dev", "-W", "error", str(file), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- ending ----------------------------------------------------------------------------------------------------


def test_a_sync_script_that_just_ends(url: str, tmp_path: Path) -> None:
    """What it sent last is sent all the same."""
    run(
        """
        layer = SyncChannelLayer(url)
        channel = layer.new_channel()
        layer.group_add("room", channel)
        layer.group_send("room", {"type": "x"})
        layer.receive(channel)
        layer.send("last.words", {"type": "x"})
        """,
        url,
        tmp_path,
    )
    layer = SyncChannelLayer(url)
    assert layer.receive("last.words") == {"type": "x"}
    layer.close()


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_async_script_that_just_ends(url: str, tmp_path: Path, loop: str) -> None:
    run(
        f"""
        async def main():
            layer = ChannelLayer(url)
            channel = await layer.new_channel()
            await layer.group_add("room", channel)
            await layer.group_send("room", {{"type": "x"}})
            await layer.receive(channel)
            await layer.send("last.words", {{"type": "x"}})

        {loop}.run({"main()" if loop == "asyncio" else "main"})
        """,
        url,
        tmp_path,
    )
    layer = SyncChannelLayer(url)
    assert layer.receive("last.words") == {"type": "x"}
    layer.close()


def test_a_script_that_ends_while_threads_and_tasks_wait(url: str, tmp_path: Path) -> None:
    run(
        """
        sync = SyncChannelLayer(url)
        threading.Thread(target=sync.receive, args=(sync.new_channel(),), daemon=True).start()
        threading.Thread(target=sync.receive, args=("nothing.comes",), daemon=True).start()

        async def main():
            layer = ChannelLayer(url)
            tasks = [asyncio.create_task(layer.receive(channel)) for channel in (await layer.new_channel(), "nor.here")]
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in tasks)

        asyncio.run(main())
        """,
        url,
        tmp_path,
    )


def test_a_closed_layer_can_be_made_anew(url: str, tmp_path: Path) -> None:
    run(
        """
        for _ in range(5):
            layer = SyncChannelLayer(url)
            channel = layer.new_channel()
            layer.group_add("room", channel)
            layer.group_send("room", {"type": "x"})
            assert layer.receive(channel) == {"type": "x"}
            layer.close()
            layer.close()
        """,
        url,
        tmp_path,
    )


# -- forking ---------------------------------------------------------------------------------------------------


def test_a_forked_process_is_another_one(url: str, tmp_path: Path) -> None:
    """The child's layer has its own channels and its own link; the parent's go on as if nothing had been."""
    run(
        """
        layer = SyncChannelLayer(url)
        inherited, mine = layer.new_channel(), layer.new_channel()
        layer.group_add("room", mine)
        layer.send("named", {"type": "before"})
        child = os.fork()
        if child == 0:
            own = layer.new_channel()
            assert own not in (inherited, mine) and own.split("!")[0] != mine.split("!")[0], own
            layer.group_add("children", own)
            layer.group_send("children", {"type": "in the child"})
            assert layer.receive(own) == {"type": "in the child"}
            layer.send(mine, {"type": "from the child", "own": own})
            assert layer.receive(own) == {"type": "from the parent"}
            layer.close()
            os._exit(0)
        message = layer.receive(mine)
        assert message["type"] == "from the child"
        layer.send(message["own"], {"type": "from the parent"})
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        layer.group_send("room", {"type": "after"})
        assert layer.receive(mine) == {"type": "after"}
        assert layer.receive("named") == {"type": "before"}
        """,
        url,
        tmp_path,
    )


def test_forked_children_that_end_take_nothing_with_them(url: str, tmp_path: Path) -> None:
    run(
        """
        layer = SyncChannelLayer(url)
        mine = layer.new_channel()
        layer.send(mine, {"type": "kept"})
        for _ in range(3):
            child = os.fork()
            if child == 0:
                sys.exit(0)  # runs what is registered for the end of a process
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        layer.group_add("room", mine)
        layer.group_send("room", {"type": "x"})
        assert [layer.receive(mine)["type"] for _ in range(2)] == ["kept", "x"]
        """,
        url,
        tmp_path,
    )


# -- new -------------------------------------------------------------------------------------------------------


def test_a_new_process_is_reached_at_once(url: str) -> None:
    """It may hand out the name of a channel by other ways than the bridge, which is still to hear of the process."""
    layer = SyncChannelLayer(url)
    layer.group_send("nobody", {"type": "x"})
    with contextlib.closing(RemoteSeat([url])) as new:
        channel = new.new_channel()
        layer.send(channel, {"type": "x"}, require=True)
        assert new.receive(channel) == {"type": "x"}
    layer.close()


# -- many ------------------------------------------------------------------------------------------------------


def test_one_layer_in_one_loop_after_the_other(url: str, tmp_path: Path) -> None:
    """As async_to_sync does it: a new loop for each call."""
    run(
        """
        layer = ChannelLayer(url)
        channel = asyncio.run(layer.new_channel())
        for number in range(20):
            asyncio.run(layer.send(channel, {"type": "x", "n": number}))
        for number in range(20):
            assert asyncio.run(layer.receive(channel)) == {"type": "x", "n": number}
        asyncio.run(layer.group_add("room", channel))
        trio.run(layer.group_send, "room", {"type": "to all"})
        assert trio.run(layer.receive, channel) == {"type": "to all"}
        """,
        url,
        tmp_path,
    )


def test_one_layer_in_many_loops_at_once(url: str, tmp_path: Path) -> None:
    run(
        """
        layer = ChannelLayer(url)

        async def main(number):
            channel = await layer.new_channel()
            await layer.group_add(f"room.{number}", channel)
            for n in range(20):
                await layer.group_send(f"room.{number}", {"type": "x", "n": n})
            assert [(await layer.receive(channel))["n"] for _ in range(20)] == list(range(20))
            await layer.send("done", {"type": "x"})

        for number in range(6):
            run = (lambda n: asyncio.run(main(n))) if number % 2 else (lambda n: trio.run(main, n))
            threading.Thread(target=run, args=(number,)).start()
        for _ in range(6):
            asyncio.run(layer.receive("done"))
        """,
        url,
        tmp_path,
    )


def test_a_thousand_layers_leave_nothing() -> None:
    """Made and used, and neither closed nor kept: no thread, no file descriptor, no memory of their channels."""
    process = psutil.Process()
    with loop_thread("asyncio") as portal, directory() as url, bridging(portal, url) as bridge:
        core = portal.call(bridge.start).link.core
        gc.collect()
        threads, descriptors = threading.active_count(), process.num_fds()
        for number in range(LAYERS):
            make_and_drop(url, used=number % 100 == 0)
        gc.collect()
        until(lambda: threading.active_count() <= threads)
        until(lambda: process.num_fds() <= descriptors)
        until(lambda: not core.supervisor.links)
        assert len(core.layer.groups) == 0


def make_and_drop(url: str, used: bool) -> None:
    ChannelLayer(url)
    layer = SyncChannelLayer(url)
    if used:
        layer.group_add("room", layer.new_channel())


def test_a_layer_that_is_only_made_costs_no_thread(url: str, tmp_path: Path) -> None:
    """A module of settings or of tasks makes it when it is imported, perhaps long before it forks."""
    run(
        """
        layers = [SyncChannelLayer(url), ChannelLayer(url)]
        assert threading.active_count() == 1
        """,
        url,
        tmp_path,
    )
