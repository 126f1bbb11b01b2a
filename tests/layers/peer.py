"""Another process with a layer: ``python peer.py sync|asyncio|trio URL [URL ...]``. It does what it reads.

A line is a pickled call, ``(number, method, arguments, options)``; the answer is ``(number, error, result)``. An error
is its class's name, and the result then its text. Sync calls run in threads of their own, async ones as tasks of the
main thread's loop, so that one that waits keeps no other waiting.
"""

from __future__ import annotations

import base64
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread

from channels_bridge import ChannelLayer, SyncChannelLayer
from layers.actions import perform, perform_sync

CAPACITY = 2000  # messages: nobody is in anybody's way, where bounds are not what is tested

_lock = threading.Lock()
_kept: list[Any] = []  # a channel ends with the name that new_channel() gave, and the other side has but a copy


def to_line(thing: Any) -> str:
    return base64.b64encode(pickle.dumps(thing)).decode() + "\n"


def from_line(line: str) -> Any:
    return pickle.loads(base64.b64decode(line))


def answer(number: int, error: Exception | None, result: Any) -> None:
    _kept.append(result)
    plain = str(result) if isinstance(result, str) else result
    outcome = (number, "", plain) if error is None else (number, type(error).__name__, str(error))
    with _lock:
        sys.stdout.write(to_line(outcome))
        sys.stdout.flush()


def run_sync(layer: Any, number: int, *call: Any) -> None:
    try:
        result = perform_sync(layer, *call)
    except Exception as error:
        answer(number, error, None)
    else:
        answer(number, None, result)


async def run(layer: Any, number: int, *call: Any) -> None:
    try:
        result = await perform(layer, *call)
    except Exception as error:
        answer(number, error, None)
    else:
        answer(number, None, result)


def read(begin: Callable[..., object]) -> None:
    for line in sys.stdin:
        begin(*from_line(line))


def main_sync(*urls: str) -> None:
    layer = SyncChannelLayer(urls, capacity=CAPACITY)
    read(lambda *call: threading.Thread(target=run_sync, args=(layer, *call), daemon=True).start())


async def main(*urls: str) -> None:
    layer = ChannelLayer(urls, capacity=CAPACITY)
    async with anyio.create_task_group() as tasks:

        def start(*call: Any) -> None:
            tasks.start_soon(run, layer, *call)

        def begin(*call: Any) -> None:
            anyio.from_thread.run_sync(start, *call)

        await anyio.to_thread.run_sync(read, begin)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        main_sync(*sys.argv[2:])
    else:
        anyio.run(main, *sys.argv[2:], backend=sys.argv[1])
