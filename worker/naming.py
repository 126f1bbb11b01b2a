"""What consumers are called in messages for people."""

from __future__ import annotations


def name_of(consumer: object) -> str:
    """Name a consumer: its class, or the function that it is."""
    return str(getattr(consumer, "__qualname__", type(consumer).__qualname__))
