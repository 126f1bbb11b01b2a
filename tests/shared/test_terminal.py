"""A terminal that was closed is told from one that never was."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator

import pytest

from channels_bridge.shared.terminal import STDIN, Terminal


@pytest.fixture
def stdin() -> Iterator[None]:
    """Put back what stdin was."""
    before = os.dup(STDIN)
    yield
    os.dup2(before, STDIN)
    os.close(before)


@pytest.mark.usefixtures("stdin")
def test_one_that_is_closed_is_gone() -> None:
    end, its = pty.openpty()
    os.dup2(its, STDIN)
    os.close(its)
    terminal = Terminal()
    assert not terminal.is_gone
    os.close(end)
    assert terminal.is_gone


@pytest.mark.usefixtures("stdin")
def test_one_that_never_was_cannot_go() -> None:
    reading, writing = os.pipe()
    os.dup2(reading, STDIN)
    terminal = Terminal()
    os.close(reading)
    os.close(writing)
    assert not terminal.is_gone
