"""``channels-bridge migrate``, for people, as JSON, and for CI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from channels_bridge.bridge.cli import main
from scanned import write

SOURCE = """\
from channels import Group
from channels.worker import Worker
from channels import Nothing
"""


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["migrate", *map(str, args)])


def lines(result: Result) -> list[str]:
    return [" ".join(line.split()) for line in result.output.splitlines()]


def test_people_see_a_table_for_each_file(tmp_path: Path) -> None:
    top = write(tmp_path, {"a/x.py": SOURCE, "b.py": "import channels", "c.py": ""})
    result = run(top)
    shown = lines(result)
    assert shown.index("a/x.py") < shown.index("1 22 channels.Group runs") < shown.index("b.py")
    assert any(line.startswith("2 29 channels.worker.Worker differs Workers are started by") for line in shown)
    assert any(line.startswith("3 22 channels.Nothing change Channels 1 has no such name") for line in shown)
    assert shown[-1] == "3 Python files, 0 templates: 2 run as they are, 1 differ, 1 need a change"
    assert "c.py" not in result.output
    assert result.exit_code == 1


def test_json_is_one_object(tmp_path: Path) -> None:
    top = write(tmp_path, {"a.py": SOURCE, "t.html": "{% load staticfiles %}"})
    result = run(top, "--json")
    printed = json.loads(result.output)
    assert list(printed) == ["path", "files", "templates", "findings", "counts"]
    assert (printed["path"], printed["files"], printed["templates"]) == (str(top), 1, 1)
    assert printed["counts"] == {"runs": 1, "differs": 1, "change": 2}
    assert printed["findings"][0] == {
        "file": "a.py", "line": 1, "column": 22, "name": "channels.Group", "verdict": "runs", "text": "",
    }  # fmt: skip
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("source", "args", "code"),
    [
        ("", [], 0),
        ("from channels import Group", [], 0),
        ("from channels.worker import Worker", [], 0),
        ("from channels import Nothing", [], 1),
        ("from django.utils import six", [], 1),
        ("from django.utils import six", ["--django-shims"], 0),
    ],
)
def test_exit_codes(tmp_path: Path, source: str, args: list[str], code: int) -> None:
    assert run(write(tmp_path, {"a.py": source}), *args).exit_code == code


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    result = run(tmp_path / "gone")
    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_nothing_found(tmp_path: Path) -> None:
    assert (
        run(write(tmp_path, {"a.py": "x = 1"})).output
        == "1 Python file, 0 templates: nothing of Channels 1 was found\n"
    )


def test_a_file_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    result = run(write(tmp_path, {"\x1b[2J.py": "import channels"}))
    assert "\x1b" not in result.output
