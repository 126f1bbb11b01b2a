"""Lines in the bodies of classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanned import scanned, told

HEAD = """\
from channels.binding.websockets import WebsocketBinding as Binding
from channels.generic.websockets import JsonWebsocketConsumer as Json
from channels.test import ChannelLiveServerTestCase as Live
class Base(Json): pass
class Other: pass
"""


def changes(folder: Path, base: str, line: str) -> list[tuple[int, str]]:
    findings = told(scanned(folder, f"{HEAD}class Own({base}):\n    {line}\n"))
    return [(number, name) for number, name, verdict in findings if verdict == "change"]


@pytest.mark.parametrize(
    ("base", "line", "name"),
    [
        ("Base", "slight_ordering = True", "channels.generic.websockets.JsonWebsocketConsumer.slight_ordering"),
        ("Base", "x = slight_ordering = ON", "channels.generic.websockets.JsonWebsocketConsumer.slight_ordering"),
        ("Other, Binding", "slight_ordering = 1", "channels.binding.websockets.WebsocketBinding.slight_ordering"),
        ("Live", "ProtocolServerProcess = Mine", "channels.test.ChannelLiveServerTestCase.ProtocolServerProcess"),
        ("Live", "WorkerProcess = None", "channels.test.ChannelLiveServerTestCase.WorkerProcess"),
    ],
)
def test_lines_that_need_a_change(tmp_path: Path, base: str, line: str, name: str) -> None:
    assert changes(tmp_path, base, line) == [(7, name)]


@pytest.mark.parametrize(
    ("base", "line"),
    [
        ("Base", "slight_ordering = False"),
        ("Base", "strict_ordering = True"),
        ("Base", "flags.strict_ordering = flags['slight_ordering'] = True"),
        ("Base", "ProtocolServerProcess = Mine"),
        ("Live", "slight_ordering = True"),
        ("Live", "worker_threads = 2"),
        ("Other", "slight_ordering = True"),
    ],
)
def test_lines_that_need_none(tmp_path: Path, base: str, line: str) -> None:
    assert changes(tmp_path, base, line) == []


def test_a_line_is_told_once_whatever_the_bases(tmp_path: Path) -> None:
    assert len(changes(tmp_path, "Base, Binding", "slight_ordering = True")) == 1
