"""``python -m channels_bridge.worker`` is the command ``channels-worker``."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="channels-worker")
