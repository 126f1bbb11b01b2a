"""A path -> a report."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels_bridge.bridge.migration.scanning import parts, printable, scan
from scanned import write


def test_a_folder(tmp_path: Path) -> None:
    top = write(
        tmp_path,
        {
            "b/consumers.py": "from channels import Group, route",
            "a.py": "x = 1",
            "empty.py": "",
            "old.py": "print 'x'",
            "t/chat.html": "{% load staticfiles %}",
        },
    )
    report = scan(top)
    assert (report.path, report.files, report.templates) == (str(top), 4, 1)
    assert [(one.file, one.name) for one in report.findings] == [
        ("b/consumers.py", "channels.Group"),
        ("b/consumers.py", "channels.route"),
        ("old.py", "SyntaxError"),
        ("t/chat.html", "{% load staticfiles %}"),
    ]
    assert report.counts == {"runs": 2, "differs": 0, "change": 2}
    assert scan(top, shims=True).counts == {"runs": 2, "differs": 1, "change": 1}


def test_a_file(tmp_path: Path) -> None:
    top = write(tmp_path, {"a.py": "message.reply_channel"})
    [finding] = scan(top / "a.py").findings
    assert (finding.file, finding.name) == ("a.py", "channels.message.Message.reply_channel")


def test_a_template_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"<p>\n<p>\n<p>\xe9")
    [finding] = scan(tmp_path).findings
    assert (finding.line, finding.name, finding.verdict) == (3, "UnicodeDecodeError", "change")


def test_a_project_in_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(
        write(tmp_path, {"chat/a.py": "from ..compat import Group", "compat.py": "from channels import Group"})
    )
    assert [one.file for one in scan(Path()).findings] == ["chat/a.py", "compat.py"]


def test_one_finding_for_one_thing(tmp_path: Path) -> None:
    """Bindings of both ways are looked at once each."""
    source = "try:\n  from channels import Group\nexcept ImportError:\n  from channels import Group\nGroup('x')"
    assert [one.line for one in scan(write(tmp_path, {"a.py": source})).findings] == [2, 4, 5]


def test_full_names() -> None:
    top = Path("/srv/site-1.0")
    assert parts(top / "my.app" / "a.py", top) == ("site-1_0", "my_app", "a")
    assert parts(top / "a.py", top / "a.py") == ("a",)


def test_names_that_cannot_be_printed() -> None:
    assert printable("ä.py") == "ä.py"
    assert printable("\udcff\x1b[2J.py") == "?\\x1b[2J.py"
