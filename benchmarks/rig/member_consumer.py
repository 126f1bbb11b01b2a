"""The receiving process as a worker: its consumers are the members, and nothing is sent to their clients."""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks.rig.channel_layers import UNDER_WAY, Receipts

from channels_bridge import AsyncConsumer

RECEIPTS = Receipts(os.environ["BENCH_PIPE"], int(os.environ["BENCH_MEMBERS"]))


class Member(AsyncConsumer):
    """``/single`` prints its channel; every other connection is a member of the group."""

    type = "websocket"
    alone = False
    last = -1

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        self.alone = message["path"] == "/single"
        if self.alone:
            print(f"channel={self.consumer_channel}", flush=True)
        else:
            await self.channel_layer.group_add(os.environ["BENCH_GROUP"], self.consumer_channel)

    async def bench_message(self, message: dict[str, Any]) -> None:
        number = message["number"]
        if number <= self.last:
            raise AssertionError(f"had message {self.last} and then {number}")
        self.last = number
        if self.alone:
            RECEIPTS.arrived(message, time.monotonic_ns())
        else:
            RECEIPTS.member(message, number % UNDER_WAY)
