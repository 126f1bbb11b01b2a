"""Routings and consumers that are named by strings."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels_bridge.bridge.migration.scanning import scan
from scanned import scanned, write

PROJECT = {
    "project/__init__.py": "",
    "project/routing.py": "from channels import route\nfrom .more import *\nchannel_routing = []",
    "project/more.py": "more_routing = []",
    "chat/__init__.py": "",
    "chat/consumers.py": "def connect(message): pass",
    "chat/dynamic.py": "globals().update(x=1)",
    "chat/foreign.py": "from elsewhere import *",
    "chat/bare/inner.py": "def connect(message): pass",
    "chat/old.py": "print 'x'",
    "plain/consumers.py": "",
    "tasks.py": "def run(message): pass",
}


def missing(folder: Path, source: str) -> list[tuple[str, str]]:
    """Give what is told of a file at the top of the project, by name and text, that needs a change."""
    head = "from channels import include, route, route_class\nfrom channels.routing import include as inner\n"
    findings = scanned(folder, {**PROJECT, "a.py": head + source})
    return [(one.name, one.text) for one in findings if one.verdict == "change" and one.file == "a.py"]


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("include('project.routing.routing')", "include: project.routing.routing", "name in project/routing.py"),
        ("inner(routing='project.routes.x')", "include: project.routes.x", "no module project.routes"),
        ("route('x', 'chat.consumers.disconnect')", "route: chat.consumers.disconnect", "name in chat/consumers.py"),
        ("route('x', consumer='chat.nothing.f')", "route: chat.nothing.f", "no module chat.nothing:"),
        ("route_class('chat.consumers.Klass')", "route_class: chat.consumers.Klass", "name in chat/consumers.py"),
        ("route('x', 'chat.consumers.Klass.f')", "route: chat.consumers.Klass.f", "no module chat.consumers.Klass:"),
        ("route('x', 'chat.bare.inner.f')", "route: chat.bare.inner.f", "name in chat/bare/inner.py"),
        ("route('x', 'tasks.walk')", "route: tasks.walk", "name in tasks.py"),
        ("x = {'websocket.connect': 'chat.consumers.f'}", "routing: chat.consumers.f", "name in chat/consumers.py"),
        (
            "CHANNEL_LAYERS = {'x': {'ROUTING': 'project.routing.routes'}}",
            "ROUTING: project.routing.routes",
            "name in project/routing.py",
        ),
    ],
)  # fmt: skip
def test_what_names_nothing(tmp_path: Path, source: str, name: str, text: str) -> None:
    [(found, said)] = missing(tmp_path, source)
    assert found == name
    assert text in said
    assert said.startswith("There is no ")


@pytest.mark.parametrize(
    "path",
    [
        "project.routing.channel_routing",
        "project.routing.more_routing",
        "project.routing.route",
        "chat.consumers.connect",
        "chat.consumers",
        "chat.bare.inner.connect",
        "tasks.run",
        # nobody knows
        "chat.dynamic.anything",
        "chat.foreign.anything",
        "chat.old",
        "chat.old.anything",
        "plain.consumers.anything",
        "elsewhere.consumers.anything",
        "consumers.anything",
        "channels.routing.nothing",
        "channel_routing",
        "not a path.x",
    ],
)
def test_what_names_something_or_may(tmp_path: Path, path: str) -> None:
    assert missing(tmp_path, f"include({path!r})\nroute('x', {path!r})") == []


@pytest.mark.parametrize("source", ["include(routes)", "include([])", "route('x', f)", "include()", "route('x', 5)"])
def test_what_is_no_string(tmp_path: Path, source: str) -> None:
    assert missing(tmp_path, source) == []


def test_several_modules_of_one_name(tmp_path: Path) -> None:
    """Which one is meant is known by nobody but ``sys.path``."""
    other = {"other/chat/__init__.py": "", "other/chat/consumers.py": "def walk(message): pass"}
    source = "from channels import route\nroute('x', 'chat.consumers.walk')"
    assert [one.verdict for one in scanned(tmp_path, {**PROJECT, **other, "a.py": source}) if one.file == "a.py"] == [
        "runs",
        "runs",
    ]


def test_modules_that_import_all_of_one_another(tmp_path: Path) -> None:
    circle = {"chat/a.py": "from .b import *", "chat/b.py": "from .a import *"}
    source = "from channels import route\nroute('x', 'chat.a.f')"
    findings = scanned(tmp_path, {**PROJECT, **circle, "a.py": source})
    assert [one.name for one in findings if one.verdict == "change" and one.file == "a.py"] == ["route: chat.a.f"]


def test_a_package_that_looks_for_its_modules_itself(tmp_path: Path) -> None:
    dynamic = {"chat/__init__.py": "__path__ = []"}
    source = "from channels import route\nroute('x', 'chat.nothing.f')"
    findings = scanned(tmp_path, {**PROJECT, **dynamic, "a.py": source})
    assert [one for one in findings if one.verdict == "change" and one.file == "a.py"] == []


def test_the_folder_may_be_a_package_itself(tmp_path: Path) -> None:
    source = "from channels import route\nroute('x', 'site.consumers.f')\nroute('y', 'consumers.f')"
    top = write(tmp_path, {"__init__.py": "", "consumers.py": "", "routing.py": source})
    assert [one.name for one in scan(top).findings if one.verdict == "change"] == ["route: site.consumers.f"]
    assert [one for one in scan(top / "routing.py").findings if one.verdict == "change"] == []
