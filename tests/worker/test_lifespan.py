"""The application's lifespan: on, off and auto; success, refusal, ignorance and every kind of failure."""

# ruff: noqa: ARG001 - applications share a signature, whether they need all of it or not

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from channels_bridge.shared.endpoint import running_loop
from channels_bridge.shared.errors import ApplicationLoadError
from channels_bridge.testing import bridged
from channels_bridge.worker.lifespan import Lifespan
from played_server import Event, eventually, fetch

pytestmark = pytest.mark.anyio

App = Callable[[Any, Any, Any], Awaitable[None]]


def lifespan(app: App, mode: str = "auto") -> Lifespan:
    return Lifespan(app, mode, running_loop())


class Full:
    """Does all that the protocol asks for, and answers requests."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.scopes: list[Event] = []

    async def __call__(self, scope: Event, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": ",".join(self.seen).encode()})
            return
        self.scopes.append(scope)
        try:
            while True:
                kind = (await receive())["type"]
                self.seen.append(kind.removeprefix("lifespan."))
                scope["state"]["said"] = kind
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        finally:
            self.seen.append("end")


async def ignorant(scope: Event, receive: Any, send: Any) -> None:
    assert scope["type"] != "lifespan"


async def returns(scope: Event, receive: Any, send: Any) -> None:
    await receive()


async def refuses(scope: Event, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def exits(scope: Event, receive: Any, send: Any) -> None:
    await receive()
    raise SystemExit("no settings")


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_an_application_that_knows_it(mode: str) -> None:
    app = Full()
    ran = lifespan(app, mode)
    await ran.startup()
    assert app.seen == ["startup"]
    assert ran.state == {"said": "lifespan.startup"}
    assert app.scopes[0]["state"] is ran.state
    assert {key: app.scopes[0][key] for key in ("type", "asgi")} == {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
    }
    await ran.shutdown()
    assert app.seen[:2] == ["startup", "shutdown"]
    await eventually(lambda: app.seen[-1] == "end")


async def test_off_calls_nothing() -> None:
    app = Full()
    ran = lifespan(app, "off")
    await ran.startup()
    await ran.shutdown()
    assert app.seen == []


@pytest.mark.parametrize("app", [ignorant, returns])
async def test_auto_is_content_with_an_application_that_does_not_know_it(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    ran = lifespan(app)
    await ran.startup()
    await ran.shutdown()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("app", "why"), [(ignorant, "AssertionError: "), (returns, "it returned early"), (exits, "SystemExit: no settings")]
)
async def test_on_is_not(app: App, why: str) -> None:
    with pytest.raises(ApplicationLoadError) as caught:
        await lifespan(app, "on").startup()
    assert str(caught.value).startswith(f"the application's lifespan failed: {why}")


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_a_startup_that_says_that_it_failed(mode: str) -> None:
    with pytest.raises(ApplicationLoadError, match=r"^the application's startup failed: no database$"):
        await lifespan(refuses, mode).startup()


async def test_an_exception_at_the_start_is_logged_where_lifespan_was_demanded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(ApplicationLoadError):
        await lifespan(ignorant, "on").startup()
    assert "Exception in the application's lifespan" in caplog.text
    assert "AssertionError" in caplog.text


async def test_an_exception_behind_the_start_is_logged_and_ends_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    gate = anyio.Event()

    async def app(scope: Event, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await gate.wait()
        raise ValueError("of a background task")

    ran = lifespan(app)
    await ran.startup()
    gate.set()
    await eventually(lambda: "of a background task" in caplog.text)
    await ran.shutdown()


async def test_a_shutdown_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def says(scope: Event, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "still busy"})

    async def raises(scope: Event, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise ValueError("in the shutdown")

    for app in (says, raises):
        ran = lifespan(app)
        await ran.startup()
        await ran.shutdown()
    assert "the application's shutdown failed: still busy" in caplog.text
    assert "ValueError: in the shutdown" in caplog.text


async def test_an_application_that_returns_after_the_start_is_left_alone() -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})

    ran = lifespan(app)
    await ran.startup()
    await eventually(lambda: ran._ended)
    await ran.shutdown()


async def test_an_application_that_goes_on_after_the_shutdown_is_ended() -> None:
    ended: list[bool] = []

    async def app(scope: Event, receive: Any, send: Any) -> None:
        try:
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    ran = lifespan(app)
    await ran.startup()
    await ran.shutdown()
    await eventually(lambda: ended)


# -- in a worker -----------------------------------------------------------------------------------------------


async def test_a_worker_starts_it_before_and_ends_it_after_everything_else() -> None:
    app = Full()
    async with bridged(app, same_loop=True) as bridge:
        assert (await fetch(bridge)).body == b"startup"
    assert app.seen == ["startup", "shutdown", "end"]


async def test_it_is_ended_too_when_the_worker_is_left_by_an_exception() -> None:
    app = Full()
    with pytest.raises(ValueError, match="of the test"):
        async with bridged(app, same_loop=True):
            raise ValueError("of the test")
    await eventually(lambda: app.seen[-1] == "end")


async def test_a_worker_whose_application_cannot_start_does_not() -> None:
    with pytest.raises(ApplicationLoadError, match="no database"):
        async with bridged(refuses, same_loop=True):
            raise AssertionError
