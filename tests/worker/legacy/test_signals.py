"""The signals around consumers and workers."""

from __future__ import annotations

from django.dispatch import Signal

from channels1_programs import run_aliased
from channels_bridge.worker.legacy import signals


def test_each_is_a_signal_of_django() -> None:
    names = ("consumer_started", "consumer_finished", "worker_ready", "worker_process_ready")
    assert all(isinstance(getattr(signals, name), Signal) for name in names)


def test_connections_are_closed_before_what_was_kept_is_sent() -> None:
    """In a process of its own, as the test client takes the first away for a while, and puts it behind the others."""
    run_aliased(
        """
        from django.db import close_old_connections
        from channels.message import pending_message_store
        from channels.signals import consumer_finished, consumer_started

        def receivers(signal):
            found = signal._live_receivers(None)
            return list(found[0] if isinstance(found, tuple) else found)  # since Django 5 the async ones come behind

        assert receivers(consumer_finished) == [close_old_connections, pending_message_store.send_and_flush]
        assert receivers(consumer_started) == [pending_message_store.prepare]
        """
    )
