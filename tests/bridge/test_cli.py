"""The options of ``channels-bridge serve``; test_serve.py runs it."""

import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from channels_bridge.bridge import cli, serve
from channels_bridge.worker import settings
from channels_bridge.worker.cli import main as worker_main
from channels_bridge.worker.cli import settings_of
from channels_bridge.worker.supervisor import FINAL


def refusal(*args: str) -> str:
    done = CliRunner().invoke(cli.main, ["serve", *args])
    assert done.exit_code in {1, 2}, done.output
    return " ".join(done.output.split())


def options(*args: str) -> dict[str, Any]:
    return cli.serve.make_context("serve", list(args)).params


def test_the_group_has_a_version() -> None:
    done = CliRunner().invoke(cli.main, ["--version"], prog_name="channels-bridge")
    assert re.fullmatch(r"channels-bridge, version \d+\.\d+\S*\n", done.output)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Missing argument 'APP'"),
        (["x:app", "--workers", "-1"], "-1 is not in the range"),
        (["x:app", "--port", "65536"], "65536 is not in the range"),
        (["x:app", "--pool", "cpu"], "--pool cpu: this should be NAME=N, as in cpu=2"),
        (["x:app", "--pool", "=2"], "--pool =2: this should be NAME=N"),
        (["x:app", "--pool", "cpu=0"], "--pool cpu=0: this should be NAME=N"),
        (["x:app", "--pool", "cpu=many"], "--pool cpu=many: this should be NAME=N"),
        (["x:app", "--pool", "a,b=1"], "--pool a,b=1: this should be NAME=N"),
        (["x:app", "--pool", "default=2"], "--workers says how many the default pool has"),
        (["x:app", "--pool", "cpu=1", "--pool", "cpu=2"], "--pool cpu=2: there is such a pool already"),
        (["x:app", "--pool", "cpu=1"], "--pool cpu: nothing would reach it; --route PREFIX=cpu says which paths do"),
        (["x:app", "--route", "/cpu/"], "--route /cpu/: this should be PREFIX=POOL, as in /render/=cpu"),
        (["x:app", "--route", "cpu=default"], "--route cpu=default: this should be PREFIX=POOL"),
        (["x:app", "--route", "/x/=cpu"], "--route /x/=cpu: no pool has that name; --pool cpu=N starts one"),
        (["x:app", "--route", "/=default", "--route", "/=default"], "/ has a pool already"),
        (["x:app", "--channels", "a=0"], "--channels a=0: this should be NAME,NAME=N, as in thumbnails,mail=2"),
        (["x:app", "--channels", "a=many"], "--channels a=many: this should be NAME,NAME=N"),
        (["x:app", "--channels", "a=1,b=2"], "--channels a=1,b=2: this should be NAME,NAME=N"),
        (["x:app", "--channels", "a,,b"], "--channels a,,b: '' is not the name of a channel to listen on"),
        (["x:app", "--channels", "=2"], "--channels =2: '' is not the name of a channel to listen on"),
        (["x:app", "--channels", "a!b"], "--channels a!b: 'a!b' is not the name of a channel to listen on"),
        (["x:app", "--bridge", "http://localhost"], "'http://localhost' is not an address"),
        (["x:app", "--engine", "amqp://localhost"], "there is no engine for amqp://"),
        (["x:app", "--metrics", "9100"], "metrics: '9100' should be host:port or host:first-last, 127.0.0.1:9100"),
        (["x:app", "--metrics", "0.0.0.0:9100"], "can be reached from other machines, and asks for no password"),
        (["x:app", "--dead-letters", __file__], "is a file"),
        (["x:app", "--interface", "wsgi"], "'wsgi' is not one of"),
        (["x:app", "--env-file", "/nowhere/env"], "'/nowhere/env' does not exist"),
        (["x:app", "--host", "203.0.113.1"], "Error: cannot listen on 203.0.113.1, port 8000: "),
    ],
)
def test_what_is_wrong_is_said(args: list[str], message: str) -> None:
    assert message in refusal(*args)


@pytest.mark.parametrize(
    ("missing", "args", "message"),
    [
        ("uvicorn", [], 'pip install "channels-bridge[server]"'),
        ("websockets", [], 'pip install "channels-bridge[server]"'),
        ("dotenv", ["--env-file", __file__], "--env-file needs python-dotenv: pip install python-dotenv"),
    ],
)
def test_what_is_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch, missing: str, args: list[str], message: str
) -> None:
    def find(name: str) -> object:
        return None if name == missing else name

    monkeypatch.setattr("importlib.util.find_spec", find)
    assert message in refusal("x:app", *args)


def test_pools_and_routes_are_read() -> None:
    pools = cli.pools_of(["cpu=2", "gpu=10"])
    assert pools == {"cpu": 2, "gpu": 10}
    routes = cli.routes_of(["/render/=cpu", "/a=b/=gpu", "/=default"], {"default": 1, **pools})
    assert routes == {"/render/": "cpu", "/a=b/": "gpu", "/": "default"}


