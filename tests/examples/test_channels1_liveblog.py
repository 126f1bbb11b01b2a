"""Live blogs of a project for Channels 1: posts are shown from wherever they are saved, behind servers of today."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedOK

from channels1_site import PATIENCE, SITES, TOKEN, Line, Project, Site, running
from chromium import Browser, browsing

pytestmark = pytest.mark.system
STREAM = "/live/launch-day/stream/"
WITH_RABBITMQ = {"DJANGO_SETTINGS_MODULE": "liveblog.settings_rabbitmq"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project("liveblog", tmp_path_factory.mktemp("liveblog") / "db.sqlite3", shims=True)
    project.prepare("demo")
    return project


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, project: Project) -> Iterator[Site]:
    """It has two settings: for Redis, and for RabbitMQ."""
    with running(request.param, project, env=WITH_RABBITMQ if request.param == "daphne" else {}) as site:
        yield site


@pytest.fixture
def reader(site: Site) -> Iterator[Line]:
    with site.socket(STREAM) as line:
        assert line.ask() == READ_ONLY  # it is a member now
        yield line


READ_ONLY = {"error": "read-only", "blog": "launch-day"}


def post(site: Site, text: str, blog: str = "launch-day") -> None:
    """Save one in a process that is no worker."""
    code = f"from posts.models import *; Post.objects.create(blog=Blog.objects.get(slug='{blog}'), text='{text}')"
    site.manage("shell", "-c", code)


def what_is_posted(message: dict[str, Any]) -> tuple[str, str]:
    assert message.keys() == {"event", "post", "html", "created"}
    return message["event"], message["html"]


def test_its_pages(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        assert '<a href="/live/launch-day/">Launch day</a>' in client.get("/").text
        page = client.get("/live/launch-day/").text
        assert f'data-stream="{STREAM}"' in page
        assert 'src="/static/channels/js/websocketbridge.js"' in page
        assert client.get("/static/posts/blog.js").status_code == 200
        assert client.get("/live/nothing/").status_code == 404


def test_a_blog_that_does_not_exist(site: Site) -> None:
    """Its page can read why: the socket is opened for that."""
    with site.socket("/live/nothing/stream/") as line:
        assert line.hear() == {"error": "no-such-blog"}
        with pytest.raises(ConnectionClosedOK) as closed:
            line.read()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000


def test_readers_of_one_blog_and_of_another(site: Site, reader: Line) -> None:
    with site.socket(STREAM) as second, site.socket("/live/harbour/stream/") as elsewhere:
        assert second.ask() == READ_ONLY
        assert elsewhere.ask() == READ_ONLY | {"blog": "harbour"}
        post(site, "We <are> here")
        assert what_is_posted(reader.hear()) == ("posted", "<p>We &lt;are&gt; here</p>")
        assert what_is_posted(second.hear()) == ("posted", "<p>We &lt;are&gt; here</p>")
        assert elsewhere.ask() == READ_ONLY | {"blog": "harbour"}


def test_what_is_saved_in_the_admin(site: Site, reader: Line) -> None:
    cookies = site.login("ada", "/admin/login/?next=/admin/")
    form = {"blog": "1", "text": "In the admin", "created_0": "2018-01-28", "created_1": "12:00:00", "_continue": "1"}
    with httpx.Client(base_url=site.url, headers={"Cookie": cookies}, timeout=PATIENCE) as client:
        saved = submit(client, "/admin/posts/post/add/", form)
        message = reader.hear()
        assert what_is_posted(message) == ("posted", "<p>In the admin</p>")
        assert message["created"] == "2018-01-28T12:00:00+00:00"
        submit(client, saved, {**form, "text": "Changed there"})
        changed = reader.hear()
    assert what_is_posted(changed) == ("changed", "<p>Changed there</p>")
    assert changed["post"] == message["post"]


def submit(client: httpx.Client, page: str, form: dict[str, str]) -> str:
    """Send the form of a page; give where that leads."""
    found = TOKEN.search(client.get(page).text)
    assert found
    answer = client.post(page, data={**form, "csrfmiddlewaretoken": found[1]})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def test_who_has_gone(site: Site, reader: Line) -> None:
    with site.socket(STREAM) as line:
        assert line.ask() == READ_ONLY
    post(site, "One reader is left")
    assert what_is_posted(reader.hear()) == ("posted", "<p>One reader is left</p>")


def test_a_worker_is_killed(site: Site, reader: Line) -> None:
    site.kill_a_worker()
    for _ in range(10):
        assert reader.ask() == READ_ONLY
    post(site, "Still live")
    assert what_is_posted(reader.hear()) == ("posted", "<p>Still live</p>")


def test_no_worker_for_a_moment(site: Site, reader: Line) -> None:
    """Readers need none to read."""
    with site.without_workers():
        post(site, "Nobody works here")
        assert what_is_posted(reader.hear()) == ("posted", "<p>Nobody works here</p>")
        reader.say()
        reader.say()
    assert reader.hear() == reader.hear() == READ_ONLY


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path) as browser:
        yield browser


@pytest.mark.browser
@pytest.mark.parametrize("site", ["served"], indirect=True)
def test_one_writes_and_one_reads_in_a_browser(browser: Browser, site: Site) -> None:
    reads = browser.tab(f"{site.url}/live/harbour/", is_private=True)
    reads.see("document.querySelector('#state')?.innerText", "Live")
    writes = browser.tab(f"{site.url}/admin/posts/post/add/", is_private=True)
    writes.see("document.querySelectorAll('[name=username]').length", 1)
    writes.type_into("[name=username]", "ada").type_into("[name=password]", "sesame").press_enter()
    writes.see("document.querySelectorAll('[name=text]').length", 1)
    writes.look("document.querySelector('[name=blog]').value = '2'")
    writes.type_into("[name=text]", "Ship <ahoy>\n\nIt has three masts").click("[name=_save]")
    reads.see(
        "[...document.querySelectorAll('article p')].map(p => p.innerText)", ["Ship <ahoy>", "It has three masts"]
    )
