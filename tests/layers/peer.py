"""Another process with a layer: ``python peer.py URL [URL ...]``. It does what it reads, a line for each call.

A call is ``(number, method, arguments, options)``, the answer ``(number, "" or the error's class, result or text)``,
all as Python literals. Calls run in threads of their own, so that one that waits keeps no other waiting.
"""

from __future__ import annotations

import ast
import sys
import threading
from typing import Any

from channels_bridge import SyncChannelLayer
from layers.actions import perform_sync

CAPACITY = 2000  # messages: nobody is in anybody's way, where bounds are not what is tested

_lock = threading.Lock()
_kept: list[Any] = []  # a channel ends with the name that new_channel() gave, and the other side has but a copy


def run(layer: Any, number: int, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    try:
        result = perform_sync(layer, method, arguments, options)
        _kept.append(result)
        answer: tuple[int, str, Any] = (number, "", result)
    except Exception as error:
        answer = (number, type(error).__name__, str(error))
    with _lock:
        sys.stdout.write(f"{answer!r}\n")
        sys.stdout.flush()


def main() -> None:
    layer = SyncChannelLayer(sys.argv[1:], capacity=CAPACITY)
    for line in sys.stdin:
        threading.Thread(target=run, args=(layer, *ast.literal_eval(line)), daemon=True).start()


if __name__ == "__main__":
    main()
