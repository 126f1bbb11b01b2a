"""The start of Python programs that a program with the aliases has started."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from channels1_programs import TESTS, run
from channels_bridge.worker.legacy.aliases import STARTUP


def test_aliases_are_there_if_the_environment_says_so() -> None:
    path = os.pathsep.join((STARTUP, str(TESTS)))
    run("import channels; assert channels.__version__[0] == '1'", PYTHONPATH=path, CHANNELS_BRIDGE_CHANNELS1="1")
    run("import channels; assert channels.__version__[0] == '4'", PYTHONPATH=path, CHANNELS_BRIDGE_CHANNELS1="")


def test_the_one_that_it_hides_is_run_and_its_folder_hides_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.hidden = __file__")
    program = f"""
    import sys
    assert hidden == {str(tmp_path / "sitecustomize.py")!r} == sys.modules["sitecustomize"].__file__
    assert {STARTUP!r} not in sys.path
    """
    run(program, PYTHONPATH=os.pathsep.join((STARTUP, str(tmp_path))))


def test_errors_of_the_one_that_it_hides_are_told(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import nothing_that_is_there")
    told = run("", PYTHONPATH=os.pathsep.join((STARTUP, str(tmp_path))))
    assert "No module named 'nothing_that_is_there'" in told


def test_in_another_environment_it_does_nothing() -> None:
    copy = Path(STARTUP) / "sitecustomize.py"
    program = f"""
    import runpy, sys, types
    sys.modules["channels_bridge"] = None  # it is not installed
    sys.modules["sitecustomize"] = types.ModuleType("sitecustomize")
    runpy.run_path({str(copy)!r}, run_name="sitecustomize")
    assert not [finder for finder in sys.meta_path if "legacy" in type(finder).__module__]
    """
    run(program, CHANNELS_BRIDGE_CHANNELS1="1")


def test_who_imports_it_by_its_own_name_changes_nothing() -> None:
    before = list(sys.path), list(sys.meta_path)
    import_module("channels_bridge.worker.legacy.startup.sitecustomize")

    assert (sys.path, sys.meta_path) == before
