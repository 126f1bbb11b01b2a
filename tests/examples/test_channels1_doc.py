"""docs/channels1.md: its old and its new consumers share a deployment, and what it says of options and names is so."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from websockets.sync.client import connect

from channels_bridge.bridge.cli import serve
from channels_bridge.bridge.migration.djangos import LOADS, WITH_SHIM
from channels_bridge.bridge.migration.scanning import scan
from channels_bridge.shared.config import Config
from channels_bridge.testing.processes import ManagedProcess, ServerProcess
from channels_bridge.worker.cli import main as worker

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "channels1.md").read_text()
CONNECTED = "connected to the bridge"
URL = "ipc:///tmp/project/"

# What the page takes for granted.
OWN = {
    "project/__init__.py": "",
    "chat/__init__.py": "",
    "project/settings.py": """
SECRET_KEY = "secret"
INSTALLED_APPS = ["django.contrib.sessions", "channels"]
SESSION_ENGINE = "django.contrib.sessions.backends.file"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "asgi_redis.RedisChannelLayer",
        "CONFIG": {"hosts": [("localhost", 6379)]},
        "ROUTING": "project.routing.channel_routing",
    },
}
""",
    "project/asgi.py": """
import os

from channels.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
channel_layer = get_channel_layer()
""",
}


def files_of_page() -> dict[str, str]:
    """Give the Python blocks of the page that are named in the paragraph before them: name -> source."""
    found: dict[str, str] = {}
    before = ""
    for part in re.split(r"(```\w*\n.*?```)", PAGE, flags=re.DOTALL):
        block = re.fullmatch(r"```python\n(.*?)```", part, re.DOTALL)
        if block is None:
            before = part.strip().rpartition("\n\n")[2] or before
        else:
            found[re.findall(r"`([\w/]+\.py)`", before)[-1]] = block[1]
    return found


def section(title: str) -> str:
    """Give what stands below a heading."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    """Give the cells of the table whose first line begins so."""
    lines = PAGE.partition(f"\n| {heading} |")[2].splitlines()[2:]
    table = lines[: lines.index("")] if "" in lines else lines
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The project of the page."""
    with tempfile.TemporaryDirectory(prefix="cb-") as scratch:
        top = Path(scratch)
        for name, source in {**OWN, **files_of_page()}.items():
            (top / name).parent.mkdir(exist_ok=True)
            (top / name).write_text(source.replace(URL, f"ipc://{top}/run/"))
        yield top


def test_what_the_page_shows() -> None:
    assert list(files_of_page()) == ["chat/consumers.py", "project/routing.py", "chat/rooms.py", "bridge.py"]


@pytest.mark.system
def test_old_and_new_in_one_deployment(folder: Path) -> None:
    """Started as the page says; each reads what the other says, and each counts for itself."""
    blocks = re.findall(r"```\n(uvicorn .*?)```", section("Consumer by consumer"), re.DOTALL)
    server, *workers = [shlex.split(line.replace(URL, f"ipc://{folder}/run/")) for line in blocks[0].splitlines()]
    assert server == ["uvicorn", "bridge:application"]
    assert len(workers) == 2
    with ExitStack() as exits:
        uvicorn = exits.enter_context(ServerProcess("uvicorn", server[1], pythonpath=[folder]))
        for command in workers:
            assert command[0] == "channels-worker"
            line = [sys.executable, "-m", "channels_bridge.worker", *command[1:], "--app-dir", str(folder)]
            exits.enter_context(ManagedProcess(line)).wait_for_log(CONNECTED, 30.0)
        old = exits.enter_context(connect(f"{uvicorn.ws_url}/chat/"))
        new = exits.enter_context(connect(f"{uvicorn.ws_url}/new/chat/"))
        for speaker, text, heard in ((new, "bees", "1 bees"), (old, "tea", "1 tea"), (old, "more", "2 more")):
            speaker.send(text)
            assert [old.recv(timeout=10.0), new.recv(timeout=10.0)] == [heard, heard]


def test_the_old_code_of_the_page_needs_no_change(folder: Path) -> None:
    assert [finding for finding in scan(folder).findings if finding.verdict == "change"] == []


def options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize(("heading", "command"), [("daphne 1", serve), ("`runworker`", worker)])
def test_the_options_that_are_named_are_there(heading: str, command: click.Command) -> None:
    named = {name for row in rows(heading) for name in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", row[1])}
    assert len(named) >= 3
    assert named - options(command) == set()


def test_every_option_in_a_command_is_there() -> None:
    for command, found in (("channels-bridge serve", options(serve)), ("channels-worker", options(worker))):
        lines = [line.partition("#")[0] for line in PAGE.splitlines() if line.startswith(command)]
        named = {name for line in lines for name in re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)}
        assert named
        assert named - found == set()


def test_limits_are_fields_of_the_configuration() -> None:
    named = {name for call in re.findall(r"Config\((.*?)\)", PAGE) for name in re.findall(r"(\w+)=", call)}
    assert named == {"handshake", "answer", "park"}
    assert named <= {field.name for field in dataclasses.fields(Config)}


def test_the_removed_names_of_django_are_those_of_the_command() -> None:
    listed = re.findall(r"`([^`]+)`", section("Django").partition("`django.utils.six`")[2].partition("\n\n")[0])
    tags = [name for name in listed if name.startswith("{%")]
    assert {*tags} == {f"{{% load {name} %}}" for name in LOADS} | {"{% load static from staticfiles %}"}
    short = {name.rpartition(".")[2] for name in listed if name not in tags} | {"six"}
    assert short == {name.rpartition(".")[2] for name in WITH_SHIM}
