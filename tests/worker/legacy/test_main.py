"""``python -m channels_bridge.worker.legacy``: programs that import Channels 1, and the environment's start."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from channels1_programs import python, run
from channels_bridge.worker.legacy import __main__ as command

MODULE = ("-m", "channels_bridge.worker.legacy")
MANAGE = """
import subprocess, sys
import channels, beside
print(__name__, sys.argv[1:], channels.__version__, flush=True)
if sys.argv[1] == "runserver":  # as an autoreloader does it
    subprocess.run([sys.executable, *sys.argv[:1], "child"], check=True)
if sys.argv[1] == "shims":
    from django.utils import six
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with a script, and a module that it imports."""
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "manage.py").write_text(MANAGE)
    return tmp_path


def test_a_script_runs_as_ever_and_so_do_the_programs_that_it_starts(project: Path) -> None:
    printed = python(*MODULE, "manage.py", "runserver", "--noreload", cwd=project).splitlines()
    assert printed == ["__main__ ['runserver', '--noreload'] 1.1.8", "__main__ ['child'] 1.1.8"]


def test_its_folder_comes_first_wherever_it_is_started(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert "1.1.8" in python(*MODULE, str(project / "manage.py"), "-x", cwd=elsewhere)


def test_a_module_runs_as_python_would_run_it(project: Path) -> None:
    assert python(*MODULE, "-m", "manage", "-m", "y", cwd=project) == "__main__ ['-m', 'y'] 1.1.8\n"


def test_a_command_of_the_path_runs(project: Path) -> None:
    (project / "bin").mkdir()
    script = (project / "manage.py").rename(project / "bin/celery")
    script.chmod(0o755)
    (project / "beside.py").rename(project / "bin/beside.py")
    assert python(*MODULE, "celery", "-A", cwd=project, PATH=str(project / "bin")) == "__main__ ['-A'] 1.1.8\n"


def test_the_removed_helpers_come_by_option_and_in_child_processes_too(project: Path) -> None:
    python(*MODULE, "--django-shims", "manage.py", "shims", cwd=project)
    assert "with --django-shims" in python(*MODULE, "manage.py", "shims", cwd=project, code=1)
    child = (project / "manage.py").read_text().replace('"child"', '"shims"')
    (project / "manage.py").write_text(child)
    python(*MODULE, "--django-shims", "manage.py", "runserver", cwd=project)


def test_what_cannot_be_run_is_told(project: Path) -> None:
    assert "there is no script 'nothing'" in python(*MODULE, "nothing", cwd=project, code=1)
    assert "PROGRAM [ARGUMENT ...]" in python(*MODULE, code=1)


def test_an_environment_can_have_the_aliases_from_its_start(tmp_path: Path) -> None:
    told = command.write(tmp_path)
    assert told == f"wrote {tmp_path / command.PTH}: all programs of this environment can import Channels 1"
    start = f"import site; site.addsitedir({str(tmp_path)!r})\n"
    run(start + "import channels; assert channels.__version__ == '1.1.8'")
    assert "with --django-shims" in run(start + "import django.utils.six", code=1)
    command.write(tmp_path, django_shims=True)
    run(start + "import django.utils.six")
    assert command.remove(tmp_path) == f"removed {tmp_path / command.PTH}"
    run(start + "import channels; assert channels.__version__ != '1.1.8'")
    assert command.remove(tmp_path).endswith("nothing to remove")


def test_an_environment_with_a_later_channels_is_left_alone(tmp_path: Path) -> None:
    metadata = tmp_path / "channels-4.3.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: channels\nVersion: 4.3.2\n")
    with pytest.raises(SystemExit, match=r"^Channels 4\.3\.2 is installed in .*pip uninstall channels"):
        command.write(tmp_path)
    assert not (tmp_path / command.PTH).exists()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: channels\nVersion: 1.1.8\n")
    command.write(tmp_path)
    assert (tmp_path / command.PTH).exists()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"cannot write .*: No such file"):
        command.write(tmp_path / "missing")
    (tmp_path / command.PTH).mkdir()
    with pytest.raises(SystemExit, match="cannot remove"):
        command.remove(tmp_path)


def test_the_command_takes_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    command.main(["--django-shims", "--install"])
    assert (tmp_path / command.PTH).read_text().endswith("install(django_shims=True)\n")
    command.main(["--uninstall"])
    assert list(tmp_path.iterdir()) == []
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["wrote", "removed"]
