"""The chat as a person sees it: two tabs of a headless Chromium."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from channels_bridge.testing.processes import ManagedProcess, ServerProcess, WorkerProcess
from chromium import Browser, Tab, browsing

pytestmark = [pytest.mark.browser, pytest.mark.system]
ROOT = Path(__file__).resolve().parent.parent.parent


class Chat(Tab):
    """A page of it."""

    def see_lines(self, *lines: str) -> Self:
        """Wait until the log has these lines, and no other."""
        return self.see("[...document.querySelectorAll('#log li')].map(item => item.innerText)", list(lines))

    def see_state(self, text: str) -> Self:
        """Wait until the page says this of its connection."""
        return self.see("document.querySelector('#state')?.innerText", text)

    def enter(self, name: str, room: str) -> Self:
        """Go from the first page into a room."""
        self.see("document.activeElement?.id", "room-name")
        self.type_into("#your-name", name).type_into("#room-name", room).press_enter()
        return self.see("location.pathname", f"/room/{room}/").see_state("Connected")

    def say(self, text: str) -> Self:
        return self.type_into("#text", text).press_enter()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path) as browser:
        yield browser


def test_two_tabs_in_one_room(browser: Browser, serve: Callable[..., tuple[str, ManagedProcess]]) -> None:
    """As ``make demo`` has it: one server, two workers."""
    url, _ = serve("examples.chat.app:application", "--workers", "2", workers=2)
    ada = Chat(browser, url).enter("Ada", "general-discussion")
    grace = Chat(browser, url).enter("Grace", "general-discussion")
    ada.see_lines("Welcome to general-discussion, Ada", "Grace has joined")
    grace.see_lines("Welcome to general-discussion, Grace")

    ada.say("Hello <b>there</b> 😀")
    grace.see_lines("Welcome to general-discussion, Grace", "Ada\nHello <b>there</b> 😀").say("Hi!")
    ada.see_lines("Welcome to general-discussion, Ada", "Grace has joined", "You\nHello <b>there</b> 😀", "Grace\nHi!")
    ada.see("document.querySelector('#text').value", "")
    ada.see("document.activeElement?.id", "text")


def test_a_screen_reader_finds_its_way(browser: Browser, serve: Callable[..., tuple[str, ManagedProcess]]) -> None:
    url, _ = serve("examples.chat.app:application")
    tab = Chat(browser, url).see("document.activeElement?.id", "room-name")
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

        ada = Chat(browser, first.url).enter("Ada", "foo")
        grace = Chat(browser, second.url).enter("Grace", "foo")
        ada.see_lines("Welcome to foo, Ada", "Grace has joined").say("Hello")
        grace.see_lines("Welcome to foo, Grace", "Ada\nHello")

        second.stop()
        grace.see_state("Connection lost, reconnecting…").see("document.querySelector('#say button').disabled", True)
        ada.see_lines("Welcome to foo, Ada", "Grace has joined", "You\nHello", "Grace has left")

        start_server(second.port)
        grace.see_state("Connected").say("I am back")
        ada.see("document.querySelector('#log').lastChild.innerText", "Grace\nI am back")
