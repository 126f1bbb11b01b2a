"""APP of a Channels 1 project, in a process of its own: there ``channels`` is Channels 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from channels1_programs import on_path

SETTINGS = """
SECRET_KEY = "x"
USE_TZ = True
INSTALLED_APPS = ["channels"]
ROOT_URLCONF = "urls"
CONFIG = {"hosts": [("redis", 1)], "capacity": 7}
ONE = {"BACKEND": "asgi_redis.RedisChannelLayer", "CONFIG": CONFIG, "ROUTING": "routing.one"}
CHANNEL_LAYERS = {
    "default": ONE,
    "other": {**ONE, "ROUTING": {"other": "routing.consumer"}},
    "memory": {"BACKEND": "channels_bridge.worker.legacy.memory.ChannelLayer", "ROUTING": []},
}
"""
ROUTING = """
from channels import route
from django.contrib.contenttypes.models import ContentType  # a model: Django has to be set up before

def consumer(message):
    pass

one = [route("a", consumer), route("b", consumer)]
"""
ASGI = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from channels.asgi import get_channel_layer
channel_layer = get_channel_layer()
other = get_channel_layer("other")
memory = get_channel_layer("memory")
nothing = 3
"""
PROGRAM = """
import json, sys
from pathlib import Path
from channels_bridge.shared.errors import ApplicationLoadError
from channels_bridge.worker.load import load
from channels_bridge.worker.settings import Settings
options = json.loads(sys.argv[1])
try:
    app = load(Settings(urls=(), **{"interface": "channels1", **options}))
except ApplicationLoadError as error:
    print(json.dumps({"error": str(error)}))
else:
    found = {"channels": app.channels, "kinds": app.kinds, "turns": app.has_turns}
    print(json.dumps({**found, "capacity": app.target.layer.capacity}))
"""
HEARING = """
from channels.signals import worker_process_ready, worker_ready
from routing import consumer
heard = []

def note(sender, signal, **kwargs):
    heard.append("process" if signal is worker_process_ready else "worker")
    assert "http.request" in sender.channel_layer.router.channels
    if len(heard) == 2:
        raise ValueError(heard)

worker_process_ready.connect(note)
worker_ready.connect(note)
one = {"a": consumer}
"""
WEBSOCKET = ["websocket.connect", "websocket.disconnect", "websocket.receive"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    texts = {"settings": SETTINGS.replace('["channels"]', '["channels", "django.contrib.contenttypes"]')}
    layers = "from channels_bridge.worker.legacy import ChannelLayer\none = ChannelLayer()"
    texts["hearing"] = HEARING
    for name, text in {**texts, "layers": layers, "routing": ROUTING, "asgi": ASGI, "urls": "urlpatterns = []"}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def load(folder: Path, app: str, env: dict[str, str] | None = None, **options: Any) -> Any:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, json.dumps({"app": app, **options})]
    environment = {**os.environ, "PYTHONPATH": on_path(folder), **(env or {})}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_layer_of_asgi_py(folder: Path) -> None:
    found = load(folder, "asgi:channel_layer")
    assert found["channels"] == ["a", "b", "http.request", *WEBSOCKET]
    assert (found["kinds"], found["turns"], found["capacity"]) == (["websocket", "http"], True, 7)
    assert "other" in load(folder, "asgi:other")["channels"]


def test_the_routing(folder: Path) -> None:
    assert load(folder, "routing:one", {"DJANGO_SETTINGS_MODULE": "settings"})["channels"][:2] == ["a", "b"]


def test_the_layers_by_their_alias(folder: Path) -> None:
    env = {"DJANGO_SETTINGS_MODULE": "settings", "CHANNELS_BRIDGE_LAYER": "other"}
    found = load(folder, "channels_bridge.worker.legacy.asgi:channel_layers", env)
    assert found["channels"] == ["http.request", "other", *WEBSOCKET]


@pytest.mark.parametrize(
    ("only", "exclude", "channels", "kinds"),
    [
        (["http.*"], [], ["http.request"], ["http"]),
        (["websocket.*", "a"], ["websocket.receive"], ["a", *WEBSOCKET[:2]], ["websocket"]),
        (["a"], [], ["a"], []),
        ([], ["websocket.connect", "b"], ["a", "http.request", *WEBSOCKET[1:]], ["http"]),
    ],
)
def test_channels_are_chosen(
    folder: Path, only: list[str], exclude: list[str], channels: list[str], kinds: list[str]
) -> None:
    found = load(folder, "asgi:channel_layer", only_channels=only, exclude_channels=exclude)
    assert (found["channels"], found["kinds"]) == (channels, kinds)


@pytest.mark.parametrize(
    ("app", "options", "env", "says"),
    [
        ("asgi:nothing", {}, {}, "asgi:nothing is a int: Channels 1 has the layer of asgi.py"),
        ("asgi:memory", {}, {}, "which reaches no bridge: channels_bridge.worker.legacy.ChannelLayer does"),
        ("asgi:channel_layer", {"only_channels": ["none"]}, {}, "leave no channel of the routing"),
        ("asgi:channel_layer", {}, {"DJANGO_SETTINGS_MODULE": "nowhere"}, "Django cannot be set up"),
        ("routing:one", {}, {}, "cannot import 'routing'"),
        ("routing:two", {}, {"DJANGO_SETTINGS_MODULE": "settings"}, "has no attribute 'two'"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, app: str, options: dict[str, Any], env: dict[str, str], says: str) -> None:
    assert says in load(folder, app, env, **options)["error"]


def test_the_project_s_own_error_is_told_with_its_place(folder: Path) -> None:
    (folder / "broken.py").write_text("from channels import route\nchannel_routing = [route('a', 'consumers.one')]\n")
    (folder / "consumers.py").write_text("import nothing_of_this_name\n")
    error = load(folder, "broken:channel_routing", {"DJANGO_SETTINGS_MODULE": "settings"})["error"]
    assert "consumers.py" in error
    assert "No module named 'nothing_of_this_name'" in error


def test_an_alias_that_is_none_is_refused(folder: Path) -> None:
    env = {"DJANGO_SETTINGS_MODULE": "settings", "CHANNELS_BRIDGE_LAYER": "none"}
    for app in ("routing:one", "channels_bridge.worker.legacy.asgi:channel_layers"):
        assert "CHANNEL_LAYERS has no 'none', which $CHANNELS_BRIDGE_LAYER names" in load(folder, app, env)["error"]


def test_a_layer_without_the_interface_is_known(folder: Path) -> None:
    done = load(folder, "layers:one", interface="auto")
    assert done["error"] == "layers:one is a layer of Channels 1: add --interface channels1"
    assert load(folder, "asgi:channel_layer", interface="auto")["error"].endswith("add --interface channels1")


def test_the_worker_says_that_it_is_ready_and_that_its_process_is_before(folder: Path) -> None:
    """The receiver shows what it has heard by raising it, which is an error of the project's own."""
    told = load(folder, "hearing:one", {"DJANGO_SETTINGS_MODULE": "settings"})["error"]
    assert "ValueError: ['process', 'worker']" in told


def test_named_channels_beside_the_routing_are_listened_on_as_well(folder: Path) -> None:
    found = load(folder, "asgi:channel_layer", channels=["more", "a"])
    assert found["channels"] == ["a", "b", "http.request", *WEBSOCKET, "more"]
