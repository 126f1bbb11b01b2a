"""The rules of the house: what is packaged, how large things grow, what has a test, what is never named."""

import ast
import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HALVES = ("bridge", "worker", "shared")
SOURCES = sorted(file for folder in HALVES for file in (ROOT / folder).rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def tracked_files() -> list[Path]:
    """Return what git knows or would take up, links left out."""
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file() and not file.is_symlink()]


def test_every_package_folder_is_listed() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    tops = {"bridge": "bridge", "worker": "worker", "shared": "shared", "tests/kit": "testing"}
    found = {"channels_bridge"}
    for folder, name in tops.items():
        for file in (ROOT / folder).rglob("*.py"):
            inner = file.parent.relative_to(ROOT / folder).parts
            found.add(".".join(("channels_bridge", name, *inner)))
    assert set(listed) == found
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("folder", [*HALVES, "tests/kit"])
def test_every_package_folder_has_its_init(folder: str) -> None:
    folders = {file.parent for file in (ROOT / folder).rglob("*.py")}
    assert [name_of(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_no_module_was_loaded_under_a_second_name() -> None:
    """From the root, `import bridge` would work by accident, and make a second copy of every class."""
    homes = [ROOT / folder for folder in (*HALVES, "tests/kit")]
    doubled: list[str] = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        at_home = file is not None and any(Path(file).resolve().is_relative_to(home) for home in homes)
        if at_home and not name.startswith("channels_bridge."):
            doubled.append(name)
    assert doubled == []


@pytest.mark.parametrize(
    ("half", "other"),
    [("bridge", "worker"), ("worker", "bridge"), ("shared", "bridge"), ("shared", "worker")],
)
def test_a_half_loads_nothing_of_the_other(half: str, other: str) -> None:
    """Seen in a process of its own, at the root, with every module of the half imported."""
    program = f"""
import importlib, pkgutil, sys
if {half!r} == "worker":
    import django
    from django.conf import settings
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]
    legacy = "channels_bridge.worker.legacy"
    settings.configure(INSTALLED_APPS=[*apps, legacy, legacy + ".delay"], CHANNEL_LAYERS={{}})
    django.setup()
package = importlib.import_module("channels_bridge.{half}")
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
bad = [name for name in sys.modules if name.split(".")[0] in {HALVES!r}]
print(bad + [name for name in sys.modules if name.startswith("channels_bridge.{other}")])
"""
    command = [sys.executable, "-W", "error", "-c", program]
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".src")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_files_and_functions_stay_small(file: Path) -> None:
    text = file.read_text()
    assert text.count("\n") <= MAX_FILE_LINES
    long = {
        node.name: lines
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := lines_without_docstring(node)) > MAX_FUNCTION_LINES
    }
    assert long == {}


def lines_without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    end = node.end_lineno or node.lineno
    first = node.body[0]
    has_docstring = ast.get_docstring(node, clean=False) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return end - node.lineno + 1 - docstring


@pytest.mark.parametrize("file", [f for f in SOURCES if f.name != "__init__.py"], ids=name_of)
def test_every_source_file_has_its_test_file(file: Path) -> None:
    own = ROOT / "tests" / file.parent.relative_to(ROOT) / f"test_{file.stem.strip('_')}.py"
    assert own.exists(), f"{name_of(own)} is missing"


def test_nothing_is_mocked() -> None:
    """Two cores back to back, or a fake of one's own, show more than a mock; ruff bans the import as well."""
    mocking = re.compile(r"^\s*(from unittest(\.mock)? import|import unittest\.mock)", re.MULTILINE)
    files = (ROOT / "tests").rglob("*.py")
    assert [name_of(f) for f in files if mocking.search(f.read_text())] == []


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout")
def test_no_file_names_a_place_outside_the_project() -> None:
    outside = ("/" + "work/", ".." + "/shared/")
    naming: list[str] = []
    for file in tracked_files():
        text = file.read_text(errors="replace")
        naming += [f"{name_of(file)}: {place}" for place in outside if place in text]
    assert naming == []


def test_the_links_are_relative() -> None:
    """An absolute link would work here and nowhere else."""
    inside = (ROOT / ".src/channels_bridge").iterdir()
    links = {link.name: os.readlink(link) for link in inside if link.is_symlink()}
    assert links == {
        "bridge": "../../bridge",
        "worker": "../../worker",
        "shared": "../../" + "shared",
        "testing": "../../tests/kit",
    }


def test_coverage_floor_tells_what_falls_short() -> None:
    spec = importlib.util.spec_from_file_location("coverage_floor", ROOT / ".ci/coverage_floor.py")
    assert spec is not None
    assert spec.loader is not None
    floor = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(floor)
    files = {
        "bridge/a.py": {"summary": {"percent_covered": 90.0}},
        "bridge/b.py": {"summary": {"percent_covered": 84.9}},
    }
    short = floor.shortfalls({"files": files}, ["bridge/a.py", "bridge/b.py", "bridge/never_measured.py"])
    assert short == ["bridge/b.py: 84.9 %, floor 85 %", "bridge/never_measured.py: 0.0 %, floor 85 %"]
