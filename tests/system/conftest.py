"""What holds for every system test: at its end, each bridge can say what became of every message that it accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from channels_bridge.testing.processes import GRACE, ServerProcess
from system_status import ledgers


@pytest.fixture(autouse=True)
def every_ledger_balances(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ask each server's bridge before it is stopped; accepted has to be delivered + shed + expired + ... in flight."""
    stop = ServerProcess.stop
    found: list[dict[str, Any]] = []

    def ask_and_stop(self: ServerProcess, grace: float = GRACE) -> None:
        url = self.env.get("CHANNELS_BRIDGE_URL")
        if self.alive and url is not None:
            found.extend(ledgers(url))
        stop(self, grace)

    monkeypatch.setattr(ServerProcess, "stop", ask_and_stop)
    yield
    assert [ledger for ledger in found if ledger["balance"]] == []
