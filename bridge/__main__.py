"""``python -m channels_bridge.bridge`` is the command ``channels-bridge``."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="channels-bridge")
