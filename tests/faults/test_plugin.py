"""What pytest loads in every environment with channels-bridge, and docs/testing.md as a user's own test file."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "testing.md"


def test_the_plugin_loads_nothing_until_a_test_asks_for_it() -> None:
    program = """
import sys
import channels_bridge.testing.plugin
ours = {name for name in sys.modules if name.startswith("channels_bridge.")}
print(sorted(ours | ({"anyio", "trio", "zmq", "msgpack"} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['channels_bridge.testing', 'channels_bridge.testing.plugin']\n"


def test_pytest_is_told_of_it() -> None:
    (found,) = (entry for entry in metadata.entry_points(group="pytest11") if entry.name == "channels_bridge")
    assert found.value == "channels_bridge.testing.plugin"


def test_the_page_is_a_test_file(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(import pytest\n.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "test_page.py").write_text(code)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "8 passed" in done.stdout, done.stdout + done.stderr
