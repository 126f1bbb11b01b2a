"""Reading one Python file: its text, its tree, its scopes; or the reason why it cannot be read."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .scopes import Reader, Scope

VERSION = ".".join(map(str, sys.version_info[:2]))
DEEP = 20_000  # calls; the parser ends at 3 times the usual limit of 1,000, and each level is three calls
LINE_ENDS = re.compile(r"\r\n|\r|\n")  # those that Python counts


@dataclass(frozen=True, slots=True)
class Unreadable(Exception):
    """A file that cannot be read; ``name`` and ``text`` as in a finding."""

    line: int
    column: int
    name: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """A Python file."""

    file: str  # as findings name it
    parts: tuple[str, ...]  # its full name, from the folder that was asked about on
    is_package: bool
    tree: ast.Module
    lines: list[str]
    reader: Reader

    @property
    def scope(self) -> Scope:
        """What is bound at its top level."""
        return self.reader.module

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Give line and column of a node, both from 1, the column in characters."""
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        before = self.lines[line - 1].encode()[:offset] if line <= len(self.lines) else b""
        return line, len(before.decode(errors="replace")) + 1


def read(path: Path, file: str, parts: tuple[str, ...]) -> Module:
    """Read a file, or raise ``Unreadable``. ``parts``: the folders from the top on, and its name without the ending."""
    text = decode(path)
    is_package = parts[-1] == "__init__"
    parts = parts[:-1] if is_package else parts
    package = ".".join(("", *(parts if is_package else parts[:-1])))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as invalid escapes, which Python still takes
            tree = ast.parse(text)
        with _deeply():
            reader = Reader(tree, package)
        return Module(file, parts, is_package, tree, LINE_ENDS.split(text), reader)
    except SyntaxError as error:
        raise _not_python(error) from None
    except ValueError as error:  # null bytes, in some versions
        raise Unreadable(
            1, 1, "SyntaxError", f"this is no Python source ({error}): remove or repair the file"
        ) from None
    except (RecursionError, MemoryError):
        text = "this is nested too deeply to be looked at: check it by hand"
        raise Unreadable(1, 1, "RecursionError", text) from None


@contextmanager
def _deeply() -> Generator[None, None, None]:
    """Let Python code call itself as often as the parser nests: a sum of 900 terms is 900 deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def decode(path: Path) -> str:
    """Read a source as Python does, by its BOM or coding line, else as UTF-8; raises ``Unreadable``."""
    try:
        data = path.read_bytes()
    except OSError as error:
        text = f"the file cannot be read ({error.strerror}): let it be read, and run this again"
        raise Unreadable(1, 1, "OSError", text) from None
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        raise Unreadable(
            1, 1, "SyntaxError", f"{error.msg}: save it as UTF-8, or name its encoding in line 1"
        ) from None
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
        text = f"this is not {encoding}: save it as UTF-8, or name its encoding in line 1"
        raise Unreadable(line, 1, "UnicodeDecodeError", text) from None


def _not_python(error: SyntaxError) -> Unreadable:
    advice = "make it valid Python 3, as 2to3 does, and run this again: nothing else in it was looked at"
    said = (error.msg or "invalid syntax").rstrip(".?")
    return Unreadable(
        error.lineno or 1,
        max(error.offset or 1, 1),
        "SyntaxError",
        f"Python {VERSION} cannot read it ({said}): {advice}",
    )
