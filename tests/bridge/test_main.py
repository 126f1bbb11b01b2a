import importlib
import subprocess
import sys


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "channels_bridge.bridge", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: channels-bridge [OPTIONS] COMMAND [ARGS]...\n")
    assert "serve" in done.stdout


def test_importing_it_does_nothing() -> None:
    """As tools do that walk through all modules of a package."""
    importlib.import_module("channels_bridge.bridge.__main__")
