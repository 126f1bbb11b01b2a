import importlib
import subprocess
import sys


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "channels_bridge.worker", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: channels-worker [OPTIONS] APP\n")
    assert "--parent-fd" not in done.stdout
    assert "--supervise" not in done.stdout


def test_importing_it_does_nothing() -> None:
    """As tools do that walk through all modules of a package."""
    importlib.import_module("channels_bridge.worker.__main__")
