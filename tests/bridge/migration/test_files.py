"""Which files are read."""

from __future__ import annotations

import os
from pathlib import Path

from channels_bridge.bridge.migration.files import find, is_template
from scanned import write


def found(top: Path) -> list[str]:
    return [file.relative_to(top).as_posix() for file in find(top)]


def test_python_and_templates_are_read_and_sorted(tmp_path: Path) -> None:
    top = write(tmp_path, {"b.py": "", "a.html": "", "sub/c.py": "", "readme.txt": "", "Procfile": "", "z.pyc": ""})
    assert found(top) == ["a.html", "b.py", "sub/c.py"]
    assert [is_template(file) for file in find(top)] == [True, False, False]


def test_a_single_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    top = write(tmp_path, {"script": ""})
    assert list(find(top / "script")) == [top / "script"]


def test_what_others_wrote_is_left_out(tmp_path: Path) -> None:
    files = [
        ".git/hooks/a.py",
        "node_modules/b.py",
        "__pycache__/c.py",
        ".tox/d.py",
        "lib/site-packages/e.py",
        "own.py",
    ]
    assert found(write(tmp_path, dict.fromkeys(files, ""))) == ["own.py"]


def test_virtual_environments_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    new = {"py3/pyvenv.cfg": "", "py3/lib/a.py": ""}
    old = {"py2/bin/activate": "", "py2/lib/python2.7/b.py": ""}
    windows = {"win/Scripts/activate": "", "win/Lib/c.py": ""}
    assert found(write(tmp_path, {**new, **old, **windows, "venv/own.py": ""})) == ["venv/own.py"]


def test_the_folder_that_is_asked_about_is_read_whatever_its_name(tmp_path: Path) -> None:
    top = write(tmp_path, {".hidden/a.py": ""}) / ".hidden"
    assert found(top) == ["a.py"]


def test_links_in_circles_end(tmp_path: Path) -> None:
    top = write(tmp_path, {"sub/a.py": ""})
    (top / "sub" / "up").symlink_to(top)
    (top / "self").symlink_to("self")
    (top / "gone.py").symlink_to("nowhere")
    assert found(top) == ["sub/a.py"]


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    top = write(tmp_path, {"a.py": ""})
    os.mkfifo(top / "pipe.py")
    (top / "folder.py").mkdir()
    assert found(top) == ["a.py"]
