"""What a test has a layer do, other than calling one method: the same things with ``await`` and without.

A seat names what it wants by a string, as it may run in another thread, another loop or another process: one of the
actions here, or a method of the layer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

Message = dict[str, Any]
INTERRUPTION = 0.002  # seconds at most until a receive is cancelled: about what a message takes


async def each(layer: Any, method: str, *calls: tuple[Any, ...]) -> list[Any]:
    """Call a method again and again, with other arguments each time; each call is over before the next."""
    return [await getattr(layer, method)(*arguments) for arguments in calls]


def each_sync(layer: Any, method: str, *calls: tuple[Any, ...]) -> list[Any]:
    return [getattr(layer, method)(*arguments) for arguments in calls]


async def take(layer: Any, channel: str, count: int) -> list[Message]:
    """Receive so many messages."""
    return [await layer.receive(channel) for _ in range(count)]


def take_sync(layer: Any, channel: str, count: int) -> list[Message]:
    return [layer.receive(channel) for _ in range(count)]


async def take_until_stop(layer: Any, channel: str) -> list[Message]:
    """Receive messages up to the first of type "stop"."""
    got: list[Message] = []
    while (message := await layer.receive(channel))["type"] != "stop":
        got.append(message)
    return got


def take_until_stop_sync(layer: Any, channel: str) -> list[Message]:
    got: list[Message] = []
    while (message := layer.receive(channel))["type"] != "stop":
        got.append(message)
    return got


async def take_interrupted(layer: Any, channel: str, count: int) -> list[Message]:
    """Receive so many messages, by receives that are cancelled all the time."""
    got: list[Message] = []
    while len(got) < count:
        with anyio.move_on_after(random.random() * INTERRUPTION):
            got.append(await layer.receive(channel))
    return got


async def cancelled(layer: Any, method: str, *arguments: Any) -> bool:
    """Call a method that waits, and cancel it; say whether it was."""
    with anyio.move_on_after(0.01) as scope:
        await getattr(layer, method)(*arguments)
    return scope.cancelled_caught


async def change_after_send(layer: Any, method: str, name: str, message: Message) -> None:
    """Send a message, and change it all over before anybody can have looked at it."""
    await getattr(layer, method)(name, message)
    change(message)


def change_after_send_sync(layer: Any, method: str, name: str, message: Message) -> None:
    getattr(layer, method)(name, message)
    change(message)


async def take_and_change(layer: Any, *channels: str) -> list[str]:
    """Receive one message from each of these channels; give what it looked like, and change it."""
    seen: list[str] = []
    for channel in channels:
        message = await layer.receive(channel)
        seen.append(repr(message))
        change(message)
    return seen


def take_and_change_sync(layer: Any, *channels: str) -> list[str]:
    seen: list[str] = []
    for channel in channels:
        message = layer.receive(channel)
        seen.append(repr(message))
        change(message)
    return seen


def change(message: Message) -> None:
    message["type"] = "changed"
    message["list"].append("changed")
    message["dict"]["inner"]["changed"] = True


async def answer(layer: Any, channel: str, count: int) -> list[bool]:
    """Answer so many messages with what they said; give of each whether it wanted to be answered."""
    wanted: list[bool] = []
    async for request in layer.listen(channel):
        wanted.append(request.wants_reply)
        assert request.channel == channel
        if request.wants_reply:
            await request.reply({"type": "answer", "to": request.message})
        if len(wanted) == count:
            break
    return wanted


def answer_sync(layer: Any, channel: str, count: int, delay: float = 0.0) -> list[bool]:
    """The same, but it may take so many seconds for each."""
    wanted: list[bool] = []
    for request in layer.listen(channel):
        time.sleep(delay)
        wanted.append(request.wants_reply)
        assert request.channel == channel
        if request.wants_reply:
            request.reply({"type": "answer", "to": request.message})
        if len(wanted) == count:
            break
    return wanted


ASYNC: dict[str, Callable[..., Awaitable[Any]]] = {
    action.__name__: action
    for action in (
        each,
        take,
        take_until_stop,
        take_interrupted,
        cancelled,
        change_after_send,
        take_and_change,
        answer,
    )
}
SYNC: dict[str, Callable[..., Any]] = {
    "each": each_sync,
    "take": take_sync,
    "take_until_stop": take_until_stop_sync,
    "change_after_send": change_after_send_sync,
    "take_and_change": take_and_change_sync,
    "answer": answer_sync,
}


async def perform(layer: Any, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Do it with a layer whose methods are awaited."""
    action = ASYNC.get(method)
    if action is not None:
        return await action(layer, *arguments, **options)
    return await getattr(layer, method)(*arguments, **options)


def perform_sync(layer: Any, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Do it with a layer whose methods are called."""
    action = SYNC.get(method)
    if action is not None:
        return action(layer, *arguments, **options)
    return getattr(layer, method)(*arguments, **options)
