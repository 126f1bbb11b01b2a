"""What the bridges behind a URL say of themselves, for tests that run them in processes of their own."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio

from channels_bridge.bridge.commands.asking import reaching


def statuses(url: str) -> list[dict[str, Any]]:
    """Ask each bridge process behind the URL what it has and does; from any thread, whatever loop runs in it."""

    async def ask() -> list[dict[str, Any]]:
        async with reaching([url]) as lines:
            return [await line.ask("status") for line in lines if line.is_ready]

    with ThreadPoolExecutor(1) as other:
        return other.submit(anyio.run, ask).result()


def ledgers(url: str) -> list[dict[str, Any]]:
    """Give the rows of all ledgers."""
    return [ledger for status in statuses(url) for ledger in status["ledgers"]]


def refused(url: str) -> Counter[str]:
    """Count what was refused, by outcome."""
    counted: Counter[str] = Counter()
    for ledger in ledgers(url):
        counted.update(ledger["refused"])
    return counted
