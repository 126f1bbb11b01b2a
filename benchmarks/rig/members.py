"""The receiving process: one channel, one named channel, and a group of many channels, each with its task.

    python -m benchmarks.rig.members ours ipc:///run/bench/ /tmp/pipe bench --members 1000

Prints ``channel=...`` once all are there. What arrives it tells on the pipe (channel_layers.Receipts).
"""

from __future__ import annotations

import argparse
import asyncio
import time

from .channel_layers import LAYERS, NAMED, UNDER_WAY, Layer, Receipts, run


async def single(layer: Layer, channel: str, receipts: Receipts) -> None:
    """Tell of each message of a channel."""
    while True:
        message = await layer.receive(channel)
        receipts.arrived(message, time.monotonic_ns())


async def member(layer: Layer, channel: str, receipts: Receipts) -> None:
    """Count each message of the group; one that is doubled or out of order ends the process."""
    last = -1
    while True:
        message = await layer.receive(channel)
        number = message["number"]
        if number <= last:
            raise AssertionError(f"{channel} had message {last} and then {number}")
        last = number
        receipts.member(message, number % UNDER_WAY)


async def main(options: argparse.Namespace) -> None:
    layer = LAYERS[options.layer](options.url)
    receipts = Receipts(options.pipe, options.members)
    channel = await layer.new_channel()
    channels = [await layer.new_channel() for _ in range(options.members)]
    async with asyncio.TaskGroup() as tasks:
        for name in (channel, NAMED):
            tasks.create_task(single(layer, name, receipts))
        for name in channels:
            tasks.create_task(member(layer, name, receipts))
        for name in channels:
            await layer.group_add(options.group, name)
        print(f"channel={channel}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("layer", choices=LAYERS)
    parser.add_argument("url")
    parser.add_argument("pipe")
    parser.add_argument("group")
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--loop", default="uvloop")
    return parser.parse_args()


if __name__ == "__main__":
    chosen = parse()
    run(main(chosen), chosen.loop)
