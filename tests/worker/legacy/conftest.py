"""Django for these tests: set up once, with a database in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import channels1_project

channels1_project.choose()


@pytest.fixture(scope="session", autouse=True)
def tables() -> None:
    """Make the tables, once."""
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)


@pytest.fixture
def empty_tables() -> Iterator[None]:
    """Give the test tables without rows, and leave none behind."""
    from django.core.management import call_command

    yield
    call_command("flush", interactive=False, verbosity=0)
