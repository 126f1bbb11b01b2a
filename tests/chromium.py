"""A headless Chromium, driven over the Chrome DevTools Protocol: pages as a person sees them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import POLL, ManagedProcess

PATIENCE = 15.0  # seconds for something to be seen
NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Browser(ManagedProcess):
    """A Chromium with a profile of its own. One thread talks to it, and waits for each answer."""

    def __init__(self, executable: str, profile: Path) -> None:
        super().__init__([executable, *OPTIONS, f"--user-data-dir={profile}", "about:blank"])
        self.errors: list[str] = []  # what scripts have thrown
        self._ids = itertools.count(1)
        self._connection: ClientConnection | None = None
        self._exits = ExitStack()

    def wait_ready(self) -> None:
        """Connect to where it says that it listens."""
        url = self.wait_for_log(r"DevTools listening on (ws://\S+)", timeout=60.0)[1]
        self._connection = self._exits.enter_context(connect(url, max_size=None))

    def stop(self, grace: float = 2.0) -> None:
        """Disconnect, and end it."""
        self._exits.close()
        super().stop(grace)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        assert self._connection is not None
        number = next(self._ids)
        request: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(request | ({"sessionId": session} if session else {})))
        while True:
            message: dict[str, Any] = json.loads(self._connection.recv(timeout=PATIENCE))
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result

    def tab(self, url: str, *, is_private: bool = False) -> Tab:
        """Open a page in a tab of its own; ``is_private``: it shares no cookies with others."""
        return Tab(self, url, is_private=is_private)


class Tab:
    """One page, as a person uses it."""

    def __init__(self, browser: Browser, url: str, *, is_private: bool = False) -> None:
        self._browser = browser
        where = browser.call("Target.createBrowserContext") if is_private else {}
        target = browser.call("Target.createTarget", url="about:blank", **where)["targetId"]
        self._session: str = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Runtime.enable")
        self.call("Page.navigate", url=url)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def look(self, expression: str) -> Any:
        """Evaluate JavaScript and return its value."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def see(self, expression: str, expected: object) -> Self:
        """Wait until the expression has this value."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.look(expression)) != expected:
            assert time.monotonic() < deadline, f"{expression} is {found!r}, not {expected!r}"
            time.sleep(POLL)
        return self

    def type_into(self, selector: str, text: str) -> Self:
        """Type into a field, over what is there."""
        self.look(f"document.querySelector({selector!r}).select()")
        self.call("Input.insertText", text=text)
        return self

    def click(self, selector: str) -> Self:
        """Click on the first that fits."""
        self.look(f"document.querySelector({selector!r}).click()")
        return self

    def press_enter(self) -> Self:
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        self.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)
        return self

    def roles(self) -> set[tuple[str, str]]:
        """What a screen reader is told: (role, name)."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return {
            (node["role"]["value"], node["name"]["value"])
            for node in nodes
            if not node["ignored"] and node.get("name", {}).get("value")
        }


def executable() -> str:
    """Find a Chromium. Without one, CI fails, and others are told."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    advice = "no Chromium here: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(advice)
    pytest.skip(advice)


@contextmanager
def browsing(profile: Path) -> Generator[Browser]:
    """Run one. No script may throw."""
    with Browser(executable(), profile) as browser:
        yield browser
        assert browser.errors == []
