"""What the documentation of Channels 1 taught, as one project, behind servers of today."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from channels1_site import EVERYTHING, PATIENCE, SITES, Behind, Line, Project, Site, running

pytestmark = pytest.mark.system
NO_JOBS, JOBS_ONLY = ("--exclude-channels=jobs.*",), ("--only-channels=jobs.*",)
POOLS = {"daphne": (NO_JOBS, NO_JOBS, JOBS_ONLY)}
LOGIN = """
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.create_user("ada", is_staff=True))
print(client.cookies["sessionid"].value)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project("documentation", tmp_path_factory.mktemp("documentation") / "db.sqlite3")
    project.prepare()
    return project


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, project: Project) -> Iterator[Site]:
    """Behind daphne the jobs have a worker of their own, and all workers are started as they were."""
    pools = POOLS.get(request.param, (EVERYTHING, EVERYTHING))
    with running(request.param, project, pools=pools, runworker=True) as site:
        site.background("rundelay")
        yield site


@pytest.fixture(scope="module")
def ada(site: Site) -> str:
    """The cookie of a user."""
    return f"sessionid={site.manage('shell', '-c', LOGIN).split()[-1]}"


def code_of(line: Line) -> int:
    """Wait for the close; give its code."""
    with pytest.raises(ConnectionClosed) as closed:
        line.read()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def status_of(site: Site, path: str) -> int:
    """Try to open a socket that is refused; give the status."""
    with pytest.raises(InvalidStatus) as refused, site.socket(path):
        pass
    return refused.value.response.status_code


# -- first steps -----------------------------------------------------------------------------------------------


