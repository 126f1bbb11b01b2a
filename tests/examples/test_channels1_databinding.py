"""Counters that are bound to sockets by a project for Channels 1, behind servers of today."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels1_site import SITES, Line, Project, Site, running
from chromium import Browser, Tab, browsing

pytestmark = pytest.mark.system
SOCKET = "/counters/socket/"
VISITORS = 1


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project("databinding", tmp_path_factory.mktemp("databinding") / "db.sqlite3")
    project.prepare()
    return project


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, project: Project) -> Iterator[Site]:
    with running(request.param, project) as site:
        site.manage("loaddata", "demo")  # here, as a bound model tells of it
        yield site


@pytest.fixture
def guest(site: Site) -> Iterator[Line]:
    with site.socket(SOCKET) as line:
        yield line


@pytest.fixture
def staff(site: Site) -> Iterator[Line]:
    with site.socket(SOCKET, site.login("ada", "/admin/login/?next=/admin/")) as line:
        yield line


def ask(line: Line, action: str, pk: int | None = None, **data: Any) -> None:
    line.say(stream="counter", payload={"action": action, "pk": pk, "data": data})


def change(line: Line) -> tuple[str, int, Any]:
    """Wait for the next change that is told."""
    frame = line.hear()
    assert frame["stream"] == "counter"
    assert frame["payload"].keys() == {"action", "pk", "data", "model"}
    assert frame["payload"]["model"] == "counters.counter"
    return frame["payload"]["action"], frame["payload"]["pk"], frame["payload"]["data"]


def created(line: Line, name: str, *others: Line) -> int:
    """Ask for a counter; give its number once all have been told."""
    ask(line, "create", name=name, value=0)
    action, pk, data = change(line)
    assert (action, data) == ("create", {"name": name, "value": 0})
    for other in others:
        assert change(other) == ("create", pk, data)
    return pk


def test_its_pages(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        page = client.get("/").text
        assert 'data-name="Visitors"' in page
        assert 'src="/static/channels/js/websocketbridge.js"' in page
        assert "WebSocketBridge" in client.get("/static/counters/counters.js").text


def test_a_counter_comes_changes_and_goes(guest: Line, staff: Line) -> None:
    pk = created(guest, "Ships", staff)
    ask(guest, "update", pk, value=5)
    assert change(guest) == change(staff) == ("update", pk, {"name": "Ships", "value": 5})
    ask(staff, "delete", pk)
    assert change(guest) == change(staff) == ("delete", pk, {"name": "Ships", "value": 5})


def test_what_guests_may_not_do(guest: Line, staff: Line) -> None:
    """Nothing is answered, and nothing happens."""
    pk = created(guest, "Boats", staff)
    ask(guest, "delete", pk)
    ask(guest, "update", pk, value=1)
    assert change(guest) == change(staff) == ("update", pk, {"name": "Boats", "value": 1})


def test_frames_that_say_nothing(guest: Line, staff: Line) -> None:
    guest.send("no JSON")
    guest.say(stream="nowhere", payload={})
    guest.say(stream="counter", payload=1)
    ask(guest, "dance")
    ask(guest, "update", 4711, value=1)
    created(guest, "Planes", staff)


def test_what_is_changed_elsewhere(site: Site, guest: Line) -> None:
    code = f"from counters.models import *; c = Counter.objects.get(pk={VISITORS}); c.value += 1; c.save(); print(c)"
    before = int(site.manage("shell", "-c", code).split()[-1])
    assert change(guest) == ("update", VISITORS, {"name": "Visitors", "value": before})


def test_a_worker_is_killed(site: Site, guest: Line, staff: Line) -> None:
    pk = created(guest, "Kills", staff)
    site.kill_a_worker()
    for value in range(1, 11):
        ask(guest, "update", pk, value=value)
        assert change(guest) == change(staff) == ("update", pk, {"name": "Kills", "value": value})
    ask(staff, "delete", pk)  # it is known still that this one may
    assert change(guest)[:2] == change(staff)[:2] == ("delete", pk)


def test_no_worker_for_a_moment(site: Site, guest: Line, staff: Line) -> None:
    pk = created(guest, "Pauses", staff)
    with site.without_workers():
        ask(guest, "update", pk, value=1)
        ask(guest, "update", pk, value=2)
    for value in (1, 2):
        assert change(guest) == change(staff) == ("update", pk, {"name": "Pauses", "value": value})


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path) as browser:
        yield browser


@pytest.mark.browser
@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_two_browsers(browser: Browser, site: Site) -> None:
    def shown(tab: Tab, *lines: str) -> None:
        last = f"[...document.querySelectorAll('#counters li')].slice(-{len(lines)}).map(line => line.dataset.name)"
        tab.see(last, list(lines))

    first, second = (
        browser.tab(site.url).see("document.querySelector('#state')?.innerText", "Connected") for _ in "12"
    )
    first.type_into("#name", "<b>Cars</b>").press_enter()
    shown(second, "<b>Cars</b>")
    shown(first, "<b>Cars</b>")
    second.click("#counters li:last-child button").click("#counters li:first-child button")
    first.see("document.querySelector('#counters li:last-child').dataset.value", "1")
    first.click("#counters li:last-child button")
    second.see("document.querySelector('#counters li:last-child').dataset.value", "2")
