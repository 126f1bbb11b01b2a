"""Tests against a real server, in a process of their own: they have a database in a file."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from channels1_programs import python
from channels_bridge.worker.legacy.test import liveserver
from channels_bridge.worker.legacy.test.liveserver import LiveServer

pytestmark = pytest.mark.system

MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

SETTINGS = """
SECRET_KEY = "only for tests"
DEBUG = True
ALLOWED_HOSTS = []
USE_TZ = True
ROOT_URLCONF = "site_urls"
STATIC_URL = "/static/"
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3", "TEST": {{"NAME": {name!r}}},
}}}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django.contrib.staticfiles",
    "channels", "channels1_project",
]
CHANNEL_LAYERS = {{"default": {{"BACKEND": "asgi_redis.RedisChannelLayer", "ROUTING": "site_routing.routes"}}}}
"""

URLS = """
from django.http import HttpResponse
from django.urls import path

def count(request):
    from channels1_project.models import Counter
    from django.conf import settings
    return HttpResponse("%s %s" % (Counter.objects.count(), settings.DEBUG))

urlpatterns = [path("count/", count)]
"""

ROUTING = """
import threading
from channels import Group, route

def connect(message):
    message.reply_channel.send({"accept": True})
    Group("all").add(message.reply_channel)

def receive(message):
    from channels1_project.models import Counter
    from django.conf import settings
    Counter.objects.create(name=message["text"])
    message.reply_channel.send({"text": "%s %s" % (message["text"], getattr(settings, "EXTRA", None))})

routes = [route("websocket.connect", connect), route("websocket.receive", receive)]
"""

LIVE_TESTS = """
import urllib.error, urllib.request

from channels import Group
from channels.test import ChannelLiveServerTestCase
from channels1_project.models import Counter
from django.test import override_settings
from websockets.sync.client import connect

class Plain(ChannelLiveServerTestCase):
    def test_views_see_the_tests_database(self):
        assert self.live_server_url.startswith("http://localhost:")
        assert self.live_server_ws_url == self.live_server_url.replace("http", "ws", 1)
        for expected in (b"0 False", b"1 False"):
            assert urllib.request.urlopen(self.live_server_url + "/count/").read() == expected
            Counter.objects.create(name="by the test")

    def test_consumers_write_to_it(self):
        assert not Counter.objects.exists()
        with connect(self.live_server_ws_url + "/") as socket:
            socket.send("by a consumer")
            assert socket.recv(10) == "by a consumer None"
            assert Counter.objects.get().name == "by a consumer"
            Group("all").send({"text": "by the test"})
            assert socket.recv(10) == "by the test"

    def test_static_files(self):
        script = urllib.request.urlopen(self.live_server_url + "/static/channels/js/websocketbridge.js").read()
        assert b"WebSocketBridge" in script

@override_settings(EXTRA=["told"])
class Overridden(ChannelLiveServerTestCase):
    serve_static = False
    worker_threads = 2

    def test_settings_of_the_test_reach_the_worker(self):
        with connect(self.live_server_ws_url + "/") as socket:
            socket.send("a")
            assert socket.recv(10) == "a ['told']"

    def test_without_static_files(self):
        try:
            urllib.request.urlopen(self.live_server_url + "/static/channels/js/websocketbridge.js")
        except urllib.error.HTTPError as error:
            assert error.code == 404
        else:
            assert False
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Give a folder with a project."""
    files = {
        "manage.py": MANAGE,
        "site_settings.py": SETTINGS.format(name=str(tmp_path / "test.sqlite3")),
        "site_urls.py": URLS,
        "site_routing.py": ROUTING,
        "test_live.py": LIVE_TESTS,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    return tmp_path


def manage(site: Path, *arguments: str, code: int = 0) -> str:
    """Run a command of the project."""
    start = ("-m", "channels_bridge.worker.legacy", "manage.py")
    return python(*start, *arguments, cwd=site, code=code, DJANGO_SETTINGS_MODULE="site_settings")


def test_a_project_tests_itself_against_a_server(site: Path) -> None:
    told = manage(site, "test", "--noinput")
    assert "Ran 5 tests" in told
    assert "OK" in told
    assert not (site / "site.sqlite3").exists()
    assert not (site / "test.sqlite3").exists()


def test_a_database_in_memory_is_refused(site: Path) -> None:
    (site / "site_settings.py").write_text(SETTINGS.format(name=None))
    told = manage(site, "test", "--noinput", code=1)
    assert "the database 'default' is in the memory of this process" in told
    assert """Set DATABASES['default']["TEST"]["NAME"] to the name of a file""" in told


def test_a_setting_that_cannot_be_told_is_refused(site: Path) -> None:
    tests = (site / "test_live.py").read_text()
    (site / "test_live.py").write_text(tests.replace('EXTRA=["told"]', "EXTRA=object()"))
    told = manage(site, "test", "--noinput", "test_live.Overridden", code=1)
    assert "Overridden: these settings cannot be told to a worker" in told


def test_a_server_that_does_not_start_is_told_with_its_log(site: Path) -> None:
    (site / "site_routing.py").write_text("raise RuntimeError('a broken routing')")
    told = manage(site, "test", "--noinput", "test_live.Overridden", code=1)
    assert "RuntimeError: the live server did not start" in told
    assert "a broken routing" in told


DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdout.write("deaf")
sys.stdout.flush()
time.sleep(60)
"""


def test_a_server_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveserver, "END", 0.05)
    server = LiveServer("localhost", 1, {"DJANGO_SETTINGS_MODULE": "channels1_project.settings"})
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"deaf"
        server._process = process
        server.stop()
    assert process.returncode == -9
    assert not server._log.parent.exists()


def test_one_that_was_not_started_has_nothing_to_end() -> None:
    server = LiveServer("localhost", 1, {})
    server.stop()
    assert not server._log.parent.exists()
