"""``runserver`` checks the project, then becomes a server with a bridge and a worker."""

from __future__ import annotations

import fcntl
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.checks import Error
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, SystemCheckError
from django.core.management.commands import runserver as djangos
from django.test import override_settings

from channels_bridge.bridge.cli import serve
from channels_bridge.worker.legacy.asgi import channel_layers
from channels_bridge.worker.legacy.management import becoming
from channels_bridge.worker.legacy.management.commands.runserver import Command

OURS = "channels_bridge.worker.legacy.ChannelLayer"
LAYERS: dict[str, Any] = {
    "default": {"BACKEND": "asgi_redis.RedisChannelLayer"},
    "near": {"BACKEND": OURS, "CONFIG": {"url": "tcp://127.0.0.1:5000"}},
    "several": {"BACKEND": OURS, "CONFIG": {"url": ["tcp://127.0.0.1:5000", "tcp://127.0.0.1:5001"]}},
    "old": {"BACKEND": "asgiref.inmemory.ChannelLayer"},
    "memory": {"BACKEND": "channels_bridge.worker.legacy.memory.ChannelLayer"},
}
HERE = "ipc:///run/project/"


@pytest.fixture(autouse=True)
def became(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Give what the command has become: the module, its arguments, its environment."""
    found: list[Any] = []
    monkeypatch.setenv("CHANNELS_BRIDGE_URL", HERE)
    monkeypatch.setattr(channel_layers, "backends", {})
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "channels1_project.settings")
    monkeypatch.setattr(Command, "become", staticmethod(lambda *what: found.extend(what)))
    with override_settings(CHANNEL_LAYERS={alias: {"ROUTING": [], **layer} for alias, layer in LAYERS.items()}):
        yield found


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(Command(), *arguments, stdout=out, skip_checks="--skip-checks" in arguments)
    return out.getvalue()


def understood(became: list[Any]) -> dict[str, Any]:
    """Have the command line of ``serve`` read what it was given."""
    assert became[1][0] == "serve"
    return serve.make_context("serve", list(became[1][1:])).params


def test_without_options(became: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "channels_bridge.worker.legacy.management.commands.runserver.own_folders", lambda: ["/tmp", "/"]
    )
    said = run()
    assert "no issues" in said
    assert "settings channels1_project.settings" in said
    assert became[0] == "channels_bridge.bridge"
    read = understood(became)
    assert read["app"] == becoming.APP
    assert (read["host"], read["port"], read["url"]) == ("127.0.0.1", 8000, HERE)
    assert (read["interface"], read["workers"], read["threads"]) == ("channels1", 1, 4)
    assert (read["answer_timeout"], read["handshake_timeout"], read["drain_timeout"]) == (60, 5, 5)
    assert read["reload"] is True
    assert [str(folder) for folder in read["reload_dirs"]] == ["/tmp", "/"]
    assert (read["log_level"], read["django_shims"]) == ("info", False)
    assert became[2]["CHANNELS_BRIDGE_LAYER"] == "default"
    assert "CHANNELS_BRIDGE_STATIC" not in became[2]


def test_with_all_of_them(became: list[Any]) -> None:
    run("0.0.0.0:9000", "--noreload", "--nothreading", "--noworker", "--http_timeout=7", "--layer=near",
        "--websocket_handshake_timeout=8", "-v=0", "--nostatic", "--skip-checks")  # fmt: skip
    read = understood(became)
    assert (read["host"], read["port"], read["url"]) == ("0.0.0.0", 9000, "tcp://127.0.0.1:5000")
    assert (read["workers"], read["threads"], read["reload"], read["reload_dirs"]) == (0, 1, False, ())
    assert (read["answer_timeout"], read["handshake_timeout"], read["log_level"]) == (7, 8, "warning")
    assert became[2]["CHANNELS_BRIDGE_STATIC"] == "never"
    assert became[2]["CHANNELS_BRIDGE_LAYER"] == "near"


@pytest.mark.parametrize(
    ("arguments", "host", "port"),
    [
        (["9000"], "127.0.0.1", 9000),
        (["-6"], "::1", 8000),
        (["[::1]:9000"], "::1", 9000),
        (["localhost:9000"], "localhost", 9000),
    ],
)
def test_where_it_listens(arguments: list[str], host: str, port: int, became: list[Any]) -> None:
    run(*arguments)
    assert (understood(became)["host"], understood(became)["port"]) == (host, port)


def test_where_others_reach_it(became: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run("--bridge=ipc:///elsewhere/", "--layer=near")
    assert understood(became)["url"] == "ipc:///elsewhere/"
    monkeypatch.delenv("CHANNELS_BRIDGE_URL")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    became.clear()
    run()
    assert understood(became)["url"] == "ipc:///run/user/1/channels-bridge/", "where rundelay and shell look for it"
    became.clear()
    run("--layer=old")
    assert understood(became)["url"] is None, "a layer in memory has reached no other process either"


def test_where_another_bridge_is_it_does_not_begin(
    became: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHANNELS_BRIDGE_URL", f"ipc://{tmp_path}/")
    (tmp_path / "bridge-0.lock").touch()
    run()
    became.clear()
    with (tmp_path / "bridge-0.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match=r"another bridge listens at ipc://.*by --bridge"):
            run()
        assert became == []
        run(f"--bridge=ipc://{tmp_path}/")
    assert understood(became)["url"] == f"ipc://{tmp_path}/"


def test_a_layer_that_it_cannot_serve(became: list[Any]) -> None:
    with pytest.raises(CommandError, match="one in memory"):
        run("--layer=memory")
    with pytest.raises(CommandError, match=r"which of tcp://127\.0\.0\.1:5000, tcp://127\.0\.0\.1:5001"):
        run("--layer=several")
    with pytest.raises(CommandError, match="no layer 'unknown'"):
        run("--layer=unknown")
    assert became == []
    run("--layer=several", "--bridge=tcp://127.0.0.1:5001")
    assert understood(became)["url"] == "tcp://127.0.0.1:5001"


def test_static_files_outside_of_debug(became: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNELS_BRIDGE_STATIC", "never")
    run("--insecure")
    assert became[2]["CHANNELS_BRIDGE_STATIC"] == "always"
    became.clear()
    run()
    assert "CHANNELS_BRIDGE_STATIC" not in became[2], "it is this command that says so"


def test_a_project_with_errors(became: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def check(*_: Any, **__: Any) -> None:
        raise SystemCheckError(str(Error("wrong")))

    monkeypatch.setattr(BaseCommand, "check", check)
    with pytest.raises(SystemCheckError):
        run()
    assert became == []
    run("--skip-checks")
    assert became[0] == "channels_bridge.bridge"


def test_settings_that_cannot_be_loaded(became: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Django keeps that error for its reloader, which is not started here."""

    def fail() -> None:
        raise ImportError("in the settings")

    monkeypatch.setattr("django.utils.autoreload.raise_last_exception", fail)
    with pytest.raises(ImportError, match="in the settings"):
        run()
    assert became == []


def test_djangos_own_server(became: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(djangos, "run", lambda *args, **_: ran.append(args))
    run("9000", "--noasgi", "--noreload")
    run("9000", "--noasgi", "--noreload", "--insecure")
    with override_settings(INSTALLED_APPS=["channels_bridge.worker.legacy"], STATIC_URL=None):
        run("9000", "--noasgi", "--noreload", "--insecure", "--skip-checks")
    assert [address for *address, _ in ran] == [["127.0.0.1", 9000]] * 3
    assert [type(handler) for *_, handler in ran] == [WSGIHandler, StaticFilesHandler, WSGIHandler]
    assert became == []
