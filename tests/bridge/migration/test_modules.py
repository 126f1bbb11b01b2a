"""Reading one Python file, or saying why it cannot be read."""

from __future__ import annotations

import ast
import sys
import warnings
from pathlib import Path

import pytest

from channels_bridge.bridge.migration.modules import Module, Unreadable, decode, read


def module(folder: Path, source: str | bytes, parts: tuple[str, ...] = ("site", "a")) -> Module:
    file = folder / "a.py"
    file.write_bytes(source.encode() if isinstance(source, str) else source)
    return read(file, "a.py", parts)


def refused(folder: Path, source: str | bytes) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        module(folder, source)
    return caught.value


def test_a_package_is_named_by_its_folder(tmp_path: Path) -> None:
    package = module(tmp_path, "from . import b", ("site", "chat", "__init__"))
    assert (package.parts, package.is_package) == (("site", "chat"), True)
    assert package.scope.names["b"][0].target == ".site.chat.b"
    plain = module(tmp_path, "from . import b", ("site", "chat", "a"))
    assert (plain.parts, plain.is_package) == (("site", "chat", "a"), False)
    assert plain.scope.names["b"][0].target == ".site.chat.b"


def test_columns_count_characters(tmp_path: Path) -> None:
    read_ = module(tmp_path, 'x = "ä€𝄞"; y = 1\r\nz = 2\r\n')
    stored = {node.id: node for node in ast.walk(read_.tree) if isinstance(node, ast.Name)}
    assert [read_.place(stored[name]) for name in "xyz"] == [(1, 1), (1, 12), (2, 1)]


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    assert module(tmp_path, "").tree.body == []


def test_a_bom_and_a_coding_line_are_understood(tmp_path: Path) -> None:
    assert len(module(tmp_path, b"\xef\xbb\xbfx = 1\n").tree.body) == 1
    assert len(module(tmp_path, b"# -*- coding: latin-1 -*-\nx = '\xe9'\n").tree.body) == 1


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("import a\n\nprint 'x'\n", 3, "print"),
        ("try:\n    pass\nexcept A, e:\n    pass\n", 3, "parenthesized"),
        ("f(async=True)\n", 1, "invalid syntax"),
        ("x = 0777\n", 1, "leading zeros"),
        ("raise E, 'x'\n", 1, "invalid syntax"),
        ("if x:\n\ty\n        z\n", 3, "inconsistent"),
    ],
)
def test_python_2_is_told_with_its_line_and_what_to_do(tmp_path: Path, source: str, line: int, word: str) -> None:
    error = refused(tmp_path, source)
    assert (error.line, error.name) == (line, "SyntaxError")
    assert error.column >= 1
    assert word in error.text
    assert "make it valid Python 3" in error.text


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    error = refused(tmp_path, b"x = 1\n" * 9 + b"y = '\xe9'\n")
    assert (error.line, error.name) == (10, "UnicodeDecodeError")
    assert "save it as UTF-8" in error.text
    assert "UTF-8" in refused(tmp_path, b"# coding: no-such\n").text
    assert "UTF-8" in refused(tmp_path, b"'\xe9'").text


def test_null_bytes(tmp_path: Path) -> None:
    assert refused(tmp_path, "x = 1\0\n").name == "SyntaxError"


def test_a_long_sum_is_read(tmp_path: Path) -> None:
    before = sys.getrecursionlimit()
    read_ = module(tmp_path, "import a\nx = " + " + ".join(["a.b"] * 2000))
    assert sum(isinstance(node, ast.Attribute) for node in read_.reader.scope_of) == 2000
    assert sys.getrecursionlimit() == before


def test_what_is_nested_too_deeply(tmp_path: Path) -> None:
    assert refused(tmp_path, f"x = {'-' * 3000}1").line == 1
    assert refused(tmp_path, "(" * 300 + ")" * 300).line == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unreadable) as caught:
        decode(tmp_path / "gone.py")
    assert caught.value.name == "OSError"
    assert "No such file" in caught.value.text


def test_what_python_only_warns_of_is_no_matter(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module(tmp_path, 'x = "\\d"; y = 1 is 1').tree.body
