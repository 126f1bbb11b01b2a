"""Signals around consumers and workers, for Django's receivers."""

from __future__ import annotations

from typing import Any

from django.db import close_old_connections
from django.dispatch import Signal

# Annotated, as Django has no types.
consumer_started: Any = Signal()  # sender: the Worker class; environ: {}
consumer_finished: Any = Signal()  # sender: the Worker class; whatever the consumer has raised
worker_process_ready: Any = Signal()  # sender: the worker; once in a process, before worker_ready
worker_ready: Any = Signal()  # sender: the worker; before its first message

consumer_finished.connect(close_old_connections)  # first: what is connected later, is called later
