"""docs/asgi.md: its applications count on in another worker, and count without a bridge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from halves import bridging, directory, hosting, kill
from played_server import Call, eventually, websocket_scope

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "asgi.md"
NAMES = ("app", "counter")


def application(name: str) -> Any:
    """Run the page's code, and give the application of this name."""
    namespace: dict[str, Any] = {"__name__": "asgi_md"}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(block, str(PAGE), "exec"), namespace)
    return namespace[name]


@pytest.mark.parametrize("name", NAMES)
async def test_it_goes_on_in_another_worker(name: str) -> None:
    app = application(name)
    settings: dict[str, Any] = {"interface": "asgi3", "lifespan": "off"}
    with directory() as url, bridging(url) as bridge:
        async with hosting(app, url, **settings) as first, Call(bridge, websocket_scope("/count")) as call:
            assert (await call.connect())["type"] == "websocket.accept"
            call.say("a")
            assert await call.hear() == "1 a"
            async with hosting(app, url, **settings) as second:
                kill(first)
                await eventually(lambda: second.connections == 1)
                call.say("b")
                assert await call.hear() == "2 b"
                call.leave()
                await call.end()


@pytest.mark.parametrize("name", NAMES)
async def test_it_does_without_a_bridge(name: str) -> None:
    async with Call(application(name), websocket_scope("/count")) as call:
        await call.connect()
        call.say("a", "b")
        assert [await call.hear(), await call.hear()] == ["1 a", "2 b"]
        call.leave()
        await call.end()
