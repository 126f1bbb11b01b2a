"""docs/operations.md: what it says of counters and of logging configurations is so."""

from __future__ import annotations

import dataclasses
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels_bridge.bridge.core.statistics import Statistics

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "operations.md").read_text()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Put back what the root logger was."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = before
    root.setLevel(level)


def test_every_counter_is_explained_by_the_name_that_is_printed() -> None:
    table = PAGE.partition("| what | counts |\n|---|---|\n")[2].partition("\n\n")[0]
    explained = [line.split("|")[1].strip() for line in table.splitlines()]
    assert explained == [field.name.replace("_", " ") for field in dataclasses.fields(Statistics)]


def test_the_logging_configuration_shows_what_a_bridge_says(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    [block] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    logging.config.dictConfig(json.loads(block))
    logging.getLogger("channels_bridge.bridge").info("listening for workers on %s", "ipc:///run/chat/")
    assert root.level == logging.INFO
    assert capsys.readouterr().err.endswith(
        " INFO    channels_bridge.bridge: listening for workers on ipc:///run/chat/\n"
    )
