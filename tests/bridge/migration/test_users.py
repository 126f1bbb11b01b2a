"""What is asked of users."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanned import scanned, told

ASKED = "request.user.is_authenticated()\nuser.is_anonymous()"


def test_it_is_told_wherever_there_is_code_for_django(tmp_path: Path) -> None:
    files = {"views.py": f"from django.shortcuts import render\n{ASKED}", "tags.py": ASKED}
    assert told(scanned(tmp_path, files)) == [
        (1, "django.contrib.auth.models.User.is_authenticated()", "change"),
        (2, "django.contrib.auth.models.User.is_anonymous()", "change"),
        (2, "django.contrib.auth.models.User.is_authenticated()", "change"),
        (3, "django.contrib.auth.models.User.is_anonymous()", "change"),
    ]


def test_and_wherever_there_is_channels_1(tmp_path: Path) -> None:
    assert len(scanned(tmp_path, f"import channels\n{ASKED}")) == 3


@pytest.mark.parametrize("start", ["", "import flask", "from .django import x", "import djangonaut"])
def test_elsewhere_it_means_something_else(tmp_path: Path, start: str) -> None:
    assert scanned(tmp_path, f"{start}\n{ASKED}") == ()


@pytest.mark.parametrize(
    "line", ["self.is_authenticated()", "backend.is_authenticated(request)", "user.is_authenticated", "is_anonymous()"]
)
def test_what_may_be_another_method(tmp_path: Path, line: str) -> None:
    assert scanned(tmp_path, f"import django.contrib.auth\n{line}") == ()
