"""What is told of a line."""

from __future__ import annotations

from channels_bridge.bridge.migration.findings import Finding, Report, count

FIRST = Finding("a.py", 2, 1, "channels.Group", "runs", "")
SECOND = Finding("a.py", 10, 5, "channels.Channel", "change", "Write it so.")
THIRD = Finding("b.py", 1, 1, "channels.route", "runs", "")


def test_they_sort_by_file_and_line_and_column() -> None:
    assert sorted([THIRD, SECOND, FIRST]) == [FIRST, SECOND, THIRD]


def test_each_verdict_is_counted_even_where_there_is_none() -> None:
    assert count([FIRST, SECOND, THIRD]) == {"runs": 2, "differs": 0, "change": 1}
    assert Report("site", 2, 0, (FIRST, SECOND)).counts == {"runs": 1, "differs": 0, "change": 1}
