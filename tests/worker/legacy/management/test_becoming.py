"""A command that becomes another program takes along what that needs to find the project."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from django.conf import UserSettingsHolder, settings
from django.core.management.base import CommandError

from channels_bridge.worker.legacy import shims
from channels_bridge.worker.legacy.management import becoming


def test_what_a_new_program_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/first", "/second", str(tmp_path)]))
    variables = becoming.environment("other")
    assert variables["DJANGO_SETTINGS_MODULE"] == "channels1_project.settings"
    assert variables["CHANNELS_BRIDGE_LAYER"] == "other"
    assert variables["PATH"] == os.environ["PATH"]
    folders = variables["PYTHONPATH"].split(os.pathsep)
    assert folders[:3] == ["/first", "/second", str(tmp_path)]
    assert len(folders) == len(set(folders))


def test_settings_without_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_wrapped", UserSettingsHolder(settings._wrapped))
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    with pytest.raises(CommandError, match="needs a settings module"):
        becoming.environment("default")


def test_which_folders_are_the_projects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    paths = [
        "",
        str(tmp_path),
        str(tmp_path / "missing"),
        str(tmp_path / "file"),
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        f"{sysconfig.get_path('platstdlib')}/lib-dynload",
        str(tmp_path),
    ]
    monkeypatch.setattr(sys, "path", paths)
    assert becoming.own_folders() == [str(Path.cwd().resolve()), str(tmp_path.resolve())]


def test_what_v_means() -> None:
    assert [becoming.level(verbosity) for verbosity in range(5)] == ["warning", "info", "debug", "debug", "debug"]


def test_shims_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shims, "working", lambda: False)
    assert becoming.project_options() == ["--interface=channels1"]
    monkeypatch.setattr(shims, "working", lambda: True)
    assert becoming.project_options() == ["--interface=channels1", "--django-shims"]


@pytest.mark.system
def test_the_process_stays_the_same(tmp_path: Path) -> None:
    """It has the same id, says first what it had to say, and is what was asked for."""
    (tmp_path / "other.py").write_text(
        "import os, sys\nprint('other', os.getpid(), sys.argv[1:], os.environ['SAID'])\n"
    )
    program = """
import os
from channels_bridge.worker.legacy.management.becoming import become
print("first", os.getpid())
become("other", ["--a", "b c"], {**os.environ, "SAID": "yes"})
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    first, other = done.stdout.splitlines()
    pid = first.removeprefix("first ")
    assert other == f"other {pid} ['--a', 'b c'] yes"
