"""Have a file drawn: ``python -m examples.thumbnails FILE [--bridge URL]``. The picture goes to standard output."""

from __future__ import annotations

import argparse
from pathlib import Path

from channels_bridge import SyncChannelLayer


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a text as a small picture, in the background.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--bridge", metavar="URL", help="where bridges are; by default $CHANNELS_BRIDGE_URL")
    given = parser.parse_args()
    layer = SyncChannelLayer(given.bridge)
    answer = layer.request("thumbnails", {"type": "draw", "text": given.file.read_text()}, timeout=30.0)
    print(answer["svg"])


if __name__ == "__main__":
    main()
