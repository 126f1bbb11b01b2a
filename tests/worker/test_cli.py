"""The command's options; and the whole command, where a process is what is asked about."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from channels_bridge.shared.addresses import default_url
from channels_bridge.shared.config import MIB
from channels_bridge.testing.processes import WorkerProcess
from channels_bridge.worker import process
from channels_bridge.worker.cli import arguments, main, needs_supervisor, settings_of
from channels_bridge.worker.settings import Settings
from channels_bridge.worker.supervisor import FINAL
from pids import wait_gone

ECHO = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

def make():
    return app

def wrong(type, channel_layer, consumer_channel, send):
    return None

def task(message):
    return None

number = 5
"""


def settings(*args: str) -> Settings:
    """Read a command line as the command does."""
    return settings_of(main.make_context("channels-worker", list(args)).params)


def refusal(*args: str) -> str:
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 2, done.output
    return done.output


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("CHANNELS_") or name == "WEB_CONCURRENCY":
            monkeypatch.delenv(name)


# -- options ---------------------------------------------------------------------------------------------------


def test_an_app_is_enough() -> None:
    assert settings("x:app") == Settings(app="x:app", urls=(default_url(),))


def test_every_option_arrives(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.touch()
    given = settings(
        *("x:app", "-b", "ipc:///run/a/", "--bridge", "tcp://127.0.0.1:7000-7003", "-Q", "a,b", "--pools", "c"),
        *("--threads", "3", "--max-inflight", "5", "--max-connections", "7", "--interface", "asgi2"),
        *("--lifespan", "off", "--loop", "trio", "--app-dir", str(tmp_path), "--factory"),
        *("--env-file", str(file), "--drain-timeout", "1.5", "--parent-fd", "9"),
        *("--soft-time-limit", "2.5", "--time-limit", "4", "--max-memory-per-child", "300M"),
        *("--max-turns-per-child", "1000", "--max-turns-jitter", "50"),
    )
    assert given == Settings(
        app="x:app",
        urls=("ipc:///run/a/", "tcp://127.0.0.1:7000-7003"),
        pools=("a", "b", "c"),
        threads=3,
        max_inflight=5,
        max_connections=7,
        interface="asgi2",
        lifespan="off",
        loop="trio",
        app_dir=tmp_path,
        factory=True,
        env_file=file,
        drain_timeout=1.5,
        soft_time_limit=2.5,
        time_limit=4.0,
        max_memory_per_child=300 * MIB,
        max_turns_per_child=1000,
        max_turns_jitter=50,
        parent_fd=9,
    )


def test_the_options_of_channels_1_arrive_and_are_passed_on() -> None:
    args = ["--interface", "channels1", "--only-channels", "http.*", "--only-channels", "a", "--exclude-channels", "b"]
    given = settings("x:app", *args, "--django-shims")
    expected = {"only_channels": ("http.*", "a"), "exclude_channels": ("b",), "django_shims": True, "threads": 1}
    assert {name: getattr(given, name) for name in expected} == expected
    assert settings(*arguments(given, "info")) == given


@pytest.mark.parametrize("args", [["--only-channels", "a"], ["--exclude-channels", "a"], ["--django-shims"]])
def test_the_options_of_channels_1_are_for_nothing_else(args: list[str]) -> None:
    with pytest.raises(click.UsageError, match="go with --interface channels1"):
        settings("x:app", *args)


@pytest.mark.parametrize(
    ("args", "channels", "pools"),
    [
        (["--channels", "a"], ("a",), ()),
        (["--channels", "a, b", "--channels", "c,a"], ("a", "b", "c"), ()),
        (["--channels", "a", "-Q", "default"], ("a",), ("default",)),
        (["--channels", "a", "-Q", "cpu,default"], ("a",), ("cpu", "default")),
    ],
)
def test_a_worker_of_named_channels_serves_no_pool_unless_it_is_told_to(
    args: list[str], channels: tuple[str, ...], pools: tuple[str, ...]
) -> None:
    given = settings("x:app", *args)
    assert (given.channels, given.pools) == (channels, pools)


def test_channels_can_be_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNELS_WORKER_CHANNELS", "a,b")
    assert settings("x:app").channels == ("a", "b")


def test_the_default_bridge_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNELS_BRIDGE_URL", "tcp://127.0.0.1:7000")
    assert settings("x:app").urls == ("tcp://127.0.0.1:7000",)


def test_each_option_can_be_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNELS_WORKER_BRIDGE", "ipc:///a/ ipc:///b/")
    monkeypatch.setenv("CHANNELS_WORKER_THREADS", "3")
    monkeypatch.setenv("CHANNELS_WORKER_POOLS", "a,b")
    monkeypatch.setenv("CHANNELS_WORKER_DRAIN_TIMEOUT", "2")
    monkeypatch.setenv("CHANNELS_WORKER_SUPERVISE", "1")  # but not the hidden ones: children inherit these
    monkeypatch.setenv("CHANNELS_WORKER_PARENT_FD", "1")
    context = main.make_context("channels-worker", ["x:app"])
    assert not context.params["supervise"]
    given = settings_of(context.params)
    assert (given.urls, given.threads, given.pools) == (("ipc:///a/", "ipc:///b/"), 3, ("a", "b"))
    assert given.drain_timeout == 2.0
    assert given.parent_fd is None


@pytest.mark.parametrize("name", ["WEB_CONCURRENCY", "CHANNELS_WORKER_PROCESSES"])
def test_the_number_of_processes_can_be_a_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "4")
    assert main.make_context("channels-worker", ["x:app"]).params["processes"] == 4
    assert main.make_context("channels-worker", ["x:app", "-c", "2"]).params["processes"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"max_inflight": 9, "max_connections": 3, "threads": 1, "drain_timeout": 0.5},
        {"soft_time_limit": 0.5, "time_limit": 1.5},
        {"max_memory_per_child": 123456789, "max_turns_per_child": 7, "max_turns_jitter": 3},
        {"factory": True, "interface": "consumer", "lifespan": "on", "loop": "asyncio"},
        {"pools": ("a", "b"), "urls": ("ipc:///x/", "tcp://127.0.0.1:9")},
        {"app_dir": Path("/"), "env_file": Path(__file__)},
        {"channels": ("a", "b"), "pools": (), "interface": "function"},
        {"channels": ("a",), "pools": ("default", "cpu")},
    ],
)
def test_a_child_is_told_the_same(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> None:
    """As options, all of them: the environment has no say in a child."""
    wanted = replace(Settings(app="x:app", urls=("ipc:///run/a/",)), **change)
    monkeypatch.setenv("WEB_CONCURRENCY", "7")
    monkeypatch.setenv("CHANNELS_WORKER_BRIDGE", "ipc:///other/")
    monkeypatch.setenv("CHANNELS_WORKER_LOOP", "trio")
    monkeypatch.setenv("CHANNELS_WORKER_THREADS", "31")
    context = main.make_context("channels-worker", arguments(wanted, "debug"))
    assert settings_of(context.params) == wanted
    assert context.params["processes"] == 1
    assert context.params["log_level"] == "debug"


def test_a_child_may_be_told_that_tcp_is_safe() -> None:
    wanted = settings("x:app", "-b", "tcp://10.0.0.1:7000", "--insecure-tcp")
    assert wanted.config.insecure_tcp
    assert settings(*arguments(wanted, "info")) == wanted


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "Missing argument 'APP'"),
        (("x:app", "-b", "http://localhost"), "not an address"),
        (("x:app", "-b", "ipc://" + "/long" * 30), "too long for a Unix socket"),
        (("x:app", "-b", "tcp://10.0.0.1:7000"), "--insecure-tcp"),
        (("x:app", "-c", "0"), "0 is not in the range"),
        (("x:app", "--threads", "none"), "'none' is not a valid integer"),
        (("x:app", "-Q", "a,,b"), "names a pool that has no name"),
        (
            ("x:app", "--channels", "a,,b"),
            "--channels: '' is not the name of a channel to listen on: a name is 1 to 99",
        ),
        (("x:app", "--channels", "a b"), "--channels: 'a b' is not the name of a channel"),
        (("x:app", "--channels", "one.of!ours"), "--channels: 'one.of!ours' is not the name of a channel"),
        (("x:app", "--interface", "wsgi"), "'wsgi' is not one of"),
        (("x:app", "--env-file", "/nowhere/env"), "'/nowhere/env' does not exist"),
        (("x:app", "--app-dir", "/nowhere"), "'/nowhere' does not exist"),
        (("x:app", "--max-memory-per-child", "lots"), "--max-memory-per-child': 'lots' is no size; 300M is one"),
        (("x:app", "--time-limit", "-1"), "-1.0 is not in the range"),
        (
            ("x:app", "--time-limit", "5", "--soft-time-limit", "5"),
            "--soft-time-limit: the soft time limit, 5 s, has to be shorter than the hard one, 5 s",
        ),
        (("x:app", "--reload-dir", "/nowhere"), "'/nowhere' does not exist"),
        (("x:app", "-l", "loud"), "'loud' is not one of"),
    ],
)
def test_what_is_wrong_is_said(args: tuple[str, ...], message: str) -> None:
    assert message in " ".join(refusal(*args).split())


