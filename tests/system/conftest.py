"""What holds for every system test: at its end, each bridge can say what became of every message that it accepted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from channels_bridge.bridge.commands.asking import reaching
from channels_bridge.testing.processes import GRACE, ServerProcess


def statuses(url: str) -> list[dict[str, Any]]:
    """Ask each bridge process behind a URL what it has and does; from any thread, whatever loop runs in it."""

    async def ask() -> list[dict[str, Any]]:
        async with reaching([url]) as lines:
            return [await line.ask("status") for line in lines if line.is_ready]

    with ThreadPoolExecutor(1) as other:
        return other.submit(anyio.run, ask).result()


@pytest.fixture(autouse=True)
def every_ledger_balances(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ask each server's bridge before it is stopped; accepted has to be delivered + shed + expired + ... in flight."""
    stop = ServerProcess.stop
    ledgers: list[dict[str, Any]] = []

    def ask_and_stop(self: ServerProcess, grace: float = GRACE) -> None:
        url = self.env.get("CHANNELS_BRIDGE_URL")
        if self.alive and url is not None:
            ledgers.extend(ledger for status in statuses(url) for ledger in status["ledgers"])
        stop(self, grace)

    monkeypatch.setattr(ServerProcess, "stop", ask_and_stop)
    yield
    assert [ledger for ledger in ledgers if ledger["balance"]] == []
