"""A path -> all that is to be told of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from . import templates
from .bodies import bodies
from .dotted import dotted
from .files import find, is_template
from .findings import Finding, Report
from .judging import is_channels1, is_known
from .modules import Module, Unreadable, decode, read
from .others import LATER
from .project import Project
from .references import Found, imports, uses
from .replies import compared
from .routes import routes
from .settings import settings
from .usage import usage
from .users import has_django, users


def scan(path: Path, shims: bool = False) -> Report:
    """Read the file, or all files below the folder. ``shims``: whether it is to be started with ``--django-shims``."""
    modules: list[Module] = []
    findings: list[Finding] = []
    unread: list[tuple[str, ...]] = []
    files = pages = 0
    for file in find(path):
        name = printable(file.name if file == path else file.relative_to(path).as_posix())
        try:
            if is_template(file):
                pages += 1
                findings += templates.scan(decode(file), name, shims)
            else:
                files += 1
                modules.append(read(file, name, parts(file, path)))
        except Unreadable as error:
            unread.append(parts(file, path))
            findings.append(Finding(name, error.line, error.column, error.name, "change", error.text))
    findings += _python(Project(modules, is_known, unread), shims, is_alone=not path.is_dir())
    return Report(printable(str(path)), files, pages, tuple(sorted(set(findings))))


def parts(file: Path, top: Path) -> tuple[str, ...]:
    """Give the full name of a module: the folder that was asked about, those below, and its own name."""
    if file == top:
        return (file.stem,)
    folders = [top.resolve().name, *file.relative_to(top).parent.parts]
    return (*(folder.replace(".", "_") for folder in folders), file.stem)


def printable(name: str) -> str:
    """Make a file's name one that can be printed, whatever bytes it has."""
    text = name.encode(errors="replace").decode()
    return text if text.isprintable() else repr(text)[1:-1]


def _python(project: Project, shims: bool, is_alone: bool) -> Iterator[Finding]:
    sure = {module: list(_sure(project, module, shims)) for module in project.modules}
    has_channels1 = is_alone or any(_is_channels1(name) for found in sure.values() for _, name, _ in found)
    asks_users = has_channels1 or any(map(has_django, project.modules))
    for module, found in sure.items():
        yield from (_finding(module, one) for one in found)
        is_later = any(rule is LATER for _, _, rule in found)
        if asks_users:
            yield from (_finding(module, one) for one in users(module))
        if has_channels1:
            yield from (_finding(module, one) for one in usage(project, module, is_later))
            yield from (_finding(module, one) for one in compared(module))


def _sure(project: Project, module: Module, shims: bool) -> Iterator[Found]:
    """Give what names and settings tell, whatever else is there."""
    by_name = (search(project, module, shims) for search in (imports, uses))
    by_text = (search(project, module) for search in (bodies, settings, routes, dotted))
    return chain(*by_name, *by_text)


def _is_channels1(name: str) -> bool:
    return name.startswith("routing: ") or is_channels1(name)


def _finding(module: Module, found: Found) -> Finding:
    node, name, rule = found
    line, column = module.place(node)
    return Finding(module.file, line, column, name, rule.verdict, rule.text)