def test_requests_go_to_consumers_and_to_views(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        assert client.get("/hello/w%C3%B6rld").text == "Hello! You have asked for /hello/wörld"
        assert client.post("/hello/").status_code == 404  # the route is for GET, and Django has no such view
        assert client.get("/remember/ada/").text == "You are ada"
        assert client.get("/nothing/").status_code == 404


def test_a_chat(site: Site) -> None:
    with site.socket("/chat/") as first:
        with site.socket("/chat/") as second:
            second.send("hello")
            assert first.read() == second.read() == "somebody: hello"
        first.send("gone?")
        assert first.read() == "somebody: gone?"


def test_rooms_are_remembered(site: Site) -> None:
    with site.socket("/room/kitchen/") as cook, site.socket("/room/hall/") as guest:
        guest.send("is it ready?")
        cook.send("it is")
        assert (cook.read(), guest.read()) == ("kitchen: it is", "hall: is it ready?")


def test_users(site: Site, ada: str) -> None:
    with site.socket("/desk/", ada) as staff, site.socket("/desk/") as guest:
        guest.send("hello")
        assert guest.read() == "nobody: hello"
        staff.send("psst")
        assert staff.read() == "ada: psst"


def test_sessions_of_the_site(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        client.get("/remember/ada/")
        cookies = f"sessionid={client.cookies['sessionid']}"
        with site.socket("/name/", cookies) as line:
            line.send("")
            line.send("who am I?")
            assert line.read() == line.read() == "ada"
            client.get("/remember/grace/")
            line.send("and now?")
            assert line.read() == "grace"
        for visit in ("visit 1", "visit 2"):
            with site.socket("/visits/", cookies) as line:
                assert (line.read(), code_of(line)) == (visit, 1000)
    with site.socket("/visits/") as line:
        assert (line.read(), code_of(line)) == ("no session", 1000)


def test_one_after_the_other(site: Site) -> None:
    numbers = range(1, 21)
    with site.socket("/count/") as line:
        for number in numbers:
            line.send(f"word {number}")
        assert [line.read() for _ in numbers] == [f"word {number} is number {number}" for number in numbers]


def test_doors(site: Site) -> None:
    assert status_of(site, "/home/") == 403
    assert status_of(site, "/door/") == 403
    assert status_of(site, "/door/?key=guess") == 403
    with site.socket("/home/", origin="http://127.0.0.1") as line:
        assert (line.read(), code_of(line)) == ("You come from here", 1000)
    with site.socket("/door/?key=sesame") as line:
        line.send("bye")
        assert (line.read(), code_of(line)) == ("Goodbye", 4001)
    with site.socket("/door/?key=sesame") as line:
        line.send("anything else")
        assert code_of(line) == 1000


def test_a_close_that_is_raised(site: Site) -> None:
    with site.socket("/door/?key=sesame") as line:
        line.send("throw me out")
        assert code_of(line) == 4003


# -- generic consumers -----------------------------------------------------------------------------------------


def test_a_class_for_sockets(site: Site, ada: str) -> None:
    with site.socket("/generics/repeater/hall/", ada) as first, site.socket("/generics/repeater/hall/") as second:
        assert (first.read(), second.read()) == ("Welcome to hall, ada", "Welcome to hall, nobody")
        first.send("hello")
        assert first.read() == second.read() == "hello"
        first.send(b"\x00\x01\x02")
        assert first.read() == b"\x02\x01\x00"
        second.send("end")
        assert code_of(second) == 4002
        assert first.read() == "somebody has left"
    with site.socket("/generics/twice/yard/") as line:
        assert line.read() == "Welcome to yard, nobody"
        line.send("ho")
        assert line.read() == "ho ho"


def test_json_and_the_background(site: Site) -> None:
    with site.socket("/generics/calculator/") as line:
        line.send(b"binary")  # no JSON: it is lost, and the socket goes on
        assert line.ask(add=[1, 2, 3]) == {"sum": 6}
        assert line.ask(tally=7) == {"tally": 14}
        assert line.ask(tally=7, square=True) == {"tally": 49}


def test_several_streams_on_one_socket(site: Site) -> None:
    with site.socket("/generics/streams/") as first, site.socket("/generics/streams/") as second:
        for line in (first, second):
            assert line.hear() == {"stream": "shouts", "payload": {"status": "listening"}}
        assert first.ask(stream="sums", payload={"add": [1, 2]}) == {"stream": "sums", "payload": {"sum": 3}}
        second.say(stream="nowhere", payload={})
        second.say(stream="shouts", payload={"text": "ho"})
        assert first.hear() == second.hear() == {"stream": "shouts", "payload": {"shout": "HO"}}


# -- binding ---------------------------------------------------------------------------------------------------


def test_notes_on_shelves(site: Site, ada: str) -> None:
    def ask(line: Line, **payload: Any) -> None:
        line.say(stream="notes", payload=payload)

    def change(line: Line) -> Any:
        payload = line.hear()["payload"]
        assert payload.pop("model") == "notes.note"
        return payload

    with site.socket("/notes/art/", ada) as art, site.socket("/notes/law/") as law:
        ask(law, action="create", data={"shelf": "law", "text": "by nobody"})
        ask(art, action="create", data={"shelf": "art", "text": "Look"})
        created = change(art)
        pk = created["pk"]
        assert created == {"action": "create", "pk": pk, "data": {"shelf": "art", "text": "Look"}}
        ask(art, action="update", pk=pk, data={"shelf": "law"})
        gone = change(art)
        assert (gone["action"], gone["pk"]) == ("delete", pk)
        assert change(law) == {"action": "create", "pk": pk, "data": {"shelf": "law", "text": "Look"}}


# -- later -----------------------------------------------------------------------------------------------------


def test_the_delay_server(site: Site) -> None:
    with site.socket("/reminders/") as line:
        line.send("tea")
        assert line.read() == "I will remind you of tea"
        assert line.read() == "It is time: tea"


def test_jobs_are_tried_again_and_given_up(site: Site) -> None:
    with site.socket("/jobs/") as line:
        for in_vain in (0, 3, 10):
            line.send(str(in_vain))
            done, _, pid = str(line.read()).rpartition(" by ")
            assert done == f"done at try {in_vain + 1}"
            if isinstance(site, Behind):  # where one worker is for jobs
                assert int(pid) == site.workers[-1].pid
        line.send("11")
        assert line.read() == "given up at try 11"


def test_a_request_that_is_answered_later(site: Site) -> None:
    answers: list[Any] = []

    def wait() -> None:
        answers.append(httpx.get(f"{site.url}/news/", timeout=PATIENCE).json())

    waiting = [threading.Thread(target=wait) for _ in range(2)]
    for thread in waiting:
        thread.start()
    with httpx.Client(base_url=site.url) as client:
        while any(thread.is_alive() for thread in waiting):
            assert client.get("/publish/", params={"text": "It rains"}).status_code == 202
    assert answers == [{"news": "It rains"}] * 2


# -- workers come and go ---------------------------------------------------------------------------------------


def test_a_worker_is_killed(site: Site, ada: str) -> None:
    with site.socket("/count/") as count, site.socket("/desk/", ada) as desk:
        count.send("one")
        assert count.read() == "one is number 1"
        site.kill_a_worker()
        for number in range(2, 12):
            count.send("more")
            assert count.read() == f"more is number {number}"
        desk.send("still here?")
        assert desk.read() == "ada: still here?"


def test_no_worker_for_a_moment(site: Site) -> None:
    with site.socket("/count/") as line:
        with site.without_workers():
            for _ in range(3):
                line.send("more")
        assert [line.read() for _ in range(3)] == [f"more is number {number}" for number in (1, 2, 3)]


# -- its own tests ---------------------------------------------------------------------------------------------


def test_its_own_tests(project: Project) -> None:
    """With ChannelTestCase, test clients, apply_routes, and servers of their own."""
    printed = project.manage("test", "--noinput")
    assert "Ran 35 tests" in printed
    assert "\nOK\n" in printed