def test_a_route_to_the_default_pool_needs_no_pool() -> None:
    assert cli.routes_of(["/x=default"], {"default": 1}) == {"/x": "default"}
    with pytest.raises(click.UsageError):
        cli.routes_of(["/x=cpu"], {"default": 1})


def test_channels_are_read() -> None:
    assert cli.channels_of([]) == {}
    assert cli.channels_of(["mail"]) == {"mail": 1}
    assert cli.channels_of(["thumbnails, mail=2", "pdf", "mail=", "mail=3"]) == {
        "thumbnails,mail": 2,
        "pdf": 1,
        "mail": 4,
    }


def test_bridge_and_engine_can_be_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNELS_BRIDGE_URL", "ipc:///run/a/")
    monkeypatch.setenv("CHANNELS_BRIDGE_ENGINE", "redis://localhost")
    given = options("x:app")
    assert (given["url"], given["engine"]) == ("ipc:///run/a/", "redis://localhost")
    given = options("x:app", "-b", "ipc:///run/b/", "--engine", "nats://localhost")
    assert (given["url"], given["engine"]) == ("ipc:///run/b/", "nats://localhost")


def test_dead_letters_and_metrics_can_be_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHANNELS_BRIDGE_DEAD_LETTERS", str(tmp_path / "a"))
    monkeypatch.setenv("CHANNELS_BRIDGE_METRICS", "127.0.0.1:9100")
    given = options("x:app")
    assert (given["dead_letters"], given["metrics"]) == (tmp_path / "a", "127.0.0.1:9100")
    given = options("x:app", "--dead-letters", str(tmp_path / "b"), "--metrics", "127.0.0.1:9200")
    assert (given["dead_letters"], given["metrics"]) == (tmp_path / "b", "127.0.0.1:9200")


def test_what_looks_at_a_running_system_is_there() -> None:
    assert set(cli.main.commands) >= {"serve", "status", "letters"}
    done = CliRunner().invoke(cli.main, ["letters", "--help"])
    assert all(f"  {name} " in done.output for name in ("list", "show", "replay", "drop"))


def test_the_workers_understand_which_channels_they_listen_on() -> None:
    [(channels, _)] = cli.channels_of(["thumbnails,mail=2"]).items()
    read = worker_main.make_context("channels-worker", ["x:app", f"--channels={channels}"]).params
    assert (settings_of(read).channels, settings_of(read).pools) == (("thumbnails", "mail"), ())


@pytest.mark.parametrize("name", ["WEB_CONCURRENCY", "CHANNELS_BRIDGE_SERVE_WORKERS"])
def test_the_number_of_workers_can_be_a_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "3")
    assert options("x:app")["workers"] == 3
    assert options("x:app", "--workers", "2")["workers"] == 2


def test_the_workers_understand_what_they_are_told(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.touch()
    told = cli.worker_options(
        options(
            *("x:app", "--threads", "3", "--max-inflight", "4", "--interface", "asgi2", "--app-dir", str(tmp_path)),
            *("--factory", "--env-file", str(file), "--drain-timeout", "2.5", "--log-level", "debug"),
        )
    )
    read = worker_main.make_context("channels-worker", ["x:app", *told]).params
    assert settings_of(read) == settings.Settings(
        app="x:app",
        urls=settings_of(read).urls,
        threads=3,
        max_inflight=4,
        interface="asgi2",
        app_dir=tmp_path,
        factory=True,
        env_file=file,
        drain_timeout=2.5,
    )
    assert read["log_level"] == "debug"


@pytest.mark.parametrize(
    ("args", "handshake", "answer"),
    [
        ((), 0.0, 0.0),
        (("--interface", "channels1"), 5.0, 120.0),
        (("--interface", "channels1", "--handshake-timeout", "0", "--answer-timeout", "3"), 0.0, 3.0),
        (("--handshake-timeout", "2.5"), 2.5, 0.0),
    ],
)
def test_what_ran_behind_daphne_has_its_time_limits(args: tuple[str, ...], handshake: float, answer: float) -> None:
    given = options("x:app", *args)
    assert cli.deadline_of(given, "handshake_timeout", 5.0) == handshake
    assert cli.deadline_of(given, "answer_timeout", 120.0) == answer


def test_what_was_not_said_is_left_to_the_workers() -> None:
    told = cli.worker_options(options("x:app"))
    read = worker_main.make_context("channels-worker", ["x:app", "-b", "ipc:///x/", *told]).params
    assert settings_of(read) == settings.Settings(app="x:app", urls=("ipc:///x/",))


def test_both_halves_mean_the_same() -> None:
    """Neither may import the other, so what both say is compared here."""
    assert cli.INTERFACES == settings.INTERFACES
    assert settings.Settings(app="x:app", urls=()).pools == (cli.DEFAULT_POOL,)
    assert serve.FINAL == FINAL


def test_the_shims_are_for_nothing_but_channels_1() -> None:
    done = CliRunner().invoke(cli.main, ["serve", "x:app", "--django-shims"])
    assert (done.exit_code, "--django-shims goes with --interface channels1" in done.output) == (2, True)
