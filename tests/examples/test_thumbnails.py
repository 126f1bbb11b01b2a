"""Pictures are drawn in the background, for a page's socket and for a script."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from websockets.sync.client import connect

from channels_bridge import ChannelLayer
from channels_bridge.testing import bridged
from channels_bridge.testing.processes import ManagedProcess

APP = "examples.thumbnails.app:application"
TEXT = "one two\n\n\tthree <svg> & four\n"


@pytest.fixture(scope="module")
def bridge() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="cb-") as name:
        yield f"ipc://{name}/"


@pytest.fixture(scope="module")
def url(serve: Callable[..., tuple[str, ManagedProcess]], bridge: str) -> str:
    return serve(APP, "--channels", "thumbnails=2", "--bridge", bridge, workers=3)[0]


def strokes(svg: str) -> list[tuple[int, int, int]]:
    """Give column, row and length of each word in a picture."""
    path = ET.fromstring(svg).find("{http://www.w3.org/2000/svg}path")
    assert path is not None
    found = re.findall(r"M(\d+) (\d+)h(\d+)", path.attrib["d"])
    return [(int(column), int(row) // 2, int(length)) for column, row, length in found]


DRAWN = [(0, 0, 3), (4, 0, 3), (4, 2, 5), (10, 2, 5), (16, 2, 1), (18, 2, 4)]


@pytest.mark.system
def test_the_socket_of_the_page(url: str) -> None:
    with connect(url.replace("http", "ws") + "/ask/") as socket:
        socket.send(TEXT)
        assert socket.recv(timeout=10) == "drawing ..."
        assert strokes(str(socket.recv(timeout=10))) == DRAWN
        for number in range(1, 6):
            socket.send("x" * number)
        answers = [str(socket.recv(timeout=10)) for _ in range(10)]
        pictures = [answer for answer in answers if answer != "drawing ..."]
        assert sorted(length for picture in pictures for *_, length in strokes(picture)) == [1, 2, 3, 4, 5]


@pytest.mark.system
def test_a_script(url: str, bridge: str, root: Path, tmp_path: Path) -> None:
    assert httpx.get(url).status_code == 200
    (tmp_path / "text").write_text(TEXT)
    command = [sys.executable, "-m", "examples.thumbnails", str(tmp_path / "text"), "--bridge", bridge]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert strokes(done.stdout) == DRAWN
    assert done.stderr == ""


@pytest.mark.system
def test_the_page_names_the_path_of_the_socket(url: str) -> None:
    assert '"ask/"' in httpx.get(url).text


@pytest.mark.anyio
async def test_in_one_process(load: Callable[[str], Any]) -> None:
    """As users test their own: docs/testing.md."""
    async with bridged(load(APP), channels=["thumbnails"]) as app:
        layer = ChannelLayer(app.url)
        answer = await layer.request("thumbnails", {"type": "draw", "text": TEXT})
        await layer.close()
    assert strokes(answer["svg"]) == DRAWN


def test_of_a_long_text_only_the_beginning_is_drawn(load: Callable[[str], Any]) -> None:
    thumbnail = load("examples.thumbnails.app:thumbnail")
    found = strokes(thumbnail("word " * 100 + "\n" + "x\n" * 500))
    assert max(row for _, row, _ in found) == 59
    assert max(column + length for column, _, length in found) <= 80
    assert strokes(thumbnail("")) == []
