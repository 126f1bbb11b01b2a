"""What serve passes on about limits is what channels-worker takes."""

from pathlib import Path

from channels_bridge.bridge.cli import main, worker_options
from channels_bridge.bridge.passing import HELP, limits_given
from channels_bridge.worker import cli as worker_cli


def given(*args: str) -> list[str]:
    return limits_given(main.commands["serve"].make_context("serve", ["x:app", *args]).params)


def test_by_default_nothing_is_passed_on() -> None:
    assert given() == []


def test_all_of_it_arrives_at_the_worker(tmp_path: Path) -> None:
    passed = given(
        *("--soft-time-limit", "1.5", "--time-limit", "3", "--max-memory-per-child", "300M"),
        *("--max-turns-per-child", "9", "--max-turns-jitter", "2", "--reload", "--reload-dir", str(tmp_path)),
        "--django-shims",
    )
    options = worker_cli.main.make_context("channels-worker", ["x:app", *passed]).params
    assert {name: options[name] for name in HELP} == {
        "soft_time_limit": 1.5,
        "time_limit": 3.0,
        "max_memory_per_child": 300 << 20,
        "max_turns_per_child": 9,
        "max_turns_jitter": 2,
        "reload": True,
        "django_shims": True,
        "reload_dirs": (tmp_path,),
    }


def test_serve_passes_it_on_with_the_rest() -> None:
    params = main.commands["serve"].make_context("serve", ["x:app", "--time-limit", "3"]).params
    assert "--time-limit=3.0" in worker_options(params)