def nothing_is_found(name: str) -> None:  # noqa: ARG001
    return None


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--loop", "uvloop"), "--loop uvloop needs uvloop: pip install uvloop"),
        (("--env-file", __file__), "--env-file needs python-dotenv: pip install python-dotenv"),
    ],
)
def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], message: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", nothing_is_found)
    with pytest.raises(click.UsageError, match=re.escape(message)):
        settings("x:app", *args)


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ([], False),
        (["--soft-time-limit", "1"], False),
        (["--max-turns-jitter", "1"], False),
        (["-c", "2"], True),
        (["--supervise"], True),
        (["--reload"], True),
        (["--time-limit", "1"], True),
        (["--max-memory-per-child", "1G"], True),
        (["--max-turns-per-child", "9"], True),
        (["--max-turns-per-child", "9", "--parent-fd", "3"], False),
        (["--reload", "-c", "2", "--parent-fd", "3"], False),
        (["--supervise", "--parent-fd", "3"], True),
    ],
)
def test_who_may_end_has_somebody_to_start_the_next_one(args: list[str], wanted: bool) -> None:
    options = main.make_context("channels-worker", ["x:app", *args]).params
    assert needs_supervisor(settings_of(options), options) is wanted


def test_a_supervisor_loads_neither_a_loop_nor_sockets() -> None:
    """It outlives whatever happens to them. With --reload it watches files, which costs it a library."""
    program = (
        "import sys, channels_bridge.worker.cli; print([m for m in ('anyio', 'zmq', 'msgpack') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_supervisor_knows_the_exit_codes_of_a_process() -> None:
    assert set(FINAL) == {process.EXIT_APP, process.EXIT_CONFIG}


# -- processes -------------------------------------------------------------------------------------------------

URL = "ipc:///tmp/channels-bridge-nobody/"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "echo_app.py").write_text(ECHO)
    return tmp_path


