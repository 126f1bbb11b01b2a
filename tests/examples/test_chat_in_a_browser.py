"""The chat as a person sees it: two tabs of a headless Chromium, driven over the Chrome DevTools Protocol."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest
from websockets.sync.client import ClientConnection, connect

from channels_bridge.testing.processes import POLL, ManagedProcess, ServerProcess, WorkerProcess

pytestmark = [pytest.mark.browser, pytest.mark.system]
ROOT = Path(__file__).resolve().parent.parent.parent
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

    def tab(self, url: str) -> Tab:
        """Open a page in a tab of its own."""
        return Tab(self, url)


class Tab:
    """One page, as a person uses it."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
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

    def see_lines(self, *lines: str) -> Self:
        """Wait until the log has these lines, and no other."""
        return self.see("[...document.querySelectorAll('#log li')].map(item => item.innerText)", list(lines))

    def see_state(self, text: str) -> Self:
        """Wait until the page says this of its connection."""
        return self.see("document.querySelector('#state')?.innerText", text)

    def type_into(self, selector: str, text: str) -> Self:
        """Type into a field, over what is there."""
        self.look(f"document.querySelector({selector!r}).select()")
        self.call("Input.insertText", text=text)
        return self

    def press_enter(self) -> Self:
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        self.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)
        return self

    def enter(self, name: str, room: str) -> Self:
        """Go from the first page into a room."""
        self.see("document.activeElement?.id", "room-name")
        self.type_into("#your-name", name).type_into("#room-name", room).press_enter()
        return self.see("location.pathname", f"/room/{room}/").see_state("Connected")

    def say(self, text: str) -> Self:
        return self.type_into("#text", text).press_enter()

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


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(executable(), tmp_path) as browser:
        yield browser
        assert browser.errors == []


def test_two_tabs_in_one_room(browser: Browser, serve: Callable[..., tuple[str, ManagedProcess]]) -> None:
    """As ``make demo`` has it: one server, two workers."""
    url, _ = serve("examples.chat.app:application", "--workers", "2", workers=2)
    ada = browser.tab(url).enter("Ada", "general-discussion")
    grace = browser.tab(url).enter("Grace", "general-discussion")
    ada.see_lines("Welcome to general-discussion, Ada", "Grace has joined")
    grace.see_lines("Welcome to general-discussion, Grace")

    ada.say("Hello <b>there</b> 😀")
    grace.see_lines("Welcome to general-discussion, Grace", "Ada\nHello <b>there</b> 😀").say("Hi!")
    ada.see_lines("Welcome to general-discussion, Ada", "Grace has joined", "You\nHello <b>there</b> 😀", "Grace\nHi!")
    ada.see("document.querySelector('#text').value", "")
    ada.see("document.activeElement?.id", "text")


def test_a_screen_reader_finds_its_way(browser: Browser, serve: Callable[..., tuple[str, ManagedProcess]]) -> None:
    url, _ = serve("examples.chat.app:application")
    tab = browser.tab(url).see("document.activeElement?.id", "room-name")
    first_page = {("heading", "Which room?"), ("textbox", "Your name"), ("textbox", "Room"), ("button", "Enter")}
    assert first_page <= tab.roles()
    tab.enter("Ada", "foo")
    room = {("heading", "foo"), ("log", "Messages"), ("textbox", "Message"), ("button", "Send")}
    assert room <= tab.roles()


def test_a_tab_at_each_of_two_bridges_and_one_comes_back(browser: Browser) -> None:
    """One room over two servers; the server of one tab ends, and the tab is back as soon as its server is."""
    with tempfile.TemporaryDirectory(prefix="cb-") as sockets, ExitStack() as exits:
        bridges = f"ipc://{sockets}/"

        def start_server(port: int | None = None) -> ServerProcess:
            env = {"CHANNELS_BRIDGE_URL": bridges}
            asgi = "examples.chat.asgi:application"
            server = ServerProcess("uvicorn", asgi, env=env, pythonpath=[ROOT], port=port)
            return exits.enter_context(server)

        app = "examples.chat.app:application"
        workers = [exits.enter_context(WorkerProcess(app, bridges, pythonpath=[ROOT])) for _ in range(2)]
        first, second = start_server(), start_server()
        for worker in workers:
            worker.wait_for_log(r"(?s)connected to the bridge.*connected to the bridge")

        ada = browser.tab(first.url).enter("Ada", "foo")
        grace = browser.tab(second.url).enter("Grace", "foo")
        ada.see_lines("Welcome to foo, Ada", "Grace has joined").say("Hello")
        grace.see_lines("Welcome to foo, Grace", "Ada\nHello")

        second.stop()
        grace.see_state("Connection lost, reconnecting…").see("document.querySelector('#say button').disabled", True)
        ada.see_lines("Welcome to foo, Ada", "Grace has joined", "You\nHello", "Grace has left")

        start_server(second.port)
        grace.see_state("Connected").say("I am back")
        ada.see("document.querySelector('#log').lastChild.innerText", "Grace\nI am back")
