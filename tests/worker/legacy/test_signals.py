"""The signals around consumers and workers."""

from __future__ import annotations

from typing import Any

from django.db import close_old_connections
from django.dispatch import Signal

from channels_bridge.worker.legacy import signals
from channels_bridge.worker.legacy.message import pending_message_store


def receivers(signal: Signal) -> list[object]:
    """Give who is called, in order."""
    found: Any = signal._live_receivers(None)
    return list(found[0] if isinstance(found, tuple) else found)  # since Django 5 those to be awaited come behind


def test_each_is_a_signal_of_django() -> None:
    names = ("consumer_started", "consumer_finished", "worker_ready", "worker_process_ready")
    assert all(isinstance(getattr(signals, name), Signal) for name in names)


def test_connections_are_closed_before_what_was_kept_is_sent() -> None:
    assert receivers(signals.consumer_finished)[:2] == [close_old_connections, pending_message_store.send_and_flush]
    assert receivers(signals.consumer_started)[0] == pending_message_store.prepare
