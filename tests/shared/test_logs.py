import subprocess
import sys

import pytest

from channels_bridge.shared import logs

PROGRAM = """
import logging, sys
from channels_bridge.shared import logs
logs.set_up(sys.argv[1])
for name in ("debug", "info", "warning"):
    getattr(logging.getLogger("some.name"), name)("a line of %s", name)
"""


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        ("trace", ["debug", "info", "warning"]),
        ("debug", ["debug", "info", "warning"]),
        ("info", ["info", "warning"]),
        ("error", []),
    ],
)
def test_what_is_of_the_level_goes_to_stderr_a_line_each(level: str, lines: list[str]) -> None:
    command = [sys.executable, "-c", PROGRAM, level]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    written = done.stderr.splitlines()
    assert [line.rpartition(" ")[2] for line in written] == lines
    assert all(f" {line.rpartition(' ')[2].upper()} " in line for line in written)
    assert all("] some.name: a line of " in line for line in written)


def test_every_level_is_known() -> None:
    assert {"critical", "error", "warning", "info", "debug", "trace"} == set(logs.LEVELS)
