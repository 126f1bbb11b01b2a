"""``python -m channels_bridge.worker.legacy manage.py runserver``: runs a program that imports Channels 1, unmodified.

The programs that it starts can import it, too. ``--install`` does the same for every program of this environment.
"""

from __future__ import annotations

import argparse
import runpy
import shutil
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

from . import aliases
from .removed import OPTION

USAGE = """python -m channels_bridge.worker.legacy [--django-shims] [-m] PROGRAM [ARGUMENT ...]
       python -m channels_bridge.worker.legacy [--django-shims] --install
       python -m channels_bridge.worker.legacy --uninstall"""
PTH = "channels_bridge_channels1.pth"  # Python runs its lines at each start
LINE = "import channels_bridge.worker.legacy.aliases as aliases; aliases.install(django_shims={!r})\n"


def main(arguments: list[str]) -> None:
    """Do what the command line says. Raises ``SystemExit`` with a text, where that cannot be done."""
    options = _parser().parse_args(arguments)
    folder = Path(sysconfig.get_path("purelib"))
    if options.install:
        print(write(folder, django_shims=options.django_shims))  # noqa: T201
    elif options.uninstall:
        print(remove(folder))  # noqa: T201
    elif options.program:
        run(options.program, is_module=options.m, django_shims=options.django_shims)
    else:
        raise SystemExit(_parser().format_help())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(usage=USAGE, description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-m", action="store_true", help="PROGRAM is a module, as for python -m")
    what.add_argument("--install", action="store_true", help="let all programs of this environment import Channels 1")
    what.add_argument("--uninstall", action="store_true", help="take that back")
    parser.add_argument(OPTION, action="store_true", help="bring back what Django had then, such as django.utils.six")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="PROGRAM [ARGUMENT ...]")
    return parser


def run(program: list[str], *, is_module: bool = False, django_shims: bool = False) -> None:
    """Run a script, a command of the PATH that is one, or a module, in this process and as ``__main__``."""
    aliases.install(django_shims=django_shims)
    aliases.tell_children(django_shims=django_shims)
    if is_module:
        sys.argv = program
        runpy.run_module(program[0], run_name="__main__", alter_sys=True)
        return
    script = program[0] if Path(program[0]).exists() else shutil.which(program[0])
    if script is None:
        raise SystemExit(f"there is no script {program[0]!r}, here or on the PATH")
    sys.argv = [script, *program[1:]]
    sys.path[0] = str(Path(script).resolve().parent)  # where python -m has the working directory
    runpy.run_path(script, run_name="__main__")


def write(folder: Path, *, django_shims: bool = False) -> str:
    """Have each Python that looks into this site-packages install the aliases; give what to tell the user."""
    for found in distributions(name="channels", path=[str(folder)]):
        if not found.version.startswith("1."):
            raise SystemExit(
                f"Channels {found.version} is installed in {folder}: its projects would find Channels 1 in its place."
                " Remove it (pip uninstall channels), or make an environment for the projects with Channels 1"
            )
    file = folder / PTH
    try:
        file.write_text(LINE.format(django_shims))
    except OSError as error:
        raise SystemExit(f"cannot write {file}: {error.strerror}") from error
    return f"wrote {file}: all programs of this environment can import Channels 1"


def remove(folder: Path) -> str:
    """Take that back; give what to tell the user."""
    file = folder / PTH
    try:
        file.unlink()
    except FileNotFoundError:
        return f"there is no {file}: nothing to remove"
    except OSError as error:
        raise SystemExit(f"cannot remove {file}: {error.strerror}") from error
    return f"removed {file}"


if __name__ == "__main__":
    main(sys.argv[1:])