def run(code: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "channels_bridge.worker", *args, "-b", URL]
    return subprocess.run(command, cwd=code, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.system
def test_the_version_is_the_distributions() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "channels_bridge.worker", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"channels-worker, version {metadata.version('channels-bridge')}\n"


@pytest.mark.system
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere:app"], "cannot import 'nowhere'"),
        (["echo_app:missing"], "'echo_app' has no attribute 'missing'"),
        (["echo_app:number"], "echo_app:number is not callable: it is a int"),
        (["echo_app:app", "--interface", "consumer"], "looks like asgi3, but --interface says consumer"),
        (["echo_app:wrong", "--interface", "asgi3"], "looks like consumer, but --interface says asgi3"),
        (
            ["echo_app:task", "--channels", "a", "-Q", "default"],
            "a function for named channels: it cannot serve a pool",
        ),
        (["nowhere:app", "-c", "2"], "stopping: the app cannot start"),
    ],
)
def test_an_app_that_cannot_start_is_exit_code_3(code: Path, args: list[str], message: str) -> None:
    done = run(code, *args)
    assert done.returncode == 3
    assert message in done.stderr


@pytest.mark.system
def test_a_worker_of_named_channels_says_which(code: Path) -> None:
    with WorkerProcess("echo_app:task", URL, pythonpath=[code], args=["--channels", "a,b"]) as worker:
        worker.wait_for_log(r"hosting echo_app:task \(a, b\) for ipc://")
        worker.sigterm()
        assert worker.wait() == 0


@pytest.mark.system
def test_one_process_has_no_supervisor_and_term_ends_it(code: Path) -> None:
    with WorkerProcess("echo_app:make", URL, pythonpath=[code], args=["--factory"]) as worker:
        worker.wait_for_log("hosting echo_app:make")
        assert worker.tree() == [worker.pid]
        worker.sigterm()
        assert worker.wait() == 0


@pytest.mark.system
@pytest.mark.parametrize(("args", "processes"), [(["-c", "2"], 2), (["--supervise"], 1)])
def test_several_processes_have_a_supervisor(code: Path, args: list[str], processes: int) -> None:
    with WorkerProcess("echo_app:app", URL, pythonpath=[code], args=args) as worker:
        worker.wait_for_log(rf"(hosting echo_app:app[^^]*){{{processes}}}")
        assert len(worker.tree()) == 1 + processes
        worker.signal(signal.SIGINT)
        assert worker.wait() == 0


@pytest.mark.system
def test_killing_the_supervisor_ends_the_processes(code: Path) -> None:
    with WorkerProcess("echo_app:app", URL, pythonpath=[code], args=["-c", "2"]) as worker:
        worker.wait_for_log(r"(hosting echo_app:app[^^]*){2}")
        pids = worker.tree()[1:]
        worker.kill()
        wait_gone(pids)


@pytest.mark.system
@pytest.mark.parametrize("args", [[], ["-c", "2"]])
def test_the_env_file_is_read_before_the_app(tmp_path: Path, args: list[str]) -> None:
    pytest.importorskip("dotenv")
    (tmp_path / "env").write_text("A_VALUE='said in the file'\nNOT_SET_AGAIN=2\n")
    (tmp_path / "app.py").write_text("import os, sys\nsys.exit(os.environ['A_VALUE'] + os.environ['NOT_SET_AGAIN'])")
    options = ["--env-file", str(tmp_path / "env"), *args]
    with WorkerProcess("app:x", URL, pythonpath=[tmp_path], args=options, env={"NOT_SET_AGAIN": "1"}) as worker:
        worker.wait_for_log("said in the file1$")
