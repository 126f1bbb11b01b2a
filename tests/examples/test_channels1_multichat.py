"""Several rooms on one socket, as a project for Channels 1 has them, behind servers of today."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels1_site import SITES, Line, Project, Site, running
from chromium import Browser, Tab, browsing

pytestmark = pytest.mark.system
KITCHEN, LIBRARY, OFFICE = 1, 2, 3


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project("multichat", tmp_path_factory.mktemp("multichat") / "db.sqlite3", shims=True)
    project.prepare("demo")
    return project


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, project: Project) -> Iterator[Site]:
    with running(request.param, project) as site:
        yield site


class People:
    """Sockets of those who are logged in."""

    def __init__(self, site: Site, exits: ExitStack) -> None:
        self._site, self._exits = site, exits
        self._lines: list[Line] = []

    def __call__(self, name: str) -> Line:
        cookies = self._site.login(name, "/login/") if name else ""
        self._lines.append(self._exits.enter_context(self._site.socket("/rooms/socket/", cookies)))
        return self._lines[-1]

    def go(self) -> None:
        """Leave all rooms, so that nothing of this test is heard in the next."""
        for line in self._lines:
            for room in (KITCHEN, LIBRARY, OFFICE):
                line.say(command="leave", room=room)
            answers = 0
            while answers < 3:
                answers += not {"leave", "error"}.isdisjoint(line.hear())


@pytest.fixture
def people(site: Site) -> Iterator[People]:
    with ExitStack() as exits:
        people = People(site, exits)
        yield people
        people.go()


def event(name: str, user: str, room: int = KITCHEN, **more: str) -> dict[str, Any]:
    return {"event": name, "user": user, "room": room, **more}


def refusal(reason: str, detail: str = "") -> dict[str, str]:
    return {"error": reason, "detail": detail}


def has_no_more(line: Line) -> bool:
    """Say whether the next that comes is the answer to what is sent now."""
    return bool(line.ask(command="join", room="nowhere") == refusal("NO_SUCH_ROOM"))


def join(line: Line, name: str, room: int = KITCHEN) -> None:
    """Enter a room: who does reads of it, as the notice is sent once they are in."""
    assert line.ask(command="join", room=room)["join"] == room
    assert line.hear() == event("entered", name, room)


def test_its_pages(site: Site) -> None:
    cookies = site.login("grace", "/login/")
    with httpx.Client(base_url=site.url) as client:
        assert client.get("/").headers["location"] == "/login/?next=/"
        page = client.get("/", headers={"Cookie": cookies}).text
        assert "Kitchen" in page
        assert "Library" in page
        assert "Office" not in page
        for script, word in (("channels/js/websocketbridge.js", "WebSocketBridge"), ("rooms/rooms.js", "sectionOf")):
            assert f'src="/static/{script}"' in page
            assert word in client.get(f"/static/{script}").text


def test_entering_speaking_and_leaving(people: People) -> None:
    ada, grace = people("ada"), people("grace")
    assert ada.ask(command="join", room=KITCHEN) == {"join": KITCHEN, "name": "Kitchen"}
    assert ada.hear() == event("entered", "ada")
    join(grace, "grace")
    assert ada.hear() == event("entered", "grace")
    grace.say(command="say", room=KITCHEN, text="Tea?")
    assert ada.hear() == grace.hear() == event("said", "grace", text="Tea?")
    assert grace.ask(command="leave", room=KITCHEN) == {"leave": KITCHEN}
    assert ada.hear() == event("left", "grace")
    assert has_no_more(grace)
    assert grace.ask(command="say", room=KITCHEN, text="?") == refusal("NOT_IN_THERE", "Kitchen")
    assert has_no_more(ada)


def test_several_rooms_and_the_end_of_a_socket(people: People, site: Site) -> None:
    grace = people("grace")
    with site.socket("/rooms/socket/", site.login("ada", "/login/")) as ada:
        for room in (OFFICE, LIBRARY):
            join(ada, "ada", room)
        join(grace, "grace", LIBRARY)
        assert ada.hear() == event("entered", "grace", LIBRARY)
        ada.say(command="say", room=OFFICE, text="alone")
        assert ada.hear() == event("said", "ada", OFFICE, text="alone")
    assert grace.hear() == event("left", "ada", LIBRARY)
    assert has_no_more(grace)


def test_what_is_refused(people: People) -> None:
    grace, nobody = people("grace"), people("")
    assert nobody.ask(command="join", room=KITCHEN) == refusal("LOGIN_FIRST")
    assert grace.ask(command="join", room=OFFICE) == refusal("NOT_FOR_YOU", "Office")
    assert grace.ask(command="join", room=[1]) == refusal("NO_SUCH_ROOM")
    assert grace.ask(command=7) == refusal("BAD_MESSAGE", "there is no command in it")
    grace.send("no JSON")
    assert grace.hear() == refusal("BAD_MESSAGE", "this is no JSON text")
    grace.send(b"{}")
    assert grace.hear() == refusal("BAD_MESSAGE", "this is no JSON text")
    grace.say(command="dance", room=KITCHEN)  # no route is for this: it is lost, and the socket goes on
    join(grace, "grace")
    assert grace.ask(command="say", room=KITCHEN, text=" ") == refusal("NOTHING_SAID")


def test_names_that_servers_use_are_names_as_others(people: People) -> None:
    """What a client sends becomes a message: none of its keys may mean something on the way."""
    grace = people("grace")
    grace.say(command="join", room=KITCHEN, type="websocket.close", reply_channel="x", channel="y", close=True)
    assert grace.hear() == {"join": KITCHEN, "name": "Kitchen"}
    assert grace.hear() == event("entered", "grace")


def test_a_worker_is_killed(people: People, site: Site) -> None:
    ada, grace = people("ada"), people("grace")
    join(ada, "ada")
    join(grace, "grace")
    assert ada.hear() == event("entered", "grace")
    site.kill_a_worker()
    site.wait_replaced()  # what a worker has of "chat.receive" when it is killed is lost: the commands are sent once
    for number in range(10):
        grace.say(command="say", room=KITCHEN, text=str(number))
        assert ada.hear() == grace.hear() == event("said", "grace", text=str(number))
    assert grace.ask(command="leave", room=KITCHEN) == {"leave": KITCHEN}


def test_no_worker_for_a_moment(people: People, site: Site) -> None:
    ada, grace = people("ada"), people("grace")
    join(ada, "ada")
    with site.without_workers():
        ada.say(command="say", room=KITCHEN, text="Is anybody here?")
        grace.say(command="join", room=OFFICE)
    assert ada.hear() == event("said", "ada", text="Is anybody here?")
    assert grace.hear() == refusal("NOT_FOR_YOU", "Office")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path) as browser:
        yield browser


def enter(browser: Browser, url: str, name: str) -> Tab:
    """Log in, in a window that shares no cookies with others, and go into the kitchen."""
    tab = browser.tab(f"{url}/login/", is_private=True).see("document.forms.length", 1)
    tab.type_into("[name=username]", name).type_into("[name=password]", "sesame").press_enter()
    tab.see("document.getElementById('state')?.innerText", "Connected")
    tab.click("#rooms button")
    return tab.see("document.querySelector('#room-1 h2')?.innerText", "Kitchen")


@pytest.mark.browser
@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_two_people_in_browsers(browser: Browser, site: Site) -> None:
    ada, grace = enter(browser, site.url, "ada"), enter(browser, site.url, "grace")
    lines = "[...document.querySelectorAll('#room-1 li')].map(line => line.innerText)"
    grace.see(lines, ["grace has entered"])
    ada.see(lines, ["ada has entered", "grace has entered"])
    ada.type_into("#room-1 input", "Hello <b>there</b>").press_enter()
    grace.see(lines, ["grace has entered", "ada: Hello <b>there</b>"])
    grace.click("#rooms button").see("document.querySelectorAll('section').length", 0)
    ada.see(lines, ["ada has entered", "grace has entered", "ada: Hello <b>there</b>", "grace has left"])
